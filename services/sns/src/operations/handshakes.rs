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

/// The first letters of a token: the subscription's id without its hyphens.
const ID_LETTERS: usize = 32;
/// Bytes by chance behind them; twice as many letters.
const SECRET_BYTES: usize = 128;

/// A new token. It begins with the subscription's id, so that whoever sends one costs one look at the store.
pub(super) fn token(engine: &Engine, id: &str) -> String {
    id.replace('-', "") + &engine.ids.hex(SECRET_BYTES)
}

/// The id of the subscription whose token this is.
fn id_in(token: &str) -> String {
    let part = |from: usize, to: usize| token.get(from..to).unwrap_or_default();
    let parts = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ];
    parts.join("-")
}

/// Posts the message that asks an HTTP endpoint, or a queue of another account, to confirm; other
/// endpoints cannot be asked.
pub(super) async fn post(
    engine: &Engine,
    at: &TopicRef,
    subscription: &Subscription,
    kind: HandshakeKind,
) -> Result<(), Fault> {
    let Some(token) = subscription.token() else {
        return Ok(());
    };
    let to = match subscription.protocol.as_str() {
        "http" | "https" => Some(fanout::url(at, &subscription.endpoint)),
        "sqs" => subscription.endpoint.parse().ok(),
        _ => None,
    };
    let Some(to) = to else {
        tracing::info!(
            topic = at.name,
            protocol = subscription.protocol,
            "Kiln sends no messages of this protocol; the subscription stays pending"
        );
        return Ok(());
    };
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
            attributes: match to.service == fanout::HTTP {
                true => headers,
                false => Vec::new(),
            },
            to,
            sender: fanout::sender(at),
            body: Bytes::from(body),
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
    if token.len() < ID_LETTERS || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Fault::InvalidText("Invalid token".to_owned()).into());
    }
    let at = SubscriptionRef {
        topic,
        id: id_in(token),
    };
    let found = engine.any_subscription(&at).await?;
    found
        .filter(|s| s.token() == Some(token) && !s.is_over(engine.now()))
        .ok_or_else(|| Fault::parameter("Token"))?;
    let was_authenticated = cx.access_key().is_some();
    let keeps = input
        .authenticate_on_unsubscribe
        .is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if keeps && !was_authenticated {
        return Err(Fault::Authorization(
            "AuthenticateOnUnsubscribe needs a signed request".to_owned(),
        )
        .into());
    }
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
    let owners = [&at.topic.account, &subscription.owner];
    let is_owner = cx.access_key().is_some() && owners.iter().any(|o| *o == cx.account());
    let asks_for_owner = subscription
        .attributes
        .contains_key("AuthenticateOnUnsubscribe");
    if asks_for_owner && !is_owner {
        return Err(Fault::Authorization(
            "Only the topic or subscription owner can delete the subscription".to_owned(),
        )
        .into());
    }
    if !(subscription.protocol.starts_with("http") && subscription.is_confirmed()) {
        engine.remove_subscription(&at).await?;
        return Ok(());
    }
    subscription.state = State::Deleted {
        token: token(&engine, &subscription.id),
        at_ms: engine.now(),
    };
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
