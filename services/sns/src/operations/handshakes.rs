use std::sync::Arc;

use bytes::Bytes;
use model::ports::{Parcel, Posting};
use wire::Context;

use super::required;
use crate::api::{ConfirmSubscriptionInput, SubscriptionArnResponse, SubscriptionInput};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::{SubscriptionRef, TopicRef, arn};
use crate::notification::{Handshake, HandshakeKind, Signature};
use crate::record::{State, Subscription};
use crate::signing::Version;
use crate::{delivery_policy, fanout};

/// Bytes of a token that restores; twice as many letters.
const TOKEN_BYTES: usize = 144;

/// Posts the message that asks an HTTP endpoint to confirm; other endpoints cannot be asked.
pub(super) async fn post(
    engine: &Engine,
    at: &TopicRef,
    subscription: &Subscription,
    kind: HandshakeKind,
) -> Result<(), Fault> {
    let Some(token) = subscription.token() else {
        return Ok(());
    };
    if !subscription.protocol.starts_with("http") {
        tracing::info!(
            topic = at.name,
            protocol = subscription.protocol,
            "Kiln sends no messages of this protocol; the subscription stays pending"
        );
        return Ok(());
    }
    let message_id = engine.ids.uuid();
    let (topic_arn, timestamp) = (at.arn(), engine.timestamp());
    let own = SubscriptionRef {
        topic: at.clone(),
        id: subscription.id.clone(),
    }
    .arn();
    let handshake = Handshake {
        kind,
        message_id: &message_id,
        token,
        topic_arn: &topic_arn,
        subscription_arn: &own,
        timestamp: &timestamp,
        base: &engine.settings.base,
    };
    let topic = engine.find_topic(at).await?;
    let version = topic
        .as_ref()
        .and_then(|t| t.attributes.get("SignatureVersion"));
    let version = Version::of(version.map(String::as_str));
    let signed = engine
        .signer()
        .await?
        .sign(version, &handshake.canonical())
        .map_err(|error| Fault::Internal(error.to_string()))?;
    let body = handshake.body(&Signature {
        version: version.number(),
        text: &signed,
        certificate_url: &engine.certificate_url(),
    });
    let mut headers = fanout::headers(kind.name(), &message_id, &topic_arn);
    if kind == HandshakeKind::Unsubscribe {
        headers.push(fanout::header("x-amz-sns-subscription-arn", &own));
    }
    headers.push(fanout::header("content-type", "text/plain; charset=UTF-8"));
    let posting = Posting {
        parcel: Parcel {
            id: message_id.clone(),
            to: fanout::url(at, &subscription.endpoint),
            sender: fanout::sender(at),
            body: Bytes::from(body),
            attributes: headers,
            subject: None,
            group: None,
            dedup: None,
            trace: None,
            event: None,
        },
        patience: delivery_policy::Retry::default().patience(),
        dead_letter: None,
    };
    engine.outbox.post(vec![posting]).await?;
    Ok(())
}

/// Confirms or restores a subscription. The token alone says which: the request needs no signature.
pub(crate) async fn confirm(
    engine: Arc<Engine>,
    cx: Context,
    input: ConfirmSubscriptionInput,
) -> Result<SubscriptionArnResponse, wire::Fault> {
    let text = required("TopicArn", input.topic_arn.as_ref())?;
    let token = required("Token", input.token.as_ref())?;
    let topic = arn("Topic", text)
        .ok()
        .and_then(|arn| TopicRef::of(&arn))
        .ok_or_else(|| Fault::parameter("Topic"))?;
    if token.len() < TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Fault::InvalidText("Invalid token".to_owned()).into());
    }
    let all = engine.all_subscriptions_of(&topic).await?;
    let found = all.iter().find(|s| s.token() == Some(token));
    let found = found.ok_or_else(|| Fault::parameter("Token"))?;
    let at = SubscriptionRef {
        topic,
        id: found.id.clone(),
    };
    let was_authenticated = cx.access_key().is_some();
    let keeps = input
        .authenticate_on_unsubscribe
        .is_some_and(|v| v.eq_ignore_ascii_case("true"));
    engine
        .change_subscription(&at, |subscription| {
            if !subscription.is_confirmed() {
                subscription.state = State::Confirmed {
                    was_authenticated,
                    token: Some(token.to_owned()),
                };
            }
            if keeps {
                let kept = ("AuthenticateOnUnsubscribe".to_owned(), "true".to_owned());
                subscription.attributes.extend([kept]);
            }
            Ok(())
        })
        .await?;
    Ok(SubscriptionArnResponse {
        subscription_arn: at.arn(),
    })
}

/// Deletes a subscription. An HTTP endpoint is told, and may restore it.
pub(crate) async fn unsubscribe(
    engine: Arc<Engine>,
    cx: Context,
    input: SubscriptionInput,
) -> Result<(), wire::Fault> {
    let arn = required("SubscriptionArn", input.subscription_arn.as_ref())?;
    let at = SubscriptionRef::parse(arn)?;
    let Some(mut subscription) = engine.find_subscription(&at).await? else {
        return Ok(());
    };
    let is_known = cx.access_key().is_some();
    if !is_known
        && subscription
            .attributes
            .contains_key("AuthenticateOnUnsubscribe")
    {
        return Err(Fault::Authorization(
            "Only the topic or subscription owner can delete the subscription".to_owned(),
        )
        .into());
    }
    if !(subscription.protocol.starts_with("http") && subscription.is_confirmed()) {
        engine.remove_subscription(&at).await?;
        return Ok(());
    }
    let token = engine.ids.hex(TOKEN_BYTES);
    subscription.state = State::Deleted { token };
    let state = subscription.state.clone();
    engine
        .change_subscription(&at, |subscription| {
            subscription.state = state.clone();
            Ok(())
        })
        .await?;
    post(
        &engine,
        &at.topic,
        &subscription,
        HandshakeKind::Unsubscribe,
    )
    .await?;
    Ok(())
}
