//! HTTP endpoints as receivers. How a request is sent is the business of whoever implements the port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::ports::{AttributeValue, Parcel, Target, Unanswered, Undelivered, Web, WebRequest};

/// Takes parcels whose ARN has the service `http` and a URL as resource; their attributes are headers.
pub struct WebTarget(Arc<dyn Web>);

impl WebTarget {
    pub fn new(web: Arc<dyn Web>) -> WebTarget {
        WebTarget(web)
    }
}

const USER_AGENT: &str = "Amazon Simple Notification Service Agent";

/// How long an endpoint may take to answer.  [SNS guide: HTTP/S endpoints, step 1]
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);

#[async_trait]
impl Target for WebTarget {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered> {
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
        match self.0.send(request).await {
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
