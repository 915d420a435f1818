//! One function for each operation.

pub(crate) mod archives;
pub(crate) mod buses;
pub(crate) mod permissions;
pub(crate) mod put_events;
pub(crate) mod replays;
pub(crate) mod rules;
pub(crate) mod tags;
pub(crate) mod targets;
