//! Names of queues, their URLs and their ARNs.

use crate::fault::Fault;

/// [SQS quotas: queue name]
const NAME_MAX: usize = 80;
const FIFO: &str = ".fifo";

/// A queue, wherever it is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct QueueRef {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
}

impl QueueRef {
    pub(crate) fn arn(&self) -> String {
        let QueueRef {
            account,
            region,
            name,
        } = self;
        format!("arn:aws:sqs:{region}:{account}:{name}")
    }

    /// `None` for what is no queue.
    pub(crate) fn from_arn(arn: &str) -> Option<QueueRef> {
        let parts: Vec<&str> = arn.split(':').collect();
        match parts.as_slice() {
            ["arn", _, "sqs", region, account, name] if is_account(account) && is_name(name) => {
                Some(QueueRef {
                    account: (*account).to_owned(),
                    region: (*region).to_owned(),
                    name: (*name).to_owned(),
                })
            }
            _ => None,
        }
    }

    /// `host` is the one that the caller used, so that the URL works for the caller.
    pub(crate) fn url(&self, host: &str) -> String {
        format!("http://{host}/{}/{}", self.account, self.name)
    }

    /// The last two parts of the URL's path: hosts differ by how one reaches the server.
    pub(crate) fn from_url(url: &str, region: &str) -> Result<QueueRef, Fault> {
        let mut parts = url.trim_end_matches('/').rsplit('/');
        let (Some(name), Some(account)) = (parts.next(), parts.next()) else {
            return Err(Fault::QueueDoesNotExist);
        };
        if !is_account(account) || !is_name(name) {
            return Err(Fault::QueueDoesNotExist);
        }
        Ok(QueueRef {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// The URL of a queue may be its bare name, which is then one of the caller's.
pub(crate) fn is_bare(url: &str) -> bool {
    is_name(url)
}

pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    let stem = text.strip_suffix(FIFO).unwrap_or(text);
    text.len() <= NAME_MAX
        && !stem.is_empty()
        && stem
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Checks the name of a queue to be made.
///
/// # Errors
/// Fails if the name is malformed, or ends in `.fifo` where the queue is none, or the other way round.
pub(crate) fn check_new(name: &str, is_fifo: bool) -> Result<(), Fault> {
    let refused = |text: &str| Err(Fault::InvalidParameterValue(text.to_owned()));
    match (is_name(name), name.ends_with(FIFO), is_fifo) {
        (true, fifo, wanted) if fifo == wanted => Ok(()),
        (_, false, true) => refused(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.",
        ),
        _ => refused(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_the_kind_of_queue_fit() {
        let long = "a".repeat(81);
        for (name, is_fifo, is_good) in [
            ("q", false, true),
            ("a-b_C1", false, true),
            ("q.fifo", true, true),
            ("q.fifo", false, false),
            ("q", true, false),
            ("", false, false),
            (".fifo", true, false),
            ("a.b", false, false),
            (&long, false, false),
        ] {
            assert_eq!(
                check_new(name, is_fifo).is_ok(),
                is_good,
                "{name} {is_fifo}"
            );
        }
    }

    #[test]
    fn a_queue_is_found_by_any_host() {
        for (url, name) in [
            ("http://127.0.0.1:4566/000000000000/q", Some("q")),
            (
                "https://sqs.us-east-1.amazonaws.com/000000000000/q.fifo",
                Some("q.fifo"),
            ),
            ("000000000000/q", Some("q")),
            ("q", None),
            ("http://h/00000000000/q", None),
            ("http://h/000000000000/a.b", None),
        ] {
            let found = QueueRef::from_url(url, "us-east-1").ok();
            assert_eq!(found.as_ref().map(|q| q.name.as_str()), name, "{url}");
        }
    }
}
