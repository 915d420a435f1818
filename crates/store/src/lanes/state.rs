use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tasks::Time;

use super::{ASIDE_SHOWN_MAX, Aside, IN_ORDER, LANES_MAX, LanesConfig, Room, TAKES_MAX, Tally};
use crate::{Leased, StoreError, Token};

/// Messages that one lane gives in one turn.
const TURN_MAX: usize = 64;

/// Whose turn it is. Pure.
#[derive(Default)]
pub(super) struct State {
    lanes: HashMap<Arc<str>, Lane>,
    /// Lanes to ask for messages, each at most once.
    ready: VecDeque<Arc<str>>,
    /// Lanes to ask later.
    later: BTreeSet<(Time, Arc<str>)>,
    /// Lanes that have their share; they are ready when a message ends.
    full: Vec<Arc<str>>,
    /// Messages that are handled: the proof of each, which may be replaced.
    held: HashMap<(Arc<str>, String), Arc<Mutex<Token>>>,
    /// Messages that are handled or asked for.
    handled: usize,
    bytes: usize,
    limits: Limits,
    /// Messages in all lanes.
    waiting: u64,
    room: Option<Room>,
    aside: BTreeMap<(String, String), Aside>,
    /// Some lanes found no place.
    pub(super) overflowed: bool,
}

#[derive(Default)]
struct Limits {
    handled_max: usize,
    bytes_max: usize,
}

struct Lane {
    handled: usize,
    /// Messages in it, and those that are being put.
    waiting: u64,
    /// Of those, messages that are being put.
    putting: u64,
    place: Place,
    /// Nothing is taken from it before.
    closed_until: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing is known to be in it.
    None,
    Ready,
    Later(Time),
    Full,
    /// In order, and its message is handled; it is looked at when that ends.
    Busy,
    /// It is asked just now; afterwards again if something came.
    Asked {
        again: Option<Time>,
    },
}

impl State {
    pub(super) fn set_limits(&mut self, config: LanesConfig) {
        self.limits = Limits {
            handled_max: config.handled_max,
            bytes_max: config.bytes_max,
        };
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            lanes: self.lanes.len(),
            handled: self.handled,
            waiting: self.waiting,
        }
    }

    pub(super) fn set_room(&mut self, room: Room) {
        self.room = Some(room);
    }

    /// Counts a message that is to be put.
    pub(super) fn reserve(&mut self, lane: &str) -> Result<(), StoreError> {
        let known = self.lanes.get(lane).map_or(0, |lane| lane.waiting);
        if let Some(room) = self.room {
            if known >= room.lane_max {
                let (what, max) = ("lane", room.lane_max);
                return Err(StoreError::Full { what, max });
            }
            if self.waiting >= room.all_max {
                let (what, max) = ("lanes", room.all_max);
                return Err(StoreError::Full { what, max });
            }
        }
        if let Some(name) = self.known(lane)
            && let Some(lane) = self.lanes.get_mut(&name)
        {
            lane.waiting += 1;
            lane.putting += 1;
        }
        self.waiting += 1;
        Ok(())
    }

    /// A message that was to be put is there, or will not be.
    pub(super) fn put(&mut self, lane: &str, is_there: bool) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.putting = lane.putting.saturating_sub(1);
        }
        if !is_there {
            self.left(lane);
            self.forget(lane);
        }
    }

    /// A message is gone.
    pub(super) fn left(&mut self, lane: &str) {
        let gone = match self.lanes.get_mut(lane) {
            Some(lane) => {
                let gone = lane.waiting.min(1);
                lane.waiting -= gone;
                gone
            }
            None => 1,
        };
        self.waiting = self.waiting.saturating_sub(gone);
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.lanes.keys().cloned().collect()
    }

    /// So many messages were found in the store.
    pub(super) fn counted(&mut self, lane: &str, found: u64) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            let more = found.saturating_sub(lane.waiting);
            lane.waiting += more;
            self.waiting += more;
        }
    }

    pub(super) fn set_aside(&mut self, aside: Aside) {
        let key = (aside.lane.clone(), aside.message.clone());
        if self.aside.len() < ASIDE_SHOWN_MAX || self.aside.contains_key(&key) {
            self.aside.insert(key, aside);
        }
    }

    pub(super) fn no_longer_aside(&mut self, lane: &str, message: &str) {
        if !self.aside.is_empty() {
            self.aside.remove(&(lane.to_owned(), message.to_owned()));
        }
    }

    pub(super) fn aside(&self) -> Vec<Aside> {
        self.aside.values().cloned().collect()
    }

    /// The name of a lane that is in memory from now on, if there is a place.
    fn known(&mut self, lane: &str) -> Option<Arc<str>> {
        if let Some((name, _)) = self.lanes.get_key_value(lane) {
            return Some(name.clone());
        }
        if self.lanes.len() >= LANES_MAX {
            return None;
        }
        let name: Arc<str> = lane.into();
        let fresh = Lane {
            handled: 0,
            waiting: 0,
            putting: 0,
            place: Place::None,
            closed_until: None,
        };
        self.lanes.insert(name.clone(), fresh);
        Some(name)
    }

    /// Something may be due in this lane at `at`.
    pub(super) fn look_at(&mut self, lane: &str, at: Time, now: Time) {
        let Some(name) = self.known(lane) else {
            self.overflowed = true;
            return;
        };
        let Some(lane) = self.lanes.get_mut(&name) else {
            return;
        };
        let at = lane.closed_until.map_or(at, |open| open.max(at));
        match lane.place {
            Place::Ready | Place::Full | Place::Busy => return,
            Place::Asked { again } => {
                let again = Some(again.map_or(at, |known| known.min(at)));
                lane.place = Place::Asked { again };
                return;
            }
            Place::Later(known) if known <= at => return,
            Place::Later(known) => drop(self.later.remove(&(known, name.clone()))),
            Place::None => {}
        }
        if at <= now {
            lane.place = Place::Ready;
            self.ready.push_back(name);
        } else {
            lane.place = Place::Later(at);
            self.later.insert((at, name));
        }
    }

    fn free(&self) -> usize {
        match self.bytes < self.limits.bytes_max {
            true => self.limits.handled_max.saturating_sub(self.handled),
            false => 0,
        }
    }

    /// When there is something to ask for, if there is room.
    pub(super) fn next_turn(&self, now: Time) -> Option<Time> {
        if self.free() == 0 {
            return None;
        }
        match self.ready.is_empty() {
            false => Some(now),
            true => self.later.first().map(|(at, _)| *at),
        }
    }

    /// The lanes to ask now, and for how many messages each.
    ///
    /// A lane may hold as many as remain free: one alone gets half, the next a half of the rest; so there
    /// is always room for a lane that holds none.
    pub(super) fn turns(&mut self, now: Time) -> Vec<(Arc<str>, usize)> {
        while let Some((at, _)) = self.later.first()
            && *at <= now
        {
            if let Some((_, name)) = self.later.pop_first() {
                self.place(&name, Place::Ready);
                self.ready.push_back(name);
            }
        }
        let mut turns = Vec::new();
        while turns.len() < TAKES_MAX && self.free() > 0 {
            let Some(name) = self.ready.pop_front() else {
                break;
            };
            let free = self.free();
            let Some(lane) = self.lanes.get_mut(&name) else {
                continue;
            };
            if lane.handled >= free {
                lane.place = Place::Full;
                self.full.push(name);
                continue;
            }
            let count = match name.starts_with(IN_ORDER) {
                true => 1,
                false => ((free - lane.handled) / 2).clamp(1, TURN_MAX),
            };
            lane.closed_until = None;
            lane.place = Place::Asked { again: None };
            lane.handled += count;
            self.handled += count;
            turns.push((name, count));
        }
        turns
    }

    fn place(&mut self, name: &str, place: Place) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.place = place;
        }
    }

    /// A lane that was asked for `asked` gave `given`, and has more at `next`.
    pub(super) fn took(
        &mut self,
        name: &str,
        asked: usize,
        given: usize,
        next: Option<Time>,
        now: Time,
    ) {
        let spare = asked.saturating_sub(given);
        self.handled = self.handled.saturating_sub(spare);
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        lane.handled = lane.handled.saturating_sub(spare);
        let again = match lane.place {
            Place::Asked { again } => again,
            _ => None,
        };
        lane.place = Place::None;
        if given > 0 && name.starts_with(IN_ORDER) {
            lane.place = Place::Busy;
        }
        if spare > 0 {
            self.wake_full();
        }
        let next = [next, again].into_iter().flatten().min();
        match next {
            Some(at) => self.look_at(name, at, now),
            None => self.forget(name),
        }
    }

    /// Notes that a message is handled now. False: it is already, and goes on with the new proof.
    pub(super) fn begin(
        &mut self,
        lane: &str,
        message: &Leased,
        token: &Arc<Mutex<Token>>,
    ) -> bool {
        let Some((name, _)) = self.lanes.get_key_value(lane) else {
            return false;
        };
        let key = (name.clone(), message.id.0.clone());
        if let Some(known) = self.held.get(&key) {
            *known.lock().unwrap_or_else(PoisonError::into_inner) = message.token.clone();
            return false;
        }
        self.held.insert(key, token.clone());
        self.bytes += message.body.len();
        true
    }

    /// The message may be handled by another from here on.
    pub(super) fn release(&mut self, lane: &str, message: &Leased, token: &Arc<Mutex<Token>>) {
        let Some((name, _)) = self.lanes.get_key_value(lane) else {
            return;
        };
        let key = (name.clone(), message.id.0.clone());
        if self
            .held
            .get(&key)
            .is_some_and(|held| Arc::ptr_eq(held, token))
        {
            self.held.remove(&key);
        }
    }

    /// A message was handled.
    pub(super) fn end(
        &mut self,
        lane: &str,
        message: &Leased,
        token: &Arc<Mutex<Token>>,
        now: Time,
    ) {
        self.handled = self.handled.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(message.body.len());
        let Some((name, _)) = self.lanes.get_key_value(lane) else {
            return;
        };
        let name = name.clone();
        self.release(&name, message, token);
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.handled = lane.handled.saturating_sub(1);
            if lane.place == Place::Busy {
                lane.place = Place::None;
                self.look_at(&name, now, now);
            }
        }
        self.wake_full();
        self.forget(&name);
    }

    /// Nothing is taken from the lane before.
    pub(super) fn close_until(&mut self, lane: &str, at: Time) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.closed_until = Some(at);
        }
    }

    /// Lanes that had their share may be asked again.
    fn wake_full(&mut self) {
        for name in std::mem::take(&mut self.full) {
            self.place(&name, Place::Ready);
            self.ready.push_back(name);
        }
    }

    fn forget(&mut self, name: &str) {
        let idle =
            |lane: &Lane| lane.handled == 0 && lane.putting == 0 && lane.place == Place::None;
        if self.lanes.get(name).is_some_and(idle)
            && let Some(lane) = self.lanes.remove(name)
        {
            // It is empty, whatever was counted.
            self.waiting = self.waiting.saturating_sub(lane.waiting);
        }
    }
}
