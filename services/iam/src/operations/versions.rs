use std::sync::Arc;

use wire::{Context, Timestamp};

use super::policies::{Found, check_document, find};
use super::{date, encoded, page};
use crate::api::{
    CreatePolicyVersionRequest, ListOfPolicyRequest, ListPolicyVersionsResult,
    PolicyVersionRequest, PolicyVersionResult, PolicyVersionShape,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::managed::Managed;
use crate::record::{Policy, PolicyVersion};

/// [IAM quotas]
const VERSIONS_MAX: usize = 5;

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreatePolicyVersionRequest,
) -> Result<PolicyVersionResult, wire::Fault> {
    check_document(&input.policy_document)?;
    let now = engine.now();
    let policy = engine
        .change_policy(cx.account(), &input.policy_arn, |policy| {
            if policy.versions.len() >= VERSIONS_MAX {
                return Err(Fault::LimitExceeded(format!(
                    "A managed policy can have up to {VERSIONS_MAX} versions. Before you create a \
                     new version, you must delete an existing version."
                )));
            }
            policy.last += 1;
            policy.updated = now;
            if input.set_as_default == Some(true) {
                policy.default = policy.last;
            }
            policy.versions.push(PolicyVersion {
                number: policy.last,
                created: now,
                document: input.policy_document.clone(),
            });
            Ok(())
        })
        .await?;
    Ok(PolicyVersionResult {
        policy_version: PolicyVersionShape {
            document: None,
            version_id: format!("v{}", policy.last),
            is_default_version: policy.default == policy.last,
            create_date: date(now),
        },
    })
}

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: PolicyVersionRequest,
) -> Result<PolicyVersionResult, wire::Fault> {
    let policy_version = match find(&engine, cx.account(), &input.policy_arn).await? {
        Found::Aws(policy) if policy.version == input.version_id => PolicyVersionShape {
            document: Some(encoded(policy.document)),
            ..aws_shape(policy)
        },
        Found::Aws(_) => return Err(missing(&input).into()),
        Found::Local(row) => {
            let number = number(&input)?;
            let found = row.value.versions.iter().find(|v| v.number == number);
            let version = found.ok_or_else(|| missing(&input))?;
            PolicyVersionShape {
                document: Some(encoded(&version.document)),
                ..shape(&row.value, version)
            }
        }
    };
    Ok(PolicyVersionResult { policy_version })
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListOfPolicyRequest,
) -> Result<ListPolicyVersionsResult, wire::Fault> {
    let shapes: Vec<PolicyVersionShape> =
        match find(&engine, cx.account(), &input.policy_arn).await? {
            Found::Aws(policy) => vec![aws_shape(policy)],
            // newest first
            Found::Local(row) => {
                let policy = &row.value;
                policy
                    .versions
                    .iter()
                    .rev()
                    .map(|v| shape(policy, v))
                    .collect()
            }
        };
    let numbered = shapes.into_iter().enumerate();
    let page = page(
        numbered,
        input.marker.as_deref(),
        input.max_items,
        |(i, _)| format!("{i:04}"),
    )?;
    Ok(ListPolicyVersionsResult {
        versions: page.items.into_iter().map(|(_, shape)| shape).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: PolicyVersionRequest,
) -> Result<(), wire::Fault> {
    let number = number(&input)?;
    engine
        .change_policy(cx.account(), &input.policy_arn, |policy| {
            if policy.default == number {
                return Err(Fault::DeleteConflict(
                    "Cannot delete the default version of a policy.".to_owned(),
                ));
            }
            let before = policy.versions.len();
            policy.versions.retain(|v| v.number != number);
            if policy.versions.len() == before {
                return Err(missing(&input));
            }
            Ok(())
        })
        .await?;
    Ok(())
}

pub(crate) async fn set_default(
    engine: Arc<Engine>,
    cx: Context,
    input: PolicyVersionRequest,
) -> Result<(), wire::Fault> {
    let number = number(&input)?;
    let now = engine.now();
    engine
        .change_policy(cx.account(), &input.policy_arn, |policy| {
            if !policy.versions.iter().any(|v| v.number == number) {
                return Err(missing(&input));
            }
            policy.default = number;
            policy.updated = now;
            Ok(())
        })
        .await?;
    Ok(())
}

fn shape(policy: &Policy, version: &PolicyVersion) -> PolicyVersionShape {
    PolicyVersionShape {
        document: None,
        version_id: format!("v{}", version.number),
        is_default_version: policy.default == version.number,
        create_date: date(version.created),
    }
}

fn aws_shape(policy: &Managed) -> PolicyVersionShape {
    PolicyVersionShape {
        document: None,
        version_id: policy.version.to_owned(),
        is_default_version: true,
        create_date: Timestamp(policy.updated_ms),
    }
}

/// `v7` → 7.
fn number(input: &PolicyVersionRequest) -> Result<u32, Fault> {
    let digits = input.version_id.strip_prefix('v').unwrap_or_default();
    match digits.parse() {
        Ok(number) if !digits.starts_with(['0', '+']) => Ok(number),
        _ => Err(Fault::constraint(
            "versionId",
            &input.version_id,
            r"Member must satisfy regular expression pattern: v[1-9][0-9]*(\.[A-Za-z0-9-]*)?",
        )),
    }
}

fn missing(input: &PolicyVersionRequest) -> Fault {
    Fault::NoSuchEntity(format!(
        "Policy {} version {} does not exist or is not attachable.",
        input.policy_arn, input.version_id
    ))
}
