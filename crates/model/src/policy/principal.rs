use serde_json::{Map, Value};

use super::BadPolicy;
use super::statement::texts;

/// Who makes a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// `s3.amazonaws.com`, for itself or for a resource that it serves.
    Service(String),
    /// An identity of an account.
    Identity {
        /// Twelve digits.
        account: String,
        /// `arn:aws:iam::000000000000:user/u`, `…:root`, or a session's
        /// `arn:aws:sts::000000000000:assumed-role/role/session`.
        arn: String,
    },
    /// Nobody: the request is not signed.
    Anonymous,
}

/// Whom a statement is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Principals {
    /// A statement without `Principal`.
    Unsaid,
    These(Vec<Principal>),
    /// `NotPrincipal`
    AllBut(Vec<Principal>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Principal {
    Anyone,
    /// Every identity of an account.
    Account(String),
    Arn(String),
    Service(String),
    /// A federated identity, a canonical user, or the id of an identity that is gone: nobody here.
    Other,
}

impl Principals {
    pub(super) fn read(statement: &Map<String, Value>) -> Result<Principals, BadPolicy> {
        match (statement.get("Principal"), statement.get("NotPrincipal")) {
            (None, None) => Ok(Principals::Unsaid),
            (Some(these), None) => Ok(Principals::These(read(these)?)),
            (None, Some(these)) => Ok(Principals::AllBut(read(these)?)),
            _ => Err(BadPolicy("Principal and NotPrincipal".to_owned())),
        }
    }

    pub(super) fn include(&self, caller: &Caller) -> bool {
        match self {
            Principals::Unsaid => true,
            Principals::These(all) => all.iter().any(|p| p.is(caller)),
            Principals::AllBut(all) => !all.iter().any(|p| p.is(caller)),
        }
    }
}

fn read(value: &Value) -> Result<Vec<Principal>, BadPolicy> {
    if value.as_str() == Some("*") {
        return Ok(vec![Principal::Anyone]);
    }
    let kinds = value
        .as_object()
        .ok_or_else(|| BadPolicy("a Principal is no object".to_owned()))?;
    let mut all = Vec::new();
    for (kind, names) in kinds {
        for name in texts(names)? {
            all.push(match kind.as_str() {
                "AWS" => aws(&name),
                "Service" => Principal::Service(name),
                _ => Principal::Other,
            });
        }
    }
    Ok(all)
}

fn aws(name: &str) -> Principal {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let mut parts = name.splitn(6, ':').skip(4);
    match (parts.next(), parts.next()) {
        _ if name == "*" => Principal::Anyone,
        _ if is_account(name) => Principal::Account(name.to_owned()),
        (Some(account), Some("root")) => Principal::Account(account.to_owned()),
        (Some(_), Some(_)) => Principal::Arn(name.to_owned()),
        _ => Principal::Other,
    }
}

impl Principal {
    fn is(&self, caller: &Caller) -> bool {
        match (self, caller) {
            (Principal::Anyone, _) => true,
            (Principal::Account(own), Caller::Identity { account, .. }) => own == account,
            (Principal::Arn(own), Caller::Identity { arn, .. }) => {
                own == arn || is_role_of(own, arn)
            }
            (Principal::Service(own), Caller::Service(name)) => own.eq_ignore_ascii_case(name),
            _ => false,
        }
    }
}

/// Whether `session` is a session of the role `role`. The ARN of a session has no path.
fn is_role_of(role: &str, session: &str) -> bool {
    let apart = |arn: &str, kind: &str| {
        let mut parts = arn.splitn(6, ':').skip(4).map(str::to_owned);
        let (account, resource) = (parts.next()?, parts.next()?);
        Some((account, resource.strip_prefix(kind)?.to_owned()))
    };
    let (Some((a, path)), Some((b, names))) =
        (apart(role, "role/"), apart(session, "assumed-role/"))
    else {
        return false;
    };
    let name = path.rsplit('/').next();
    a == b && name == names.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_who_it_names() {
        let identity = |arn: &str| Caller::Identity {
            account: "111111111111".to_owned(),
            arn: arn.to_owned(),
        };
        let user = identity("arn:aws:iam::111111111111:user/u");
        let session = identity("arn:aws:sts::111111111111:assumed-role/r/s");
        let s3 = Caller::Service("s3.amazonaws.com".to_owned());
        for (principal, caller, expected) in [
            (r#""*""#, &Caller::Anonymous, true),
            (r#"{"AWS":"*"}"#, &s3, true),
            (r#"{"AWS":"111111111111"}"#, &user, true),
            (r#"{"AWS":"222222222222"}"#, &user, false),
            (r#"{"AWS":"111111111111"}"#, &Caller::Anonymous, false),
            (
                r#"{"AWS":["222222222222","arn:aws:iam::111111111111:root"]}"#,
                &session,
                true,
            ),
            (r#"{"AWS":"arn:aws:iam::111111111111:user/u"}"#, &user, true),
            (
                r#"{"AWS":"arn:aws:iam::111111111111:user/*"}"#,
                &user,
                false,
            ),
            (
                r#"{"AWS":"arn:aws:iam::111111111111:role/path/r"}"#,
                &session,
                true,
            ),
            (
                r#"{"AWS":"arn:aws:iam::222222222222:role/r"}"#,
                &session,
                false,
            ),
            (
                r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/r/s"}"#,
                &session,
                true,
            ),
            (r#"{"Service":"s3.amazonaws.com"}"#, &s3, true),
            (r#"{"Service":"sns.amazonaws.com"}"#, &s3, false),
            (r#"{"Service":"s3.amazonaws.com"}"#, &user, false),
            (r#"{"AWS":"AIDAEXAMPLE"}"#, &user, false),
            (r#"{"Federated":"accounts.google.com"}"#, &user, false),
        ] {
            let all = read(&serde_json::from_str(principal).unwrap()).unwrap();
            let found = Principals::These(all.clone()).include(caller);
            assert_eq!(found, expected, "{principal} {caller:?}");
            assert_eq!(Principals::AllBut(all).include(caller), !expected);
        }
    }
}
