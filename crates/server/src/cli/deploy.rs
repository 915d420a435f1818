use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use base64::Engine as _;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::client::Client;
use super::package::{self, Manifest};
use super::project::{self, Member};
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
    let mut project = project::read(dir)?;
    if let [only] = project.members.as_mut_slice() {
        only.name = name.unwrap_or_else(|| only.name.clone());
        only.manifest.runtime = runtime.unwrap_or_else(|| only.manifest.runtime.clone());
    } else if name.is_some() || runtime.is_some() {
        bail!(
            "--name and --runtime are for a single function; {} has several",
            project.file.display()
        );
    }
    if !to.json {
        project.notes.iter().for_each(|note| show::note(note));
    }
    for member in &project.members {
        one(&client, member, to.json).await?;
    }
    Ok(())
}

async fn one(client: &Client, member: &Member, as_json: bool) -> anyhow::Result<()> {
    let name = &member.name;
    let bar = if as_json {
        ProgressBar::hidden()
    } else {
        spinner()
    };
    bar.set_message(format!("{name}: zipping"));
    let zip = package::zip_folder(&member.dir)?;
    bar.set_message(format!("{name}: sending {} bytes", zip.len()));
    let active = deploy(client, name, &member.manifest, &zip).await?;
    bar.finish_and_clear();
    if as_json {
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
    let path = format!("/2015-03-31/functions/{}", escape(name));
    let there = client.get(&format!("{path}/configuration")).await?;
    if there.status == http::StatusCode::NOT_FOUND {
        let mut new = settings(name, manifest);
        if let Some(map) = new.as_object_mut() {
            map.insert("Code".to_owned(), json!({"ZipFile": zip}));
            map.insert("Tags".to_owned(), json!(manifest.tags));
            if !manifest.architectures.is_empty() {
                map.insert("Architectures".to_owned(), json!(manifest.architectures));
            }
        }
        client
            .send(Method::POST, "/2015-03-31/functions", &new)
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
    configure(client, name, manifest).await
}

/// Gives the function the settings of its manifest; returns its configuration when they are in force.
pub(crate) async fn configure(
    client: &Client,
    name: &str,
    manifest: &Manifest,
) -> anyhow::Result<Value> {
    let path = format!("/2015-03-31/functions/{}", escape(name));
    client
        .send(
            Method::PUT,
            &format!("{path}/configuration"),
            &settings(name, manifest),
        )
        .await?
        .ok()?;
    active(client, &path).await
}

/// What both CreateFunction and UpdateFunctionConfiguration take.
fn settings(name: &str, manifest: &Manifest) -> Value {
    let mut config = json!({
        "FunctionName": name,
        "Runtime": manifest.runtime,
        "Role": manifest.role,
        "Handler": manifest.handler.as_deref().unwrap_or("bootstrap"),
        "Description": manifest.description,
        "Environment": {"Variables": manifest.environment},
    });
    let mut set = |key: &str, value: Option<Value>| {
        if let (Some(map), Some(value)) = (config.as_object_mut(), value) {
            map.insert(key.to_owned(), value);
        }
    };
    set("MemorySize", manifest.memory.map(Value::from));
    set("Timeout", manifest.timeout.map(Value::from));
    set(
        "EphemeralStorage",
        manifest.storage.map(|size| json!({"Size": size})),
    );
    set(
        "Layers",
        (!manifest.layers.is_empty()).then(|| json!(manifest.layers)),
    );
    config
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
