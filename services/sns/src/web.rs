//! HTTP endpoints as receivers. How a request is sent is the business of whoever implements [`Web`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use model::ports::{AttributeValue, Parcel, Target, Undelivered};

/// Sends requests to endpoints outside.
#[async_trait]
pub trait Web: Send + Sync {
    /// Whether anything is sent to this URL at all.
    ///
    /// # Errors
    /// Says why not.
    fn check(&self, url: &str) -> Result<(), String>;

    /// Sends a POST and gives the status.
    ///
    /// # Errors
    /// Says why there is none.
    async fn post(&self, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<u16, String>;
}

/// Sends nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWeb;

#[async_trait]
impl Web for NoWeb {
    fn check(&self, _url: &str) -> Result<(), String> {
        Err("this server sends nothing to HTTP endpoints".to_owned())
    }

    async fn post(&self, url: &str, _: &[(&str, &str)], _: Bytes) -> Result<u16, String> {
        self.check(url).map(|()| 0)
    }
}

/// Takes parcels whose ARN has the service `http` and a URL as resource; their attributes are headers.
pub struct WebTarget(Arc<dyn Web>);

impl WebTarget {
    pub fn new(web: Arc<dyn Web>) -> WebTarget {
        WebTarget(web)
    }
}

const USER_AGENT: &str = "Amazon Simple Notification Service Agent";

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
        let url = &parcel.to.resource;
        let code = |code: &str| code.to_owned();
        match self.0.post(url, &headers, parcel.body.clone()).await {
            Ok(200..=299) => Ok(()),
            Ok(status) => {
                let message = format!("the endpoint answered {status}");
                Err(match is_final(status) {
                    true => Undelivered::Refused {
                        code: code("ClientError"),
                        message,
                    },
                    false => Undelivered::Later {
                        code: code("ServerError"),
                        message,
                    },
                })
            }
            Err(message) => Err(Undelivered::Later {
                code: code("Unreachable"),
                message,
            }),
        }
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
