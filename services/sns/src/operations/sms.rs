//! What an account says about text messages. Kiln sends none, so that no number ever opts out.

use std::sync::Arc;

use store::Expect;
use wire::{Checks, Context};

use super::{required, subscriptions};
use crate::api::{
    Empty, GetSmsInput, GetSmsResponse, ListOptedOutResponse, NextTokenInput, NoInput,
    NoNumbersResponse, OptedOutResponse, PagedInput, PhoneNumberInput, SandboxStatusResponse,
    SetSmsInput,
};
use crate::engine::Engine;
use crate::fault::Fault;

/// Letters of a sender's name.  [SNS API: SetSMSAttributes]
const SENDER_MAX: usize = 11;
/// How often a change is tried again that another writer overtook.
const ATTEMPTS_MAX: usize = 16;

/// Whether the value is one of the attribute's; `None` if there is no such attribute.
fn is_good(name: &str, value: &str) -> Option<bool> {
    Some(match name {
        "DefaultSMSType" => ["Promotional", "Transactional"].contains(&value),
        "DefaultSenderID" => {
            (1..=SENDER_MAX).contains(&value.len())
                && value.bytes().all(|b| b.is_ascii_alphanumeric())
                && value.bytes().any(|b| b.is_ascii_alphabetic())
        }
        "MonthlySpendLimit" => value.parse::<u32>().is_ok(),
        "DeliveryStatusSuccessSamplingRate" => value.parse().is_ok_and(|rate: u8| rate <= 100),
        "DeliveryStatusIAMRole" | "UsageReportS3Bucket" => true,
        _ => return None,
    })
}

pub(crate) async fn set_attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: SetSmsInput,
) -> Result<Empty, wire::Fault> {
    let wanted = input.attributes.unwrap_or_default();
    for (name, value) in &wanted {
        let wrong = match is_good(name, value) {
            Some(true) => continue,
            Some(false) => "is invalid",
            None => "is not a valid attribute",
        };
        return Err(Fault::InvalidText(format!("{name} {wrong}")).into());
    }
    let key = [cx.account(), cx.region()];
    for _ in 0..ATTEMPTS_MAX {
        let row = engine.sms.get(&key).await.map_err(Fault::from)?;
        let expect = row
            .as_ref()
            .map_or(Expect::Absent, |row| Expect::At(row.rev));
        let mut all = row.map(|row| row.value).unwrap_or_default();
        all.attributes.extend(wanted.clone());
        match engine.sms.put(&key, &all, expect).await {
            Ok(_) => return Ok(Empty {}),
            Err(store::StoreError::Conflict(_)) => {}
            Err(other) => return Err(Fault::from(other).into()),
        }
    }
    Err(Fault::Overtaken.into())
}

/// All of them, or those that are named.
pub(crate) async fn attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: GetSmsInput,
) -> Result<GetSmsResponse, wire::Fault> {
    let row = engine.sms.get(&[cx.account(), cx.region()]).await;
    let row = row.map_err(Fault::from)?;
    let mut attributes = row.map(|row| row.value.attributes).unwrap_or_default();
    let limit = attributes.entry("MonthlySpendLimit".to_owned());
    limit.or_insert_with(|| "1".to_owned());
    if let Some(wanted) = input.attributes.filter(|names| !names.is_empty()) {
        attributes.retain(|name, _| wanted.contains(name));
    }
    Ok(GetSmsResponse { attributes })
}

fn check_number(number: Option<&String>) -> Result<(), Fault> {
    let number = required("PhoneNumber", number)?;
    let digits = number.strip_prefix('+').unwrap_or(number);
    match subscriptions::is_phone_number(digits) {
        true => Ok(()),
        false => Err(Fault::parameter(
            "PhoneNumber Reason: input incorrectly formatted",
        )),
    }
}

pub(crate) async fn is_opted_out(
    _engine: Arc<Engine>,
    _cx: Context,
    input: PhoneNumberInput,
) -> Result<OptedOutResponse, wire::Fault> {
    check_number(input.phone_number.as_ref())?;
    Ok(OptedOutResponse {
        is_opted_out: false,
    })
}

pub(crate) async fn opt_in(
    _engine: Arc<Engine>,
    _cx: Context,
    input: PhoneNumberInput,
) -> Result<Empty, wire::Fault> {
    check_number(input.phone_number.as_ref())?;
    Ok(Empty {})
}

pub(crate) async fn opted_out(
    _engine: Arc<Engine>,
    _cx: Context,
    _input: NextTokenInput,
) -> Result<ListOptedOutResponse, wire::Fault> {
    Ok(ListOptedOutResponse {
        phone_numbers: Vec::new(),
    })
}

/// Every account is in the sandbox: Kiln sends no text messages.
pub(crate) async fn sandbox_status(
    _engine: Arc<Engine>,
    _cx: Context,
    _input: NoInput,
) -> Result<SandboxStatusResponse, wire::Fault> {
    Ok(SandboxStatusResponse {
        is_in_sandbox: true,
    })
}

/// [SNS API: ListSMSSandboxPhoneNumbers]
pub(crate) async fn sandbox_numbers(
    _engine: Arc<Engine>,
    _cx: Context,
    input: PagedInput,
) -> Result<NoNumbersResponse, wire::Fault> {
    no_numbers(&input, 100)
}

/// [SNS API: ListOriginationNumbers]
pub(crate) async fn origination_numbers(
    _engine: Arc<Engine>,
    _cx: Context,
    input: PagedInput,
) -> Result<NoNumbersResponse, wire::Fault> {
    no_numbers(&input, 30)
}

fn no_numbers(input: &PagedInput, results_max: i64) -> Result<NoNumbersResponse, wire::Fault> {
    if let Some(results) = input.max_results {
        let mut checks = Checks::default();
        checks.range(results, "maxResults", 1, results_max);
        checks.done()?;
    }
    Ok(NoNumbersResponse {
        phone_numbers: Vec::new(),
    })
}
