//! Kiln beside other programs that run Lambda functions without containers, each measured from outside by the
//! same script in one run.
//!
//! The script and the peers are not part of this repository: see [`HELP`] for what is expected where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::{short, today};

const HELP: &str = "\
Kiln beside other programs, measured by one script in one run

Usage: cargo xtask bench --peers --peer-bench PATH --peers-home DIR [--quick] [--no-write]

  --peer-bench PATH   the measuring script (Python)
  --peers-home DIR    where the peers are installed:
                        ms/   virtual environment: pip install ministack
                        rie/  virtual environment: pip install aws-sam-cli awslambdaric boto3
                        so/   npm i osls@3 serverless-offline@14
  --quick             fewer repetitions

A peer that is not installed is left out. Python's part runs with rie/bin/python.
";

/// Longest measurement of one program.
const PEER_MAX: Duration = Duration::from_secs(5 * 60);

/// Where a program listens while it is measured.
const ADDRESS: &str = "127.0.0.1";

/// What the table shows: the script's name, ours, whether less is better.
const SHOWN: &[(&str, &str)] = &[
    ("startup_to_first_api_call", "start to first answer"),
    ("idle_rss", "idle memory, resident"),
    ("cold_invoke_python", "cold call, Python"),
    ("cold_invoke_node", "cold call, Node.js"),
    ("warm_p50_python", "warm call, Python, p50"),
    ("warm_p99_python", "warm call, Python, p99"),
    ("warm_p50_node", "warm call, Node.js, p50"),
    (
        "warm_cpu_per_invoke_python",
        "CPU time of a warm call, Python",
    ),
    (
        "throughput_c1_python",
        "calls per second, one caller, Python",
    ),
    (
        "throughput_c32_python",
        "calls per second, 32 at once, Python",
    ),
    ("throughput_c8_node", "calls per second, 8 at once, Node.js"),
];

/// One program and how the script starts it.
struct Peer {
    name: &'static str,
    version: String,
    port: u16,
    spawn: String,
    options: Vec<String>,
}

/// What is kept in `docs/peers.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    date: String,
    /// Name and version, Kiln first.
    programs: Vec<(String, String)>,
    /// By the script's name of the measure, then by program: value and unit.
    values: BTreeMap<String, BTreeMap<String, (f64, String)>>,
}

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let (mut script, mut home, mut is_quick, mut writes) = (None, None, false, true);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--peer-bench" => script = rest.next().map(PathBuf::from),
            "--peers-home" => home = rest.next().map(PathBuf::from),
            "--quick" => is_quick = true,
            "--no-write" => writes = false,
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(());
            }
            other => bail!("no option {other}\n\n{HELP}"),
        }
    }
    let (Some(script), Some(home)) = (script, home) else {
        bail!("--peer-bench and --peers-home are needed\n\n{HELP}");
    };
    let (script, home) = (fs::canonicalize(script)?, fs::canonicalize(home)?);
    crate::build(root)?;
    let folder = tempfile::tempdir()?;
    let python = home.join("rie/bin/python");
    let handlers = folder.path().join("handlers");
    write_handlers(&python, &script, &handlers)?;
    let mut kept = Kept {
        date: today(),
        ..Kept::default()
    };
    for peer in peers(&home, folder.path(), &handlers)? {
        eprintln!("measuring {} {} …", peer.name, peer.version);
        let rows = measure(&python, &script, &peer, folder.path(), is_quick)?;
        for (measure, value, unit) in rows {
            let of = kept.values.entry(measure).or_default();
            of.insert(peer.name.to_owned(), (value, unit));
        }
        kept.programs.push((peer.name.to_owned(), peer.version));
    }
    let text = table(&kept);
    println!("{text}");
    if writes && !is_quick {
        let docs = root.join("docs");
        fs::write(
            docs.join("peers.json"),
            serde_json::to_string_pretty(&kept)? + "\n",
        )?;
        crate::report::Report::new(false).write(&docs)?;
    }
    Ok(())
}

/// The section of docs/benchmarks.md: what was measured last, or nothing.
pub(crate) fn section(docs: &Path) -> Result<String> {
    let Ok(text) = fs::read_to_string(docs.join("peers.json")) else {
        return Ok(String::new());
    };
    let kept: Kept = serde_json::from_str(&text).context("docs/peers.json")?;
    Ok(table(&kept))
}

fn table(kept: &Kept) -> String {
    let mut text = format!(
        "\n## Beside others\n\nMeasured on {} on the same machine in one run, one after the other, by one script from outside \
         (`cargo xtask bench --peers`).\n\n",
        kept.date
    );
    let heads: Vec<String> = kept
        .programs
        .iter()
        .map(|(name, version)| format!("{name} {version}").trim().to_owned())
        .collect();
    text.push_str(&format!("|  | {} |\n", heads.join(" | ")));
    text.push_str(&format!("| --- |{}\n", " --- |".repeat(heads.len())));
    for (measure, what) in SHOWN {
        let Some(values) = kept.values.get(*measure) else {
            continue;
        };
        let cells: Vec<String> = kept
            .programs
            .iter()
            .map(|(name, _)| match values.get(name) {
                Some((value, unit)) => format!("{} {unit}", short(*value)),
                None => "–".to_owned(),
            })
            .collect();
        text.push_str(&format!("| {what} | {} |\n", cells.join(" | ")));
    }
    text
}

fn write_handlers(python: &Path, script: &Path, handlers: &Path) -> Result<()> {
    let status = Command::new(python)
        .arg(script)
        .arg("--write-handlers")
        .arg(handlers)
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", python.display()))?;
    if !status.success() {
        bail!("the script writes no handlers");
    }
    // For a module in a folder of its own, Node.js needs another name than Python's.
    fs::copy(handlers.join("pbmain.js"), handlers.join("nodemain.js"))?;
    fs::write(handlers.join("serverless.yml"), SERVERLESS)?;
    Ok(())
}

const SERVERLESS: &str = "\
service: pb
frameworkVersion: '3'
configValidationMode: off
plugins: [serverless-offline]
provider: {name: aws, region: us-east-1}
functions:
  py:   {handler: pbmain.handler,   runtime: python3.11,  timeout: 30}
  node: {handler: nodemain.handler, runtime: nodejs20.x,  timeout: 30}
custom:
  serverless-offline: {host: 127.0.0.1, httpPort: 4610, lambdaPort: 4611, noPrependStageInUrl: true}
";

fn peers(home: &Path, folder: &Path, handlers: &Path) -> Result<Vec<Peer>> {
    let kiln = std::env::current_exe()?.with_file_name("kiln");
    let show = |path: &Path| path.display().to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let mut found = vec![Peer {
        name: "Kiln",
        version: String::new(),
        port: 4600,
        spawn: format!(
            "{} serve --listen {ADDRESS}:4600 --data {}",
            show(&kiln),
            show(&folder.join("data"))
        ),
        options: Vec::new(),
    }];
    let ministack = home.join("ms/bin/ministack");
    if ministack.exists() {
        found.push(Peer {
            name: "MiniStack",
            version: pip_version(&home.join("ms"), "ministack"),
            port: 4601,
            spawn: show(&ministack),
            options: words(&["--env", "BIND_HOST=127.0.0.1", "--env", "GATEWAY_PORT=4601"]),
        });
    }
    let modules = home.join("so/node_modules");
    if modules.exists() {
        let link = handlers.join("node_modules");
        if !link.exists() {
            std::os::unix::fs::symlink(&modules, link)?;
        }
        let mut options = words(&[
            "--existing-python",
            "pb-dev-py",
            "--existing-node",
            "pb-dev-node",
            "--ready",
            "invoke",
            "--cwd",
        ]);
        options.push(show(handlers));
        found.push(Peer {
            name: "serverless-offline",
            version: npm_version(&modules.join("serverless-offline")),
            port: 4611,
            spawn: format!(
                "node {} offline start",
                show(&modules.join("osls/bin/serverless.js"))
            ),
            options,
        });
    }
    let rie = home.join("rie");
    if let Some(emulator) = emulator(&rie) {
        let mut options = words(&[
            "--existing-python",
            "function",
            "--ready",
            "invoke",
            "--cwd",
        ]);
        options.push(show(handlers));
        found.push(Peer {
            name: "AWS runtime interface emulator",
            version: pip_version(&rie, "aws_sam_cli"),
            port: 4620,
            spawn: format!(
                "{} --runtime-interface-emulator-address {ADDRESS}:4620 --runtime-api-address {ADDRESS}:4621 {} -m awslambdaric pbmain.handler",
                show(&emulator),
                show(&rie.join("bin/python")),
            ),
            options,
        });
    }
    Ok(found)
}

fn packages(venv: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).ok()?;
    versions
        .flatten()
        .map(|entry| entry.path().join("site-packages"))
        .find(|path| path.exists())
}

fn emulator(venv: &Path) -> Option<PathBuf> {
    let path = packages(venv)?.join("samcli/local/rapid/aws-lambda-rie-x86_64");
    path.exists().then_some(path)
}

/// From the name of the folder with the package's facts.
fn pip_version(venv: &Path, package: &str) -> String {
    let folder = packages(venv).and_then(|path| fs::read_dir(path).ok());
    let names = folder.into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find_map(|name| {
            let rest = name.strip_prefix(package)?.strip_prefix('-')?;
            Some(rest.strip_suffix(".dist-info")?.to_owned())
        })
        .unwrap_or_default()
}

fn npm_version(package: &Path) -> String {
    let text = fs::read_to_string(package.join("package.json")).unwrap_or_default();
    let facts: Value = serde_json::from_str(&text).unwrap_or_default();
    let version = facts.get("version").and_then(Value::as_str);
    version.unwrap_or_default().to_owned()
}

/// What the script found: measure, value, unit.
fn measure(
    python: &Path,
    script: &Path,
    peer: &Peer,
    folder: &Path,
    is_quick: bool,
) -> Result<Vec<(String, f64, String)>> {
    let out = folder.join(format!("{}.jsonl", peer.port));
    let log = fs::File::create(folder.join(format!("{}.log", peer.port)))?;
    let mut command = Command::new(python);
    command
        .arg(script)
        .args(["--endpoint", &format!("http://{ADDRESS}:{}", peer.port)])
        .args(["--name", peer.name, "--spawn", &peer.spawn, "--out"])
        .arg(&out)
        .args(["--python-runtime", "python3.11", "--deadline", "60"])
        .args(["--only", "startup", "cold", "warm", "load"])
        .args(&peer.options)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    if is_quick {
        command.args([
            "--quick",
            "--runs",
            "1",
            "--invokes",
            "200",
            "--load-seconds",
            "1",
        ]);
    }
    let mut child = command.spawn().context("cannot start the script")?;
    let until = Instant::now() + PEER_MAX;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            // SIGINT lets it end what it has started.
            crate::kiln::interrupt(child.id());
            std::thread::sleep(Duration::from_secs(5));
            let _ = child.kill();
            let _ = child.wait();
            eprintln!("  {} took too long; what it had is shown", peer.name);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let lines = fs::read_to_string(&out).unwrap_or_default();
    Ok(lines.lines().filter_map(figure).collect())
}

fn figure(line: &str) -> Option<(String, f64, String)> {
    let row: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    Some((
        text("measure")?,
        row.get("value")?.as_f64()?,
        text("unit").unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_script_is_a_figure_if_it_has_a_value() {
        let line = r#"{"peer":"x","measure":"idle_rss","status":"ok","value":12.5,"unit":"MiB"}"#;
        let found = figure(line).unwrap();
        assert_eq!(found, ("idle_rss".to_owned(), 12.5, "MiB".to_owned()));
        assert!(figure(r#"{"measure":"idle_rss","status":"fail","value":null}"#).is_none());
    }

    #[test]
    fn the_table_shows_a_dash_for_what_a_program_cannot_do() {
        let (a, b) = (
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), String::new()),
        );
        let mut kept = Kept {
            programs: vec![a, b],
            ..Kept::default()
        };
        let of = kept.values.entry("idle_rss".to_owned()).or_default();
        of.insert("A".to_owned(), (2.0, "MiB".to_owned()));
        let text = table(&kept);
        assert!(text.contains("|  | A 1 | B |"), "{text}");
        assert!(
            text.contains("| idle memory, resident | 2.00 MiB | – |"),
            "{text}"
        );
    }
}
