//! When a schedule ticks. Pure.

use schedules::{Expression, Zone};

use crate::record::{Schedule, Tick};

const MINUTE_MS: i64 = 60_000;

/// The first tick behind `after` of an enabled schedule. `chance` says where in its window it is sent.
pub(crate) fn next(schedule: &Schedule, after: i64, chance: u64) -> Option<Tick> {
    let expression = Expression::of_schedule(&schedule.expression)?;
    let zone = Zone::named(&schedule.zone)?;
    // Start and end are for schedules that recur.
    let is_bound = !expression.is_once();
    let start = schedule.start_ms.filter(|_| is_bound).unwrap_or(i64::MIN);
    let after = after.max(start.saturating_sub(1));
    let at = expression.next(&zone, schedule.anchor_ms, after)?;
    if is_bound && schedule.end_ms.is_some_and(|end| at > end) {
        return None;
    }
    let window = i64::from(schedule.window_minutes) * MINUTE_MS;
    let late = match u64::try_from(window) {
        Ok(0) | Err(_) => 0,
        Ok(window) => i64::try_from(chance % window).unwrap_or_default(),
    };
    Some(Tick {
        at_ms: at,
        send_ms: at.saturating_add(late),
    })
}

/// The first tick of a schedule that is made, changed or enabled now. A rate without a start begins at
/// once.  [EventBridge Scheduler guide: rate-based schedules]
pub(crate) fn begin(schedule: &mut Schedule, now: i64, chance: u64) {
    schedule.anchor_ms = schedule.start_ms.unwrap_or(now);
    schedule.next = if schedule.is_enabled {
        next(schedule, now.saturating_sub(1), chance)
    } else {
        None
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Target;

    const NOW: i64 = 1_795_209_000_000; // 2026-11-20T21:10:00Z

    fn schedule(expression: &str) -> Schedule {
        Schedule {
            name: "s".to_owned(),
            group: "default".to_owned(),
            id: String::new(),
            client_token: None,
            created_ms: NOW,
            modified_ms: NOW,
            description: None,
            kms_key: None,
            expression: expression.to_owned(),
            zone: "UTC".to_owned(),
            start_ms: None,
            end_ms: None,
            window_minutes: 0,
            is_enabled: true,
            is_deleted_after: false,
            target: Target {
                arn: String::new(),
                role: String::new(),
                input: None,
                dead_letter: None,
                retries: 0,
                age_s: 60,
                group: None,
                event: None,
            },
            anchor_ms: NOW,
            next: None,
        }
    }

    fn begun(mut schedule: Schedule) -> Option<i64> {
        begin(&mut schedule, NOW, 0);
        schedule.next.map(|tick| tick.at_ms)
    }

    #[test]
    fn a_rate_begins_at_once_or_at_its_start() {
        let rate = || schedule("rate(5 minutes)");
        assert_eq!(begun(rate()), Some(NOW));
        let later = Schedule {
            start_ms: Some(NOW + 7),
            ..rate()
        };
        assert_eq!(begun(later), Some(NOW + 7));
        let earlier = Schedule {
            start_ms: Some(NOW - 60_000),
            ..rate()
        };
        assert_eq!(begun(earlier), Some(NOW + 4 * 60_000));
    }

    #[test]
    fn nothing_ticks_outside_of_start_and_end() {
        let cron = schedule("cron(0 * * * ? *)");
        assert_eq!(begun(cron.clone()), Some(NOW + 50 * 60_000));
        let late = Schedule {
            start_ms: Some(NOW + 51 * 60_000),
            ..cron.clone()
        };
        assert_eq!(begun(late), Some(NOW + 110 * 60_000));
        let over = Schedule {
            end_ms: Some(NOW + 49 * 60_000),
            ..cron
        };
        assert_eq!(begun(over), None);
    }

    #[test]
    fn once_minds_neither_start_nor_end_and_never_was_in_the_past() {
        let at = Schedule {
            start_ms: Some(NOW + 1_000_000_000),
            end_ms: Some(NOW + 1),
            ..schedule("at(2026-11-20T22:00:00)")
        };
        assert_eq!(begun(at), Some(NOW + 50 * 60_000));
        assert_eq!(begun(schedule("at(2022-12-31T23:59:59)")), None);
        let local = Schedule {
            zone: "America/New_York".to_owned(),
            ..schedule("at(2026-11-20T17:00:00)")
        };
        assert_eq!(begun(local), Some(NOW + 50 * 60_000));
    }

    #[test]
    fn a_window_makes_it_later_by_less_than_the_window() {
        let mut wide = schedule("rate(1 hour)");
        wide.window_minutes = 2;
        for chance in [0, 1, 119_999, 120_000, u64::MAX] {
            let tick = next(&wide, NOW, chance).unwrap();
            assert!(
                (0..120_000).contains(&(tick.send_ms - tick.at_ms)),
                "{tick:?}"
            );
        }
    }

    #[test]
    fn a_disabled_schedule_has_no_tick() {
        let off = Schedule {
            is_enabled: false,
            ..schedule("rate(1 minute)")
        };
        assert_eq!(begun(off), None);
    }
}
