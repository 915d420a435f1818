use std::fmt;
use std::time::Duration;

/// A moment on the wall clock, in microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    pub const EPOCH: Time = Time(0);

    pub fn from_unix_micros(micros: i64) -> Time {
        Time(micros)
    }

    pub fn from_unix_millis(millis: i64) -> Time {
        Time(millis.saturating_mul(1_000))
    }

    pub const fn from_unix_secs(secs: i64) -> Time {
        Time(secs.saturating_mul(1_000_000))
    }

    pub fn unix_micros(self) -> i64 {
        self.0
    }

    pub fn unix_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    pub fn unix_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Time that passed from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub fn before(self, wait: Duration) -> Time {
        Time(
            self.0
                .saturating_sub(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    pub fn after(self, wait: Duration) -> Time {
        Time(
            self.0
                .saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    fn zoned(self) -> jiff::Zoned {
        jiff::Timestamp::from_microsecond(self.0)
            .unwrap_or_default()
            .to_zoned(jiff::tz::TimeZone::UTC)
    }

    /// `2026-11-20T21:10:00.000+0000`, as the Lambda API prints `LastModified`.
    pub fn lambda_string(self) -> String {
        self.zoned()
            .strftime("%Y-%m-%dT%H:%M:%S.%3f+0000")
            .to_string()
    }

    /// `2026-11-20T21:10:00.000Z`
    pub fn iso_millis(self) -> String {
        self.zoned().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// `2026-11-20T21:10:00Z`
    pub fn iso_secs(self) -> String {
        self.zoned().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// `20261120T211000Z`, the form of `X-Amz-Date`.
    pub fn amz_date(self) -> String {
        self.zoned().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// `2026/11/20`, the first part of a log stream name.
    pub fn log_date(self) -> String {
        self.zoned().strftime("%Y/%m/%d").to_string()
    }

    /// `20/Nov/2026:21:10:00 +0000`, as access logs have it.
    pub fn access_date(self) -> String {
        self.zoned().strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
    }

    /// `Fri, 20 Nov 2026 21:10:00 GMT`, the form of the HTTP `Date` header.
    pub fn http_date(self) -> String {
        self.zoned()
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string()
    }

    /// Seconds since the epoch with the fraction, as AWS prints timestamps in JSON.
    #[allow(clippy::cast_precision_loss)]
    pub fn unix_secs_f64(self) -> f64 {
        self.unix_millis() as f64 / 1_000.0
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;
    fn add(self, wait: Duration) -> Time {
        self.after(wait)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.zoned().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_forms_are_those_of_aws() {
        let t = Time::from_unix_millis(1_795_209_000_123);
        assert_eq!(t.lambda_string(), "2026-11-20T21:10:00.123+0000");
        assert_eq!(t.iso_millis(), "2026-11-20T21:10:00.123Z");
        assert_eq!(t.amz_date(), "20261120T211000Z");
        assert_eq!(t.log_date(), "2026/11/20");
        assert_eq!(t.access_date(), "20/Nov/2026:21:10:00 +0000");
        assert_eq!(t.http_date(), "Fri, 20 Nov 2026 21:10:00 GMT");
    }

    #[test]
    fn a_clock_that_went_back_gives_zero() {
        assert_eq!(
            Time::from_unix_secs(1).since(Time::from_unix_secs(2)),
            Duration::ZERO
        );
    }
}
