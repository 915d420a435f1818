//! HTTP endpoints as receivers. How a request is sent is the business of whoever implements the port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::ports::{AttributeValue, Parcel, Target, Unanswered, Undelivered, WebRequest};
use tasks::Turn;

use crate::engine::Engine;
use crate::fault::Fault;
use crate::record::Attributes;
use crate::{delivery_policy, fanout};

/// Takes parcels whose ARN has the service `http` and a URL as resource; their attributes are headers.
pub struct WebTarget(Arc<Engine>);

impl WebTarget {
    pub fn new(engine: &Arc<Engine>) -> WebTarget {
        WebTarget(Arc::clone(engine))
    }

    /// Waits for the turn of a notification, where a policy says how many its subscription gets a second.
    async fn wait_for_turn(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        let Some(at) = fanout::subscription_of(parcel) else {
            return Ok(());
        };
        let engine = &self.0;
        let failed = |fault: Fault| Undelivered::Later {
            code: "InternalError".to_owned(),
            message: fault.to_string(),
        };
        let subscription = engine.find_subscription(&at).await.map_err(failed)?;
        let topic = engine.find_topic(&at.topic).await.map_err(failed)?;
        let (Some(subscription), Some(topic)) = (subscription, topic) else {
            return Ok(());
        };
        let policy = |of: &Attributes| of.get("DeliveryPolicy").cloned();
        let (topic, own) = (policy(&topic.attributes), policy(&subscription.attributes));
        let effective = delivery_policy::effective(topic.as_deref(), own.as_deref());
        let Some(rate) = effective.receives_max else {
            return Ok(());
        };
        let now = engine.clock.now();
        match engine.rates.take(&at.id, rate, now, TURN_WAIT_MAX) {
            Turn::In(wait) if wait.is_zero() => Ok(()),
            Turn::In(wait) => {
                engine.clock.sleep(wait).await;
                Ok(())
            }
            Turn::Away(wait) => Err(Undelivered::Busy {
                code: "Throttled".to_owned(),
                message: "the delivery policy allows no more for now".to_owned(),
                wait,
            }),
        }
    }
}

const USER_AGENT: &str = "Amazon Simple Notification Service Agent";

/// How long one try waits for its turn; what must wait for longer comes again.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long an endpoint may take to answer.  [SNS guide: HTTP/S endpoints, step 1]
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);

#[async_trait]
impl Target for WebTarget {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        self.wait_for_turn(parcel).await?;
        let mut headers = vec![("user-agent", USER_AGENT)];
        headers.extend(parcel.attributes.iter().filter_map(|(name, attribute)| {
            match &attribute.value {
                AttributeValue::Text(text) => Some((name.as_str(), text.as_str())),
                AttributeValue::Binary(_) => None,
            }
        }));
        let request = WebRequest {
            method: "POST",
            url: &parcel.to.resource,
            headers: &headers,
            body: parcel.body.clone(),
            wait_max: ANSWER_WAIT_MAX,
            answer_bytes_max: 0,
        };
        match self.0.web.send(request).await {
            Ok(answer) => judge(answer.status),
            Err(Unanswered::Forbidden(message)) => Err(Undelivered::Refused {
                code: "Forbidden".to_owned(),
                message,
            }),
            Err(Unanswered::Failed(message)) => Err(Undelivered::Later {
                code: "Unreachable".to_owned(),
                message,
            }),
        }
    }
}

/// What the status of an answer means for the message.
fn judge(status: u16) -> Result<(), Undelivered> {
    let message = format!("the endpoint answered {status}");
    match status {
        200..=299 => Ok(()),
        status if is_final(status) => Err(Undelivered::Refused {
            code: "ClientError".to_owned(),
            message,
        }),
        _ => Err(Undelivered::Later {
            code: "ServerError".to_owned(),
            message,
        }),
    }
}

/// Errors of the client's side are not tried again, but for those that pass.
/// [SNS guide: message delivery retries]
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && status != 429
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mistakes_of_the_endpoint_are_tried_again() {
        for (status, is) in [
            (400, true),
            (404, true),
            (429, false),
            (500, false),
            (503, false),
            (301, false),
        ] {
            assert_eq!(is_final(status), is, "{status}");
        }
    }
}
