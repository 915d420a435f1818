//! `kiln dev`: a server for one project, whose functions run from the folder they are written in.
//!
//! Nothing is zipped: the folder itself is `/var/task`. When a file in it changes, the next call starts in a
//! new environment; calls that run end where they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use model::FunctionRef;

use super::client::{self, Client};
use super::demo::tempdir;
use super::deploy;
use super::logs::Follower;
use super::package::{self, Manifest};
use super::project::{self, Member};
use super::show::{self, Tone, paint};
use crate::config::{Backend, Config, Layers};
use crate::serve::{self, Running};

/// Shortest pause between two looks at the folders.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Looking takes at most one part in so many of the time, however many files there are.
const LOOK_SHARE: u32 = 10;
/// Files of one folder that are watched.
const WATCHED_MAX: usize = 100_000;
/// What the functions are made with before their folders stand in for it.
const PLACEHOLDER: &[(&str, &[u8], bool)] = &[("kiln-dev", b"runs from its folder", false)];

/// Path → time of the last change in nanoseconds, and size.
type Snapshot = BTreeMap<PathBuf, (i128, u64)>;

/// `kiln dev DIR`
pub(crate) async fn run(
    layers: Layers,
    dir: &Path,
    debug: Option<u16>,
) -> anyhow::Result<ExitCode> {
    let project = project::read(dir)?;
    let scratch = tempdir()?;
    let data = scratch.0.display().to_string();
    let mut config = layers.flag("data", "kiln dev", Some(data)).config()?;
    if let Some(port) = debug {
        // A debugger outside reaches a port inside only where there is no wall between.
        config.backend = Backend::Process;
        config.debug_port = Some(port);
    }
    let running = Running::start(&config).await?;
    let outcome = Dev::new(&running, &config)?.serve(project).await;
    running.stop().await?;
    outcome.map(|()| ExitCode::SUCCESS)
}

struct Dev<'a> {
    running: &'a Running,
    config: &'a Config,
    client: Client,
    served: Vec<Served>,
}

/// One function that is served.
struct Served {
    member: Member,
    files: Snapshot,
    log: Follower,
}

impl<'a> Dev<'a> {
    fn new(running: &'a Running, config: &'a Config) -> anyhow::Result<Dev<'a>> {
        Ok(Dev {
            running,
            config,
            client: Client::new(&running.endpoint(), config.region.as_str())?,
            served: Vec::new(),
        })
    }

    /// Serves until it is asked to stop.
    async fn serve(&mut self, project: project::Project) -> anyhow::Result<()> {
        project.notes.iter().for_each(|note| show::note(note));
        let file = project.file;
        let mut described = stamp(&file);
        for member in project.members {
            self.add(member).await?;
        }
        self.greet();
        let mut stop = std::pin::pin!(serve::asked_to_stop());
        let clock = self.running.tasks.clock().clone();
        let mut pause = LOOK_EVERY;
        loop {
            tokio::select! {
                stopped = &mut stop => return stopped,
                () = clock.sleep(pause) => {}
            }
            let began = clock.monotonic();
            let now = stamp(&file);
            if now != described {
                described = now;
                if let Err(error) = self.describe(&file).await {
                    show::error(&error); // the next save may mend it
                }
            }
            for at in 0..self.served.len() {
                if let Err(error) = self.look(at).await {
                    show::error(&error);
                }
            }
            pause = LOOK_EVERY.max(clock.monotonic().since(began) * LOOK_SHARE);
        }
    }

    fn greet(&self) {
        let rows: Vec<Vec<String>> = self
            .served
            .iter()
            .map(|s| {
                vec![
                    s.member.name.clone(),
                    s.member.manifest.runtime.clone(),
                    s.member.dir.display().to_string(),
                ]
            })
            .collect();
        show::table(&["function", "runtime", "runs from"], &rows);
        show::line(&format!(
            "\n{} {} - save a file and call again; ctrl-c ends",
            paint(Tone::Good, "serving on"),
            self.running.endpoint()
        ));
        if let Some(first) = self.served.first() {
            // Where the other commands look by themselves.
            let to = match self.config.listen.to_string() == client::ADDRESS {
                true => String::new(),
                false => format!(" --endpoint-url {}", self.running.endpoint()),
            };
            show::line(&format!(
                "call it: kiln invoke {} '{{}}'{to}",
                first.member.name
            ));
        }
    }

    /// Makes the function and has it run from its folder.
    async fn add(&mut self, mut member: Member) -> anyhow::Result<()> {
        self.debugged(&mut member.manifest);
        let zip = package::zip_files(PLACEHOLDER)?;
        deploy::deploy(&self.client, &member.name, &member.manifest, &zip).await?;
        let files = snapshot(&member.dir)?;
        self.swap(&member, &files).await?;
        let log = Follower::new(&member.name, &self.client);
        self.served.push(Served { member, files, log });
        Ok(())
    }

    /// Reads the project's file again: new functions are made, known ones get their settings.
    async fn describe(&mut self, file: &Path) -> anyhow::Result<()> {
        let dir = file.parent().unwrap_or(Path::new("."));
        let project = project::read(dir)?;
        for mut member in project.members {
            let Some(at) = self
                .served
                .iter()
                .position(|s| s.member.name == member.name)
            else {
                self.add(member).await?;
                continue;
            };
            self.debugged(&mut member.manifest);
            deploy::configure(&self.client, &member.name, &member.manifest).await?;
            let files = snapshot(&member.dir)?;
            self.swap(&member, &files).await?;
            show::line(&format!(
                "{} {}: settings",
                paint(Tone::Good, "reloaded"),
                member.name
            ));
            if let Some(served) = self.served.get_mut(at) {
                (served.member, served.files) = (member, files);
            }
        }
        Ok(())
    }

    /// Shows new lines of one function's log and swaps its code if a file changed.
    async fn look(&mut self, at: usize) -> anyhow::Result<()> {
        let Some(served) = self.served.get_mut(at) else {
            return Ok(());
        };
        served.log.look(&self.client).await?;
        let files = snapshot(&served.member.dir)?;
        let Some(what) = difference(&served.files, &files) else {
            return Ok(());
        };
        let Some(served) = self.served.get(at) else {
            return Ok(());
        };
        self.swap(&served.member, &files).await?;
        show::line(&format!(
            "{} {}: {what}",
            paint(Tone::Good, "reloaded"),
            served.member.name
        ));
        if let Some(served) = self.served.get_mut(at) {
            served.files = files;
        }
        Ok(())
    }

    async fn swap(&self, member: &Member, files: &Snapshot) -> anyhow::Result<()> {
        let function = FunctionRef {
            account: self.config.account.clone(),
            region: self.config.region.clone(),
            name: member.name.parse()?,
            qualifier: None,
        };
        let functions = &self.running.app.functions;
        let state = format!("{files:?}");
        functions
            .run_folder(&function, member.dir.clone(), &state)
            .await?;
        Ok(())
    }

    /// Has the runtime listen for a debugger, if that is wanted.
    fn debugged(&self, manifest: &mut Manifest) {
        let Some(port) = self.config.debug_port else {
            return;
        };
        let (name, value) = match manifest.runtime.starts_with("nodejs") {
            true => ("NODE_OPTIONS", format!("--inspect=127.0.0.1:{port}")),
            false => ("KILN_DEBUG_PORT", port.to_string()),
        };
        manifest.environment.insert(name.to_owned(), value);
    }
}

fn stamp(file: &Path) -> Option<(i128, u64)> {
    let meta = file.metadata().ok()?;
    let changed = meta
        .modified()
        .ok()?
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    Some((i128::try_from(changed.as_nanos()).ok()?, meta.len()))
}

/// All files of a folder with the time of their last change.
fn snapshot(dir: &Path) -> anyhow::Result<Snapshot> {
    let mut found = Snapshot::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = folder
            .read_dir()
            .with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if package::LEFT_OUT.iter().any(|out| name == *out) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if let Some(stamp) = stamp(&entry.path()) {
                found.insert(entry.path(), stamp);
            }
            anyhow::ensure!(
                found.len() <= WATCHED_MAX,
                "{} holds more than {WATCHED_MAX} files",
                dir.display()
            );
        }
    }
    Ok(found)
}

/// What changed, for people; `None` if nothing did.
fn difference(before: &Snapshot, after: &Snapshot) -> Option<String> {
    let changed = after
        .iter()
        .filter(|(path, stamp)| before.get(*path) != Some(*stamp));
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let names: Vec<&Path> = changed
        .map(|(path, _)| path.as_path())
        .chain(gone.map(PathBuf::as_path))
        .collect();
    let first = names
        .first()?
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    Some(match names.len() {
        1 => first.into_owned(),
        more => format!("{first} and {} more", more - 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, i128)]) -> Snapshot {
        all.iter()
            .map(|(name, at)| (PathBuf::from(name), (*at, 1)))
            .collect()
    }

    #[test]
    fn a_change_is_named() {
        let before = files(&[("d/a", 1), ("d/b", 1)]);
        for (after, says) in [
            (files(&[("d/a", 1), ("d/b", 1)]), None),
            (files(&[("d/a", 2), ("d/b", 1)]), Some("a")),
            (files(&[("d/a", 1)]), Some("b")),
            (
                files(&[("d/a", 2), ("d/b", 2), ("d/c", 1)]),
                Some("a and 2 more"),
            ),
        ] {
            assert_eq!(difference(&before, &after).as_deref(), says);
        }
    }
}
