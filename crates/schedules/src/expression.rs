use jiff::civil::DateTime;

use crate::Zone;
use crate::cron::Cron;

const MINUTE_MS: i64 = 60_000;
/// A thousand years; a rate beyond never ticks twice anyhow.
const RATE_MINUTES_MAX: i64 = 1_000 * 366 * 24 * 60;

/// When something happens.  [EventBridge Scheduler guide: schedule types]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expression {
    /// Every so many milliseconds.
    Rate(i64),
    Cron(Box<Cron>),
    /// Once, at what clocks show.
    At(DateTime),
}

impl Expression {
    /// What a rule takes: `rate` and `cron`. One minute is `1 minute`, two are `2 minutes`.
    pub fn of_rule(text: &str) -> Option<Expression> {
        if let Some(inside) = inside(text, "rate") {
            return rate(inside, true);
        }
        let cron = Cron::parse(inside(text, "cron")?)?;
        Some(Expression::Cron(Box::new(cron)))
    }

    /// What EventBridge Scheduler takes: also `at`, and it does not mind `1 minutes`.
    pub fn of_schedule(text: &str) -> Option<Expression> {
        if let Some(inside) = inside(text, "rate") {
            return rate(inside, false);
        }
        if let Some(inside) = inside(text, "at") {
            let is_whole = inside.len() == "2026-11-20T21:10:00".len() && !inside.contains(' ');
            let time = is_whole
                .then(|| inside.parse::<DateTime>().ok())
                .flatten()?;
            return Some(Expression::At(time));
        }
        let cron = Cron::parse(inside(text, "cron")?)?;
        Some(Expression::Cron(Box::new(cron)))
    }

    /// Whether there is at most one tick.
    pub fn is_once(&self) -> bool {
        matches!(self, Expression::At(_))
    }

    /// The first tick behind `after`, in Unix milliseconds. `anchor` is a tick of a rate; no tick is
    /// before it. `None`: there is none any more.
    ///
    /// A time that clocks skip when summer begins is no tick; one that they show twice when it ends
    /// is one tick.
    pub fn next(&self, zone: &Zone, anchor: i64, after: i64) -> Option<i64> {
        match self {
            Expression::Rate(_) if after < anchor => Some(anchor),
            Expression::Rate(period) => {
                let ticks = after.checked_sub(anchor)?.div_euclid(*period);
                anchor.checked_add(ticks.checked_add(1)?.checked_mul(*period)?)
            }
            Expression::Cron(cron) => cron.next(zone, after),
            Expression::At(time) => zone.instant_or_after(*time).filter(|at| *at > after),
        }
    }
}

fn inside<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.strip_prefix(name)?
        .strip_prefix('(')?
        .strip_suffix(')')
}

fn rate(text: &str, is_strict: bool) -> Option<Expression> {
    let (value, unit) = text.split_once(' ')?;
    if !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i64 = value.parse().ok().filter(|v| *v > 0)?;
    let (minutes, is_plural) = match unit {
        "minute" => (1, false),
        "minutes" => (1, true),
        "hour" => (60, false),
        "hours" => (60, true),
        "day" => (24 * 60, false),
        "days" => (24 * 60, true),
        _ => return None,
    };
    if is_strict && is_plural != (value > 1) {
        return None;
    }
    let minutes = value
        .checked_mul(minutes)
        .filter(|m| *m <= RATE_MINUTES_MAX)?;
    Some(Expression::Rate(minutes * MINUTE_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn malformed_expressions_are_refused() {
        for text in [
            "rate(10 seconds)",
            "rate(10 years)",
            "rate()",
            "rate(10)",
            "rate(10 minutess)",
            "rate(foo minutes)",
            "rate(0 minutes)",
            "rate(-10 minutes)",
            "rate(+10 minutes)",
            "rate(10 MINUTES)",
            "rate( 10 minutes )",
            " rate(10 minutes)",
            "rate(99999999999999999999 minutes)",
            "cron()",
            "cron(INVALID)",
            "cron(0 1 * * * *)",
            "cron(7 20 * * NOT *)",
            "cron(0 dummy ? * MON-FRI *)",
            "cron(71 8 1 * ? *)",
            "at(2021-12-31)",
            "at(2021-12-31T23:59:59Z)",
            "at(2021-12-31 23:59:59)",
            "",
        ] {
            assert_eq!(Expression::of_schedule(text), None, "{text}");
            assert_eq!(Expression::of_rule(text), None, "{text}");
        }
    }

    #[test]
    fn a_rule_wants_the_right_number_of_the_unit_and_never_at() {
        for text in [
            "rate(1 minutes)",
            "rate(10 minute)",
            "at(2022-12-31T23:59:59)",
        ] {
            assert_eq!(Expression::of_rule(text), None, "{text}");
            assert!(Expression::of_schedule(text).is_some(), "{text}");
        }
        assert_eq!(
            Expression::of_rule("rate(2 hours)"),
            Some(Expression::Rate(7_200_000))
        );
    }

    #[test]
    fn a_rate_ticks_from_its_anchor_on() {
        let rate = Expression::of_rule("rate(5 minutes)").unwrap();
        let anchor = ms("2026-11-20T21:10:07Z");
        for (after, expected) in [
            ("2026-11-20T21:00:00Z", "2026-11-20T21:10:07Z"),
            ("2026-11-20T21:10:07Z", "2026-11-20T21:15:07Z"),
            ("2026-11-20T21:15:06Z", "2026-11-20T21:15:07Z"),
            ("2026-11-20T22:10:07Z", "2026-11-20T22:15:07Z"),
        ] {
            let next = rate.next(&Zone::UTC, anchor, ms(after));
            assert_eq!(next, Some(ms(expected)), "{after}");
        }
    }

    #[test]
    fn once_is_once_in_its_zone() {
        let at = Expression::of_schedule("at(2026-07-01T12:00:00)").unwrap();
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let tick = ms("2026-07-01T10:00:00Z");
        assert_eq!(at.next(&berlin, 0, tick - 1), Some(tick));
        assert_eq!(at.next(&berlin, 0, tick), None);
        assert!(Zone::named("Mars/Base").is_none());
    }
}
