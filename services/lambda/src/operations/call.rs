use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use invoke::{Outcome, Refused, Request};
use wire::{Context, Fault, RawRequest, RawResponse};

use crate::fault::{self, conflict};
use crate::name::{NAMESPACED, Target};
use crate::violations::Violations;
use crate::{Lambda, payload};

/// Longest client context, in bytes of its base64.  [Lambda API: ClientContext]
const CLIENT_CONTEXT_MAX: usize = 3_583;

/// [Lambda API: Invoke]
pub(crate) async fn invoke(
    lambda: Arc<Lambda>,
    cx: Context,
    request: RawRequest,
) -> Result<RawResponse, Fault> {
    let name = request.text("FunctionName").unwrap_or_default();
    let qualifier = request.text("Qualifier");
    let kind = request.text("InvocationType");
    let log_type = request.text("LogType");
    let mut v = Violations::new();
    Target::check(&mut v, NAMESPACED, Some(name), qualifier);
    v.one_of(
        "invocationType",
        kind,
        &["Event", "RequestResponse", "DryRun"],
    );
    v.one_of("logType", log_type, &["None", "Tail"]);
    v.check()?;
    let target = Target::resolve(&cx, name, qualifier)?;
    let function = target.function().map_err(|_| unknown(&target))?;
    let kind = kind.unwrap_or("RequestResponse");
    if kind == "DryRun" {
        return match lambda.invoke.dry_run(&function) {
            Ok(()) => Ok(RawResponse::new(204)),
            Err(why) => Err(refused(why, &target)),
        };
    }
    let event = payload::event(request.body.clone(), kind)?;
    let header = |name: &str| request.headers.get(name).and_then(|h| h.to_str().ok());
    let call = Request {
        function,
        payload: event,
        request_id: cx
            .request_id()
            .parse()
            .map_err(|_| Fault::internal("the request id is no UUID"))?,
        client_context: request
            .text("ClientContext")
            .map(client_context)
            .transpose()?,
        cognito_identity: None,
        trace: header("X-Amzn-Trace-Id").map(str::to_owned),
        want_log: log_type == Some("Tail"),
    };
    if kind == "Event" {
        return accept(&lambda, &call, &target).await;
    }
    match lambda.invoke.request_response(call).await {
        Ok(outcome) => Ok(answer(outcome)),
        Err(why) => Err(refused(why, &target)),
    }
}

/// Takes an event over for later, if there is a function for it.
async fn accept(lambda: &Lambda, call: &Request, target: &Target) -> Result<RawResponse, Fault> {
    if lambda.functions.resolve(&call.function).is_err() {
        return Err(unknown(target));
    }
    let accepted = lambda.events.accept(call).await;
    accepted.map_err(|e| Fault::internal(format!("event: {e}")))?;
    Ok(RawResponse::new(202))
}

fn answer(outcome: Outcome) -> RawResponse {
    let mut response = RawResponse::new(200)
        .header("Content-Type", "application/json")
        .header(
            "X-Amz-Executed-Version",
            &outcome.executed_version.to_string(),
        );
    if let Some(error) = outcome.function_error {
        response = response.header("X-Amz-Function-Error", error);
    }
    if let Some(log) = outcome.log_tail {
        response = response.header("X-Amz-Log-Result", &STANDARD.encode(log));
    }
    response.body(outcome.payload)
}

/// Invoke names `$LATEST` where the caller named nothing.
fn unknown(target: &Target) -> Fault {
    match &target.qualifier {
        Some(_) => fault::not_found(&target.arn()),
        None => fault::not_found(&format!("{}:$LATEST", target.unqualified_arn())),
    }
}

fn refused(why: Refused, target: &Target) -> Fault {
    match why {
        Refused::NotFound { .. } => unknown(target),
        Refused::NotReady { state } => conflict(format!(
            "The operation cannot be performed at this time. The function is currently in the following state: {state}"
        )),
        Refused::Throttled { reason } => {
            Fault::client("TooManyRequestsException", 429, "Rate Exceeded.")
                .with_member("Reason", reason)
        }
        Refused::InvalidRuntime { message } => {
            Fault::server("InvalidRuntimeException", 502, message).capital_message()
        }
        Refused::Internal { detail } => Fault::internal(detail),
    }
}

/// The JSON inside of `X-Amz-Client-Context`.
fn client_context(base64: &str) -> Result<String, Fault> {
    let bad = || {
        Fault::client(
            "InvalidRequestContentException",
            400,
            "Client context must be a valid Base64-encoded JSON object.",
        )
    };
    if base64.len() > CLIENT_CONTEXT_MAX {
        return Err(bad());
    }
    let bytes = STANDARD.decode(base64).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_context_is_base64_of_json() {
        let encode = |text: &str| STANDARD.encode(text);
        assert_eq!(client_context(&encode("{\"a\":1}")).unwrap(), "{\"a\":1}");
        for bad in [
            "{",
            &encode("{"),
            &encode(&format!("\"{}\"", "x".repeat(4_000))),
        ] {
            assert_eq!(
                client_context(bad).unwrap_err().code(),
                "InvalidRequestContentException"
            );
        }
    }
}
