//! The Security Token Service: who a caller is.
//!
//! [`service`] answers `GetCallerIdentity` from what the request's credential says. The other
//! operations, which hand out temporary credentials, answer that they are not built yet.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::{Context, Fault, Protocol, Service};

/// The namespace of the answers.  [STS API: service model]
const XMLNS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub fn service() -> Service {
    Service::new("sts", Arc::new(()))
        .protocols([Protocol::Query { xmlns: XMLNS }])
        .operation("GetCallerIdentity", get_caller_identity)
        .not_built([
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
            "AssumeRoot",
            "DecodeAuthorizationMessage",
            "GetAccessKeyInfo",
            "GetDelegatedAccessToken",
            "GetFederationToken",
            "GetSessionToken",
            "GetWebIdentityToken",
        ])
        .build()
}

#[derive(Deserialize)]
struct GetCallerIdentityRequest {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetCallerIdentityResponse {
    user_id: String,
    account: String,
    arn: String,
}

/// Needs no permission: everybody may ask who they are.  [STS API: GetCallerIdentity]
async fn get_caller_identity(
    _state: Arc<()>,
    context: Context,
    _input: GetCallerIdentityRequest,
) -> Result<GetCallerIdentityResponse, Fault> {
    Ok(GetCallerIdentityResponse {
        user_id: context.user_id().to_owned(),
        account: context.account().to_owned(),
        arn: context.principal_arn(),
    })
}
