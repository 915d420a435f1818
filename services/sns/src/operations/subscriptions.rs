use std::sync::Arc;

use model::Arn;
use model::policy::Keys;
use wire::Context;

use super::{handshakes, required, topic_of};
use crate::api::{
    AttributesResponse, SetSubscriptionAttributesInput, SubscribeInput, SubscriptionArnResponse,
    SubscriptionInput,
};
use crate::engine::{Engine, FILTERS_MAX, SUBSCRIPTIONS_MAX};
use crate::fault::Fault;
use crate::names::{SubscriptionRef, TopicRef};
use crate::notification::HandshakeKind;
use crate::record::{State, Subscription};
use crate::{mobile, permit, subscription_attributes};

/// Bytes of the URL of an HTTP endpoint.
const URL_MAX: usize = 2_048;

pub(crate) async fn subscribe(
    engine: Arc<Engine>,
    cx: Context,
    input: SubscribeInput,
) -> Result<SubscriptionArnResponse, wire::Fault> {
    let at = topic_of(&cx, input.topic_arn.as_ref())?;
    let protocol = required("Protocol", input.protocol.as_ref())?;
    let endpoint = input.endpoint.as_deref().unwrap_or_default();
    let topic = engine.topic(&at).await?;
    check_endpoint(&engine, &at, protocol, endpoint)?;
    let wanted = input.attributes.unwrap_or_default();
    let attributes = subscription_attributes::check_new(&wanted, &at)?;
    let keys = Keys::new()
        .with("sns:Protocol", protocol)
        .with("sns:Endpoint", endpoint);
    engine.admit(&cx, &at, &topic, "Subscribe", keys)?;
    let shows_arn = input.return_subscription_arn.unwrap_or(false);
    // Two that ask for the same at the same time get the same subscription.
    let _turn = engine.turns.take(at.arn()).await?;
    let have = engine.all_subscriptions_of(&at).await?;
    let now = engine.now();
    let is_same = |s: &&Subscription| {
        let is_gone = s.is_deleted() || s.is_over(now);
        s.protocol == protocol && s.endpoint == endpoint && !is_gone
    };
    if let Some(same) = have.iter().find(is_same) {
        if !subscription_attributes::fits(&same.attributes, &attributes) {
            return Err(Fault::parameter(
                "Attributes Reason: Subscription already exists with different attributes",
            )
            .into());
        }
        if !same.is_confirmed() {
            handshakes::post(&engine, &at, same, HandshakeKind::Subscription).await?;
        }
        return Ok(answer(&at, same, shows_arn));
    }
    if have.len() >= SUBSCRIPTIONS_MAX {
        return Err(Fault::TooManySubscriptions.into());
    }
    if attributes.contains_key("FilterPolicy") {
        check_filters(&have, now)?;
    }
    let id = engine.ids.uuid();
    let token = handshakes::token(&engine, &id);
    let subscription = Subscription {
        id,
        topic: at.name.clone(),
        protocol: protocol.to_owned(),
        endpoint: endpoint.to_owned(),
        owner: cx.account().to_owned(),
        principal: cx.principal_arn(),
        created_ms: engine.now(),
        attributes,
        state: match protocol {
            // Endpoints that AWS itself runs need not be asked, but for those of others.
            "sqs" if account_of(endpoint).as_deref() != Some(cx.account()) => {
                State::Pending { token }
            }
            "sqs" | "lambda" | "sms" | "application" => State::Confirmed {
                was_authenticated: true,
                token: None,
            },
            _ => State::Pending { token },
        },
    };
    let made = SubscriptionRef {
        topic: at.clone(),
        id: subscription.id.clone(),
    };
    engine.insert_subscription(&made, &subscription).await?;
    if !subscription.is_confirmed() {
        handshakes::post(&engine, &at, &subscription, HandshakeKind::Subscription).await?;
    }
    Ok(answer(&at, &subscription, shows_arn))
}

/// Whether the topic may have one more filter policy.
fn check_filters(have: &[Subscription], now: i64) -> Result<(), Fault> {
    let has_filter = |s: &&Subscription| {
        let is_there = !s.is_deleted() && !s.is_over(now);
        is_there && s.attributes.contains_key("FilterPolicy")
    };
    match have.iter().filter(has_filter).count() < FILTERS_MAX {
        true => Ok(()),
        false => Err(Fault::TooManyFilters),
    }
}

fn account_of(endpoint: &str) -> Option<String> {
    endpoint.parse().ok().map(|arn: Arn| arn.account)
}

fn answer(at: &TopicRef, subscription: &Subscription, shows_arn: bool) -> SubscriptionArnResponse {
    let made = SubscriptionRef {
        topic: at.clone(),
        id: subscription.id.clone(),
    };
    SubscriptionArnResponse {
        subscription_arn: match subscription.is_confirmed() || shows_arn {
            true => made.arn(),
            false => "pending confirmation".to_owned(),
        },
    }
}

/// Whether the endpoint is one of its protocol.
fn check_endpoint(
    engine: &Engine,
    at: &TopicRef,
    protocol: &str,
    endpoint: &str,
) -> Result<(), Fault> {
    let arn_of = |service: &str| {
        endpoint
            .parse::<Arn>()
            .ok()
            .filter(|arn| arn.service == service && !arn.resource.is_empty())
    };
    match protocol {
        "sqs" => {
            let arn = arn_of("sqs").ok_or_else(|| Fault::parameter("SQS endpoint ARN"))?;
            if arn.resource.ends_with(".fifo") && !at.is_fifo() {
                return Err(Fault::parameter(
                    "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to \
                     standard SNS topics",
                ));
            }
            return Ok(());
        }
        "lambda" | "http" | "https" | "email" | "email-json" | "sms" | "application" => {}
        "firehose" => return Err(Fault::NotBuilt("subscriptions of the protocol firehose")),
        other => {
            return Err(Fault::parameter(format!(
                "Amazon SNS does not support this protocol string: {other}"
            )));
        }
    }
    if at.is_fifo() && protocol != "sms" {
        return Err(Fault::parameter(format!(
            "Invalid protocol type: {protocol}"
        )));
    }
    match protocol {
        "lambda" => match arn_of("lambda") {
            Some(arn) if arn.resource.starts_with("function:") => Ok(()),
            _ => Err(Fault::parameter("Lambda endpoint ARN")),
        },
        "http" | "https" => {
            if endpoint.len() > URL_MAX {
                return Err(Fault::parameter("Endpoint"));
            }
            let is_of_protocol = endpoint
                .split_once("://")
                .is_some_and(|(scheme, rest)| scheme == protocol && !rest.is_empty());
            if !is_of_protocol {
                return Err(Fault::parameter(
                    "Endpoint must match the specified protocol",
                ));
            }
            engine
                .web
                .check(endpoint)
                .map_err(|why| Fault::parameter(format!("Endpoint Reason: {why}")))
        }
        "application" => match mobile::endpoint("Endpoint", endpoint) {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::parameter(format!(
                "Application endpoint arn invalid:{endpoint}"
            ))),
        },
        "sms" => {
            let digits = endpoint.strip_prefix('+').unwrap_or(endpoint);
            match is_phone_number(digits) {
                true => Ok(()),
                false => Err(Fault::InvalidText(format!(
                    "Invalid SMS endpoint: {endpoint}"
                ))),
            }
        }
        _ => match endpoint.split_once('@') {
            Some((name, domain)) if !name.is_empty() && !domain.is_empty() => Ok(()),
            _ => Err(Fault::parameter("Email address")),
        },
    }
}

/// Digits, perhaps with single separators between them.
pub(crate) fn is_phone_number(text: &str) -> bool {
    let mut was_digit = false;
    for letter in text.chars() {
        let is_digit = letter.is_ascii_digit();
        let separates = was_digit && " -./".contains(letter);
        if !(is_digit || separates) {
            return false;
        }
        was_digit = is_digit;
    }
    was_digit && text.chars().filter(char::is_ascii_digit).count() <= 15
}

pub(crate) async fn attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: SubscriptionInput,
) -> Result<AttributesResponse, wire::Fault> {
    let arn = required("SubscriptionArn", input.subscription_arn.as_ref())?;
    let at = SubscriptionRef::parse(arn)?;
    let subscription = engine.subscription(&at).await?;
    permit::check_owner(&cx, &at.topic, &subscription, "GetSubscriptionAttributes")?;
    let topic = engine.find_topic(&at.topic).await?;
    let policy = topic
        .as_ref()
        .and_then(|t| t.attributes.get("DeliveryPolicy"));
    Ok(AttributesResponse {
        attributes: subscription_attributes::shown(&subscription, &at, policy.map(String::as_str)),
    })
}

pub(crate) async fn set_attribute(
    engine: Arc<Engine>,
    cx: Context,
    input: SetSubscriptionAttributesInput,
) -> Result<(), wire::Fault> {
    let arn = required("SubscriptionArn", input.subscription_arn.as_ref())?;
    let at = SubscriptionRef::parse(arn)?;
    let name = required("AttributeName", input.attribute_name.as_ref())?;
    let value = input.attribute_value.as_deref().unwrap_or_default();
    let subscription = engine.subscription(&at).await?;
    permit::check_owner(&cx, &at.topic, &subscription, "SetSubscriptionAttributes")?;
    let _turn = engine.turns.take(at.topic.arn()).await?;
    if name == "FilterPolicy" && !value.is_empty() && !subscription.attributes.contains_key(name) {
        let have = engine.all_subscriptions_of(&at.topic).await?;
        check_filters(&have, engine.now())?;
    }
    engine
        .change_subscription(&at, |subscription| {
            subscription_attributes::set(&mut subscription.attributes, &at.topic, name, value)
        })
        .await?;
    Ok(())
}
