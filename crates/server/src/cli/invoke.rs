use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use base64::Engine as _;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::ClientArgs;
use super::client::Client;
use super::functions::escape;
use super::show::{self, Tone};

#[derive(Args)]
pub(crate) struct InvokeArgs {
    /// Name or ARN of the function
    name: String,
    /// The event as JSON; `-` reads standard input
    payload: Option<String>,
    /// Read the event from a file
    #[arg(long, conflicts_with = "payload")]
    file: Option<PathBuf>,
    /// Version or alias
    #[arg(long)]
    qualifier: Option<String>,
    /// Do not wait for the answer; print the request id, which `kiln trace` follows
    #[arg(long)]
    event: bool,
    #[command(flatten)]
    to: ClientArgs,
}

/// What one invocation gave.
pub(crate) struct Invoked {
    pub(crate) payload: Bytes,
    pub(crate) error: Option<String>,
    pub(crate) version: String,
    pub(crate) log: String,
    pub(crate) took_ms: f64,
}

/// Calls a function and asks for the tail of its log.
pub(crate) async fn call(
    client: &Client,
    name: &str,
    qualifier: Option<&str>,
    payload: Bytes,
) -> anyhow::Result<Invoked> {
    let path = path(name, qualifier);
    let started = client.clock().monotonic();
    let headers = [("x-amz-log-type", "Tail")];
    let answer = client
        .call(Method::POST, &path, "lambda", &headers, payload)
        .await?
        .ok()?;
    let took = client.clock().monotonic().since(started);
    let log = answer
        .header("x-amz-log-result")
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
        .unwrap_or_default();
    Ok(Invoked {
        error: answer.header("x-amz-function-error").map(str::to_owned),
        version: answer
            .header("x-amz-executed-version")
            .unwrap_or("-")
            .to_owned(),
        log: String::from_utf8_lossy(&log).into_owned(),
        took_ms: took.as_secs_f64() * 1_000.0,
        payload: answer.body,
    })
}

fn path(name: &str, qualifier: Option<&str>) -> String {
    let mut path = format!("/2015-03-31/functions/{}/invocations", escape(name));
    if let Some(qualifier) = qualifier {
        path.push_str(&format!("?Qualifier={}", escape(qualifier)));
    }
    path
}

/// Hands over an asynchronous event; gives its request id.
async fn send(client: &Client, args: &InvokeArgs, payload: Bytes) -> anyhow::Result<String> {
    let path = path(&args.name, args.qualifier.as_deref());
    let headers = [("x-amz-invocation-type", "Event")];
    let sent = client.call(Method::POST, &path, "lambda", &headers, payload);
    let answer = sent.await?.ok()?;
    let id = answer.header("x-amzn-requestid");
    id.map(str::to_owned)
        .context("the answer has no request id")
}

/// `kiln invoke NAME`
pub(crate) async fn run(args: InvokeArgs) -> anyhow::Result<ExitCode> {
    let payload: Bytes = match (&args.payload, &args.file) {
        (_, Some(path)) => std::fs::read(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .into(),
        (Some(text), None) if text == "-" => {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text)?;
            text.into()
        }
        (Some(text), None) => text.clone().into(),
        (None, None) => Bytes::new(),
    };
    let client = args.to.client()?;
    if args.event {
        let id = send(&client, &args, payload).await?;
        match args.to.json {
            true => show::json(&json!({ "requestId": id })),
            false => show::line(&id),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let invoked = call(&client, &args.name, args.qualifier.as_deref(), payload).await?;
    let failed = invoked.error.is_some();
    if args.to.json {
        let payload: Value = serde_json::from_slice(&invoked.payload)
            .unwrap_or_else(|_| String::from_utf8_lossy(&invoked.payload).into());
        show::json(&json!({
            "payload": payload,
            "functionError": invoked.error,
            "executedVersion": invoked.version,
            "log": invoked.log,
            "durationMs": invoked.took_ms,
        }));
    } else {
        invoked
            .log
            .lines()
            .for_each(|l| show::aside(Tone::Faint, l));
        if let Some(error) = &invoked.error {
            show::aside(Tone::Bad, &format!("function error: {error}"));
        }
        show::line(&String::from_utf8_lossy(&invoked.payload));
        show::aside(
            Tone::Faint,
            &format!("version {}, {:.2} ms", invoked.version, invoked.took_ms),
        );
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
