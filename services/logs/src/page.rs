//! One page of events: which come first, and where the next page starts.

use std::collections::BTreeMap;

/// Where an event stands: by time, then by where its bytes are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub(crate) time: i64,
    /// Segment number and offset of the frame.
    pub(crate) at: u64,
    /// Its number within the frame.
    pub(crate) nth: u32,
}

impl Place {
    pub(crate) const FIRST: Place = Place {
        time: 0,
        at: 0,
        nth: 0,
    };

    /// Before every event of this time and later ones.
    pub(crate) fn before_time(time: i64) -> Place {
        Place {
            time,
            ..Place::FIRST
        }
    }

    /// Right behind this event.
    pub(crate) fn after(self) -> Place {
        Place {
            nth: self.nth.saturating_add(1),
            ..self
        }
    }

    /// 56 digits, as AWS's event ids and tokens have.
    pub(crate) fn digits(self) -> String {
        format!("{:020}{:020}{:016}", self.time.max(0), self.at, self.nth)
    }

    pub(crate) fn parse(digits: &str) -> Option<Place> {
        if digits.len() != 56 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Place {
            time: digits.get(..20)?.parse().ok()?,
            at: digits.get(20..40)?.parse().ok()?,
            nth: digits.get(40..)?.parse().ok()?,
        })
    }
}

/// An event that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) place: Place,
    pub(crate) stream: String,
    pub(crate) ingested: i64,
    pub(crate) message: String,
}

/// Which end of the range the page is filled from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// How large a page may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// Bytes that AWS counts for an event besides its text.  [CloudWatch Logs API: PutLogEvents]
pub(crate) const EVENT_BYTES: usize = 26;

/// Keeps the events nearest to the end that it is filled from.
pub(crate) struct Page {
    direction: Direction,
    limits: Limits,
    events: BTreeMap<Place, Event>,
    bytes: usize,
    is_cut: bool,
}

impl Page {
    pub(crate) fn new(direction: Direction, limits: Limits) -> Page {
        Page {
            direction,
            limits,
            events: BTreeMap::new(),
            bytes: 0,
            is_cut: false,
        }
    }

    /// Whether an event at `place` would be kept.
    pub(crate) fn wants(&self, place: Place) -> bool {
        if !self.is_cut {
            return true;
        }
        match self.direction {
            Direction::Forward => self.events.keys().next_back().is_none_or(|k| place < *k),
            Direction::Backward => self.events.keys().next().is_none_or(|k| place > *k),
        }
    }

    pub(crate) fn add(&mut self, event: Event) {
        self.bytes += event.message.len() + EVENT_BYTES;
        self.events.insert(event.place, event);
        while self.events.len() > self.limits.events
            || (self.bytes > self.limits.bytes && self.events.len() > 1)
        {
            let gone = match self.direction {
                Direction::Forward => self.events.pop_last(),
                Direction::Backward => self.events.pop_first(),
            };
            let Some((_, gone)) = gone else { break };
            self.bytes = self.bytes.saturating_sub(gone.message.len() + EVENT_BYTES);
            self.is_cut = true;
        }
    }

    /// Gives up what is beyond `place`: the search did not get that far.
    pub(crate) fn stop_at(&mut self, place: Place) {
        match self.direction {
            Direction::Forward => drop(self.events.split_off(&place)),
            Direction::Backward => self.events = self.events.split_off(&place),
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The events, earliest first.
    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(time: i64) -> Event {
        Event {
            place: Place::before_time(time),
            stream: String::new(),
            ingested: 0,
            message: "x".repeat(74),
        }
    }

    fn check(direction: Direction, events: usize, bytes: usize, expected: &[i64], is_cut: bool) {
        let mut page = Page::new(direction, Limits { events, bytes });
        for time in [5, 1, 9, 3, 7] {
            if page.wants(Place::before_time(time)) {
                page.add(event(time));
            }
        }
        assert_eq!(page.is_cut(), is_cut);
        let times: Vec<i64> = page.into_events().iter().map(|e| e.place.time).collect();
        assert_eq!(times, expected);
    }

    #[test]
    fn a_page_keeps_the_nearest_events_in_order() {
        check(Direction::Forward, 10, 10_000, &[1, 3, 5, 7, 9], false);
        check(Direction::Forward, 3, 10_000, &[1, 3, 5], true);
        check(Direction::Backward, 3, 10_000, &[5, 7, 9], true);
        check(Direction::Forward, 10, 250, &[1, 3], true);
        check(Direction::Backward, 10, 250, &[7, 9], true);
        check(Direction::Forward, 10, 10, &[1], true);
    }

    #[test]
    fn places_survive_their_digits() {
        let place = Place {
            time: 1_795_000_000_123,
            at: u64::MAX,
            nth: 77,
        };
        assert_eq!(Place::parse(&place.digits()), Some(place));
        let digits = Place::FIRST.digits();
        assert_eq!(
            (digits.len(), Place::parse(&digits)),
            (56, Some(Place::FIRST))
        );
        for wrong in ["", "1", &"9".repeat(56), &"x".repeat(56)] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }
}
