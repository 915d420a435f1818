use jiff::civil::{Date, DateTime, Weekday, date, time};

use crate::Zone;
use crate::field::{DAY, HOUR, MINUTE, MONTH, WEEKDAY, YEAR};

/// Local times looked at that no instant behind the wanted one belongs to: those that clocks show a
/// second time when summer ends, or skip when it begins.
const SKIPPED_MAX: usize = 5_000;

/// Six fields: minutes, hours, day of the month, month, day of the week, year.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cron {
    minutes: Vec<u16>,
    hours: Vec<u16>,
    days: Days,
    months: Vec<u16>,
    years: Vec<u16>,
}

/// Which days of a month; exactly one of the two fields on days says so, the other is `?`.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Days {
    OfMonth(Vec<u16>),
    /// `L`
    Last,
    /// `LW`
    LastWorkday,
    /// `15W`: the workday next to it, in the same month.
    Workday(u16),
    /// From Sunday, which is 1.
    OfWeek(Vec<u16>),
    /// `6L`: the last Friday.
    LastOfWeek(u16),
    /// `6#3`: the third Friday.
    Nth(u16, u16),
}

impl Cron {
    pub(crate) fn parse(text: &str) -> Option<Cron> {
        let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
        let [minutes, hours, day, month, weekday, year] = fields.as_slice() else {
            return None;
        };
        let days = match (*day, *weekday) {
            ("?", "?") => return None,
            (day, "?") => of_month(day)?,
            ("?", weekday) => of_week(weekday)?,
            _ => return None,
        };
        Some(Cron {
            minutes: MINUTE.list(minutes)?,
            hours: HOUR.list(hours)?,
            days,
            months: MONTH.list(month)?,
            years: YEAR.list(year)?,
        })
    }

    pub(crate) fn next(&self, zone: &Zone, after: i64) -> Option<i64> {
        let mut local = zone.local(after)?;
        for _ in 0..SKIPPED_MAX {
            local = self.next_local(local)?;
            if let Some(at) = zone.instant(local).filter(|at| *at > after) {
                return Some(at);
            }
        }
        None
    }

    /// The first local time behind `after`.
    fn next_local(&self, after: DateTime) -> Option<DateTime> {
        let today = after.date();
        if self.is_day(today)
            && let Some(found) = self.times(today).find(|at| *at > after)
        {
            return Some(found);
        }
        let mut day = today.tomorrow().ok()?;
        loop {
            let last = u16::try_from(day.year()).ok()?;
            if self.years.last().is_none_or(|year| *year < last) {
                return None;
            }
            if !self.is_month(day) {
                day = day.last_of_month().tomorrow().ok()?;
                continue;
            }
            if self.is_day(day) {
                return self.times(day).next();
            }
            day = day.tomorrow().ok()?;
        }
    }

    fn times(&self, day: Date) -> impl Iterator<Item = DateTime> {
        let minutes = &self.minutes;
        self.hours.iter().flat_map(move |hour| {
            minutes.iter().filter_map(move |minute| {
                let (hour, minute) = (i8::try_from(*hour).ok()?, i8::try_from(*minute).ok()?);
                Some(day.to_datetime(time(hour, minute, 0, 0)))
            })
        })
    }

    fn is_month(&self, day: Date) -> bool {
        let is_in = |list: &[u16], n: i16| u16::try_from(n).is_ok_and(|n| list.contains(&n));
        is_in(&self.years, day.year()) && is_in(&self.months, day.month().into())
    }

    fn is_day(&self, day: Date) -> bool {
        let number = day.day().unsigned_abs().into();
        let weekday = weekday(day);
        let last = day.days_in_month().unsigned_abs().into();
        let is_that = match &self.days {
            Days::OfMonth(days) => days.contains(&number),
            Days::Last => number == last,
            Days::LastWorkday => nearest_workday(day, last) == Some(number),
            Days::Workday(wanted) => nearest_workday(day, *wanted) == Some(number),
            Days::OfWeek(days) => days.contains(&weekday),
            Days::LastOfWeek(wanted) => weekday == *wanted && number + 7 > last,
            Days::Nth(wanted, nth) => weekday == *wanted && number.div_ceil(7) == *nth,
        };
        is_that && self.is_month(day)
    }
}

/// The workday next to the day `wanted` of the month of `day`, without leaving the month.
fn nearest_workday(day: Date, wanted: u16) -> Option<u16> {
    let last: u16 = day.days_in_month().unsigned_abs().into();
    if wanted > last {
        return None;
    }
    let that = date(day.year(), day.month(), i8::try_from(wanted).ok()?);
    Some(match that.weekday() {
        Weekday::Saturday if wanted == 1 => 3,
        Weekday::Saturday => wanted - 1,
        Weekday::Sunday if wanted == last => wanted - 2,
        Weekday::Sunday => wanted + 1,
        _ => wanted,
    })
}

fn weekday(day: Date) -> u16 {
    day.weekday().to_sunday_one_offset().unsigned_abs().into()
}

fn of_month(text: &str) -> Option<Days> {
    match text {
        "L" => Some(Days::Last),
        "LW" => Some(Days::LastWorkday),
        _ => match text.strip_suffix('W') {
            Some(day) => DAY.value(day).map(Days::Workday),
            None => DAY.list(text).map(Days::OfMonth),
        },
    }
}

fn of_week(text: &str) -> Option<Days> {
    if text == "L" {
        return Some(Days::OfWeek(vec![WEEKDAY.max]));
    }
    if let Some((day, nth)) = text.split_once('#') {
        let nth = nth.parse().ok().filter(|n| (1..=5).contains(n))?;
        return Some(Days::Nth(WEEKDAY.value(day)?, nth));
    }
    match text.strip_suffix('L') {
        Some(day) => WEEKDAY.value(day).map(Days::LastOfWeek),
        None => WEEKDAY.list(text).map(Days::OfWeek),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn shown(ms: i64) -> String {
        jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
    }

    /// The ticks behind `after`, as many as are expected.
    fn check(text: &str, zone: &str, after: &str, expected: &[&str]) {
        let cron = Cron::parse(text).unwrap();
        let zone = Zone::named(zone).unwrap();
        let mut at = ms(after);
        for tick in expected {
            at = cron.next(&zone, at).unwrap();
            assert_eq!(shown(at), *tick, "{text}");
        }
    }

    #[test]
    fn every_form_of_a_field_ticks_when_it_says() {
        let after = "2026-11-20T21:10:00Z"; // a Friday
        for (text, expected) in [
            (
                "0 10 * * ? *",
                ["2026-11-21T10:00:00Z", "2026-11-22T10:00:00Z"],
            ),
            (
                "0/15 * * * ? *",
                ["2026-11-20T21:15:00Z", "2026-11-20T21:30:00Z"],
            ),
            (
                "10 21 * * ? *",
                ["2026-11-21T21:10:00Z", "2026-11-22T21:10:00Z"],
            ),
            (
                "0 18 ? * MON-FRI *",
                ["2026-11-23T18:00:00Z", "2026-11-24T18:00:00Z"],
            ),
            (
                "0 8 1 * ? *",
                ["2026-12-01T08:00:00Z", "2027-01-01T08:00:00Z"],
            ),
            (
                "0 2 ? * SAT#3 *",
                ["2026-11-21T02:00:00Z", "2026-12-19T02:00:00Z"],
            ),
            (
                "15 10 ? * 6L *",
                ["2026-11-27T10:15:00Z", "2026-12-25T10:15:00Z"],
            ),
            (
                "0 0 L * ? *",
                ["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z"],
            ),
            (
                "0 0 LW * ? *",
                ["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z"],
            ),
            // The 1st of May 2027 is a Saturday, the 1st of August a Sunday.
            (
                "0 0 1W 5,8 ? *",
                ["2027-05-03T00:00:00Z", "2027-08-02T00:00:00Z"],
            ),
            (
                "0 0 31W 1,2,10 ? *",
                ["2027-01-29T00:00:00Z", "2027-10-29T00:00:00Z"],
            ),
            (
                "0 0 29 2 ? *",
                ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
            ),
            (
                "0 0 ? * L *",
                ["2026-11-21T00:00:00Z", "2026-11-28T00:00:00Z"],
            ),
            (
                "30 6 ? JAN SUN 2030/2",
                ["2030-01-06T06:30:00Z", "2030-01-13T06:30:00Z"],
            ),
        ] {
            check(text, "UTC", after, &expected);
        }
    }

    #[test]
    fn years_that_are_over_never_tick() {
        for text in [
            "15 10 ? * 6L 2002-2005",
            "0/5 5 ? JAN 1-5 2022",
            "0 0 30 2 ? *",
        ] {
            let cron = Cron::parse(text).unwrap();
            assert_eq!(
                cron.next(&Zone::UTC, ms("2026-11-20T21:10:00Z")),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_that_clocks_skip_is_left_out() {
        check(
            "30 2 * * ? *",
            "America/New_York",
            "2026-03-07T00:00:00Z",
            &["2026-03-07T07:30:00Z", "2026-03-09T06:30:00Z"],
        );
    }

    #[test]
    fn a_time_that_clocks_show_twice_ticks_once() {
        check(
            "30 1 * * ? *",
            "America/New_York",
            "2026-11-01T00:00:00Z",
            &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        );
        check(
            "0/30 * * * ? *",
            "America/New_York",
            "2026-11-01T05:00:00Z",
            &["2026-11-01T05:30:00Z", "2026-11-01T07:00:00Z"],
        );
    }

    #[test]
    fn both_days_or_none_are_refused() {
        for text in [
            "0 1 ? * ? *",
            "0 1 * * * *",
            "0 1 * * ?",
            "0 1 * * ? * *",
            "0 1 32 * ? *",
            "0 1 ? * 8 *",
            "0 1 ? * 2#6 *",
            "0 1 0W * ? *",
            "0 1 * 13 ? *",
            "0 24 * * ? *",
            "0 1 * * ? 1969",
        ] {
            assert_eq!(Cron::parse(text), None, "{text}");
        }
        for text in [
            "0-15/1 8-8 ? * 2,3,4,5,6,7 *",
            "30-30 13-13 ? * 2,4,6 *",
            "1-31/30 1-1 ? * 1,7 *",
            "0-59/10 0-23/2 ? * * *",
        ] {
            assert!(Cron::parse(text).is_some(), "{text}");
        }
    }
}
