//! The stored form of a posting: a version, the length of a head, the head as JSON, the body as it is,
//! and behind it the body of a dead letter that has its own.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use model::Arn;
use model::ports::{
    Attribute, AttributeValue, DeadLetter, DeadLetterStyle, EventHead, Growth, Parcel, Patience,
    Phases, Posting, Sender, Waits,
};
use serde::{Deserialize, Serialize};
use store::StoreError;

/// Grows when the form changes in a way that older code cannot read.
const VERSION: u8 = 1;

/// Short names: one head lies in the store for each posting.
#[derive(Serialize, Deserialize)]
struct Head {
    id: String,
    to: String,
    service: String,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<StoredAttribute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dedup: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<StoredEvent>,
    retries_max: u32,
    age_max_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phases: Option<StoredPhases>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead_letter: Option<StoredDeadLetter>,
}

#[derive(Serialize, Deserialize)]
struct StoredPhases {
    immediate: u32,
    early: u32,
    growing: u32,
    #[serde(with = "StoredGrowth")]
    growth: Growth,
    shortest_us: u64,
    longest_us: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(remote = "Growth", rename_all = "lowercase")]
enum StoredGrowth {
    Linear,
    Arithmetic,
    Geometric,
    Exponential,
}

#[derive(Serialize, Deserialize)]
struct StoredAttribute {
    name: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct StoredEvent {
    source: String,
    detail_type: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredDeadLetter {
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    other: Option<StoredOther>,
}

#[derive(Serialize, Deserialize)]
struct StoredOther {
    attributes: Vec<StoredAttribute>,
    body_bytes: usize,
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("posting: {what}").into())
}

pub(crate) fn encode(posting: &Posting) -> Result<Bytes, StoreError> {
    let head = serde_json::to_vec(&Head::of(posting)).map_err(|_| damaged("does not encode"))?;
    let length = u32::try_from(head.len()).map_err(|_| damaged("head is too long"))?;
    let body = &posting.parcel.body;
    let own = match posting.dead_letter.as_ref().map(|letter| &letter.style) {
        Some(DeadLetterStyle::Other { body, .. }) => body.clone(),
        _ => Bytes::new(),
    };
    let mut bytes = BytesMut::with_capacity(5 + head.len() + body.len() + own.len());
    bytes.put_u8(VERSION);
    bytes.put_u32(length);
    bytes.put_slice(&head);
    bytes.put_slice(body);
    bytes.put_slice(&own);
    Ok(bytes.freeze())
}

pub(crate) fn decode(bytes: &Bytes) -> Result<Posting, StoreError> {
    let (version, length) = match bytes.get(..5) {
        Some([version, length @ ..]) => (*version, length.try_into().map(u32::from_be_bytes)),
        _ => return Err(damaged("too short")),
    };
    if version > VERSION {
        return Err(StoreError::Newer {
            found: version.into(),
            known: VERSION.into(),
        });
    }
    let end = 5 + length.map_err(|_| damaged("too short"))? as usize;
    let head = bytes.get(5..end).ok_or_else(|| damaged("too short"))?;
    let head: Head = serde_json::from_slice(head).map_err(|_| damaged("head"))?;
    head.posting(bytes.slice(end..))
}

impl Head {
    fn of(posting: &Posting) -> Head {
        let parcel = &posting.parcel;
        Head {
            id: parcel.id.clone(),
            to: parcel.to.to_string(),
            service: parcel.sender.service.to_owned(),
            source: parcel.sender.source.to_string(),
            role: parcel.sender.role.clone(),
            attributes: parcel.attributes.iter().map(StoredAttribute::of).collect(),
            subject: parcel.subject.clone(),
            group: parcel.group.clone(),
            dedup: parcel.dedup.clone(),
            trace: parcel.trace.clone(),
            event: parcel.event.as_ref().map(|event| StoredEvent {
                source: event.source.clone(),
                detail_type: event.detail_type.clone(),
                resources: event.resources.clone(),
            }),
            retries_max: posting.patience.retries_max,
            age_max_us: micros(posting.patience.age_max),
            phases: StoredPhases::of(posting.patience.waits),
            dead_letter: posting.dead_letter.as_ref().map(StoredDeadLetter::of),
        }
    }

    fn posting(self, mut body: Bytes) -> Result<Posting, StoreError> {
        let other = self
            .dead_letter
            .as_ref()
            .and_then(|letter| letter.other.as_ref());
        let own = other.map_or(0, |other| other.body_bytes);
        let middle = body.len().checked_sub(own);
        let own = body.split_off(middle.ok_or_else(|| damaged("too short"))?);
        let attributes = self.attributes.into_iter().map(StoredAttribute::read);
        Ok(Posting {
            parcel: Parcel {
                id: self.id,
                to: arn(&self.to)?,
                sender: Sender {
                    service: service(&self.service)?,
                    source: arn(&self.source)?,
                    role: self.role,
                },
                body,
                attributes: attributes.collect::<Result<_, _>>()?,
                subject: self.subject,
                group: self.group,
                dedup: self.dedup,
                trace: self.trace,
                event: self.event.map(|event| EventHead {
                    source: event.source,
                    detail_type: event.detail_type,
                    resources: event.resources,
                }),
            },
            patience: Patience {
                retries_max: self.retries_max,
                age_max: Duration::from_micros(self.age_max_us),
                waits: self.phases.map_or(Waits::Doubling, StoredPhases::read),
            },
            dead_letter: self
                .dead_letter
                .map(|letter| letter.read(own))
                .transpose()?,
        })
    }
}

fn micros(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
}

impl StoredPhases {
    fn of(waits: Waits) -> Option<StoredPhases> {
        match waits {
            Waits::Doubling => None,
            Waits::Phases(phases) => Some(StoredPhases {
                immediate: phases.immediate,
                early: phases.early,
                growing: phases.growing,
                growth: phases.growth,
                shortest_us: micros(phases.shortest),
                longest_us: micros(phases.longest),
            }),
        }
    }

    fn read(self) -> Waits {
        Waits::Phases(Phases {
            immediate: self.immediate,
            early: self.early,
            growing: self.growing,
            growth: self.growth,
            shortest: Duration::from_micros(self.shortest_us),
            longest: Duration::from_micros(self.longest_us),
        })
    }
}

impl StoredAttribute {
    fn of((name, attribute): &(String, Attribute)) -> StoredAttribute {
        let (text, binary) = match &attribute.value {
            AttributeValue::Text(text) => (Some(text.clone()), None),
            AttributeValue::Binary(bytes) => (None, Some(bytes.to_vec())),
        };
        StoredAttribute {
            name: name.clone(),
            kind: attribute.kind.clone(),
            text,
            binary,
        }
    }

    fn read(self) -> Result<(String, Attribute), StoreError> {
        let value = match (self.text, self.binary) {
            (Some(text), None) => AttributeValue::Text(text),
            (None, Some(bytes)) => AttributeValue::Binary(bytes.into()),
            _ => return Err(damaged("attribute")),
        };
        let kind = self.kind;
        Ok((self.name, Attribute { kind, value }))
    }
}

impl StoredDeadLetter {
    fn of(dead_letter: &DeadLetter) -> StoredDeadLetter {
        let mut stored = StoredDeadLetter {
            to: dead_letter.to.to_string(),
            rule: None,
            schedule: None,
            other: None,
        };
        match &dead_letter.style {
            DeadLetterStyle::Plain => {}
            DeadLetterStyle::Rule { rule } => stored.rule = Some(rule.to_string()),
            DeadLetterStyle::Schedule { schedule } => stored.schedule = Some(schedule.to_string()),
            DeadLetterStyle::Other { body, attributes } => {
                stored.other = Some(StoredOther {
                    attributes: attributes.iter().map(StoredAttribute::of).collect(),
                    body_bytes: body.len(),
                });
            }
        }
        stored
    }

    /// `own`: the body that a letter of another form has.
    fn read(self, own: Bytes) -> Result<DeadLetter, StoreError> {
        let style = match (self.rule, self.schedule, self.other) {
            (None, None, None) => DeadLetterStyle::Plain,
            (Some(rule), _, _) => DeadLetterStyle::Rule { rule: arn(&rule)? },
            (None, Some(schedule), _) => DeadLetterStyle::Schedule {
                schedule: arn(&schedule)?,
            },
            (None, None, Some(other)) => {
                let attributes = other.attributes.into_iter().map(StoredAttribute::read);
                DeadLetterStyle::Other {
                    body: own,
                    attributes: attributes.collect::<Result<_, _>>()?,
                }
            }
        };
        let to = arn(&self.to)?;
        Ok(DeadLetter { to, style })
    }
}

fn arn(text: &str) -> Result<Arn, StoreError> {
    text.parse().map_err(|_| damaged("ARN"))
}

/// The names that senders have: they live as long as the program.
fn service(name: &str) -> Result<&'static str, StoreError> {
    const KNOWN: [&str; 7] = [
        "events.amazonaws.com",
        "lambda.amazonaws.com",
        "pipes.amazonaws.com",
        "s3.amazonaws.com",
        "scheduler.amazonaws.com",
        "sns.amazonaws.com",
        "sqs.amazonaws.com",
    ];
    let known = KNOWN.into_iter().find(|known| *known == name);
    known.ok_or_else(|| damaged("sender"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn posting() -> Posting {
        Posting {
            parcel: Parcel {
                id: "id".to_owned(),
                to: arn("arn:aws:sqs:us-east-1:000000000000:q").unwrap(),
                sender: Sender {
                    service: "events.amazonaws.com",
                    source: arn("arn:aws:events:us-east-1:000000000000:rule/r").unwrap(),
                    role: None,
                },
                body: Bytes::from_static(b"{\"a\": 1}"),
                attributes: Vec::new(),
                subject: None,
                group: None,
                dedup: None,
                trace: None,
                event: None,
            },
            patience: Patience {
                retries_max: 3,
                age_max: Duration::from_secs(60),
                waits: Waits::Doubling,
            },
            dead_letter: None,
        }
    }

    fn full() -> Posting {
        let mut posting = posting();
        let parcel = &mut posting.parcel;
        let text = AttributeValue::Text("v".to_owned());
        let binary = AttributeValue::Binary(Bytes::from_static(&[0, 255]));
        let attribute = |kind: &str, value| Attribute {
            kind: kind.to_owned(),
            value,
        };
        parcel.attributes = vec![
            ("b".to_owned(), attribute("String", text)),
            ("a".to_owned(), attribute("Binary.x", binary)),
        ];
        parcel.sender.role = Some("arn:aws:iam::000000000000:role/r".to_owned());
        posting.patience.waits = Waits::Phases(Phases {
            immediate: 1,
            early: 2,
            growing: 3,
            growth: Growth::Geometric,
            shortest: Duration::from_secs(4),
            longest: Duration::from_secs(5),
        });
        let parcel = &mut posting.parcel;
        parcel.subject = Some("s".to_owned());
        parcel.group = Some("g".to_owned());
        parcel.dedup = Some("d".to_owned());
        parcel.trace = Some("Root=1".to_owned());
        parcel.event = Some(EventHead {
            source: "lambda".to_owned(),
            detail_type: "t".to_owned(),
            resources: vec!["r".to_owned()],
        });
        posting.dead_letter = Some(DeadLetter {
            to: arn("arn:aws:sqs:us-east-1:000000000000:dlq").unwrap(),
            style: DeadLetterStyle::Schedule {
                schedule: arn("arn:aws:scheduler:us-east-1:000000000000:schedule/d/s").unwrap(),
            },
        });
        posting
    }

    #[test]
    fn a_posting_is_read_back_as_it_was() {
        let mut other = full();
        let to = other.parcel.to.clone();
        let style = DeadLetterStyle::Other {
            body: Bytes::from_static(&[0, 1, 255]),
            attributes: other.parcel.attributes.clone(),
        };
        other.dead_letter = Some(DeadLetter { to, style });
        for posting in [posting(), full(), other] {
            assert_eq!(decode(&encode(&posting).unwrap()).unwrap(), posting);
        }
    }

    #[test]
    fn a_body_of_any_bytes_is_kept() {
        let mut posting = posting();
        posting.parcel.body = (0..=255_u8).cycle().take(1 << 20).collect();
        let bytes = encode(&posting).unwrap();
        assert!(bytes.len() < (1 << 20) + 1_024, "no body is blown up");
        assert_eq!(decode(&bytes).unwrap(), posting);
    }

    #[test]
    fn what_is_damaged_or_newer_is_refused() {
        let good = encode(&posting()).unwrap();
        for cut in [0, 4, 5, 20] {
            assert!(decode(&good.slice(..cut)).is_err(), "{cut}");
        }
        let mut newer = good.to_vec();
        newer[0] = VERSION + 1;
        let found = decode(&newer.into());
        assert!(matches!(found, Err(StoreError::Newer { .. })));
    }
}
