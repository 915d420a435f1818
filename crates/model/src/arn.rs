use std::fmt;
use std::str::FromStr;

use crate::{Account, InvalidName, Region};

/// `arn:partition:service:region:account:resource`, taken apart but not interpreted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Arn {
    pub partition: String,
    pub service: String,
    pub region: String,
    pub account: String,
    pub resource: String,
}

impl FromStr for Arn {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Arn, InvalidName> {
        let mut parts = text.splitn(6, ':').map(str::to_owned);
        let mut next = || parts.next();
        match (next(), next(), next(), next(), next(), next()) {
            (
                Some(a),
                Some(partition),
                Some(service),
                Some(region),
                Some(account),
                Some(resource),
            ) if a == "arn" && !partition.is_empty() && !service.is_empty() => Ok(Arn {
                partition,
                service,
                region,
                account,
                resource,
            }),
            _ => Err(InvalidName {
                what: "ARN",
                text: text.chars().take(256).collect(),
            }),
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn {
            partition,
            service,
            region,
            account,
            resource,
        } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl Arn {
    /// An ARN in the partition `aws`.
    pub fn new(service: &str, region: &Region, account: &Account, resource: &str) -> Arn {
        Arn {
            partition: "aws".to_owned(),
            service: service.to_owned(),
            region: region.to_string(),
            account: account.to_string(),
            resource: resource.to_owned(),
        }
    }
}

/// An execution role, `arn:aws:iam::123456789012:role/path/name`.  [Lambda API: Role]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RoleArn(String);

impl RoleArn {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its path.
    pub fn role_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for RoleArn {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<RoleArn, InvalidName> {
        let ok = text.parse::<Arn>().is_ok_and(|arn| {
            arn.partition.starts_with("aws")
                && arn.service == "iam"
                && arn.region.is_empty()
                && arn.account.parse::<Account>().is_ok()
                && arn.resource.strip_prefix("role/").is_some_and(|name| {
                    !name.is_empty()
                        && name
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&b))
                })
        });
        if ok {
            Ok(RoleArn(text.to_owned()))
        } else {
            Err(InvalidName {
                what: "role ARN",
                text: text.chars().take(256).collect(),
            })
        }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_survives_the_round_trip() {
        let text = "arn:aws:lambda:us-east-1:000000000000:function:f:1";
        assert_eq!(text.parse::<Arn>().unwrap().to_string(), text);
    }

    #[test]
    fn a_role_needs_account_and_name() {
        assert!(
            "arn:aws:iam::000000000000:role/service-role/r"
                .parse::<RoleArn>()
                .is_ok()
        );
        for bad in [
            "r",
            "arn:aws:iam::0:role/r",
            "arn:aws:iam::000000000000:role/",
            "",
        ] {
            assert!(bad.parse::<RoleArn>().is_err(), "{bad}");
        }
    }
}
