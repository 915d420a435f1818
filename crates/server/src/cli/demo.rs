//! A throw-away server, the examples deployed through its API and called cold and warm.

use std::process::ExitCode;

use bytes::Bytes;
use serde_json::{Value, json};

use super::client::Client;
use super::show::{self, Tone, paint};
use super::{deploy, doctor, invoke, package};
use crate::admin;
use crate::config::{Config, Layers};
use crate::serve::Running;

/// Warm calls of each example.
const WARM_CALLS: usize = 20;

/// One example, part of the program so that the demo needs no other file.
struct Example {
    title: &'static str,
    manifest: &'static str,
    files: &'static [(&'static str, &'static [u8], bool)],
}

static EXAMPLES: &[Example] = &[
    Example {
        title: "Rust on provided.al2023",
        manifest: include_str!("../../../../examples/hello-rust/kiln.toml"),
        files: &[(
            "bootstrap",
            include_bytes!(concat!(env!("OUT_DIR"), "/bootstrap")),
            true,
        )],
    },
    Example {
        title: "Python",
        manifest: include_str!("../../../../examples/hello-python/kiln.toml"),
        files: &[(
            "index.py",
            include_bytes!("../../../../examples/hello-python/index.py"),
            false,
        )],
    },
    Example {
        title: "Node.js",
        manifest: include_str!("../../../../examples/hello-nodejs/kiln.toml"),
        files: &[(
            "index.mjs",
            include_bytes!("../../../../examples/hello-nodejs/index.mjs"),
            false,
        )],
    },
];

/// What one example showed.
struct Shown {
    name: String,
    runtime: String,
    /// Why it did not run.
    absent: Option<String>,
    answer: Value,
    cold_ms: f64,
    warm_ms: f64,
    log: String,
}

/// `kiln demo`
pub(crate) async fn run(layers: Layers, as_json: bool) -> anyhow::Result<ExitCode> {
    let dir = tempdir()?;
    let data = dir.0.display().to_string();
    let config = layers
        .flag("listen", "demo", Some("127.0.0.1:0".to_owned()))
        .flag("data", "demo", Some(data))
        .config()?;
    let running = Running::start(&config).await?;
    let client = Client::new(&running.endpoint(), config.region.as_str())?;
    if !as_json {
        show::line(&format!(
            "Kiln answers on {} (for this demo only)\n",
            running.endpoint()
        ));
    }
    let mut shown = Vec::new();
    let mut failed = false;
    for example in EXAMPLES {
        match one(&client, &running, example).await {
            Ok(result) => {
                if !as_json {
                    print(example, &result);
                }
                shown.push(result);
            }
            Err(error) => {
                failed = true;
                show::error(&error.context(format!("the example {:?} failed", example.title)));
            }
        }
    }
    let isolation = running.app.invoke.sandbox().isolation();
    if as_json {
        let row = |s: &Shown| {
            json!({
                "function": s.name, "runtime": s.runtime, "absent": s.absent, "answer": s.answer,
                "coldMs": s.cold_ms, "warmMs": s.warm_ms, "log": s.log,
            })
        };
        let rows: Vec<Value> = shown.iter().map(row).collect();
        show::json(&json!({"isolation": isolation.backend, "examples": rows}));
    } else {
        doctor::print_isolation(&isolation);
        show::line("");
        let row = |s: &Shown| {
            let ms = |v: f64| {
                if s.absent.is_some() {
                    "-".to_owned()
                } else {
                    format!("{v:.2} ms")
                }
            };
            vec![
                s.name.clone(),
                s.runtime.clone(),
                ms(s.cold_ms),
                ms(s.warm_ms),
            ]
        };
        show::table(
            &["function", "runtime", "cold call", "warm call (median)"],
            &shown.iter().map(row).collect::<Vec<_>>(),
        );
        show::line("\nnext: kiln serve, then kiln deploy examples/hello-python");
    }
    running.stop().await?;
    let ran = shown.iter().any(|s| s.absent.is_none());
    Ok(if failed || !ran {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn one(client: &Client, running: &Running, example: &Example) -> anyhow::Result<Shown> {
    let mut manifest = package::parse(example.manifest)?;
    let mut absent = None;
    match running.app.invoke.catalog().best_like(&manifest.runtime) {
        Ok(runtime) => manifest.runtime = runtime,
        Err(missing) => absent = Some(missing.message),
    }
    let name = manifest.name.clone().unwrap_or_default();
    let mut shown = Shown {
        name: name.clone(),
        runtime: manifest.runtime.clone(),
        absent,
        answer: Value::Null,
        cold_ms: 0.0,
        warm_ms: 0.0,
        log: String::new(),
    };
    if shown.absent.is_some() {
        return Ok(shown);
    }
    let zip = package::zip_files(example.files)?;
    deploy::deploy(client, &name, &manifest, &zip).await?;
    let event = || Bytes::from_static(br#"{"name":"Kiln"}"#);
    let cold = invoke::call(client, &name, None, event()).await?;
    if let Some(error) = &cold.error {
        anyhow::bail!("{error}: {}", String::from_utf8_lossy(&cold.payload));
    }
    let mut warm = Vec::with_capacity(WARM_CALLS);
    for _ in 0..WARM_CALLS {
        warm.push(invoke::call(client, &name, None, event()).await?.took_ms);
    }
    warm.sort_by(f64::total_cmp);
    shown.answer = serde_json::from_slice(&cold.payload)?;
    shown.cold_ms = cold.took_ms;
    shown.warm_ms = warm.get(WARM_CALLS / 2).copied().unwrap_or_default();
    shown.log = cold.log;
    Ok(shown)
}

fn print(example: &Example, shown: &Shown) {
    show::line(&paint(
        Tone::Strong,
        &format!("{} ({})", example.title, shown.runtime),
    ));
    if let Some(why) = &shown.absent {
        show::line(&format!("  {} {why}\n", paint(Tone::Warn, "not run:")));
        return;
    }
    show::line(&format!(
        "  answer {}",
        paint(Tone::Good, &shown.answer.to_string())
    ));
    for line in shown.log.lines() {
        show::line(&format!("  {}", paint(Tone::Faint, line)));
    }
    show::line(&format!(
        "  cold {:.2} ms, warm {:.2} ms\n",
        shown.cold_ms, shown.warm_ms
    ));
}

/// `kiln internal-api`
pub(crate) async fn print_api(config: Config) -> anyhow::Result<()> {
    let dir = tempdir()?;
    let config = Config {
        data: dir.0.clone(),
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        backend: crate::config::Backend::Process,
        ..config
    };
    let running = Running::start(&config).await?;
    let mut api = running.app.router.describe();
    // What is Kiln's own has no model of AWS to be held against.
    if let Some(services) = api.get_mut("services").and_then(Value::as_array_mut) {
        services.retain(|service| service.get("name").and_then(Value::as_str) != Some(admin::NAME));
    }
    show::json(&api);
    running.stop().await
}

/// A folder for its owner alone, which goes away with the value.
pub(super) struct TempDir(pub(super) std::path::PathBuf);

pub(super) fn tempdir() -> anyhow::Result<TempDir> {
    let dir = std::env::temp_dir().join(format!("kiln-{}", tasks::Ids::system().hex(8)));
    crate::folder::make(&dir)?;
    Ok(TempDir(dir))
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            show::note(&format!("cannot remove {}: {error}", self.0.display()));
        }
    }
}
