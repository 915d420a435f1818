//! What is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::Record;

/// Attributes that a caller has set; what is absent has its default.
pub(crate) type Attributes = BTreeMap<String, String>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) attributes: Attributes,
    /// In the order in which they came.
    pub(crate) tags: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data_protection: Option<String>,
}

impl Record for Topic {
    const KIND: &'static str = "topic";
    const VERSION: u8 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    /// The topic's name; account and region are in the key.
    pub(crate) topic: String,
    pub(crate) protocol: String,
    pub(crate) endpoint: String,
    /// The account that subscribed.
    pub(crate) owner: String,
    pub(crate) principal: String,
    pub(crate) created_ms: i64,
    pub(crate) attributes: Attributes,
    pub(crate) state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    Pending {
        token: String,
    },
    Confirmed {
        /// Whether the one who confirmed was known, so that only the owner may unsubscribe.
        was_authenticated: bool,
        /// What confirmed it, so that the same token may confirm again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// Unsubscribed, and restored by whoever has the token.
    Deleted {
        token: String,
        at_ms: i64,
    },
}

impl Subscription {
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self.state, State::Confirmed { .. })
    }

    pub(crate) fn is_deleted(&self) -> bool {
        matches!(self.state, State::Deleted { .. })
    }

    /// What confirms or restores it.
    pub(crate) fn token(&self) -> Option<&str> {
        match &self.state {
            State::Pending { token } | State::Deleted { token, .. } => Some(token),
            State::Confirmed { token, .. } => token.as_deref(),
        }
    }

    pub(crate) fn is_raw(&self) -> bool {
        self.attributes
            .get("RawMessageDelivery")
            .is_some_and(|v| v == "true")
    }
}

impl Record for Subscription {
    const KIND: &'static str = "subscription";
    const VERSION: u8 = 1;
}

/// A message of a FIFO topic, remembered for five minutes under its deduplication id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) message_id: String,
    pub(crate) sequence: String,
    pub(crate) at_ms: i64,
    /// Whether all its deliveries were accepted; otherwise a second publish posts them again.
    pub(crate) is_posted: bool,
}

impl Record for Published {
    const KIND: &'static str = "published";
    const VERSION: u8 = 1;
}

/// What an account has set about text messages in a region.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SmsAttributes {
    pub(crate) attributes: Attributes,
}

impl Record for SmsAttributes {
    const KIND: &'static str = "sms-attributes";
    const VERSION: u8 = 1;
}

/// The key that signs notifications, and its certificate.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SigningKey {
    /// PKCS#8, base64.
    pub(crate) key: String,
    pub(crate) certificate_pem: String,
    /// The last part of the certificate's URL.
    pub(crate) name: String,
}

impl Record for SigningKey {
    const KIND: &'static str = "signing-key";
    const VERSION: u8 = 1;
    const IS_SECRET: bool = true;
}
