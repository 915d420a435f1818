//! Nothing of an environment stays, whatever way it or its server ended.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::bench::{code_dir, namespaces, probe};

/// Longest wait for the kernel and the helper to clean up; they take milliseconds.
const TRIES: u32 = 1_000;
const TRY_EVERY: Duration = Duration::from_millis(10);

struct Server {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _code: tempfile::TempDir,
}

impl Server {
    fn open() -> Server {
        Server::open_with(&[])
    }

    /// Two sandboxes are kept ready.
    fn pooled() -> Server {
        Server::open_with(&["pooled"])
    }

    fn open_with(more: &[&str]) -> Server {
        let code = code_dir();
        let mut child = Command::new(probe())
            .arg("serve")
            .arg(code.path())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Server {
            child,
            stdin,
            lines,
            _code: code,
        };
        server.says("open");
        server
    }

    fn says(&mut self, want: &str) {
        assert_eq!(self.lines.next().unwrap().unwrap(), want);
    }

    fn go_on(&mut self) {
        self.stdin.write_all(b"\n").unwrap();
    }

    fn helper(&self) -> u32 {
        let children = below(self.child.id());
        assert!(!children.is_empty(), "no helper");
        children[0]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn children(pid: u32) -> Vec<u32> {
    let all = below(pid);
    let parent = |child: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let rest = stat.rsplit(')').next().unwrap_or_default().to_owned();
        rest.split_whitespace().nth(1).map(str::to_owned)
    };
    let own = Some(pid.to_string());
    all.into_iter()
        .filter(|child| parent(child) == own)
        .collect()
}

/// All processes below one, nearest first.
pub(crate) fn below(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() {
        for task in std::fs::read_dir(format!("/proc/{}/task", found[next]))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .map(|p| p.parse::<u32>().unwrap()),
            );
        }
        next += 1;
    }
    found.split_off(1)
}

/// When a process started; with its id, the same for no other process.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit(')').next()?;
    Some(rest.split_whitespace().nth(19)?.to_owned())
}

/// The cgroups of a helper's run.
pub(crate) fn groups(helper: u32) -> Vec<PathBuf> {
    let name = format!("{helper}-{}", started(helper).unwrap());
    let mut homes = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut found = Vec::new();
    while let Some(dir) = homes.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                if *entry.file_name() == *name {
                    found.push(entry.path());
                } else {
                    homes.push(entry.path());
                }
            }
        }
    }
    found
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..TRIES {
        if done() {
            return;
        }
        std::thread::sleep(TRY_EVERY);
    }
    panic!("{what}");
}

async fn can_run() -> bool {
    namespaces(None).await.is_some()
}

/// Processes below a helper, environments in each of its groups, and its descriptors.
pub(crate) fn held(helper: u32, groups: &[PathBuf]) -> (usize, Vec<usize>, usize) {
    let environments = |group: &PathBuf| {
        let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()))
            .count()
    };
    (
        below(helper).len(),
        groups.iter().map(environments).collect(),
        open_files(helper),
    )
}

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}

#[tokio::test]
async fn a_stopped_environment_leaves_nothing() {
    if !can_run().await {
        return;
    }
    let mut server = Server::open();
    let helper = server.helper();
    let groups = groups(helper);
    let status = std::fs::read_to_string(format!("/proc/{helper}/status")).unwrap();
    let capabilities = status
        .lines()
        .find_map(|l| l.strip_prefix("CapPrm:"))
        .unwrap();
    let capabilities = u64::from_str_radix(capabilities.trim(), 16).unwrap();
    if rustix::process::geteuid().is_root() {
        assert!(capabilities.count_ones() <= 6, "{capabilities:x}");
    }
    let files = (open_files(helper), open_files(server.child.id()));
    server.go_on();
    server.says("ready");
    assert_eq!(
        below(helper).len(),
        4,
        "two first processes and two runtimes"
    );
    for group in &groups {
        assert!(group.join("killed-0").is_dir(), "{}", group.display());
    }
    server.go_on();
    server.says("stopped");
    assert_eq!(below(helper), Vec::<u32>::new());
    for group in &groups {
        assert!(!group.join("killed-0").exists(), "{}", group.display());
    }
    wait_until("a descriptor stayed", || {
        (open_files(helper), open_files(server.child.id())) == files
    });
}

#[tokio::test]
async fn a_killed_server_leaves_nothing() {
    if !can_run().await {
        return;
    }
    for kill_helper_first in [false, true] {
        for pooled in [false, true] {
            leaves_nothing(pooled, kill_helper_first).await;
        }
    }
}

async fn leaves_nothing(pooled: bool, kill_helper_first: bool) {
    let mut server = match pooled {
        true => Server::pooled(),
        false => Server::open(),
    };
    server.go_on();
    server.says("ready");
    let helper = server.helper();
    let groups = groups(helper);
    let all: Vec<_> = below(server.child.id())
        .into_iter()
        .map(|pid| (pid, started(pid)))
        .collect();
    let least = 5; // helper, two first processes, two runtimes
    assert!(all.len() == least || pooled && all.len() > least, "{all:?}");
    if kill_helper_first {
        kill(helper);
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    wait_until("a process stayed", || {
        all.iter().all(|(pid, since)| started(*pid) != *since)
    });
    if kill_helper_first {
        // Nobody was left to remove them; the next run does.
        drop(namespaces(None).await);
    }
    wait_until("a cgroup stayed", || groups.iter().all(|g| !g.exists()));
}

/// R10: what is killed while it has no function yet is replaced and leaves nothing.
#[tokio::test]
async fn a_killed_ready_sandbox_is_replaced_and_leaves_nothing() {
    if !can_run().await {
        return;
    }
    let server = Server::pooled();
    let helper = server.helper();
    let groups = groups(helper);
    let held = || (held(helper, &groups), open_files(server.child.id()));
    let before = held();
    assert_eq!(
        before.0.0, 4,
        "two first processes, two that become runtimes"
    );
    for round in 0..4 {
        let firsts = children(helper);
        // Once the first process, once the one that would become the runtime.
        let victim = if round % 2 == 0 {
            firsts[0]
        } else {
            children(firsts[0])[0]
        };
        kill(victim);
        wait_until("it was not replaced", || {
            held() == before && !below(helper).contains(&victim)
        });
    }
}

#[tokio::test]
async fn runs_that_start_and_end_together_keep_their_cgroups() {
    if !can_run().await {
        return;
    }
    let wanted = sandbox::doctor::probe_with(&probe());
    let states = |isolation: sandbox::Isolation| -> Vec<_> {
        let items = isolation.items.into_iter();
        items.map(|i| (i.what, i.state)).collect()
    };
    let wanted = states(wanted);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(states(sandbox::doctor::probe_with(&probe())), wanted);
                }
            });
        }
    });
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
