//! The constraints on names, paths and texts.  [IAM guide: IAM identifiers, quotas]

use crate::fault::Fault;

const PATH_MAX: usize = 512;
const DESCRIPTION_MAX: usize = 1_000;
const DOCUMENT_MAX: usize = 131_072;

/// The name of a role, user or policy: 1 to `max` letters, digits and `+=,.@_-`.
pub(crate) fn check_name(member: &str, name: &str, max: usize) -> Result<(), Fault> {
    check_length(member, name, 1, max)?;
    if name.bytes().all(is_name_byte) {
        return Ok(());
    }
    Err(Fault::Validation(format!(
        "The specified value for {member} is invalid. It must contain only alphanumeric \
         characters and/or the following: +=,.@_-"
    )))
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b)
}

/// `/` or `/…/` of visible ASCII.
pub(crate) fn check_path(path: &str) -> Result<(), Fault> {
    check_length("path", path, 1, PATH_MAX)?;
    let is_framed = path == "/" || (path.len() > 1 && path.starts_with('/') && path.ends_with('/'));
    if is_framed && path.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Fault::Validation(
        "The specified value for path is invalid. It must begin and end with / and contain only \
         alphanumeric characters and/or / characters."
            .to_owned(),
    ))
}

pub(crate) fn check_path_prefix(prefix: &str) -> Result<(), Fault> {
    check_length("pathPrefix", prefix, 1, PATH_MAX)?;
    if prefix.starts_with('/') && prefix.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Fault::Validation(
        "The specified value for pathPrefix is invalid. It must begin with / and contain only \
         alphanumeric characters and/or / characters."
            .to_owned(),
    ))
}

pub(crate) fn check_description(text: &str) -> Result<(), Fault> {
    check_length("description", text, 0, DESCRIPTION_MAX)?;
    let is_taken = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    if text.chars().all(is_taken) {
        return Ok(());
    }
    Err(Fault::constraint(
        "description",
        text,
        r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*",
    ))
}

pub(crate) fn check_document_length(member: &str, text: &str) -> Result<(), Fault> {
    check_length(member, text, 1, DOCUMENT_MAX)
}

/// The text form of an ARN; what it names is looked up elsewhere.
pub(crate) fn check_policy_arn(arn: &str) -> Result<(), Fault> {
    check_length("policyArn", arn, 20, 2_048)?;
    let is_arn = arn.starts_with("arn:") && arn.splitn(6, ':').count() == 6;
    if !is_arn {
        return Err(Fault::Validation(
            "Invalid ARN:  Could not be parsed!".to_owned(),
        ));
    }
    let mut parts = arn.splitn(6, ':').skip(2);
    let is_policy = parts.next() == Some("iam")
        && parts
            .nth(2)
            .is_some_and(|resource| resource.starts_with("policy/"));
    if is_policy {
        Ok(())
    } else {
        Err(Fault::Validation(format!("ARN {arn} is not valid.")))
    }
}

fn check_length(member: &str, text: &str, min: usize, max: usize) -> Result<(), Fault> {
    let length = text.chars().count();
    if length < min {
        return Err(Fault::constraint(
            member,
            text,
            &format!("Member must have length greater than or equal to {min}"),
        ));
    }
    if length > max {
        let shown: String = text.chars().take(2_048).collect();
        return Err(Fault::constraint(
            member,
            &shown,
            &format!("Member must have length less than or equal to {max}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_to_their_letters_and_length() {
        for (name, ok) in [
            ("a", true),
            ("my+role=x,y.z@w_v-u", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("ü", false),
        ] {
            assert_eq!(check_name("roleName", name, 64).is_ok(), ok, "{name:?}");
        }
        assert!(check_name("roleName", &"a".repeat(64), 64).is_ok());
        assert!(check_name("roleName", &"a".repeat(65), 64).is_err());
    }

    #[test]
    fn a_path_begins_and_ends_with_a_slash() {
        for (path, ok) in [
            ("/", true),
            ("/a/b/", true),
            ("a/", false),
            ("/a", false),
            ("/ /", false),
        ] {
            assert_eq!(check_path(path).is_ok(), ok, "{path:?}");
        }
    }

    #[test]
    fn an_arn_that_is_no_policy_is_told_apart_from_no_arn() {
        let words = |arn| check_policy_arn(arn).unwrap_err().to_string();
        assert_eq!(
            words("a-policy-name-that-is-long"),
            "Invalid ARN:  Could not be parsed!"
        );
        assert_eq!(
            words("arn:aws:iam::000000000000:role/r"),
            "ARN arn:aws:iam::000000000000:role/r is not valid."
        );
        assert!(check_policy_arn("arn:aws:iam::aws:policy/x").is_ok());
    }
}
