//! Deduplication: which messages were accepted not long ago. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::keep::Known;
use crate::shelf::Seq;

/// [SQS guide: exactly-once processing]
pub(crate) const WINDOW_MS: i64 = 5 * 60 * 1_000;

/// Begins the key of what another part of the process delivers.
pub(crate) const PARCEL: &str = "parcel ";

/// The deduplication ids of one queue.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    all: HashMap<String, Entry>,
    ends: BTreeSet<(i64, Seq, String)>,
    /// Stored ids whose time is over.
    over: Vec<Seq>,
}

#[derive(Debug)]
enum Entry {
    /// Its message is on its way to the disk.
    Pending,
    Done(Known),
}

/// Whether a message may be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is new, and its id is now pending.
    New,
    /// Another message with this id is being written: ask again when it is.
    Pending,
    Known(Known),
}

impl Recent {
    /// What an earlier process left. For parcels time begins anew: who was killed before it noted that one
    /// arrived brings it again, however long nothing ran.
    pub(crate) fn restore(&mut self, knowns: Vec<Known>, now_ms: i64) {
        for mut known in knowns {
            if known.key.starts_with(PARCEL) {
                known.until_ms = now_ms.saturating_add(WINDOW_MS);
            }
            match known.until_ms > now_ms {
                true => self.settle(known),
                false => self.over.push(known.seq),
            }
        }
    }

    pub(crate) fn claim(&mut self, key: &str, now_ms: i64) -> Claim {
        self.expire(now_ms);
        match self.all.get(key) {
            Some(Entry::Done(known)) => Claim::Known(known.clone()),
            Some(Entry::Pending) => Claim::Pending,
            None => {
                self.all.insert(key.to_owned(), Entry::Pending);
                Claim::New
            }
        }
    }

    /// The message of a claim is stored.
    pub(crate) fn settle(&mut self, known: Known) {
        let end = (known.until_ms, known.seq, known.key.clone());
        self.ends.insert(end);
        self.all.insert(known.key.clone(), Entry::Done(known));
    }

    /// The message of a claim was not stored.
    pub(crate) fn release(&mut self, key: &str) {
        if matches!(self.all.get(key), Some(Entry::Pending)) {
            self.all.remove(key);
        }
    }

    /// Stored ids to delete with the next write.
    pub(crate) fn take_over(&mut self, now_ms: i64, max: usize) -> Vec<Seq> {
        self.expire(now_ms);
        let keep = self.over.len().saturating_sub(max);
        self.over.split_off(keep)
    }

    /// Forgets all ids but those on their way to the disk.
    pub(crate) fn clear(&mut self) {
        self.all.retain(|_, entry| matches!(entry, Entry::Pending));
        let ends = std::mem::take(&mut self.ends).into_iter();
        self.over.extend(ends.map(|(_, seq, _)| seq));
    }

    fn expire(&mut self, now_ms: i64) {
        while let Some((until_ms, ..)) = self.ends.first()
            && *until_ms <= now_ms
            && let Some((_, seq, key)) = self.ends.pop_first()
        {
            self.all.remove(&key);
            self.over.push(seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(seq: Seq, until_ms: i64) -> Known {
        Known {
            seq,
            until_ms,
            id: format!("m{seq}"),
            key: "k".to_owned(),
        }
    }

    #[test]
    fn an_id_is_taken_once_in_its_time() {
        let mut recent = Recent::default();
        assert_eq!(recent.claim("k", 0), Claim::New);
        assert_eq!(recent.claim("k", 0), Claim::Pending);
        recent.release("k");
        assert_eq!(recent.claim("k", 0), Claim::New);
        recent.settle(known(1, WINDOW_MS));
        assert_eq!(
            recent.claim("k", WINDOW_MS - 1),
            Claim::Known(known(1, WINDOW_MS))
        );
        assert_eq!(recent.claim("other", 0), Claim::New);
        assert!(recent.take_over(WINDOW_MS - 1, 9).is_empty());
        assert_eq!(recent.claim("k", WINDOW_MS), Claim::New);
        assert_eq!(recent.take_over(WINDOW_MS, 9), [1]);
        assert!(recent.take_over(WINDOW_MS, 9).is_empty());
    }

    #[test]
    fn what_was_stored_before_counts_until_its_end() {
        let mut recent = Recent::default();
        recent.restore(vec![known(1, 5)], 4);
        assert_eq!(recent.claim("k", 4), Claim::Known(known(1, 5)));
        let mut recent = Recent::default();
        recent.restore(vec![known(1, 5)], 5);
        assert_eq!(recent.claim("k", 5), Claim::New);
        assert_eq!(recent.take_over(5, 9), [1]);
    }

    #[test]
    fn a_parcel_is_known_after_any_downtime() {
        let parcel = Known {
            key: format!("{PARCEL}7"),
            ..known(1, 5)
        };
        let mut recent = Recent::default();
        recent.restore(vec![parcel], 1_000_000);
        let claim = |recent: &mut Recent, at| recent.claim("parcel 7", at);
        assert!(matches!(claim(&mut recent, 1_000_000), Claim::Known(_)));
        let end = 1_000_000 + WINDOW_MS;
        assert!(matches!(claim(&mut recent, end - 1), Claim::Known(_)));
        assert_eq!(claim(&mut recent, end), Claim::New);
    }
}
