//! Names and ARNs, and the constraints of the service model.  [EventBridge API]

use model::Arn;
use wire::{Checks, Context};

use crate::fault::Fault;

pub(crate) const DEFAULT_BUS: &str = "default";

const NAME_PATTERN: &str = r"[\.\-_A-Za-z0-9]+";
const BUS_PATTERN: &str = r"[/\.\-_A-Za-z0-9]+";
const BUS_OR_ARN_PATTERN: &str =
    r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[/\.\-_A-Za-z0-9]+";
const STATEMENT_PATTERN: &str = "[a-zA-Z0-9-_]+";

/// An account in a region.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

/// A bus, wherever it is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct BusRef {
    pub(crate) at: Place,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn of(cx: &Context) -> Place {
        Place {
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
        }
    }

    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:events:{}:{}:{resource}", self.region, self.account)
    }
}

impl BusRef {
    pub(crate) fn arn(&self) -> String {
        self.at.arn(&format!("event-bus/{}", self.name))
    }

    pub(crate) fn rule_arn(&self, rule: &str) -> String {
        if self.name == DEFAULT_BUS {
            self.at.arn(&format!("rule/{rule}"))
        } else {
            self.at.arn(&format!("rule/{}/{rule}", self.name))
        }
    }

    /// The bus that an ARN names; `None` for the ARN of anything else.
    pub(crate) fn of_arn(arn: &Arn) -> Option<BusRef> {
        let name = arn.resource.strip_prefix("event-bus/")?;
        (arn.service == "events" && is_bus_name(name)).then(|| BusRef {
            at: Place {
                account: arn.account.clone(),
                region: arn.region.clone(),
            },
            name: name.to_owned(),
        })
    }

    /// A member `EventBusName`: nothing, a name or an ARN.
    pub(crate) fn named(at: &Place, text: Option<&str>) -> Result<BusRef, Fault> {
        let text = text.unwrap_or(DEFAULT_BUS);
        let found = match text.parse::<Arn>() {
            Ok(arn) => BusRef::of_arn(&arn),
            Err(_) => is_bus_name(text).then(|| BusRef {
                at: at.clone(),
                name: text.to_owned(),
            }),
        };
        let mut checks = Checks::default();
        checks.length(text, "eventBusName", 1, 1_600);
        checks.pattern(found.is_some(), text, "eventBusName", BUS_OR_ARN_PATTERN);
        checks.done()?;
        found.ok_or_else(|| Fault::no_bus(text))
    }
}

fn is_bus_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b == b'/' || is_name_byte(b))
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')
}

pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_name_byte)
}

/// The names of EventBridge among the constraints.
pub(crate) trait Names {
    /// Names of rules, targets, archives and replays.
    fn name(&mut self, value: &str, member: &str, max: usize);
    fn bus(&mut self, value: &str, member: &str);
    fn statement(&mut self, value: &str, member: &str);
}

impl Names for Checks {
    fn name(&mut self, value: &str, member: &str, max: usize) {
        self.pattern(is_name(value), value, member, NAME_PATTERN);
        self.length(value, member, 1, max);
    }

    fn bus(&mut self, value: &str, member: &str) {
        self.pattern(is_bus_name(value), value, member, BUS_PATTERN);
        self.length(value, member, 1, 256);
    }

    fn statement(&mut self, value: &str, member: &str) {
        let is_good = value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        self.pattern(is_good, value, member, STATEMENT_PATTERN);
        self.length(value, member, 1, 64);
    }
}

/// The size of a page.
pub(crate) fn limit(limit: Option<i64>) -> Result<usize, Fault> {
    let limit = limit.unwrap_or(100);
    let mut checks = Checks::default();
    checks.range(limit, "limit", 1, 100);
    checks.done()?;
    Ok(usize::try_from(limit).unwrap_or(100))
}

/// What a page begins behind.
pub(crate) fn after(token: Option<&str>) -> Result<Option<String>, Fault> {
    match token {
        None => Ok(None),
        Some(token) => match wire::paging::decode(token) {
            Some(key) => Ok(Some(key)),
            None => Err(Fault::Validation(
                "Parameter NextToken is not valid.".to_owned(),
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_named_in_three_ways() {
        let at = Place {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let named = |text: Option<&str>| BusRef::named(&at, text).ok().map(|bus| bus.arn());
        let arn = |region: &str, name: &str| {
            Some(format!(
                "arn:aws:events:{region}:000000000000:event-bus/{name}"
            ))
        };
        assert_eq!(named(None), arn("us-east-1", "default"));
        assert_eq!(named(Some("b")), arn("us-east-1", "b"));
        assert_eq!(
            named(arn("eu-west-1", "b").as_deref()),
            arn("eu-west-1", "b")
        );
        for bad in ["", "a b", "arn:aws:sqs:us-east-1:000000000000:q"] {
            assert_eq!(named(Some(bad)), None, "{bad}");
        }
    }
}
