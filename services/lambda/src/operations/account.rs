use std::sync::Arc;

use functions::UNZIPPED_MAX;
use serde::Deserialize;
use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{AccountLimit, AccountUsage, GetAccountSettingsResponse};
use crate::fault::ZIP_MAX;
use crate::name::home;

/// Code that one account may keep in one region, in bytes: 300 GB.  [Lambda quotas]
const TOTAL_CODE_SIZE: u64 = 322_122_547_200;

#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// [Lambda API: GetAccountSettings]
pub(crate) async fn settings(
    lambda: Arc<Lambda>,
    cx: Context,
    _input: Nothing,
) -> Result<GetAccountSettingsResponse, Fault> {
    let (account, region) = home(&cx)?;
    let usage = lambda.functions.usage(&account, &region);
    let reserved = lambda.functions.claims(&account, &region).reserved();
    let limit = u64::from(lambda.invoke.account_limits().concurrency);
    Ok(GetAccountSettingsResponse {
        account_limit: AccountLimit {
            total_code_size: TOTAL_CODE_SIZE,
            code_size_unzipped: UNZIPPED_MAX,
            code_size_zipped: u64::try_from(ZIP_MAX).unwrap_or(u64::MAX),
            concurrent_executions: limit,
            unreserved_concurrent_executions: limit.saturating_sub(reserved),
        },
        account_usage: AccountUsage {
            total_code_size: usage.code_bytes,
            function_count: usage.functions,
        },
    })
}
