use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// A time zone, with all its changes between winter and summer time.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// A zone of the IANA database, such as `Europe/Berlin`.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
    }

    /// What clocks in the zone show; milliseconds are cut off.
    pub(crate) fn local(&self, unix_ms: i64) -> Option<DateTime> {
        let time = jiff::Timestamp::from_millisecond(unix_ms).ok()?;
        Some(self.0.to_datetime(time))
    }

    /// When clocks in the zone show `local`: the first time, if they show it twice; `None` if they
    /// never do.
    pub(crate) fn instant(&self, local: DateTime) -> Option<i64> {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => None,
            _ => Some(ambiguous.earlier().ok()?.as_millisecond()),
        }
    }

    /// As [`Zone::instant`]; a time that clocks skip is taken for the same time on from before.
    pub(crate) fn instant_or_after(&self, local: DateTime) -> Option<i64> {
        let time = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(time.as_millisecond())
    }
}
