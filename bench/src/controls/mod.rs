//! The bare things that Kiln is compared with.

pub(crate) mod echo;
pub(crate) mod mock;
pub(crate) mod process;
pub(crate) mod sync;
