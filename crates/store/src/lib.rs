//! Durable state behind six primitives: records, queues, logs, blobs, leases and a bus.
//!
//! "Accepted" means fsynced: a write returns after its commit reached the disk. Writers that arrive
//! together share one commit. Nothing is atomic across spaces or across primitives.
//!
//! Start with [`Store`], then [`Table`] for typed records.

pub mod conformance;
pub mod embedded;
mod engine;
mod files;
mod keys;
mod lanes;
mod primitives;
pub mod simulated;
mod table;
mod vault;

pub use keys::{Key, Rev, Space};
pub use lanes::{Aside, Handler, Lane, Lanes, LanesConfig, Next, Room, Tally};
pub use primitives::{
    Blobs, Bus, Change, Depth, Digest, Expect, Grant, Leased, Leases, Lifecycle, Log, LogId, MsgId,
    Op, Pos, Queue, QueueId, Records, Retention, Seq, Store, StoreError, Token,
};
pub use table::{Record, Row, Table};
pub use vault::Vault;
