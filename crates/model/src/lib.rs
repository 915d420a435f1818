//! The words that Kiln's crates share: names, ARNs, limits, outcomes and ports.
//!
//! Construction is parsing, fields are private, `Display` and `FromStr` are the exact AWS spelling.
//! Nothing here does I/O, reads a clock or needs a runtime. Nothing here is serialised: wire shapes
//! and stored records convert. [`policy`] reads JSON because policies are written in it.

mod arn;
mod function;
pub mod lineage;
mod names;
mod outcome;
pub mod policy;
pub mod ports;
mod resources;
mod runtime;

pub use arn::{Arn, RoleArn};
pub use function::{FunctionRef, RefError};
pub use names::{
    Account, AliasName, FunctionName, InvalidName, Published, Qualifier, Region, RequestId, Version,
};
pub use outcome::{
    Call, Concluded, Death, Ending, Exit, Fault, FunctionError, LogTail, PAYLOAD_SYNC_MAX,
    RESPONSE_MAX, Unfinished,
};
pub use resources::{EphemeralStorage, Memory, OutOfRange, Timeout};
pub use runtime::{Architecture, Runtime, RuntimeFamily, RuntimeStatus};
