use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use invoke::{NotAccepted, Outcome, Refused, Request};
use model::FunctionRef;
use wire::{Context, Fault, RawRequest, RawResponse};

use crate::fault::{self, conflict, invalid_parameter};
use crate::name::{NAMESPACED, Target};
use crate::rules::TENANT;
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
    let asked = Asked::read(
        &lambda,
        &cx,
        &request,
        &["Event", "RequestResponse", "DryRun"],
    )?;
    if asked.kind == "DryRun" {
        return asked.dry_run(&lambda);
    }
    let (kind, target) = (asked.kind, asked.target.clone());
    let call = asked.call(&cx, &request)?;
    if kind == "Event" {
        return accept(&lambda, &call, &target).await;
    }
    match lambda.invoke.request_response(call).await {
        Ok(outcome) => Ok(answer(outcome)),
        Err(why) => Err(refused(why, &target)),
    }
}

/// [Lambda API: InvokeAsync]
pub(crate) async fn invoke_async(
    lambda: Arc<Lambda>,
    cx: Context,
    request: RawRequest,
) -> Result<RawResponse, Fault> {
    let asked = Asked::read(&lambda, &cx, &request, &[])?;
    let target = asked.target.clone();
    let event = Asked {
        kind: "Event",
        ..asked
    };
    accept(&lambda, &event.call(&cx, &request)?, &target).await
}

/// What a request to invoke says, apart from the event.
pub(crate) struct Asked<'a> {
    pub(crate) target: Target,
    function: FunctionRef,
    /// `RequestResponse` unless the caller said otherwise.
    pub(crate) kind: &'a str,
    log_type: Option<&'a str>,
    tenant: Option<&'a str>,
}

impl<'a> Asked<'a> {
    pub(crate) fn read(
        lambda: &Lambda,
        cx: &Context,
        request: &'a RawRequest,
        kinds: &[&str],
    ) -> Result<Asked<'a>, Fault> {
        let name = request.text("FunctionName").unwrap_or_default();
        let qualifier = request.text("Qualifier");
        let kind = request.text("InvocationType");
        let log_type = request.text("LogType");
        let mut v = Violations::new();
        Target::check(&mut v, NAMESPACED, Some(name), qualifier);
        v.one_of("invocationType", kind, kinds);
        v.one_of("logType", log_type, &["None", "Tail"]);
        let tenant = request.text("TenantId");
        v.length("tenantId", tenant, 1, 256);
        v.pattern("tenantId", tenant, TENANT);
        v.check()?;
        if request.text("DurableExecutionName").is_some() {
            return Err(fault::not_built("durable functions"));
        }
        let target = Target::shared(lambda, cx, name, qualifier)?;
        Ok(Asked {
            function: target.function().map_err(|_| unknown(&target))?,
            target,
            kind: kind.unwrap_or("RequestResponse"),
            log_type,
            tenant,
        })
    }

    pub(crate) fn dry_run(&self, lambda: &Lambda) -> Result<RawResponse, Fault> {
        match lambda.invoke.dry_run(&self.function, self.tenant) {
            Ok(()) => Ok(RawResponse::new(204)),
            Err(why) => Err(refused(why, &self.target)),
        }
    }

    /// The invocation itself.
    pub(crate) fn call(self, cx: &Context, request: &RawRequest) -> Result<Request, Fault> {
        Ok(Request {
            payload: payload::event(request.body.clone(), self.kind)?,
            function: self.function,
            request_id: cx
                .request_id()
                .parse()
                .map_err(|_| Fault::internal("the request id is no UUID"))?,
            client_context: request
                .text("ClientContext")
                .map(client_context)
                .transpose()?,
            cognito_identity: None,
            trace: Some(cx.trace())
                .filter(|trace| !trace.is_empty())
                .map(str::to_owned),
            want_log: self.log_type == Some("Tail"),
            tenant: self.tenant.map(str::to_owned),
        })
    }
}

/// Takes an event over for later, if there is a function for it.
async fn accept(lambda: &Lambda, call: &Request, target: &Target) -> Result<RawResponse, Fault> {
    let Ok(found) = lambda.functions.resolve(&call.function) else {
        return Err(unknown(target));
    };
    match (found.config.is_per_tenant, &call.tenant) {
        (true, None) => return Err(refused(Refused::TenantMissing, target)),
        (false, Some(_)) => return Err(refused(Refused::TenantUnwanted, target)),
        _ => {}
    }
    match lambda.events.accept(call).await {
        Ok(()) => Ok(RawResponse::new(202)),
        Err(NotAccepted::Throttled { reason }) => {
            Err(refused(Refused::Throttled { reason }, target))
        }
        Err(NotAccepted::Store(error)) => Err(Fault::internal(format!("event: {error}"))),
    }
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

pub(crate) fn refused(why: Refused, target: &Target) -> Fault {
    match why {
        Refused::NotFound { .. } => unknown(target),
        Refused::NotReady { state } => conflict(format!(
            "The operation cannot be performed at this time. The function is currently in the following state: {state}"
        )),
        Refused::Recursive => Fault::client(
            "RecursiveInvocationException",
            400,
            "Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped your function's invocation.",
        )
        .capital_message(),
        Refused::TenantMissing => invalid_parameter(
            "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again.",
        ),
        Refused::TenantUnwanted => invalid_parameter(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again.",
        ),
        Refused::Throttled { reason } => {
            Fault::client("TooManyRequestsException", 429, "Rate Exceeded.")
                .with_member("Reason", reason)
        }
        Refused::SwitchedOff => Fault::client("TooManyRequestsException", 429, "Rate Exceeded."),
        Refused::InvalidRuntime { message } => {
            Fault::server("InvalidRuntimeException", 502, message).capital_message()
        }
        Refused::NotRestored { .. } => Fault::client(
            "SnapStartException",
            400,
            "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.",
        )
        .capital_message(),
        Refused::RestoreTimedOut => Fault::client(
            "SnapStartTimeoutException",
            408,
            "Lambda couldn't restore the snapshot within the timeout limit.",
        )
        .capital_message(),
        Refused::NotRegenerated { .. } => Fault::client(
            "SnapStartRegenerationFailureException",
            400,
            "Lambda couldn't regenerate the SnapStart snapshot for the function.",
        )
        .capital_message(),
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
