//! Delivery policies: how often HTTP endpoints are tried, and what content type they get. Pure.
//! [SNS guide: message delivery retries]

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fault::Fault;

const CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// Most retries, and the longest wait in seconds.
const RETRIES_MAX: u32 = 100;
const DELAY_S_MAX: u32 = 3_600;

/// The phases of retries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Retry {
    pub(crate) min_delay_target: u32,
    pub(crate) max_delay_target: u32,
    pub(crate) num_retries: u32,
    pub(crate) num_max_delay_retries: u32,
    pub(crate) num_no_delay_retries: u32,
    pub(crate) num_min_delay_retries: u32,
    pub(crate) backoff_function: String,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            min_delay_target: 20,
            max_delay_target: 20,
            num_retries: 3,
            num_max_delay_retries: 0,
            num_no_delay_retries: 0,
            num_min_delay_retries: 0,
            backoff_function: "linear".to_owned(),
        }
    }
}

impl Retry {
    fn is_good(&self) -> bool {
        let phases = [
            self.num_max_delay_retries,
            self.num_no_delay_retries,
            self.num_min_delay_retries,
        ];
        let in_phases: u64 = phases.iter().map(|n| u64::from(*n)).sum();
        (1..=DELAY_S_MAX).contains(&self.min_delay_target)
            && (self.min_delay_target..=DELAY_S_MAX).contains(&self.max_delay_target)
            && self.num_retries <= RETRIES_MAX
            && in_phases <= u64::from(self.num_retries)
            && ["linear", "arithmetic", "geometric", "exponential"]
                .contains(&self.backoff_function.as_str())
    }
}

/// What is in force for one subscription.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Effective {
    pub(crate) retry: Retry,
    pub(crate) content_type: String,
}

/// The topic's policy as stored: as it was sent, with the members that SNS adds.
pub(crate) fn check_topic(text: &str) -> Result<String, Fault> {
    let wrong = || Fault::parameter("DeliveryPolicy");
    let sent: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let http = sent.get("http").ok_or_else(wrong)?;
    let mut kept = serde_json::Map::new();
    if let Some(retry) = present(http, "defaultHealthyRetryPolicy") {
        check_retry(retry)?;
        kept.insert("defaultHealthyRetryPolicy".to_owned(), retry.clone());
    }
    let overrides = present(http, "disableSubscriptionOverrides").unwrap_or(&Value::Bool(false));
    kept.insert("disableSubscriptionOverrides".to_owned(), overrides.clone());
    for name in ["defaultThrottlePolicy", "defaultRequestPolicy"] {
        if let Some(policy) = present(http, name) {
            kept.insert(name.to_owned(), policy.clone());
        }
    }
    Ok(json!({ "http": kept }).to_string())
}

/// The subscription's policy as stored: with a null for each part that was not sent.
pub(crate) fn check_subscription(text: &str) -> Result<String, Fault> {
    let wrong = || Fault::parameter("DeliveryPolicy");
    let sent: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    if !sent.is_object() {
        return Err(wrong());
    }
    if let Some(retry) = present(&sent, "healthyRetryPolicy") {
        check_retry(retry)?;
    }
    let part = |name: &str| sent.get(name).cloned().unwrap_or(Value::Null);
    Ok(json!({
        "healthyRetryPolicy": part("healthyRetryPolicy"),
        "sicklyRetryPolicy": part("sicklyRetryPolicy"),
        "throttlePolicy": part("throttlePolicy"),
        "requestPolicy": part("requestPolicy"),
        "guaranteed": present(&sent, "guaranteed").unwrap_or(&Value::Bool(false)),
    })
    .to_string())
}

fn check_retry(policy: &Value) -> Result<(), Fault> {
    let retry: Option<Retry> = serde_json::from_value(policy.clone()).ok();
    match retry {
        Some(retry) if retry.is_good() => Ok(()),
        _ => Err(Fault::parameter("DeliveryPolicy: healthyRetryPolicy")),
    }
}

fn present<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|v| !v.is_null())
}

fn parsed(text: Option<&str>) -> Value {
    text.and_then(|t| serde_json::from_str(t).ok())
        .unwrap_or_default()
}

/// What is in force: the subscription's policy, else the topic's, else the default.
pub(crate) fn effective(topic: Option<&str>, subscription: Option<&str>) -> Effective {
    let (topic, own) = (parsed(topic), parsed(subscription));
    let http = topic.get("http").cloned().unwrap_or_default();
    let own = match http.get("disableSubscriptionOverrides") {
        Some(Value::Bool(true)) => Value::Null,
        _ => own,
    };
    let retry = present(&own, "healthyRetryPolicy")
        .or_else(|| present(&http, "defaultHealthyRetryPolicy"))
        .and_then(|policy| serde_json::from_value(policy.clone()).ok())
        .unwrap_or_default();
    let content_type = [
        present(&own, "requestPolicy"),
        present(&http, "defaultRequestPolicy"),
    ]
    .into_iter()
    .flatten()
    .find_map(|policy| policy.get("headerContentType")?.as_str())
    .unwrap_or(CONTENT_TYPE)
    .to_owned();
    Effective {
        retry,
        content_type,
    }
}

impl Effective {
    /// As GetTopicAttributes shows it.
    pub(crate) fn of_topic(&self, stored: Option<&str>) -> String {
        let stored = parsed(stored);
        let overrides = stored
            .pointer("/http/disableSubscriptionOverrides")
            .cloned()
            .unwrap_or(Value::Bool(false));
        json!({"http": {
            "defaultHealthyRetryPolicy": self.retry,
            "disableSubscriptionOverrides": overrides,
            "defaultRequestPolicy": {"headerContentType": self.content_type},
        }})
        .to_string()
    }

    /// As GetSubscriptionAttributes shows it.
    pub(crate) fn of_subscription(&self) -> String {
        json!({
            "healthyRetryPolicy": self.retry,
            "sicklyRetryPolicy": null,
            "throttlePolicy": null,
            "requestPolicy": {"headerContentType": self.content_type},
            "guaranteed": false,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topics_policy_is_kept_and_completed() {
        for (sent, kept, retries) in [
            (
                r#"{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}"#,
                r#"{"http":{"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"application/json"}}}"#,
                3,
            ),
            (
                r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1}}}"#,
                r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1},"disableSubscriptionOverrides":false}}"#,
                1,
            ),
            (
                r#"{"http":{"defaultHealthyRetryPolicy":null}}"#,
                r#"{"http":{"disableSubscriptionOverrides":false}}"#,
                3,
            ),
        ] {
            assert_eq!(check_topic(sent).unwrap(), kept);
            assert_eq!(effective(Some(kept), None).retry.num_retries, retries);
        }
        for bad in [
            "{",
            "{}",
            r#"{"http":{"defaultHealthyRetryPolicy":{"numRetries":101}}}"#,
            r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":9,"maxDelayTarget":8}}}"#,
        ] {
            assert!(check_topic(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_subscription_overrides_its_topic_unless_it_may_not() {
        let own =
            check_subscription(r#"{"requestPolicy":{"headerContentType":"text/csv"}}"#).unwrap();
        assert_eq!(
            own,
            r#"{"healthyRetryPolicy":null,"sicklyRetryPolicy":null,"throttlePolicy":null,"requestPolicy":{"headerContentType":"text/csv"},"guaranteed":false}"#
        );
        assert_eq!(effective(None, Some(&own)).content_type, "text/csv");
        let strict = check_topic(r#"{"http":{"disableSubscriptionOverrides":true}}"#).unwrap();
        assert_eq!(
            effective(Some(&strict), Some(&own)).content_type,
            CONTENT_TYPE
        );
    }
}
