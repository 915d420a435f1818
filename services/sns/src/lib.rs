//! SNS: topics and subscriptions as stored records, and the fan-out of what is published.
//!
//! ```text
//! Publish ─▶ message (checks) ─▶ filter (per subscription) ─▶ notification (what it gets)
//!         ─▶ Outbox::post, durable ─▶ answer          targets ─▶ queue, function, HTTP endpoint
//! ```
//!
//! A service of the query protocol. Not here: retries and dead letters (the outbox has them). Applications and
//! endpoints of mobile push are records, text messages are accepted, and neither goes anywhere; a subscription by
//! email stays pending, as nobody can confirm it.
//!
//! Start with [`Engine`] and [`service`].

mod api;
mod delivery_policy;
mod engine;
mod fanout;
mod fault;
mod filter;
mod message;
mod mobile;
mod names;
mod notification;
mod operations;
mod permit;
mod policy;
mod record;
mod sequence;
mod signing;
mod subscription_attributes;
mod sweep;
mod target;
mod topic_attributes;
mod turns;
mod web;

use std::sync::Arc;

pub use engine::{Engine, OpenError, Settings};
use model::ports::{Outbox, Web};
pub use target::TopicTarget;
pub use web::WebTarget;
use wire::{Protocol, Service};

use crate::operations::{
    applications, certificate, data_protection, endpoints, handshakes, lists, permissions, publish,
    sms, subscriptions, tags, topics,
};

/// Opens the stored state, and starts the work in the background.
///
/// # Errors
/// Fails if the store does, or if the key that signs notifications cannot be made.
pub async fn open(
    store: &store::Store,
    tasks: &tasks::Tasks,
    outbox: Arc<dyn Outbox>,
    web: Arc<dyn Web>,
    settings: Settings,
) -> Result<Arc<Engine>, OpenError> {
    let engine = Arc::new(Engine::open(store, tasks, outbox, web, settings).await?);
    tasks.add(sweep::Sweeper::new(Arc::clone(&engine)));
    Ok(engine)
}

/// The service as the router takes it.
pub fn service(engine: Arc<Engine>) -> Service {
    // Made once: the service lives as long as the process.
    let certificate: &'static str = format!("/{}", engine.certificate_name).leak();
    Service::new("sns", engine)
        .protocols([Protocol::Query {
            xmlns: "http://sns.amazonaws.com/doc/2010-03-31/",
        }])
        .internal_failure(
            "InternalError",
            "The request processing has failed because of an unknown error, exception or failure.",
        )
        .operation("CreateTopic", topics::create)
        .operation("DeleteTopic", topics::delete)
        .operation("GetTopicAttributes", topics::attributes)
        .operation("SetTopicAttributes", topics::set_attribute)
        .operation("ListTopics", lists::topics)
        .operation("Subscribe", subscriptions::subscribe)
        .operation("ConfirmSubscription", handshakes::confirm)
        .public()
        .operation("Unsubscribe", handshakes::unsubscribe)
        .public()
        .operation("GetSubscriptionAttributes", subscriptions::attributes)
        .operation("SetSubscriptionAttributes", subscriptions::set_attribute)
        .operation("ListSubscriptions", lists::subscriptions)
        .operation("ListSubscriptionsByTopic", lists::subscriptions_by_topic)
        .operation("Publish", publish::publish)
        .operation("PublishBatch", publish::batch)
        .operation("AddPermission", permissions::add)
        .operation("RemovePermission", permissions::remove)
        .operation("TagResource", tags::tag)
        .operation("UntagResource", tags::untag)
        .operation("ListTagsForResource", tags::list)
        .operation("GetDataProtectionPolicy", data_protection::get)
        .operation("PutDataProtectionPolicy", data_protection::put)
        .operation("SetSMSAttributes", sms::set_attributes)
        .operation("GetSMSAttributes", sms::attributes)
        .operation("CheckIfPhoneNumberIsOptedOut", sms::is_opted_out)
        .operation("ListPhoneNumbersOptedOut", sms::opted_out)
        .operation("OptInPhoneNumber", sms::opt_in)
        .operation("GetSMSSandboxAccountStatus", sms::sandbox_status)
        .operation("ListSMSSandboxPhoneNumbers", sms::sandbox_numbers)
        .operation("ListOriginationNumbers", sms::origination_numbers)
        .operation("CreatePlatformApplication", applications::create)
        .operation("GetPlatformApplicationAttributes", applications::attributes)
        .operation(
            "SetPlatformApplicationAttributes",
            applications::set_attributes,
        )
        .operation("DeletePlatformApplication", applications::delete)
        .operation("ListPlatformApplications", applications::list)
        .operation("ListEndpointsByPlatformApplication", endpoints::list)
        .operation("CreatePlatformEndpoint", endpoints::create)
        .operation("GetEndpointAttributes", endpoints::attributes)
        .operation("SetEndpointAttributes", endpoints::set_attributes)
        .operation("DeleteEndpoint", endpoints::delete)
        .rest_raw(
            "GetSigningCertificate",
            http::Method::GET,
            certificate,
            certificate::get,
        )
        .public()
        .not_built(NOT_BUILT)
        .build()
}

/// Operations of the model that Kiln does not have: it sends no text message that could verify a number.
const NOT_BUILT: [&str; 3] = [
    "CreateSMSSandboxPhoneNumber",
    "DeleteSMSSandboxPhoneNumber",
    "VerifySMSSandboxPhoneNumber",
];
