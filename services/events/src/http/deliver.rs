//! Brings events to API destinations.

use std::time::Duration;

use model::ports::{
    Attribute, AttributeValue, Parcel, Unanswered, Undelivered, WebAnswer, WebRequest,
};
use tasks::Turn;

use super::call::{self, Call};
use super::record::{ApiDestination, Connection, TargetParameters};
use super::tokens::{ANSWER_WAIT_MAX, NoToken};
use super::{connections, destinations};
use crate::engine::Engine;
use crate::fault::Fault;

/// The attribute of a parcel that holds what its target adds to the call.
const PARAMETERS: &str = "HttpParameters";
/// How long one try waits for its turn; what must wait for longer comes again.
const TURN_WAIT_MAX: Duration = Duration::from_secs(20);

/// What a posting to an API destination has, besides its body.
pub(crate) fn attributes(parameters: &TargetParameters) -> Option<(String, Attribute)> {
    let text = serde_json::to_string(parameters).ok()?;
    let attribute = Attribute {
        kind: "String".to_owned(),
        value: AttributeValue::Text(text),
    };
    Some((PARAMETERS.to_owned(), attribute))
}

fn parameters(parcel: &Parcel) -> TargetParameters {
    let found = parcel
        .attributes
        .iter()
        .find(|(name, _)| name == PARAMETERS);
    match found.map(|(_, attribute)| &attribute.value) {
        Some(AttributeValue::Text(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => TargetParameters::default(),
    }
}

fn refused(code: &str, message: impl Into<String>) -> Undelivered {
    Undelivered::Refused {
        code: code.to_owned(),
        message: message.into(),
    }
}

fn later(code: &str, message: impl Into<String>) -> Undelivered {
    Undelivered::Later {
        code: code.to_owned(),
        message: message.into(),
    }
}

fn failed(fault: Fault) -> Undelivered {
    later("InternalException", fault.to_string())
}

impl Engine {
    /// Calls the endpoint of the API destination that the parcel is for.
    pub(crate) async fn call(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        let found = destinations::of_arn(self, &parcel.to)
            .await
            .map_err(failed)?;
        let missing = || {
            refused(
                "ResourceNotFoundException",
                "The API destination does not exist.",
            )
        };
        let destination = found.ok_or_else(missing)?;
        let connection = match destination.connection.parse() {
            Ok(arn) => connections::of_arn(self, &arn).await.map_err(failed)?,
            Err(_) => None,
        };
        let missing = || {
            refused(
                "ResourceNotFoundException",
                "The connection does not exist.",
            )
        };
        let connection = connection.ok_or_else(missing)?;
        let (id, rate) = (&destination.id, destination.per_second);
        let wait = match self.rates.take(id, rate, self.now(), TURN_WAIT_MAX) {
            Turn::In(wait) => wait,
            Turn::Away(wait) => {
                return Err(Undelivered::Busy {
                    code: "ThrottlingException".to_owned(),
                    message: "The rate of the API destination is exceeded.".to_owned(),
                    wait,
                });
            }
        };
        if !wait.is_zero() {
            self.tasks.clock().sleep(wait).await;
        }
        let authorization = self
            .authorization(&connection)
            .await
            .map_err(|why| match why {
                NoToken::Refused(text) | NoToken::Later(text) => later("AuthorizationFailed", text),
            })?;
        let answer = self
            .send(&destination, &connection, authorization, parcel)
            .await?;
        self.judge(&destination, &connection, &answer)
    }

    async fn send(
        &self,
        destination: &ApiDestination,
        connection: &Connection,
        (name, value): (String, String),
        parcel: &Parcel,
    ) -> Result<WebAnswer, Undelivered> {
        let body = String::from_utf8_lossy(&parcel.body);
        let Call {
            method,
            url,
            headers,
            body,
        } = call::delivery(
            destination,
            &parameters(parcel),
            connection.invocation.as_ref(),
            (&name, &value),
            &body,
        );
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        let request = WebRequest {
            method: &method,
            url: &url,
            headers: &headers,
            body: body.into(),
            wait_max: ANSWER_WAIT_MAX,
            answer_bytes_max: 0,
        };
        self.web.send(request).await.map_err(|why| match why {
            Unanswered::Forbidden(text) => refused("SDK_CLIENT_ERROR", text),
            Unanswered::Failed(text) => later("SDK_CLIENT_ERROR", text),
        })
    }

    fn judge(
        &self,
        destination: &ApiDestination,
        connection: &Connection,
        answer: &WebAnswer,
    ) -> Result<(), Undelivered> {
        let status = answer.status;
        if (200..300).contains(&status) {
            return Ok(());
        }
        // The token may have been withdrawn.
        if matches!(status, 401 | 407) {
            self.tokens.forget(&connection.id);
        }
        if let Some(pause) = answer.retry_after {
            self.rates
                .pause(&destination.id, self.now() + pause.min(TURN_WAIT_MAX));
        }
        let text = format!("The endpoint answered {status}.");
        match is_passing(status) {
            true => Err(later("SDK_CLIENT_ERROR", text)),
            false => Err(refused("SDK_CLIENT_ERROR", text)),
        }
    }
}

/// Answers after which another try may help.  [EventBridge guide: API destinations, error codes]
fn is_passing(status: u16) -> bool {
    matches!(status, 401 | 407 | 409 | 429 | 500..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_of_the_caller_are_final() {
        for (status, is) in [
            (301, false),
            (400, false),
            (401, true),
            (403, false),
            (404, false),
            (407, true),
            (409, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            assert_eq!(is_passing(status), is, "{status}");
        }
    }
}
