//! Delivery policies: how often HTTP endpoints are tried, and what content type they get. Pure.
//! [SNS guide: message delivery retries]

use std::time::Duration;

use model::ports::{Growth, Patience, Phases, Waits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fault::Fault;

const CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// Most retries, and the longest wait in seconds.
const RETRIES_MAX: u32 = 100;
const DELAY_S_MAX: u32 = 3_600;
/// From the publish on, whatever the policy says.
const AGE_MAX: Duration = Duration::from_secs(3_600);

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

impl Retry {
    /// How long and at which moments an endpoint is tried.
    pub(crate) fn patience(&self) -> Patience {
        let phases = [
            self.num_no_delay_retries,
            self.num_min_delay_retries,
            self.num_max_delay_retries,
        ];
        let growing = phases
            .iter()
            .fold(self.num_retries, |left, n| left.saturating_sub(*n));
        Patience {
            retries_max: self.num_retries,
            age_max: AGE_MAX,
            waits: Waits::Phases(Phases {
                immediate: self.num_no_delay_retries,
                early: self.num_min_delay_retries,
                growing,
                growth: match self.backoff_function.as_str() {
                    "arithmetic" => Growth::Arithmetic,
                    "geometric" => Growth::Geometric,
                    "exponential" => Growth::Exponential,
                    _ => Growth::Linear,
                },
                shortest: Duration::from_secs(self.min_delay_target.into()),
                longest: Duration::from_secs(self.max_delay_target.into()),
            }),
        }
    }
}

/// What is in force for one subscription.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Effective {
    pub(crate) retry: Retry,
    pub(crate) content_type: String,
    /// Notifications of one subscription a second, on average.
    pub(crate) receives_max: Option<u32>,
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
            check_throttle(policy)?;
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
    if let Some(throttle) = present(&sent, "throttlePolicy") {
        check_throttle(throttle)?;
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

fn receives_max(policy: &Value) -> Option<u32> {
    let rate = policy.get("maxReceivesPerSecond")?.as_u64()?;
    u32::try_from(rate).ok().filter(|rate| *rate > 0)
}

/// A throttle policy may name no rate, or one of at least 1.
fn check_throttle(policy: &Value) -> Result<(), Fault> {
    match present(policy, "maxReceivesPerSecond") {
        Some(_) if receives_max(policy).is_none() => {
            Err(Fault::parameter("DeliveryPolicy: throttlePolicy"))
        }
        _ => Ok(()),
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
    let receives_max = [
        present(&own, "throttlePolicy"),
        present(&http, "defaultThrottlePolicy"),
    ]
    .into_iter()
    .flatten()
    .find_map(receives_max);
    Effective {
        retry,
        content_type,
        receives_max,
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
        let mut http = serde_json::Map::new();
        let mut add = |name: &str, value: Value| http.insert(name.to_owned(), value);
        add("defaultHealthyRetryPolicy", json!(self.retry));
        add("disableSubscriptionOverrides", overrides);
        if let Some(rate) = self.receives_max {
            add(
                "defaultThrottlePolicy",
                json!({"maxReceivesPerSecond": rate}),
            );
        }
        add(
            "defaultRequestPolicy",
            json!({"headerContentType": self.content_type}),
        );
        json!({ "http": http }).to_string()
    }

    /// As GetSubscriptionAttributes shows it.
    pub(crate) fn of_subscription(&self) -> String {
        json!({
            "healthyRetryPolicy": self.retry,
            "sicklyRetryPolicy": null,
            "throttlePolicy": self.receives_max.map(|rate| json!({"maxReceivesPerSecond": rate})),
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
    fn phases_take_their_part_of_the_retries() {
        let policy = r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":60,
            "numRetries":10,"numNoDelayRetries":2,"numMinDelayRetries":1,"numMaxDelayRetries":3,
            "backoffFunction":"exponential"}}}"#;
        let patience = effective(Some(policy), None).retry.patience();
        let Waits::Phases(phases) = patience.waits else {
            panic!("{patience:?}");
        };
        assert_eq!(
            (patience.retries_max, phases.immediate, phases.early),
            (10, 2, 1)
        );
        assert_eq!((phases.growing, phases.growth), (4, Growth::Exponential));
        let waits: Vec<u64> = (1..=10).map(|retry| phases.wait(retry).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1, 1, 9, 26, 60, 60, 60, 60]);
        // The default: three times, twenty seconds apart.
        let usual = effective(None, None).retry.patience();
        let Waits::Phases(phases) = usual.waits else {
            panic!("{usual:?}");
        };
        assert_eq!(
            (1..=3)
                .map(|n| phases.wait(n).as_secs())
                .collect::<Vec<_>>(),
            [20, 20, 20]
        );
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
        let slow = check_subscription(r#"{"throttlePolicy":{"maxReceivesPerSecond":7}}"#).unwrap();
        let effective_slow = effective(None, Some(&slow));
        assert_eq!(effective_slow.receives_max, Some(7));
        let told = effective_slow.of_subscription();
        assert!(
            told.contains(r#""throttlePolicy":{"maxReceivesPerSecond":7}"#),
            "{told}"
        );
        let topics = r#"{"http":{"defaultThrottlePolicy":{"maxReceivesPerSecond":9}}}"#;
        let topics = check_topic(topics).unwrap();
        assert_eq!(effective(Some(&topics), None).receives_max, Some(9));
        assert_eq!(effective(Some(&topics), Some(&slow)).receives_max, Some(7));
        assert!(check_subscription(r#"{"throttlePolicy":{"maxReceivesPerSecond":0}}"#).is_err());
        let strict = check_topic(r#"{"http":{"disableSubscriptionOverrides":true}}"#).unwrap();
        assert_eq!(
            effective(Some(&strict), Some(&own)).content_type,
            CONTENT_TYPE
        );
    }
}
