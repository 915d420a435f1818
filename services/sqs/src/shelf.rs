//! Where each message of one queue is: ready, delayed or in flight. Pure; bodies are elsewhere.
//!
//! A message that was never received costs one number here, so that a million queued messages are
//! some twenty megabytes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The place of a message in its queue: grows with every send, never repeats. Receives are numbered in
/// the same row.
pub(crate) type Seq = u64;

/// Messages received too often that one receive finds.
const DEAD_MAX: usize = 100;

/// The messages of one queue by what they wait for.
#[derive(Debug)]
pub(crate) struct Shelf {
    is_fifo: bool,
    groups: HashMap<Arc<str>, Group>,
    /// The groups that can give a message: how busy they are, since when they wait for their turn.
    order: BTreeSet<(usize, Seq, Arc<str>)>,
    /// Delayed and in-flight messages by the time at which they become ready.
    waiting: BTreeSet<(i64, Seq)>,
    /// Every message that is delayed, in flight or was received before.
    marks: HashMap<Seq, Mark>,
    counts: Counts,
    /// Received since the marks were last looked through, and before that.
    changed: [BTreeSet<Seq>; 2],
}

/// How many messages are in each state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ready: usize,
    pub(crate) delayed: usize,
    pub(crate) in_flight: usize,
}

#[derive(Debug, Default)]
struct Group {
    ready: BTreeSet<Seq>,
    /// What a FIFO queue must not overtake: in flight, delayed, or on its way to the disk.
    held: BTreeSet<Seq>,
    in_flight: usize,
    /// Its last receive: who was served goes behind those who waited already.
    served: Seq,
    place: Option<(usize, Seq)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Ready,
    Delayed,
    InFlight,
}

#[derive(Debug)]
struct Mark {
    group: Arc<str>,
    phase: Phase,
    at_ms: i64,
    receipt: Receipts,
    is_saved: bool,
}

/// What is known of the receives of one message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipts {
    pub(crate) count: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// Names the last receive: an older receipt handle has another number.
    pub(crate) nonce: u64,
}

/// A message that was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picked {
    pub(crate) seq: Seq,
    pub(crate) receipts: Receipts,
}

/// What a receive found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Haul {
    pub(crate) received: Vec<Picked>,
    /// Received too often already: they go to the dead-letter queue.
    pub(crate) dead: Vec<Picked>,
}

/// How a receive picks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    pub(crate) now_ms: i64,
    pub(crate) until_ms: i64,
    pub(crate) max: usize,
    /// Receives after which a message is dead.
    pub(crate) receives_max: Option<u32>,
    /// Whether the receives are to outlive a crash.
    pub(crate) is_noted: bool,
}

/// Whether a receipt handle still holds its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// In flight, since then.
    Held { since_ms: i64 },
    /// The message is there, by now visible or received by somebody else.
    Expired,
    /// Gone, or ready and not received since a crash: only its record tells.
    Unmarked,
}

impl Shelf {
    pub(crate) fn new(is_fifo: bool) -> Shelf {
        Shelf {
            is_fifo,
            groups: HashMap::new(),
            order: BTreeSet::new(),
            waiting: BTreeSet::new(),
            marks: HashMap::new(),
            counts: Counts::default(),
            changed: Default::default(),
        }
    }

    /// A FIFO message is on its way to the disk: what comes behind it in its group waits for it.
    pub(crate) fn begin(&mut self, seq: Seq, group: &str) {
        if self.is_fifo {
            self.edit(group, |group| {
                group.held.insert(seq);
            });
        }
    }

    /// The message of [`Shelf::begin`] was not stored.
    pub(crate) fn abandon(&mut self, seq: Seq, group: &str) {
        if self.is_fifo {
            self.edit(group, |group| {
                group.held.remove(&seq);
            });
        }
    }

    /// A message is stored. It is ready at `at_ms`.
    pub(crate) fn put(&mut self, seq: Seq, group: &str, at_ms: i64, now_ms: i64) {
        if at_ms > now_ms {
            let mark = self.mark(group, Phase::Delayed, at_ms);
            self.hold(seq, mark);
            return;
        }
        self.counts.ready += 1;
        self.edit(group, |group| {
            group.held.remove(&seq);
            group.ready.insert(seq);
        });
    }

    /// A message that an earlier process had received.
    pub(crate) fn restore(
        &mut self,
        seq: Seq,
        group: &str,
        receipt: Receipts,
        at_ms: i64,
        now_ms: i64,
    ) {
        let phase = match at_ms > now_ms {
            true => Phase::InFlight,
            false => Phase::Ready,
        };
        let mark = Mark {
            receipt,
            is_saved: true,
            ..self.mark(group, phase, at_ms)
        };
        if phase == Phase::InFlight {
            self.hold(seq, mark);
            return;
        }
        self.marks.insert(seq, mark);
        self.counts.ready += 1;
        self.edit(group, |group| {
            group.ready.insert(seq);
        });
    }

    /// Makes ready what is due. Returns how many messages that were.
    pub(crate) fn tick(&mut self, now_ms: i64) -> usize {
        let mut ended = 0;
        while let Some((at_ms, seq)) = self.waiting.first().copied()
            && at_ms <= now_ms
        {
            self.release(seq);
            ended += 1;
        }
        ended
    }

    /// When the next message becomes ready by itself.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.waiting.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes messages into flight; `nonce` numbers each receive.
    pub(crate) fn pick(&mut self, pick: Pick, mut nonce: impl FnMut() -> u64) -> Haul {
        self.tick(pick.now_ms);
        let mut haul = Haul::default();
        while haul.received.len() < pick.max
            && haul.dead.len() < DEAD_MAX
            && let Some((_, _, name)) = self.order.first().cloned()
        {
            // A receive gets a run of one group: behind its own messages only others must wait.
            let run = match self.is_fifo {
                true => pick.max - haul.received.len(),
                false => 1,
            };
            for seq in self.front(&name, run) {
                let picked = self.fly(seq, &name, pick, nonce());
                match pick.receives_max {
                    Some(max) if picked.receipts.count > max => haul.dead.push(picked),
                    _ => haul.received.push(picked),
                }
            }
        }
        // What was received for no time at all is ready for the next receive.
        if pick.until_ms <= pick.now_ms {
            self.tick(pick.now_ms);
        }
        haul
    }

    /// The first messages of a group that nothing holds up.
    fn front(&self, name: &str, max: usize) -> Vec<Seq> {
        let Some(group) = self.groups.get(name) else {
            return Vec::new();
        };
        let end = match self.is_fifo {
            true => group.held.first().copied().unwrap_or(Seq::MAX),
            false => Seq::MAX,
        };
        group.ready.range(..end).take(max).copied().collect()
    }

    fn fly(&mut self, seq: Seq, name: &Arc<str>, pick: Pick, nonce: u64) -> Picked {
        let before = self.marks.remove(&seq);
        let mut mark = before.unwrap_or_else(|| self.mark(name, Phase::Ready, 0));
        self.counts.ready -= 1;
        self.edit(name, |group| {
            group.ready.remove(&seq);
        });
        mark.phase = Phase::InFlight;
        mark.at_ms = pick.until_ms;
        mark.receipt.last_ms = pick.now_ms;
        if mark.receipt.count == 0 {
            mark.receipt.first_ms = pick.now_ms;
        }
        let count = mark.receipt.count + 1;
        // A dead message was not received once more.
        if pick.receives_max.is_none_or(|max| count <= max) {
            mark.receipt.count = count;
        }
        mark.receipt.nonce = nonce;
        let receipts = Receipts {
            count,
            ..mark.receipt
        };
        self.hold(seq, mark);
        self.edit(name, |group| group.served = nonce);
        if pick.is_noted {
            let [new, _] = &mut self.changed;
            new.insert(seq);
        }
        Picked { seq, receipts }
    }

    /// Who holds a message. On a standard queue an earlier receive of what is in flight is as good as
    /// the last one.  [recorded from AWS; SQS API: ChangeMessageVisibility]
    pub(crate) fn hold_of(&mut self, seq: Seq, nonce: u64, now_ms: i64) -> Hold {
        self.tick(now_ms);
        let is_good = |known: u64| !self.is_fifo || known == nonce;
        match self.marks.get(&seq) {
            Some(mark) if mark.phase == Phase::InFlight && is_good(mark.receipt.nonce) => {
                Hold::Held {
                    since_ms: mark.receipt.last_ms,
                }
            }
            Some(_) => Hold::Expired,
            None => Hold::Unmarked,
        }
    }

    /// Gives a message in flight another end. Returns whether it is ready now.
    pub(crate) fn change(&mut self, seq: Seq, until_ms: i64, now_ms: i64) -> bool {
        let Some(mark) = self.marks.get_mut(&seq) else {
            return false;
        };
        if mark.phase != Phase::InFlight {
            return false;
        }
        self.waiting.remove(&(mark.at_ms, seq));
        mark.at_ms = until_ms;
        self.waiting.insert((until_ms, seq));
        let [new, _] = &mut self.changed;
        new.insert(seq);
        self.tick(now_ms) > 0
    }

    /// Forgets a message, wherever it is. `group`: where it is ready if nothing marks it.
    pub(crate) fn remove(&mut self, seq: Seq, group: &str) {
        self.changed.iter_mut().for_each(|set| {
            set.remove(&seq);
        });
        let marked = self.marks.get(&seq).map(|mark| mark.phase);
        if marked.is_some_and(|phase| phase != Phase::Ready) {
            self.release(seq);
        }
        let name = self.marks.remove(&seq).map(|mark| mark.group);
        let name = name.as_deref().unwrap_or(group);
        let is_ready = |group: &Group| group.ready.contains(&seq);
        if self.groups.get(name).is_some_and(is_ready) {
            self.counts.ready -= 1;
            self.edit(name, |group| {
                group.ready.remove(&seq);
            });
        }
    }

    /// Whether the receives of the message are on the disk.
    pub(crate) fn is_saved(&self, seq: Seq) -> bool {
        self.marks.get(&seq).is_some_and(|mark| mark.is_saved)
    }

    /// Another delay of the queue counts for the messages that a FIFO queue has already.
    /// [SQS guide: delay queues]
    pub(crate) fn shift_delays(&mut self, by_ms: i64) {
        let delayed = |(_, mark): &(&Seq, &mut Mark)| mark.phase == Phase::Delayed;
        for (seq, mark) in self.marks.iter_mut().filter(delayed) {
            self.waiting.remove(&(mark.at_ms, *seq));
            mark.at_ms = mark.at_ms.saturating_add(by_ms);
            self.waiting.insert((mark.at_ms, *seq));
        }
    }

    pub(crate) fn counts(&mut self, now_ms: i64) -> Counts {
        self.tick(now_ms);
        self.counts
    }

    /// Forgets all messages up to this one.
    pub(crate) fn purge(&mut self, last: Seq) {
        let readies = self.groups.values().filter_map(|g| g.ready.last());
        let newest = readies.chain(self.marks.keys()).max();
        if newest.is_none_or(|newest| *newest <= last) {
            let sending = std::mem::take(&mut self.groups).into_iter();
            let marks = std::mem::take(&mut self.marks);
            *self = Shelf::new(self.is_fifo);
            // What is on its way to the disk is none of the purged.
            for (name, group) in sending {
                let held = group.held.iter().filter(|seq| !marks.contains_key(seq));
                held.for_each(|seq| self.begin(*seq, &name));
            }
            return;
        }
        let marked = self.marks.iter().map(|(seq, mark)| (*seq, &mark.group));
        let ready = self.groups.iter().flat_map(|(name, group)| {
            let purged = group.ready.range(..=last);
            purged.map(move |seq| (*seq, name))
        });
        let all = marked.filter(|(seq, _)| *seq <= last).chain(ready);
        let all: Vec<(Seq, Arc<str>)> = all.map(|(seq, name)| (seq, name.clone())).collect();
        for (seq, group) in all {
            self.remove(seq, &group);
        }
    }

    /// Receives that are worth writing down: of messages that were not deleted soon after.
    pub(crate) fn unsaved(&mut self, max: usize) -> Vec<(Seq, Receipts, i64)> {
        let [new, old] = &mut self.changed;
        let mut due = Vec::new();
        while due.len() < max
            && let Some(seq) = old.pop_first()
        {
            if let Some(mark) = self.marks.get_mut(&seq) {
                mark.is_saved = true;
                due.push((seq, mark.receipt, mark.at_ms));
            }
        }
        if old.is_empty() {
            std::mem::swap(new, old);
        }
        due
    }

    pub(crate) fn has_unsaved(&self) -> bool {
        self.changed.iter().any(|set| !set.is_empty())
    }

    fn mark(&self, group: &str, phase: Phase, at_ms: i64) -> Mark {
        let known = self.groups.get_key_value(group);
        Mark {
            group: known.map_or_else(|| group.into(), |(name, _)| name.clone()),
            phase,
            at_ms,
            receipt: Receipts::default(),
            is_saved: false,
        }
    }

    /// Puts a message among the waiting.
    fn hold(&mut self, seq: Seq, mark: Mark) {
        let is_flying = mark.phase == Phase::InFlight;
        match is_flying {
            true => self.counts.in_flight += 1,
            false => self.counts.delayed += 1,
        }
        self.waiting.insert((mark.at_ms, seq));
        let (name, is_fifo) = (mark.group.clone(), self.is_fifo);
        self.marks.insert(seq, mark);
        self.edit(&name, |group| {
            if is_fifo {
                group.held.insert(seq);
            }
            group.in_flight += usize::from(is_flying);
        });
    }

    /// Makes a waiting message ready.
    fn release(&mut self, seq: Seq) {
        let Some(mark) = self.marks.get_mut(&seq) else {
            return;
        };
        self.waiting.remove(&(mark.at_ms, seq));
        let was_flying = mark.phase == Phase::InFlight;
        mark.phase = Phase::Ready;
        let name = mark.group.clone();
        if mark.receipt.count == 0 && !mark.is_saved && mark.receipt.nonce == 0 {
            self.marks.remove(&seq);
        }
        match was_flying {
            true => self.counts.in_flight -= 1,
            false => self.counts.delayed -= 1,
        }
        self.counts.ready += 1;
        self.edit(&name, |group| {
            group.held.remove(&seq);
            group.ready.insert(seq);
            group.in_flight -= usize::from(was_flying);
        });
    }

    /// Changes a group and finds its place among the others again.
    fn edit(&mut self, name: &str, change: impl FnOnce(&mut Group)) {
        let known = self.groups.get_key_value(name);
        let name: Arc<str> = known.map_or_else(|| name.into(), |(name, _)| name.clone());
        let group = self.groups.entry(name.clone()).or_default();
        change(group);
        let place = group.ready.first().and_then(|first| {
            let is_free = !self.is_fifo || group.held.first().is_none_or(|held| first < held);
            // Fair queues: a group with much in flight waits for those with little. Messages
            // without a group are each their own.  [SQS guide: fair queues]
            let busy = match self.is_fifo || name.is_empty() {
                true => 0,
                false => group.in_flight,
            };
            let turn = match self.is_fifo {
                true => group.served.max(*first),
                false => *first,
            };
            is_free.then_some((busy, turn))
        });
        let (before, is_empty) = (group.place, group.ready.is_empty() && group.held.is_empty());
        group.place = place;
        let is_idle = is_empty && group.in_flight == 0;
        if before != place {
            if let Some((busy, first)) = before {
                self.order.remove(&(busy, first, name.clone()));
            }
            if let Some((busy, first)) = place {
                self.order.insert((busy, first, name.clone()));
            }
        }
        if is_idle {
            self.groups.remove(&name);
        }
    }
}
