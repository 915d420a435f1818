//! The truth about functions: what exists, what runs, and its code.
//!
//! - [`Functions`] is the handle. Reads are answered from memory; [`Functions::resolve`] is the warm
//!   path. Changes are durable before they return.
//! - [`Deployed`] is one version as it runs, immutable and replaced as a whole.
//! - [`LayerVersion`] is a package that functions see at `/opt`; [`Layers`] are those of one function.
//! - [`Code`] is an unpacked zip on disk, kept as long as anything holds it.
//!
//! A new or updated function settles a moment after the change was answered: until then the API shows
//! `Pending` or `InProgress` and the former code runs. The record on disk is written once, as it will
//! be when settled.
//!
//! Not here: how code runs (`invoke`, `sandbox`), and the wire shapes of the API (`services/lambda`).

mod alias;
mod aliases;
mod attached;
mod code;
mod concurrency;
mod config;
mod delete;
mod deployed;
mod error;
mod facts;
mod folder;
mod functions;
mod idle;
mod index;
mod layers;
mod load;
mod mappings;
mod policies;
mod prepare;
mod records;
mod settle;
mod signing;
mod tags;
mod urls;
mod write;

pub use alias::Alias;
pub use aliases::{AliasChange, NewAlias};
pub use attached::{Attached, EventInvoke, RuntimeUpdates};
pub use code::{BadZip, Code, CodeError, UNZIPPED_MAX};
pub use concurrency::{AccountLimits, Claims, Provisioned, Resolved, Wanted};
pub use config::{
    Config, FileSystem, ImageConfig, LogFormat, LogLevel, Logging, Package, SnapStart, Tracing, Vpc,
};
pub use deployed::{Deployed, Failure, LastUpdate, Optimization, State};
pub use error::{Error, ResolveError};
pub use functions::{Change, Details, Functions, FunctionsConfig, Usage};
pub use layers::{
    LayerError, LayerName, LayerRef, LayerVersion, Layers, NewLayerVersion, UsedLayer,
};
pub use mappings::{
    Database, Mapping, MappingSettings, MappingSource, MappingState, Pollers, SchemaRegistry,
    ShownMapping, SourceKind,
};
pub use policies::{Condition, Policy, Principal, Statement};
pub use prepare::Unprepared;
pub use signing::SigningConfig;
pub use tags::TagChange;
pub use urls::{Cors, FunctionUrl, UrlAuth, UrlMode};
pub use write::{NewCode, NewFunction, NewVersion};
