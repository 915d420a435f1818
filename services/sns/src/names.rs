//! Names of topics and subscriptions, and their ARNs.

use model::Arn;
use wire::Context;

use crate::fault::Fault;

/// [SNS API: CreateTopic]
const NAME_MAX: usize = 256;
const FIFO: &str = ".fifo";

/// A topic, wherever it is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TopicRef {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
}

/// A subscription of a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SubscriptionRef {
    pub(crate) topic: TopicRef,
    pub(crate) id: String,
}

impl TopicRef {
    pub(crate) fn arn(&self) -> String {
        self.to_arn().to_string()
    }

    pub(crate) fn to_arn(&self) -> Arn {
        Arn {
            partition: "aws".to_owned(),
            service: "sns".to_owned(),
            region: self.region.clone(),
            account: self.account.clone(),
            resource: self.name.clone(),
        }
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO)
    }

    /// The topic that a request names in `member`; it must be of the request's region.
    pub(crate) fn parse(cx: &Context, member: &str, text: &str) -> Result<TopicRef, Fault> {
        let topic = TopicRef::of(&arn(member, text)?).ok_or_else(|| Fault::parameter(member))?;
        if topic.region != cx.region() {
            return Err(Fault::parameter(member));
        }
        Ok(topic)
    }

    /// The topic of an ARN, if it is one of a topic.
    pub(crate) fn of(arn: &Arn) -> Option<TopicRef> {
        (arn.service == "sns" && is_name(&arn.resource)).then(|| TopicRef {
            account: arn.account.clone(),
            region: arn.region.clone(),
            name: arn.resource.clone(),
        })
    }
}

impl SubscriptionRef {
    pub(crate) fn arn(&self) -> String {
        format!("{}:{}", self.topic.arn(), self.id)
    }

    /// The subscription that a request names.
    pub(crate) fn parse(text: &str) -> Result<SubscriptionRef, Fault> {
        let arn = arn("SubscriptionArn", text)?;
        let (name, id) = arn
            .resource
            .split_once(':')
            .filter(|(name, id)| arn.service == "sns" && is_name(name) && is_id(id))
            .ok_or_else(|| Fault::parameter("SubscriptionId"))?;
        Ok(SubscriptionRef {
            topic: TopicRef {
                account: arn.account.clone(),
                region: arn.region.clone(),
                name: name.to_owned(),
            },
            id: id.to_owned(),
        })
    }
}

/// An ARN that a request names in `member`.
pub(crate) fn arn(member: &str, text: &str) -> Result<Arn, Fault> {
    let elements = text.split(':').count();
    if elements < 6 {
        return Err(Fault::parameter(format!(
            "{member} Reason: An ARN must have at least 6 elements, not {elements}"
        )));
    }
    text.parse().map_err(|_| Fault::parameter(member))
}

/// Checks the name of a topic to be made.
pub(crate) fn check_new(name: &str, is_fifo: bool) -> Result<(), Fault> {
    if is_name(name) && name.ends_with(FIFO) == is_fifo {
        return Ok(());
    }
    Err(Fault::parameter("Topic Name"))
}

fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(FIFO).unwrap_or(name);
    (1..=NAME_MAX).contains(&name.len())
        && !stem.is_empty()
        && stem
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_id(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_the_kind_of_topic_fit() {
        let (most, more) = ("a".repeat(256), "a".repeat(257));
        for (name, is_fifo, is_good) in [
            ("t", false, true),
            ("a-b_C1", false, true),
            (&most, false, true),
            (&more, false, false),
            ("t.fifo", true, true),
            ("t.fifo", false, false),
            ("t", true, false),
            ("", false, false),
            (".fifo", true, false),
            ("bad:name", false, false),
            ("bad name", false, false),
        ] {
            assert_eq!(check_new(name, is_fifo).is_ok(), is_good, "{name}");
        }
    }

    #[test]
    fn a_wrong_arn_is_refused_in_the_words_of_aws() {
        let cx = Context::for_tests("000000000000", "us-east-1");
        for (text, wanted) in [
            (
                "x",
                "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1",
            ),
            (
                "arn:aws:sns:us-east-1:t",
                "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 5",
            ),
            (
                "arn:aws:sns:eu-west-1:000000000000:t",
                "Invalid parameter: TopicArn",
            ),
            (
                "arn:aws:sqs:us-east-1:000000000000:t",
                "Invalid parameter: TopicArn",
            ),
        ] {
            let fault = TopicRef::parse(&cx, "TopicArn", text).unwrap_err();
            assert_eq!(fault.to_string(), wanted);
        }
    }

    #[test]
    fn a_subscription_has_an_id() {
        let good = "arn:aws:sns:us-east-1:000000000000:t:11111111-2222-4333-8444-555555555555";
        assert_eq!(SubscriptionRef::parse(good).unwrap().arn(), good);
        for (text, wanted) in [
            (
                "arn:aws:sns:us-east-1:000000000000:t",
                "Invalid parameter: SubscriptionId",
            ),
            (
                "x",
                "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1",
            ),
        ] {
            assert_eq!(
                SubscriptionRef::parse(text).unwrap_err().to_string(),
                wanted
            );
        }
    }
}
