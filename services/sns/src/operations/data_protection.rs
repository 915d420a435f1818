use std::sync::Arc;

use wire::Context;

use super::required;
use crate::api::{GetDataProtectionPolicyResponse, PutDataProtectionPolicyInput, ResourceInput};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::TopicRef;

/// In bytes.  [SNS API: PutDataProtectionPolicy]
const POLICY_BYTES_MAX: usize = 30_720;

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: ResourceInput,
) -> Result<GetDataProtectionPolicyResponse, wire::Fault> {
    let arn = required("ResourceArn", input.resource_arn.as_ref())?;
    let at = TopicRef::parse(&cx, "ResourceArn", arn)?;
    let topic = engine
        .topic_for(&cx, &at, "GetDataProtectionPolicy")
        .await?;
    Ok(GetDataProtectionPolicyResponse {
        data_protection_policy: topic.data_protection,
    })
}

/// Keeps the policy. Differs: messages are not searched for what it protects.
pub(crate) async fn put(
    engine: Arc<Engine>,
    cx: Context,
    input: PutDataProtectionPolicyInput,
) -> Result<(), wire::Fault> {
    let arn = required("ResourceArn", input.resource_arn.as_ref())?;
    let at = TopicRef::parse(&cx, "ResourceArn", arn)?;
    let policy = input.data_protection_policy.unwrap_or_default();
    let is_object = serde_json::from_str::<serde_json::Value>(&policy).is_ok_and(|v| v.is_object());
    if policy.len() > POLICY_BYTES_MAX || !(policy.is_empty() || is_object) {
        return Err(Fault::parameter("DataProtectionPolicy").into());
    }
    engine
        .topic_for(&cx, &at, "PutDataProtectionPolicy")
        .await?;
    engine
        .change_topic(&at, |topic| {
            topic.data_protection = Some(policy.clone()).filter(|p| !p.is_empty());
            Ok(())
        })
        .await?;
    Ok(())
}
