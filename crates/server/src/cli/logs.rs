use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use tasks::Time;

use super::client::Client;
use super::{ClientArgs, show};

/// How often `-f` asks for new lines.
const FOLLOW_PAUSE: Duration = Duration::from_millis(500);
/// Pages read in one round; 10,000 events each.
const PAGES_MAX: usize = 100;

#[derive(Args)]
pub(crate) struct LogsArgs {
    /// Name of the function
    name: String,
    /// Keep showing new lines
    #[arg(short, long)]
    follow: bool,
    /// Start this long ago: 90s, 10m, 2h, 1d
    #[arg(long, default_value = "10m")]
    since: String,
    /// Show only events that match this CloudWatch Logs pattern
    #[arg(long)]
    filter: Option<String>,
    #[command(flatten)]
    to: ClientArgs,
}

/// `kiln logs NAME [-f]`
pub(crate) async fn run(args: LogsArgs) -> anyhow::Result<()> {
    let client = args.to.client()?;
    let back =
        seconds(&args.since).with_context(|| format!("{} is no span of time", args.since))?;
    let mut follower = Follower {
        name: args.name,
        from: client.clock().now().unix_millis() - back * 1_000,
        filter: args.filter,
        as_json: args.to.json,
        may_be_absent: args.follow,
        seen: BTreeMap::new(),
    };
    loop {
        follower.look(&client).await?;
        if !args.follow || show::is_closed() {
            return Ok(());
        }
        client.clock().sleep(FOLLOW_PAUSE).await;
    }
}

/// Shows the lines of one function's log, each once.
pub(crate) struct Follower {
    name: String,
    /// Unix milliseconds of the oldest line that is asked for.
    from: i64,
    filter: Option<String>,
    as_json: bool,
    /// A function that has not run yet has no log.
    may_be_absent: bool,
    /// Events at the end of what was shown: the next look begins there and sees them again.
    seen: BTreeMap<String, i64>,
}

impl Follower {
    /// From now on.
    pub(crate) fn new(name: &str, client: &Client) -> Follower {
        Follower {
            name: name.to_owned(),
            from: client.clock().now().unix_millis(),
            filter: None,
            as_json: false,
            may_be_absent: true,
            seen: BTreeMap::new(),
        }
    }

    /// Shows what is new.
    pub(crate) async fn look(&mut self, client: &Client) -> anyhow::Result<()> {
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut input = json!({
                "logGroupName": format!("/aws/lambda/{}", self.name),
                "startTime": self.from,
            });
            if let Some(map) = input.as_object_mut() {
                token
                    .take()
                    .map(|t| map.insert("nextToken".to_owned(), t.into()));
                self.filter
                    .as_ref()
                    .map(|f| map.insert("filterPattern".to_owned(), f.as_str().into()));
            }
            let answer = client.logs("FilterLogEvents", &input).await?;
            if answer.fault().starts_with("ResourceNotFoundException") && self.may_be_absent {
                return Ok(());
            }
            let page = answer.ok()?.json()?;
            let events = page.get("events").and_then(Value::as_array);
            events
                .into_iter()
                .flatten()
                .for_each(|event| self.show(event));
            token = page
                .get("nextToken")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        let from = self.from;
        self.seen.retain(|_, at| *at >= from);
        Ok(())
    }

    fn show(&mut self, event: &Value) {
        let at = event
            .get("timestamp")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        let id = event
            .get("eventId")
            .map(Value::to_string)
            .unwrap_or_default();
        if self.seen.insert(id, at).is_none() {
            print(event, at, self.as_json);
            self.from = self.from.max(at);
        }
    }
}

fn print(event: &Value, at: i64, as_json: bool) {
    if as_json {
        show::line(&event.to_string());
        return;
    }
    let message = event
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim_end();
    let at = Time::from_unix_millis(at).iso_millis();
    show::line(&format!(
        "{} {message}",
        show::paint(show::Tone::Faint, &at)
    ));
}

fn seconds(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    text.get(..text.len() - 1)?
        .parse::<i64>()
        .ok()
        .filter(|n| *n >= 0)?
        .checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit() {
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("2h"), Some(7_200));
        for bad in ["", "h", "-1s", "5", "1w", "9999999999999999999d", "ä"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
