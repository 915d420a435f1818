//! What the policy of a topic says of who wants to do something with it.

use model::policy::{Caller, Keys, Policy, Request, Verdict};
use model::ports::Sender;
use wire::Context;

use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::TopicRef;
use crate::record::{Subscription, Topic};

/// Someone at the door of a topic.
struct Visitor {
    caller: Caller,
    /// As the refusal names it.
    name: String,
    keys: Keys,
    /// Whether it may do what no statement speaks of.
    is_let_in: bool,
}

impl Visitor {
    /// Identities of the topic's own account are let in: what they may do is the matter of their own
    /// policies. Those of other accounts need a statement.
    fn identity(at: &TopicRef, account: &str, arn: String) -> Visitor {
        Visitor {
            keys: Keys::new()
                .with("aws:SourceOwner", account)
                .with("aws:PrincipalAccount", account)
                .with("aws:PrincipalArn", arn.as_str())
                .with("aws:SecureTransport", "false"),
            is_let_in: account == at.account,
            name: arn.clone(),
            caller: Caller::Identity {
                account: account.to_owned(),
                arn,
            },
        }
    }
}

impl Engine {
    /// The topic, if the caller may do `action` with it.
    pub(crate) async fn topic_for(
        &self,
        cx: &Context,
        at: &TopicRef,
        action: &str,
    ) -> Result<Topic, Fault> {
        let topic = self.topic(at).await?;
        self.admit(cx, at, &topic, action, Keys::new())?;
        Ok(topic)
    }

    /// Asks the policy of a topic about a call, which may have condition keys of its own.
    pub(crate) fn admit(
        &self,
        cx: &Context,
        at: &TopicRef,
        topic: &Topic,
        action: &str,
        own: Keys,
    ) -> Result<(), Fault> {
        let now = self.clock.now().iso_secs();
        let visitor = Visitor::identity(at, cx.account(), cx.principal_arn());
        let keys = visitor.keys.clone().and(own).with("aws:CurrentTime", now);
        decide(at, topic, action, Visitor { keys, ..visitor })
    }

    /// Asks the policy of a topic about what another part of the process publishes. That a service needs a
    /// statement counts only where permissions are checked, a denial always.
    pub(crate) fn admit_sender(
        &self,
        at: &TopicRef,
        topic: &Topic,
        sender: &Sender,
    ) -> Result<(), Fault> {
        let source = &sender.source;
        let visitor = match sender.role.as_ref().map(|role| (role, role.parse())) {
            Some((role, Ok(model::Arn { account, .. }))) => {
                Visitor::identity(at, &account, role.clone())
            }
            _ => Visitor {
                caller: Caller::Service(sender.service.to_owned()),
                name: sender.service.to_owned(),
                keys: Keys::new().with("aws:SourceOwner", source.account.as_str()),
                is_let_in: !self.settings.needs_policies,
            },
        };
        let keys = visitor
            .keys
            .clone()
            .with("aws:SourceArn", source.to_string())
            .with("aws:SourceAccount", source.account.as_str());
        decide(at, topic, "Publish", Visitor { keys, ..visitor })
    }
}

/// Whether the account may see and change the subscription: its own, or one to a topic of its own.
pub(crate) fn check_owner(
    cx: &Context,
    at: &TopicRef,
    subscription: &Subscription,
    action: &str,
) -> Result<(), Fault> {
    if [at.account.as_str(), subscription.owner.as_str()].contains(&cx.account()) {
        return Ok(());
    }
    Err(refused(&cx.principal_arn(), at, action, Verdict::Silent))
}

fn decide(at: &TopicRef, topic: &Topic, action: &str, visitor: Visitor) -> Result<(), Fault> {
    // The default policy lets in the owner's account and nobody else. A text that cannot be read says nothing.
    let policy = topic.attributes.get("Policy");
    let policy = policy.and_then(|text| Policy::parse(text).ok());
    let verdict = policy.map_or(Verdict::Silent, |policy| {
        policy.decide(&Request {
            caller: &visitor.caller,
            action: &format!("sns:{action}"),
            resource: &at.arn(),
            keys: &visitor.keys,
        })
    });
    match verdict {
        Verdict::Allow => Ok(()),
        Verdict::Silent if visitor.is_let_in => Ok(()),
        other => Err(refused(&visitor.name, at, action, other)),
    }
}

fn refused(who: &str, at: &TopicRef, action: &str, verdict: Verdict) -> Fault {
    let because = match verdict {
        Verdict::Deny => "with an explicit deny in a resource-based policy".to_owned(),
        _ => format!("because no resource-based policy allows the SNS:{action} action"),
    };
    Fault::Authorization(format!(
        "User: {who} is not authorized to perform: SNS:{action} on resource: {} {because}",
        at.arn()
    ))
}
