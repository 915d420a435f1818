//! The router as clients see it, with services made for the purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod body;
mod json;
mod properties;
mod query;
mod rest;
mod signers;
mod toy;
