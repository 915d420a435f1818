//! What a role may do: its inline and attached policies, within its boundary.  [IAM guide: policy evaluation logic]

use async_trait::async_trait;
use model::RoleArn;
use model::policy::{Caller, Keys, Policy, Request, Verdict};
use model::ports::{PoliciesUnread, Roles};
use serde_json::{Value, json};

use crate::engine::{Engine, folded};
use crate::managed;

#[async_trait]
impl Roles for Engine {
    async fn may(
        &self,
        role: &RoleArn,
        action: &str,
        resource: &str,
    ) -> Result<bool, PoliciesUnread> {
        let account = role.as_str().split(':').nth(4).unwrap_or_default();
        let name = folded(role.role_name());
        let row = self
            .roles
            .get(&[account, &name])
            .await
            .map_err(unanswered)?;
        let Some(row) = row else {
            return Ok(false);
        };
        let own = row.value;
        let mut documents: Vec<String> = own.inline.into_values().collect();
        for arn in &own.attached {
            documents.extend(self.document(account, arn).await?);
        }
        let mut is_allowed = says(&documents, action, resource);
        if let Some(arn) = &own.boundary {
            let boundary: Vec<String> = self.document(account, arn).await?.into_iter().collect();
            is_allowed &= says(&boundary, action, resource);
        }
        Ok(is_allowed)
    }
}

fn unanswered(error: impl std::fmt::Display) -> PoliciesUnread {
    PoliciesUnread(error.to_string())
}

impl Engine {
    /// The default version of the policy with this ARN, if there is one.
    async fn document(&self, account: &str, arn: &str) -> Result<Option<String>, PoliciesUnread> {
        if let Some(managed) = managed::find(arn) {
            return Ok(Some(managed.document.to_owned()));
        }
        let name = folded(arn.rsplit('/').next().unwrap_or_default());
        let row = self.policies.get(&[account, &name]).await;
        let found = row.map_err(unanswered)?.and_then(|row| {
            let (default, versions) = (row.value.default, row.value.versions);
            versions.into_iter().find(|v| v.number == default)
        });
        Ok(found.map(|version| version.document))
    }
}

/// Whether one document allows it and none denies it.
fn says(documents: &[String], action: &str, resource: &str) -> bool {
    let caller = Caller::Service(String::new());
    let keys = Keys::new();
    let request = Request {
        caller: &caller,
        action,
        resource,
        keys: &keys,
    };
    let verdicts = documents.iter().map(|text| decide(text, &request));
    let mut is_allowed = false;
    for verdict in verdicts {
        match verdict {
            Verdict::Deny => return false,
            Verdict::Allow => is_allowed = true,
            Verdict::Silent => {}
        }
    }
    is_allowed
}

/// Policies of identities name no principal: they are about whoever has them.
fn decide(text: &str, request: &Request<'_>) -> Verdict {
    let mut document: Value = serde_json::from_str(text).unwrap_or_default();
    let anybody = |statement: &mut Value| {
        if let Some(statement) = statement.as_object_mut() {
            statement.insert("Principal".to_owned(), json!("*"));
        }
    };
    match document.get_mut("Statement") {
        Some(Value::Array(all)) => all.iter_mut().for_each(anybody),
        Some(one) => anybody(one),
        None => {}
    }
    // What cannot be read allows nothing, and may deny anything.
    Policy::read(&document).map_or(Verdict::Deny, |policy| policy.decide(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(effect: &str, action: &str, resource: &str) -> String {
        let statement = json!({ "Effect": effect, "Action": action, "Resource": resource });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    }

    #[test]
    fn one_allows_and_none_denies() {
        let queue = "arn:aws:sqs:us-east-1:000000000000:q";
        let send = document("Allow", "sqs:Send*", queue);
        let all = document("Allow", "*", "*");
        let deny = document("Deny", "sqs:SendMessage", "*");
        for (documents, expected) in [
            (vec![], false),
            (vec![send.clone()], true),
            (vec![all.clone(), deny], false),
            (vec![all, "{".to_owned()], false),
            (vec![document("Allow", "sns:Publish", "*")], false),
        ] {
            assert_eq!(says(&documents, "sqs:SendMessage", queue), expected);
        }
        assert!(!says(
            &[send],
            "sqs:SendMessage",
            "arn:aws:sqs:us-east-1:000000000000:other"
        ));
    }
}
