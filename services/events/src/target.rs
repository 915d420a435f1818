//! The bus as a receiver: other buses and the destinations of functions send to it. And the endpoints behind
//! it.

use async_trait::async_trait;
use model::Arn;
use model::policy::{Caller, Keys, Policy, Request, Verdict};
use model::ports::{AttributeValue, Parcel, Target, Undelivered};

use crate::engine::Engine;
use crate::event::{Event, Origin, stable_id};
use crate::fault::Fault;
use crate::names::BusRef;
use crate::route::{API_DESTINATION, HOPS, HOPS_MAX, Passage};

fn refused(code: &str, message: impl Into<String>) -> Undelivered {
    Undelivered::Refused {
        code: code.to_owned(),
        message: message.into(),
    }
}

fn later(fault: &Fault) -> Undelivered {
    Undelivered::Later {
        code: "InternalException".to_owned(),
        message: fault.to_string(),
    }
}

#[async_trait]
impl Target for Engine {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        if parcel.to.resource.starts_with(API_DESTINATION) {
            return self.call(parcel).await;
        }
        let bus = BusRef::of_arn(&parcel.to)
            .ok_or_else(|| refused("ValidationException", "EventBus ARN is not valid."))?;
        if !self.has_bus(&bus).await.map_err(|fault| later(&fault))? {
            let fault = Fault::no_bus(&bus.name);
            return Err(refused("ResourceNotFoundException", fault.to_string()));
        }
        let is_allowed = self.may_put(&bus, &parcel.sender.source, parcel);
        if !is_allowed.await.map_err(|fault| later(&fault))? {
            let message = format!("{} may not put events on the bus.", parcel.sender.source);
            return Err(refused("AccessDeniedException", message));
        }
        let hops = hops(parcel);
        if hops > HOPS_MAX {
            let message = format!("An event may pass {HOPS_MAX} buses.");
            return Err(refused("ValidationException", message));
        }
        let event = self
            .event_of(&bus, parcel)
            .ok_or_else(|| refused("MalformedDetail", "Detail is malformed."))?;
        let passage = Passage {
            event,
            trace: parcel.trace.clone(),
            hops,
            only: Vec::new(),
        };
        let accepted = self.accept(vec![(bus, passage)]).await;
        accepted.map_err(|fault| later(&fault))
    }
}

impl Engine {
    /// Senders of the same account may; others need the policy of the bus.
    async fn may_put(&self, bus: &BusRef, from: &Arn, parcel: &Parcel) -> Result<bool, Fault> {
        if from.account == bus.at.account {
            return Ok(true);
        }
        let policy = self.bus(bus).await?.policy;
        let Some(Ok(policy)) = policy.as_ref().map(Policy::read) else {
            return Ok(false);
        };
        let arn = match &parcel.sender.role {
            Some(role) => role.clone(),
            None => format!("arn:aws:iam::{}:root", from.account),
        };
        let request = Request {
            caller: &Caller::Identity {
                account: from.account.clone(),
                arn,
            },
            action: "events:PutEvents",
            resource: &bus.arn(),
            keys: &Keys::new().with("aws:SourceArn", from.to_string()),
        };
        Ok(policy.decide(&request) == Verdict::Allow)
    }

    /// An event with a head is new; without one it comes whole from another bus. In another region it has
    /// another id.
    fn event_of(&self, bus: &BusRef, parcel: &Parcel) -> Option<Event> {
        let id = stable_id(&[&parcel.id, &bus.name]);
        let Some(head) = parcel.event.clone() else {
            let mut event = Event::read(&parcel.body)?;
            if parcel.sender.source.region != bus.at.region {
                event.id = id;
            }
            return Some(event);
        };
        let origin = Origin {
            id: &id,
            account: &parcel.sender.source.account,
            region: &bus.at.region,
            time: self.now(),
        };
        Event::new(origin, head, std::str::from_utf8(&parcel.body).ok()?)
    }
}

fn hops(parcel: &Parcel) -> u32 {
    let found = parcel.attributes.iter().find(|(name, _)| name == HOPS);
    match found.map(|(_, attribute)| &attribute.value) {
        Some(AttributeValue::Text(text)) => text.parse().unwrap_or(HOPS_MAX),
        _ => 0,
    }
}
