//! One function for each operation.

pub(crate) mod groups;
pub(crate) mod schedules;
pub(crate) mod tags;
