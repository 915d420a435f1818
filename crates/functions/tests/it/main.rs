//! Functions on the simulated store and a real folder for code.

mod code;
mod lifecycle;
mod restart;
mod world;
