//! Applications of mobile push and their endpoints: names and attributes. Pure.
//!
//! Differs: no platform is asked whether credentials are good, and nothing is pushed; credentials are not kept.

use model::Arn;
use serde::{Deserialize, Serialize};
use store::Record;

use crate::fault::Fault;
use crate::names;
use crate::record::Attributes;

/// In characters.  [SNS API: CreatePlatformApplication]
const NAME_MAX: usize = 256;
/// Bytes of what a caller notes about an endpoint.  [SNS API: CreatePlatformEndpoint]
const USER_DATA_MAX: usize = 2_048;
const PLATFORMS: &[&str] = &[
    "ADM",
    "APNS",
    "APNS_SANDBOX",
    "APNS_VOIP",
    "APNS_VOIP_SANDBOX",
    "BAIDU",
    "GCM",
    "MACOS",
    "MACOS_SANDBOX",
    "MPNS",
    "WNS",
];
/// Never shown.
const SECRETS: [&str; 2] = ["PlatformPrincipal", "PlatformCredential"];
/// What else an application may have.  [SNS API: SetPlatformApplicationAttributes]
const ATTRIBUTES: &[&str] = &[
    "ApplePlatformBundleID",
    "ApplePlatformTeamID",
    "Enabled",
    "EventDeliveryFailure",
    "EventEndpointCreated",
    "EventEndpointDeleted",
    "EventEndpointUpdated",
    "FailureFeedbackRoleArn",
    "SuccessFeedbackRoleArn",
    "SuccessFeedbackSampleRate",
];

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Application {
    pub(crate) platform: String,
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
}

impl Record for Application {
    const KIND: &'static str = "application";
    const VERSION: u8 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    /// `CustomUserData`, `Enabled`, `Token`.
    pub(crate) attributes: Attributes,
}

impl Record for Endpoint {
    const KIND: &'static str = "endpoint";
    const VERSION: u8 = 1;
}

/// An application, wherever it is named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ApplicationRef {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) platform: String,
    pub(crate) name: String,
}

impl ApplicationRef {
    pub(crate) fn arn(&self) -> String {
        self.arn_of("app", "")
    }

    pub(crate) fn endpoint_arn(&self, id: &str) -> String {
        self.arn_of("endpoint", &format!("/{id}"))
    }

    fn arn_of(&self, kind: &str, rest: &str) -> String {
        let resource = format!("{kind}/{}/{}{rest}", self.platform, self.name);
        Arn {
            partition: "aws".to_owned(),
            service: "sns".to_owned(),
            region: self.region.clone(),
            account: self.account.clone(),
            resource,
        }
        .to_string()
    }

    pub(crate) fn parts(&self) -> [&str; 4] {
        [&self.account, &self.region, &self.platform, &self.name]
    }

    /// The application that a request names.
    pub(crate) fn parse(text: &str) -> Result<ApplicationRef, Fault> {
        let member = "PlatformApplicationArn";
        let arn = names::arn(member, text)?;
        match slashed(&arn).as_slice() {
            ["app", platform, name] => Ok(ApplicationRef::of(&arn, platform, name)),
            _ => Err(wrong_slashes(member)),
        }
    }

    fn of(arn: &Arn, platform: &str, name: &str) -> ApplicationRef {
        ApplicationRef {
            account: arn.account.clone(),
            region: arn.region.clone(),
            platform: platform.to_owned(),
            name: name.to_owned(),
        }
    }
}

fn slashed(arn: &Arn) -> Vec<&str> {
    match arn.service.as_str() {
        "sns" => arn.resource.split('/').collect(),
        _ => Vec::new(),
    }
}

fn wrong_slashes(member: &str) -> Fault {
    Fault::parameter(format!(
        "{member} Reason: Wrong number of slashes in relative portion of the ARN."
    ))
}

/// The application and the id of an endpoint that a request names in `member`.
pub(crate) fn endpoint(member: &str, text: &str) -> Result<(ApplicationRef, String), Fault> {
    let arn = names::arn(member, text)?;
    match slashed(&arn).as_slice() {
        ["endpoint", platform, name, id] => {
            Ok((ApplicationRef::of(&arn, platform, name), (*id).to_owned()))
        }
        _ => Err(wrong_slashes(member)),
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), Fault> {
    let wrong = |why: &str| Err(Fault::parameter(format!("{name} Reason: {why}")));
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    match name.chars().count() {
        0 => wrong("cannot be empty"),
        count if count > NAME_MAX => wrong("must be at most 256 characters long"),
        _ if !name.chars().all(is_good) => {
            wrong("must contain only characters 'a'-'z', 'A'-'Z', '0'-'9', '_', '-', and '.'")
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_platform(platform: &str) -> Result<(), Fault> {
    match PLATFORMS.contains(&platform) {
        true => Ok(()),
        false => {
            let text = format!("Platform Reason: {platform} is not supported");
            Err(Fault::parameter(text))
        }
    }
}

/// The attributes of an application without its credentials. A new one needs a credential, and on platforms other than
/// GCM a principal beside it; later the two come together or not at all.
pub(crate) fn application_attributes(
    wanted: Attributes,
    new_on: Option<&str>,
) -> Result<Attributes, Fault> {
    let wrong = |what: String| Fault::parameter(format!("Attributes Reason: {what}"));
    let has = SECRETS.map(|name| wanted.contains_key(name));
    let [one, other] = SECRETS;
    match (has, new_on) {
        ([true, false], _) => {
            return Err(wrong(format!("{one} attribute provided without {other}")));
        }
        ([false, true], platform) if platform != Some("GCM") => {
            return Err(wrong(format!("{other} attribute provided without {one}")));
        }
        ([_, false], Some(_)) => return Err(wrong("Platform credentials are invalid".to_owned())),
        _ => {}
    }
    let known = |name: &str| ATTRIBUTES.contains(&name) || SECRETS.contains(&name);
    if let Some(name) = wanted.keys().find(|name| !known(name)) {
        return Err(wrong(format!("Invalid attribute name: {name}")));
    }
    check_enabled(&wanted)?;
    let shown = wanted
        .into_iter()
        .filter(|(name, _)| !SECRETS.contains(&&**name));
    Ok(shown.collect())
}

fn check_enabled(wanted: &Attributes) -> Result<(), Fault> {
    match wanted.get("Enabled").map(String::as_str) {
        None | Some("true" | "false") => Ok(()),
        Some(_) => Err(Fault::parameter(
            "Attributes Reason: Invalid value for attribute: Enabled: must be 'true' or 'false'",
        )),
    }
}

/// Checks what a caller wants to set of an endpoint.
pub(crate) fn check_endpoint(wanted: &Attributes) -> Result<(), Fault> {
    let wrong = |what: String| Err(Fault::parameter(format!("Attributes Reason: {what}")));
    for (name, value) in wanted {
        match name.as_str() {
            "CustomUserData" if value.len() > USER_DATA_MAX => {
                return wrong(format!(
                    "Invalid value for attribute: {name}: must be at most {USER_DATA_MAX} bytes long in UTF-8 encoding"
                ));
            }
            "CustomUserData" | "Enabled" | "Token" => {}
            _ => return wrong(format!("Invalid attribute name: {name}")),
        }
    }
    check_enabled(wanted)
}

pub(crate) fn is_enabled(attributes: &Attributes) -> bool {
    attributes
        .get("Enabled")
        .is_none_or(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Attributes {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn arns_come_back_and_others_are_refused() {
        let arn = "arn:aws:sns:us-east-1:000000000000:app/GCM/a.b";
        let at = ApplicationRef::parse(arn).unwrap();
        assert_eq!(at.arn(), arn);
        let of_endpoint = at.endpoint_arn("i");
        assert_eq!(
            endpoint("EndpointArn", &of_endpoint).unwrap(),
            (at, "i".to_owned())
        );
        for wrong in [
            arn,
            "arn:aws:sqs:us-east-1:000000000000:endpoint/GCM/a/i",
            "x",
        ] {
            assert!(endpoint("EndpointArn", wrong).is_err(), "{wrong}");
        }
        assert!(ApplicationRef::parse(&of_endpoint).is_err());
    }

    #[test]
    fn credentials_come_in_pairs_and_are_not_kept() {
        let (p, c) = (("PlatformPrincipal", "p"), ("PlatformCredential", "c"));
        let enabled = ("Enabled", "false");
        for (wanted, new_on, kept) in [
            (vec![p, c], Some("ADM"), Some(vec![])),
            (vec![p, c, enabled], Some("ADM"), Some(vec![enabled])),
            (vec![c], Some("GCM"), Some(vec![])),
            (vec![c], Some("ADM"), None),
            (vec![p], Some("GCM"), None),
            (vec![enabled], Some("GCM"), None),
            (vec![enabled], None, Some(vec![enabled])),
            (vec![c], None, None),
            (vec![("Enabled", "maybe")], None, None),
            (vec![("Other", "x")], None, None),
        ] {
            let got = application_attributes(of(&wanted), new_on).ok();
            assert_eq!(got, kept.map(|kept| of(&kept)), "{wanted:?} {new_on:?}");
        }
    }
}
