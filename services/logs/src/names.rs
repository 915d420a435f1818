//! What members must look like.  [CloudWatch Logs API: service model]

use std::fmt::Display;

use crate::engine::Place;
use crate::fault::Fault;

const GROUP_PATTERN: &str = r"[\.\-_/#A-Za-z0-9]+";
const STREAM_PATTERN: &str = "[^:*]*";
const IDENTIFIER_PATTERN: &str = r"[\w#+=/:,.@-]*";
const NAME_LETTERS_MAX: usize = 512;
const IDENTIFIER_LETTERS_MAX: usize = 2_048;

/// Days that a retention policy may have.  [CloudWatch Logs API: PutRetentionPolicy]
const RETENTION_DAYS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// A constraint of the model that a value breaks, in AWS's words.
pub(crate) fn broken(value: impl Display, member: &str, constraint: &str) -> Fault {
    Fault::Invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy \
         constraint: {constraint}"
    ))
}

/// AWS does not show what was sent.  [observed]
fn bad_identifier() -> Fault {
    Fault::Invalid(format!(
        "1 validation error detected: Value at 'logGroupIdentifier' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: {IDENTIFIER_PATTERN}"
    ))
}

pub(crate) fn missing(member: &str) -> Fault {
    Fault::Invalid(format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
         Member must not be null"
    ))
}

fn check_length(value: &str, member: &str, min: usize, max: usize) -> Result<(), Fault> {
    let letters = value.chars().count();
    if letters < min {
        let wanted = format!("Member must have length greater than or equal to {min}");
        return Err(broken(value, member, &wanted));
    }
    if letters > max {
        let wanted = format!("Member must have length less than or equal to {max}");
        return Err(broken(value, member, &wanted));
    }
    Ok(())
}

fn check_pattern(
    value: &str,
    member: &str,
    pattern: &str,
    is_allowed: impl Fn(char) -> bool,
) -> Result<(), Fault> {
    if value.chars().all(is_allowed) {
        return Ok(());
    }
    let wanted = format!("Member must satisfy regular expression pattern: {pattern}");
    Err(broken(value, member, &wanted))
}

fn is_group_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '#')
}

pub(crate) fn check_group(value: &str, member: &str) -> Result<(), Fault> {
    check_length(value, member, 1, NAME_LETTERS_MAX)?;
    check_pattern(value, member, GROUP_PATTERN, is_group_letter)
}

pub(crate) fn check_stream(value: &str, member: &str) -> Result<(), Fault> {
    check_length(value, member, 1, NAME_LETTERS_MAX)?;
    check_pattern(value, member, STREAM_PATTERN, |c| !matches!(c, ':' | '*'))
}

pub(crate) fn check_limit(limit: Option<i64>, max: i64, default: i64) -> Result<usize, Fault> {
    let limit = limit.unwrap_or(default);
    if limit < 1 {
        let wanted = "Member must have value greater than or equal to 1";
        return Err(broken(limit, "limit", wanted));
    }
    if limit > max {
        let wanted = format!("Member must have value less than or equal to {max}");
        return Err(broken(limit, "limit", &wanted));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

pub(crate) fn check_time(time: Option<i64>, member: &str) -> Result<Option<i64>, Fault> {
    match time {
        Some(time) if time < 0 => {
            let wanted = "Member must have value greater than or equal to 0";
            Err(broken(time, member, wanted))
        }
        other => Ok(other),
    }
}

pub(crate) fn check_retention(days: i64) -> Result<u32, Fault> {
    let valid = &RETENTION_DAYS;
    let found = u32::try_from(days).ok().filter(|days| valid.contains(days));
    found.ok_or_else(|| {
        Fault::Invalid(format!(
            "Invalid retention value. Valid values are: {valid:?}"
        ))
    })
}

pub(crate) fn check_choice(value: &str, member: &str, choices: &[&str]) -> Result<(), Fault> {
    if choices.contains(&value) {
        return Ok(());
    }
    let wanted = format!(
        "Member must satisfy enum value set: [{}]",
        choices.join(", ")
    );
    Err(broken(value, member, &wanted))
}

/// The group that a request names, by `logGroupName` or by `logGroupIdentifier`.
pub(crate) fn group_of(
    at: &Place,
    name: Option<&str>,
    identifier: Option<&str>,
) -> Result<String, Fault> {
    match (name, identifier) {
        (Some(_), Some(_)) => Err(Fault::Validation(
            "LogGroup name and LogGroup ARN are mutually exclusive parameters. Cannot specify \
             both of them."
                .to_owned(),
        )),
        (Some(name), None) => check_group(name, "logGroupName").map(|()| name.to_owned()),
        (None, Some(identifier)) => {
            check_length(identifier, "logGroupIdentifier", 1, IDENTIFIER_LETTERS_MAX)?;
            let is_letter = |c| is_group_letter(c) || matches!(c, '+' | '=' | ':' | ',' | '@');
            if !identifier.chars().all(is_letter) {
                return Err(bad_identifier());
            }
            if identifier.starts_with("arn:") {
                return group_of_arn(at, identifier).ok_or(Fault::NoGroup);
            }
            check_group(identifier, "logGroupIdentifier").map(|()| identifier.to_owned())
        }
        (None, None) => Err(missing("logGroupName")),
    }
}

/// `arn:aws:logs:REGION:ACCOUNT:log-group:NAME`, with or without `:*` behind.
pub(crate) fn group_of_arn(at: &Place, arn: &str) -> Option<String> {
    let head = format!("arn:aws:logs:{}:{}:log-group:", at.region, at.account);
    let name = arn.strip_prefix(&head)?;
    let name = name.strip_suffix(":*").unwrap_or(name);
    check_group(name, "logGroupName").ok()?;
    Some(name.to_owned())
}

pub(crate) fn group_arn(at: &Place, name: &str) -> String {
    format!("arn:aws:logs:{}:{}:log-group:{name}", at.region, at.account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_a_group_of_its_own_place_only() {
        let at = Place {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let arn = group_arn(&at, "/aws/lambda/f");
        assert_eq!(group_of_arn(&at, &arn).as_deref(), Some("/aws/lambda/f"));
        assert!(group_of_arn(&at, &format!("{arn}:*")).is_some());
        let elsewhere = arn.replace("us-east-1", "eu-west-1");
        assert_eq!(group_of_arn(&at, &elsewhere), None);
        assert_eq!(group_of_arn(&at, "arn:aws:logs"), None);
    }

    #[test]
    fn only_certain_retentions_are_valid() {
        assert_eq!(check_retention(14).ok(), Some(14));
        for days in [0, 2, -1, 4_000, i64::MAX] {
            assert!(check_retention(days).is_err(), "{days}");
        }
    }
}
