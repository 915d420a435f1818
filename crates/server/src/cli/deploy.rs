use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::client::Client;
use super::package::{self, Manifest};
use super::show::{self, Tone, paint};
use super::{ClientArgs, functions::escape};

/// Longest wait for a function to become active.
const ACTIVE_LIMIT: Duration = Duration::from_secs(60);
const ACTIVE_PAUSE: Duration = Duration::from_millis(10);

/// `kiln deploy DIR`
pub(crate) async fn run(
    dir: &Path,
    name: Option<String>,
    runtime: Option<String>,
    to: &ClientArgs,
) -> anyhow::Result<()> {
    let client = to.client()?;
    let mut manifest = package::manifest(dir)?;
    manifest.runtime = runtime.unwrap_or(manifest.runtime);
    let name = match name.or_else(|| manifest.name.clone()) {
        Some(name) => name,
        None => {
            let full = dir
                .canonicalize()
                .with_context(|| format!("{} does not exist", dir.display()))?;
            full.file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .context("the folder has no name")?
        }
    };
    let bar = if to.json {
        ProgressBar::hidden()
    } else {
        spinner()
    };
    bar.set_message("zipping");
    let zip = package::zip_folder(dir)?;
    bar.set_message(format!("sending {} bytes", zip.len()));
    let active = deploy(&client, &name, &manifest, &zip).await?;
    bar.finish_and_clear();
    if to.json {
        show::json(&active);
        return Ok(());
    }
    let text = |key: &str| active.get(key).and_then(Value::as_str).unwrap_or("-");
    show::line(&format!(
        "{} {}",
        paint(Tone::Good, "active"),
        text("FunctionArn")
    ));
    show::line(&format!(
        "       {} bytes, sha256 {}",
        zip.len(),
        text("CodeSha256")
    ));
    show::line(&format!("call it: kiln invoke {name} '{{}}'"));
    Ok(())
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Creates the function, or updates code and configuration of the one that is there; returns its
/// configuration when it is active.
pub(crate) async fn deploy(
    client: &Client,
    name: &str,
    manifest: &Manifest,
    zip: &[u8],
) -> anyhow::Result<Value> {
    let zip = base64::engine::general_purpose::STANDARD.encode(zip);
    let mut config = json!({
        "FunctionName": name,
        "Runtime": manifest.runtime,
        "Role": manifest.role,
        "Handler": manifest.handler.as_deref().unwrap_or("bootstrap"),
        "Description": manifest.description,
        "Environment": {"Variables": manifest.environment},
    });
    let mut set = |key: &str, value: Option<u32>| {
        if let (Some(map), Some(value)) = (config.as_object_mut(), value) {
            map.insert(key.to_owned(), value.into());
        }
    };
    set("MemorySize", manifest.memory);
    set("Timeout", manifest.timeout);
    let path = format!("/2015-03-31/functions/{}", escape(name));
    let there = client.get(&format!("{path}/configuration")).await?;
    if there.status == http::StatusCode::NOT_FOUND {
        if let Some(map) = config.as_object_mut() {
            map.insert("Code".to_owned(), json!({"ZipFile": zip}));
        }
        client
            .send(Method::POST, "/2015-03-31/functions", &config)
            .await?
            .ok()?;
        return active(client, &path).await;
    }
    there.ok()?;
    client
        .send(
            Method::PUT,
            &format!("{path}/code"),
            &json!({"ZipFile": zip}),
        )
        .await?
        .ok()?;
    active(client, &path).await?;
    client
        .send(Method::PUT, &format!("{path}/configuration"), &config)
        .await?
        .ok()?;
    active(client, &path).await
}

async fn active(client: &Client, path: &str) -> anyhow::Result<Value> {
    let clock = client.clock();
    let started = clock.monotonic();
    loop {
        let config = client
            .get(&format!("{path}/configuration"))
            .await?
            .ok()?
            .json()?;
        let text = |key: &str| {
            config
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        match (text("State").as_str(), text("LastUpdateStatus").as_str()) {
            ("Active", "Successful") => return Ok(config),
            ("Failed", _) => bail!("the function failed: {}", text("StateReason")),
            (_, "Failed") => bail!("the update failed: {}", text("LastUpdateStatusReason")),
            (state, _) if clock.monotonic().since(started) > ACTIVE_LIMIT => {
                bail!("still {state} after {ACTIVE_LIMIT:?}")
            }
            _ => clock.sleep(ACTIVE_PAUSE).await,
        }
    }
}
