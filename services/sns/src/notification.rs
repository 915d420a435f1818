//! What receivers get: the JSON of a notification, the event of a function. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::ports::{Attribute, AttributeValue};
use serde_json::{Map, Value, json};

use crate::signing;

/// One message as one subscription gets it.
pub(crate) struct Notification<'a> {
    pub(crate) message_id: &'a str,
    /// Of FIFO topics, whose notifications are not signed.
    pub(crate) sequence: Option<&'a str>,
    pub(crate) topic_arn: &'a str,
    pub(crate) subject: Option<&'a str>,
    pub(crate) message: &'a str,
    /// ISO 8601 with milliseconds.
    pub(crate) timestamp: &'a str,
    pub(crate) attributes: &'a [(String, Attribute)],
    pub(crate) subscription_arn: &'a str,
    /// Where receivers reach this server, without a slash at the end.
    pub(crate) base: &'a str,
}

/// A signature and what it takes to check it.
pub(crate) struct Signature<'a> {
    pub(crate) version: &'a str,
    pub(crate) text: &'a str,
    pub(crate) certificate_url: &'a str,
}

impl Notification<'_> {
    /// The text that is signed; the same for all subscriptions that get the same message.
    pub(crate) fn canonical(&self) -> String {
        let mut members = vec![("Message", self.message), ("MessageId", self.message_id)];
        members.extend(self.subject.map(|subject| ("Subject", subject)));
        members.extend([
            ("Timestamp", self.timestamp),
            ("TopicArn", self.topic_arn),
            ("Type", "Notification"),
        ]);
        signing::canonical(&members)
    }

    fn unsubscribe_url(&self) -> String {
        format!(
            "{}/?Action=Unsubscribe&SubscriptionArn={}",
            self.base, self.subscription_arn
        )
    }

    /// The body that queues and HTTP endpoints get.  [SNS guide: Amazon SNS message formats]
    pub(crate) fn body(&self, signature: Option<&Signature<'_>>) -> String {
        let mut page = Page::new();
        page.member("Type", "Notification");
        page.member("MessageId", self.message_id);
        page.optional("SequenceNumber", self.sequence);
        page.member("TopicArn", self.topic_arn);
        page.optional("Subject", self.subject);
        page.member("Message", self.message);
        page.member("Timestamp", self.timestamp);
        if let Some(signature) = signature {
            page.member("SignatureVersion", signature.version);
            page.member("Signature", signature.text);
            page.member("SigningCertURL", signature.certificate_url);
        }
        page.member("UnsubscribeURL", &self.unsubscribe_url());
        if !self.attributes.is_empty() {
            page.attributes(self.attributes);
        }
        page.end()
    }

    /// The event that a function gets: one record.  [Lambda guide: SNS; spec 3.2]
    ///
    /// It says version 1 whatever the topic's is, as AWS does.
    pub(crate) fn event(&self, signature: Option<&Signature<'_>>) -> String {
        let attributes: Map<String, Value> = self
            .attributes
            .iter()
            .map(|(name, attribute)| (name.clone(), shown(attribute)))
            .collect();
        json!({"Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": self.subscription_arn,
            "Sns": {
                "Type": "Notification",
                "MessageId": self.message_id,
                "TopicArn": self.topic_arn,
                "Subject": self.subject,
                "Message": self.message,
                "Timestamp": self.timestamp,
                "SignatureVersion": "1",
                "Signature": signature.map(|s| s.text),
                "SigningCertUrl": signature.map(|s| s.certificate_url),
                "UnsubscribeUrl": self.unsubscribe_url(),
                "MessageAttributes": attributes,
            },
        }]})
        .to_string()
    }
}

/// What asks an HTTP endpoint whether it wants a subscription, or wants it back.
pub(crate) struct Handshake<'a> {
    pub(crate) kind: HandshakeKind,
    pub(crate) message_id: &'a str,
    pub(crate) token: &'a str,
    pub(crate) topic_arn: &'a str,
    pub(crate) subscription_arn: &'a str,
    pub(crate) timestamp: &'a str,
    pub(crate) base: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HandshakeKind {
    Subscription,
    Unsubscribe,
}

impl HandshakeKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            HandshakeKind::Subscription => "SubscriptionConfirmation",
            HandshakeKind::Unsubscribe => "UnsubscribeConfirmation",
        }
    }
}

impl Handshake<'_> {
    fn message(&self) -> String {
        match self.kind {
            HandshakeKind::Subscription => format!(
                "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the SubscribeURL included in this message.",
                self.topic_arn
            ),
            HandshakeKind::Unsubscribe => format!(
                "You have chosen to deactivate subscription {}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.",
                self.subscription_arn
            ),
        }
    }

    fn subscribe_url(&self) -> String {
        format!(
            "{}/?Action=ConfirmSubscription&TopicArn={}&Token={}",
            self.base, self.topic_arn, self.token
        )
    }

    pub(crate) fn canonical(&self) -> String {
        signing::canonical(&[
            ("Message", &self.message()),
            ("MessageId", self.message_id),
            ("SubscribeURL", &self.subscribe_url()),
            ("Timestamp", self.timestamp),
            ("Token", self.token),
            ("TopicArn", self.topic_arn),
            ("Type", self.kind.name()),
        ])
    }

    pub(crate) fn body(&self, signature: &Signature<'_>) -> String {
        let mut page = Page::new();
        page.member("Type", self.kind.name());
        page.member("MessageId", self.message_id);
        page.member("Token", self.token);
        page.member("TopicArn", self.topic_arn);
        page.member("Message", &self.message());
        page.member("SubscribeURL", &self.subscribe_url());
        page.member("Timestamp", self.timestamp);
        page.member("SignatureVersion", signature.version);
        page.member("Signature", signature.text);
        page.member("SigningCertURL", signature.certificate_url);
        page.end()
    }
}

fn shown(attribute: &Attribute) -> Value {
    let value = match &attribute.value {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Binary(bytes) => STANDARD.encode(bytes),
    };
    json!({"Type": attribute.kind, "Value": value})
}

/// JSON as SNS lays it out: a member a line, ` : ` between name and value.
struct Page(String);

impl Page {
    fn new() -> Page {
        Page("{".to_owned())
    }

    fn raw(&mut self, name: &str, json: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        self.0.push_str(&format!("{comma}\n  \"{name}\" : {json}"));
    }

    fn member(&mut self, name: &str, value: &str) {
        self.raw(name, &Value::from(value).to_string());
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    fn attributes(&mut self, attributes: &[(String, Attribute)]) {
        let lines: Vec<String> = attributes
            .iter()
            .map(|(name, attribute)| {
                format!("    {} : {}", Value::from(name.as_str()), shown(attribute))
            })
            .collect();
        self.raw(
            "MessageAttributes",
            &format!("{{\n{}\n  }}", lines.join(",\n")),
        );
    }

    fn end(mut self) -> String {
        self.0.push_str("\n}");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: Signature<'static> = Signature {
        version: "1",
        text: "c2ln",
        certificate_url: "http://h/cert.pem",
    };

    fn attributes() -> Vec<(String, Attribute)> {
        let text = |kind: &str, text: &str| Attribute {
            kind: kind.to_owned(),
            value: AttributeValue::Text(text.to_owned()),
        };
        vec![
            ("a".to_owned(), text("Number", "99.12")),
            (
                "b".to_owned(),
                Attribute {
                    kind: "Binary".to_owned(),
                    value: AttributeValue::Binary(bytes::Bytes::from_static(&[2, 3, 4])),
                },
            ),
        ]
    }

    fn notification(attributes: &[(String, Attribute)]) -> Notification<'_> {
        Notification {
            message_id: "id",
            sequence: None,
            topic_arn: "arn:t",
            subject: None,
            message: "a \"b\"",
            timestamp: "2026-11-20T21:10:00.000Z",
            attributes,
            subscription_arn: "arn:t:s",
            base: "http://h",
        }
    }

    #[test]
    fn a_notification_is_laid_out_as_that_of_aws() {
        let attributes = attributes();
        assert_eq!(
            notification(&attributes).body(Some(&SIGNATURE)),
            r#"{
  "Type" : "Notification",
  "MessageId" : "id",
  "TopicArn" : "arn:t",
  "Message" : "a \"b\"",
  "Timestamp" : "2026-11-20T21:10:00.000Z",
  "SignatureVersion" : "1",
  "Signature" : "c2ln",
  "SigningCertURL" : "http://h/cert.pem",
  "UnsubscribeURL" : "http://h/?Action=Unsubscribe&SubscriptionArn=arn:t:s",
  "MessageAttributes" : {
    "a" : {"Type":"Number","Value":"99.12"},
    "b" : {"Type":"Binary","Value":"AgME"}
  }
}"#
        );
    }

    #[test]
    fn members_that_are_not_there_are_left_out_and_fifo_is_not_signed() {
        let fifo = Notification {
            sequence: Some("10000000000000000001"),
            subject: Some("s"),
            ..notification(&[])
        };
        let body: Map<String, Value> = serde_json::from_str(&fifo.body(None)).unwrap();
        let names: Vec<&str> = body.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "Type",
                "MessageId",
                "SequenceNumber",
                "TopicArn",
                "Subject",
                "Message",
                "Timestamp",
                "UnsubscribeURL"
            ]
        );
    }

    #[test]
    fn an_event_has_members_in_the_order_of_aws_and_another_spelling() {
        let event = notification(&[]).event(Some(&SIGNATURE));
        assert_eq!(
            event,
            r#"{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"arn:t:s","Sns":{"Type":"Notification","MessageId":"id","TopicArn":"arn:t","Subject":null,"Message":"a \"b\"","Timestamp":"2026-11-20T21:10:00.000Z","SignatureVersion":"1","Signature":"c2ln","SigningCertUrl":"http://h/cert.pem","UnsubscribeUrl":"http://h/?Action=Unsubscribe&SubscriptionArn=arn:t:s","MessageAttributes":{}}}]}"#
        );
    }

    #[test]
    fn a_handshake_signs_its_url_and_token() {
        let handshake = Handshake {
            kind: HandshakeKind::Subscription,
            message_id: "id",
            token: "tok",
            topic_arn: "arn:t",
            subscription_arn: "arn:t:s",
            timestamp: "now",
            base: "http://h",
        };
        let url = "http://h/?Action=ConfirmSubscription&TopicArn=arn:t&Token=tok";
        assert!(handshake.canonical().contains(&format!(
            "SubscribeURL\n{url}\nTimestamp\nnow\nToken\ntok\n"
        )));
        let body: Value = serde_json::from_str(&handshake.body(&SIGNATURE)).unwrap();
        assert_eq!(body["SubscribeURL"], url);
        assert_eq!(body["Type"], "SubscriptionConfirmation");
    }
}
