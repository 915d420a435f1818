//! What a fork of a kept interpreter is: for everything that binds a function the same as one that was
//! started there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use sandbox::{Environment, EnvironmentSpec, Origin, Waiting};
use serde_json::Value;
use tempfile::TempDir;

use crate::bench::{Bench, LONG, mount, namespaces, pooled, told};
use crate::pool::{WAITS, with_waiting};

const PYTHON: &str = "/usr/bin/python3";
/// Most environments that are started until one is a fork.
const TRIES_MAX: usize = 200;

/// Tells what binds the process that it runs in.
const HANDLER: &str = r#"
import ctypes, errno, json, os, re, socket, sys
FORKED = "ssl" in sys.modules
libc = ctypes.CDLL(None, use_errno=True)

def attempt(number, *args):
    code = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args])
    return "done" if code >= 0 else errno.errorcode[ctypes.get_errno()]

def opened(path, flags):
    try:
        os.close(os.open(path, flags))
        return "opened"
    except OSError as error:
        return errno.errorcode[error.errno]

def status():
    names = "Umask State NSpid NSsid Uid Gid Groups NoNewPrivs Seccomp CapInh CapPrm CapEff CapBnd CapAmb SigBlk SigIgn SigCgt Threads"
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    told = {name: lines[name].split() for name in names.split() if name not in ("NSpid", "NSsid", "State")}
    told["leads"] = [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid(), os.getppid()]
    return told

def spaces():
    own, first = {}, {}
    for name in "user pid mnt net ipc uts cgroup".split():
        own[name] = os.readlink("/proc/self/ns/" + name)
    return own

def seen():
    return {
        "status": status(), "limits": open("/proc/self/limits").read(),
        "secure": libc.prctl(27, 0, 0, 0, 0), "dumpable": libc.prctl(3, 0, 0, 0, 0), "death": attempt(157, 2, 0),
        "oom": open("/proc/self/oom_score_adj").read(), "priority": [os.nice(0), os.sched_getscheduler(0)],
        "fds": {n: re.sub(r"\d{3,}", "", os.readlink("/proc/self/fd/" + n)) for n in "0123"},
        "count": len(os.listdir("/proc/self/fd")), "owner": os.stat("/proc/self/fd").st_uid,
        "mounts": sorted(line.split(" - ")[0].split(" ", 4)[4] for line in open("/proc/self/mountinfo")),
        "cgroup": [re.sub(r"/(e\d+|ready-\w+)$", "/e", line.strip()).split(":", 1)[1] for line in open("/proc/self/cgroup")],
        "cwd": os.getcwd(), "root": sorted(os.listdir("/")), "host": socket.gethostname(), "user": os.getlogin() if 0 else os.getuid(),
        "files": {p: opened(p, f) for p, f in [
            ("/dev/null", os.O_RDWR), ("/dev/stderr", os.O_WRONLY), ("/proc/self/mem", os.O_RDWR), ("/proc/1/mem", os.O_RDONLY),
            ("/proc/sys/kernel/hostname", os.O_WRONLY), ("/etc/x", os.O_CREAT | os.O_RDWR), ("/var/task/x", os.O_CREAT | os.O_RDWR),
            ("/tmp/x", os.O_CREAT | os.O_RDWR), ("/proc/self/oom_score_adj", os.O_WRONLY), ("/root", os.O_RDONLY), ("/proc/1/root", os.O_RDONLY),
        ]},
        "calls": {n: attempt(*a) for n, *a in [
            ("setns", 308, 0, 0), ("unshare", 272, 0x10000000), ("mount", 165, 0, 0, 0, 0, 0), ("ptrace", 101, 0, 0, 0, 0),
            ("bpf", 321, 0, 0, 0), ("clone3", 435, 0, 0), ("setuid", 105, 0), ("kill first", 62, 1, 9), ("chroot", 161, 0),
            ("landlock", 446, -1, 0), ("capability", 157, 23, 21), ("keyctl", 250, 0, 0), ("nonsense", 999),
        ]} if os.uname().machine == "x86_64" else {},
    }

def f(event, context):
    if event == "forked":
        return FORKED
    if event == "piece":
        return data.read(4).decode()
    if event == "size":
        return os.path.getsize("/tmp/large")
    if event == "spaces":
        return spaces()
    if event == "exit":
        os._exit(5)
    if event == "key":
        return os.environ.get("KEY")
    return seen()
"#;

pub(crate) struct Python {
    pub(crate) bench: Bench,
    runtime: TempDir,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o755)).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl Python {
    pub(crate) async fn open() -> Option<Python> {
        Python::of(namespaces(None).await?)
    }

    fn of(bench: Bench) -> Option<Python> {
        if !Path::new(PYTHON).exists() {
            eprintln!("skipped: no {PYTHON}");
            return None;
        }
        let runtime = TempDir::new().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtimes/python");
        copy(&source, runtime.path());
        std::fs::write(bench.code.path().join("l.py"), HANDLER).unwrap();
        Some(Python { bench, runtime })
    }

    pub(crate) fn spec(&self, account: &str, key: &str) -> EnvironmentSpec {
        let runtime = mount(self.runtime.path(), "/var/runtime");
        let generic = [("LANG", "C.UTF-8"), ("PYTHONPATH", "/var/runtime")];
        let generic = generic.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let own = [("_HANDLER", "l.f"), ("KEY", key)];
        let own = own.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let mut spec = self.bench.spec(&[]);
        spec.argv = [PYTHON, "/var/runtime/bootstrap.py"]
            .map(String::from)
            .into();
        spec.env = generic.iter().chain(&own).cloned().collect();
        spec.mounts.push(runtime.clone());
        spec.template = Some(Arc::new(Waiting {
            key: account.to_owned(),
            argv: spec.argv.clone(),
            env: generic.into(),
            mounts: vec![runtime],
            is_fork: true,
        }));
        spec
    }

    pub(crate) async fn start(&self, spec: EnvironmentSpec) -> Box<dyn Environment> {
        self.bench.sandbox.start(spec).await.unwrap()
    }

    /// The first start is an ordinary one; soon there are forks.
    async fn fork(&self, account: &str, key: &str) -> Box<dyn Environment> {
        for _ in 0..TRIES_MAX {
            let mut env = self.start(self.spec(account, key)).await;
            if told(&mut env, "\"forked\"").await == "true" {
                return env;
            }
            env.stop().await;
        }
        panic!("no start was a fork");
    }
}

/// Nothing may tell one from the other.
async fn compare(one: &mut Box<dyn Environment>, other: &mut Box<dyn Environment>) {
    let (want, got) = (asked(one, "seen").await, asked(other, "seen").await);
    for (name, value) in want.as_object().unwrap() {
        assert_eq!(&got[name], value, "{name}");
    }
    let (theirs, own) = (asked(one, "spaces").await, asked(other, "spaces").await);
    for (name, space) in own.as_object().unwrap() {
        let host = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(space, host.to_str().unwrap(), "{name}");
        assert_ne!(*space, theirs[name], "{name}");
    }
}

pub(crate) async fn asked(env: &mut Box<dyn Environment>, what: &str) -> Value {
    serde_json::from_str(&told(env, &format!("{what:?}")).await).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_is_bound_like_a_start_of_its_own() {
    let Some(python) = Python::open().await else {
        return;
    };
    let mut ordinary = python.spec("a", "ordinary");
    ordinary.template = None;
    let mut ordinary = python.start(ordinary).await;
    assert_eq!(asked(&mut ordinary, "forked").await, false);
    let mut fork = python.fork("a", "fork").await;
    assert_eq!(asked(&mut fork, "key").await, "fork");
    compare(&mut ordinary, &mut fork).await;
    ordinary.stop().await;
    let answer = fork.invoke(crate::bench::call("\"exit\""), LONG).await;
    let exit = model::Exit::Code(5);
    assert_eq!(answer.ending, Err(model::Unfinished::Crashed(exit)));
    assert_eq!(fork.lost().await, exit);
    fork.stop().await;
    python.bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_that_waited_is_bound_like_a_start_of_its_own() {
    let Some(python) = pooled().await.and_then(Python::of) else {
        return;
    };
    let waiting = |key| {
        let mut spec = python.spec("a", key);
        spec.waiting = spec.template.clone();
        spec
    };
    let mut ordinary = python.start(waiting("ordinary")).await;
    assert_eq!(asked(&mut ordinary, "forked").await, false);
    for key in ["1", "2"] {
        python.bench.keeps(|kept| kept.waiting >= 1).await;
        let mut fork = python.start(waiting(key)).await;
        assert_eq!(fork.init().origin, Origin::Waiting);
        assert_eq!(asked(&mut fork, "forked").await, true);
        assert_eq!(asked(&mut fork, "key").await, key);
        compare(&mut ordinary, &mut fork).await;
        fork.stop().await;
    }
    ordinary.stop().await;
    python.bench.sandbox.shutdown(LONG).await;
}

/// Many functions whose starts are forks do not keep those of other runtimes from waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_that_wait_leave_places_to_waiting_processes() {
    let Some(python) = pooled().await.and_then(Python::of) else {
        return;
    };
    let fork = |account| {
        let mut spec = python.spec(account, "k");
        spec.waiting = spec.template.clone();
        spec
    };
    // As many accounts as there are places: each keeps a fork.
    for account in ["a", "b"] {
        python.start(fork(account)).await.stop().await;
    }
    python.bench.keeps(|kept| kept.waiting == 2).await;
    let process = || with_waiting(&python.bench, "c", WAITS);
    python.start(process()).await.stop().await;
    python.bench.keeps(|kept| kept.waiting == 3).await;
    for spec in [process(), fork("a"), fork("b")] {
        let env = python.start(spec).await;
        assert_eq!(env.init().origin, Origin::Waiting);
        env.stop().await;
    }
    python.bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_serves_one_account_only() {
    let Some(python) = Python::open().await else {
        return;
    };
    let fork = python.fork("a", "1").await;
    let mut other = python.start(python.spec("b", "2")).await;
    assert_eq!(asked(&mut other, "forked").await, false);
    other.stop().await;
    fork.stop().await;
    python.bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn the_cost_of_a_fork_is_printed() {
    let Some(python) = Python::open().await else {
        return;
    };
    python.fork("a", "1").await.stop().await;
    for (what, is_template) in [
        ("start", false),
        ("fork", true),
        ("start", false),
        ("fork", true),
    ] {
        let mut times = Vec::new();
        for _ in 0..40 {
            let mut spec = python.spec("a", "1");
            spec.template = spec.template.filter(|_| is_template);
            let env = python.start(spec).await;
            times.push((env.init().setup + env.init().duration, env.init().duration));
            env.stop().await;
        }
        times.sort_unstable();
        let at = |n: usize| times[(times.len() - 1) * n / 100];
        println!("{what}: p10 {:?} p50 {:?} p90 {:?}", at(10), at(50), at(90));
    }
    python.bench.sandbox.shutdown(LONG).await;
}
