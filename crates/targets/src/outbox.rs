use async_trait::async_trait;
use futures_util::future::try_join_all;
use model::ports::{NotPosted, Outbox, Posting};
use store::{Aside, Lane, Lanes, Room, Store};
use tasks::Tasks;

use crate::stored;

/// Postings of one call.
const POSTINGS_MAX: usize = 10_000;
/// Postings that are written at once; they share commits.
const WRITTEN_MAX: usize = 256;
/// Characters of a parcel's id.
const ID_MAX: usize = 128;
/// Bytes of a receiver in the name of its lane, which has room for a group besides.
const RECEIVER_BYTES_MAX: usize = 320;
/// Postings that wait, to one receiver and in all: what a disk holds comes first.
const WAITING_MAX: Room = Room {
    lane_max: 4_000_000,
    all_max: 8_000_000,
};
/// Bytes of a body: the longest of an asynchronous event, with room for a record around it.
const BODY_BYTES_MAX: usize = (1 << 20) + (256 << 10);

/// The outbox in the store: a lane for each receiver. Clones are the same.
#[derive(Clone)]
pub struct DurableOutbox {
    pub(crate) lanes: Lanes,
    tasks: Tasks,
}

impl DurableOutbox {
    pub fn open(store: &Store, tasks: &Tasks) -> DurableOutbox {
        DurableOutbox {
            lanes: Lanes::new(store, tasks, "outbox/").with_room(WAITING_MAX),
            tasks: tasks.clone(),
        }
    }

    /// Postings that this version cannot read; they stay where they are.
    pub fn unreadable(&self) -> Vec<Aside> {
        self.lanes.aside()
    }

    /// A dead letter may go to the receiver that had refused it: it is no repetition.
    pub(crate) async fn post_dead_letter(&self, posting: &Posting) -> Result<(), NotPosted> {
        let dedup = format!("dead letter {}", posting.parcel.id);
        self.write(posting, &dedup).await
    }

    async fn write(&self, posting: &Posting, dedup: &str) -> Result<(), NotPosted> {
        let parcel = &posting.parcel;
        if parcel.id.is_empty() || parcel.id.chars().count() > ID_MAX {
            return Err(NotPosted(format!("an id has 1 to {ID_MAX} characters")));
        }
        if parcel.body.len() > BODY_BYTES_MAX {
            let size = parcel.body.len();
            return Err(NotPosted(format!(
                "a body of {size} bytes is over the limit of {BODY_BYTES_MAX}"
            )));
        }
        let bytes = stored::encode(posting).map_err(|error| NotPosted(error.to_string()))?;
        let now = self.tasks.clock().now();
        let to = shortened(parcel.to.to_string());
        // The parcels of a group arrive in the order of their posts.
        let lane = match &parcel.group {
            Some(group) => Lane::InOrder(format!("{to} {group}")),
            None => Lane::Free(to),
        };
        // The lane is the receiver: the id alone tells parcels of one receiver apart.
        self.lanes
            .put(&lane, bytes, now, Some(dedup))
            .await
            .map(drop)
            .map_err(|error| NotPosted(error.to_string()))
    }
}

/// The name of a receiver's lane. One that is long, as that of a URL, ends with the digest of the whole.
fn shortened(to: String) -> String {
    if to.len() <= RECEIVER_BYTES_MAX {
        return to;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, to.as_bytes());
    let front = to.floor_char_boundary(RECEIVER_BYTES_MAX - 2 * digest.as_ref().len());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    to.get(..front)
        .unwrap_or_default()
        .chars()
        .map(String::from)
        .chain(hex)
        .collect()
}

#[async_trait]
impl Outbox for DurableOutbox {
    async fn post(&self, postings: Vec<Posting>) -> Result<(), NotPosted> {
        if postings.len() > POSTINGS_MAX {
            let count = postings.len();
            return Err(NotPosted(format!(
                "{count} postings are over the limit of {POSTINGS_MAX}"
            )));
        }
        for some in postings.chunks(WRITTEN_MAX) {
            let writes = some
                .iter()
                .map(|posting| self.write(posting, &posting.parcel.id));
            try_join_all(writes).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_receivers_have_short_lanes_of_their_own() {
        let short = "arn:aws:sqs:us-east-1:000000000000:q".to_owned();
        assert_eq!(shortened(short.clone()), short);
        let long = |end: &str| {
            format!(
                "arn:aws:http:us-east-1:000000000000:http://h/{}{end}",
                "ä".repeat(400)
            )
        };
        let (a, b) = (shortened(long("a")), shortened(long("b")));
        assert!(
            a.len() <= RECEIVER_BYTES_MAX && a.len() > RECEIVER_BYTES_MAX - 2,
            "{}",
            a.len()
        );
        assert!(a != b && a == shortened(long("a")));
    }
}
