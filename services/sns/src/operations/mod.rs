//! One function for each operation: shape → checks → engine → shape.

pub(crate) mod applications;
pub(crate) mod certificate;
pub(crate) mod data_protection;
pub(crate) mod endpoints;
pub(crate) mod handshakes;
pub(crate) mod lists;
pub(crate) mod permissions;
pub(crate) mod publish;
pub(crate) mod sms;
pub(crate) mod subscriptions;
pub(crate) mod tags;
pub(crate) mod topics;

use wire::Context;

use crate::fault::Fault;
use crate::names::TopicRef;

/// A member that must be there.
fn required<'a>(member: &str, value: Option<&'a String>) -> Result<&'a str, Fault> {
    value
        .map(String::as_str)
        .ok_or_else(|| Fault::missing(member))
}

/// The topic of the member `TopicArn`.
fn topic_of(cx: &Context, value: Option<&String>) -> Result<TopicRef, Fault> {
    TopicRef::parse(cx, "TopicArn", required("TopicArn", value)?)
}
