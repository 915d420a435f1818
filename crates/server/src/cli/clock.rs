use std::time::Duration;

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::{ClientArgs, show};
use crate::admin;

/// What becomes of the clock.
#[derive(Subcommand)]
pub(crate) enum ClockCommand {
    /// Tell the time of the server and how fast it goes
    Show {
        #[command(flatten)]
        to: ClientArgs,
    },
    /// Let the time stand still
    Pause {
        #[command(flatten)]
        to: ClientArgs,
    },
    /// Go forward at once: 90s, 5m, 6h, 2d
    Step {
        by: String,
        #[command(flatten)]
        to: ClientArgs,
    },
    /// Let so many seconds pass in one; 1 is the usual
    Speed {
        times: u32,
        #[command(flatten)]
        to: ClientArgs,
    },
}

/// `kiln clock`
pub(crate) async fn run(command: ClockCommand) -> anyhow::Result<()> {
    let (to, change) = match command {
        ClockCommand::Show { to } => (to, None),
        ClockCommand::Pause { to } => (to, Some(json!({ "speed": 0 }))),
        ClockCommand::Step { by, to } => {
            let by = duration(&by)?;
            (to, Some(json!({ "stepSeconds": by.as_secs_f64() })))
        }
        ClockCommand::Speed { times, to } => (to, Some(json!({ "speed": times }))),
    };
    let client = to.client()?;
    let answer = match change {
        None => {
            client
                .admin(Method::GET, admin::CLOCK, &Value::Null)
                .await?
        }
        Some(change) => client.admin(Method::PUT, admin::CLOCK, &change).await?,
    };
    let answer = answer.ok()?.json()?;
    if to.json {
        show::json(&answer);
        return Ok(());
    }
    let number = |name: &str| answer.get(name).and_then(Value::as_f64).unwrap_or_default();
    let now = answer
        .get("now")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let pace = match number("speed") {
        0.0 => "stands still".to_owned(),
        1.0 => "goes as usual".to_owned(),
        speed => format!("goes {speed} times as fast"),
    };
    let ahead = number("aheadSeconds");
    show::line(&format!("{now}  {pace}, {ahead:.0} s ahead"));
    Ok(())
}

/// `90`, `90s`, `5m`, `6h`, `2d`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let bad = || anyhow::anyhow!("{text:?} is no time: write for instance 90s, 5m, 6h or 2d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        Some("d") => 86_400,
        _ => return Err(bad()),
    };
    let count: u64 = digits.parse().map_err(|_| bad())?;
    let secs = count.checked_mul(unit).ok_or_else(bad)?;
    Ok(Duration::from_secs(secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, secs) in [
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("6h", 21_600),
            ("2d", 172_800),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(secs), "{text}");
        }
        for bad in ["", "h", "5w", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
