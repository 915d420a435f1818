//! One function for each operation: shape → check → engine → shape.

pub(crate) mod events;
pub(crate) mod groups;
pub(crate) mod put_events;
pub(crate) mod streams;
pub(crate) mod tags;

use wire::Context;

use crate::engine::Place;
use crate::fault::Fault;

fn place(cx: &Context) -> Place {
    Place {
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
    }
}

fn bad_token() -> Fault {
    Fault::Invalid("The specified nextToken is invalid.".to_owned())
}

/// The name behind which a page starts.
fn page_start(token: Option<&str>) -> Result<Option<String>, Fault> {
    token
        .map(|token| wire::paging::decode(token).ok_or_else(bad_token))
        .transpose()
}
