//! What a fork of an initialised runtime is: for everything that binds a function the same as one that
//! was started there, with the state of the snapshot and nothing of its siblings.

use std::sync::Arc;

use sandbox::{Environment, EnvironmentSpec, Origin, Snapshot, Taken};
use serde_json::json;

use crate::bench::{LONG, call, told};
use crate::leftovers::{self, wait_until};
use crate::ns::{helper_of, parent, rustix_kill};
use crate::template::{Python, asked};

/// What the init phase of the function does beside defining it.
fn with_init(python: &Python, code: &str) {
    let path = python.bench.code.path().join("l.py");
    let handler = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{handler}\n{code}")).unwrap();
}

fn spec(python: &Python) -> EnvironmentSpec {
    let mut spec = python.spec("a", "k");
    spec.template = None;
    let name = "AWS_LAMBDA_INITIALIZATION_TYPE".to_owned();
    spec.env.push((name, "snap-start".to_owned()));
    spec
}

async fn take(python: &Python) -> Taken {
    python.bench.sandbox.snapshot(spec(python)).await.unwrap()
}

async fn kept(python: &Python) -> Arc<dyn Snapshot> {
    match take(python).await {
        Taken::Kept(snapshot) => snapshot,
        Taken::Not { reason, .. } => panic!("no snapshot: {reason}"),
        Taken::Unsupported => panic!("unsupported"),
    }
}

async fn restored(python: &Python, from: &Arc<dyn Snapshot>) -> Box<dyn Environment> {
    let mut spec = spec(python);
    spec.snapshot = Some(from.clone());
    let env = python.start(spec).await;
    assert_eq!(env.init().origin, Origin::Snapshot);
    env
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_environment_is_bound_like_a_start_of_its_own() {
    let Some(python) = Python::open().await else {
        return;
    };
    let mut ordinary = python.start(spec(&python)).await;
    let snapshot = kept(&python).await;
    let mut one = restored(&python, &snapshot).await;
    let mut two = restored(&python, &snapshot).await;
    let want = asked(&mut ordinary, "seen").await;
    for env in [&mut one, &mut two] {
        let mut got = asked(env, "seen").await;
        if let Some(answer) = got.pointer_mut("/calls/setns") {
            // Refused by another word: only who traces it could let it through.
            assert_eq!(*answer, json!("ENOSYS"));
            *answer = json!("EPERM");
        }
        // What is below the groups of others shows as a path; its own are the root.
        let groups = got["cgroup"].as_array().unwrap();
        let is_root = |line: &serde_json::Value| line.as_str().unwrap().ends_with(":/");
        assert!(groups.iter().all(is_root), "{groups:?}");
        for (name, value) in want.as_object().unwrap() {
            assert!(
                name == "cgroup" || &got[name] == value,
                "{name}: {value} {}",
                got[name]
            );
        }
    }
    let spaces = asked(&mut one, "spaces").await;
    let others = [
        asked(&mut ordinary, "spaces").await,
        asked(&mut two, "spaces").await,
    ];
    for (name, space) in spaces.as_object().unwrap() {
        for other in &others {
            assert_ne!(*space, other[name], "{name}");
        }
    }
    let exit = model::Exit::Code(5);
    let answer = one.invoke(call("\"exit\""), LONG).await;
    assert_eq!(answer.ending, Err(model::Unfinished::Crashed(exit)));
    for env in [ordinary, one, two] {
        env.stop().await;
    }
    assert!(snapshot.is_alive());
    python.bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_has_what_init_left_and_its_own_from_then_on() {
    let Some(python) = Python::open().await else {
        return;
    };
    with_init(
        &python,
        "import random\n\
         log = open('/tmp/log', 'a+'); log.write('init,'); log.flush()\n\
         dead = socket.socket()\n\
         drawn = random.random()\n\
         def f(event, context):\n    \
             log.write(event + ','); log.flush(); log.seek(0)\n    \
             return [log.read(), drawn, random.random(), os.path.exists('/tmp/log'), dead.fileno() > 2]\n",
    );
    let snapshot = kept(&python).await;
    let mut drawn = Vec::new();
    for name in ["a", "b"] {
        let mut env = restored(&python, &snapshot).await;
        let text = told(&mut env, &format!("{name:?}")).await;
        let said: (String, f64, f64, bool, bool) = serde_json::from_str(&text).unwrap();
        assert_eq!(said.0, format!("init,{name},"));
        assert!(said.3 && said.4);
        drawn.push((said.1, said.2));
        env.stop().await;
    }
    assert_eq!(drawn[0].0, drawn[1].0, "what init drew is the same");
    assert_ne!(drawn[0].1, drawn[1].1, "what they draw now is not");
    python.bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_forked_is_told() {
    let Some(python) = Python::open().await else {
        return;
    };
    let path = python.bench.code.path().join("l.py");
    let handler = std::fs::read_to_string(&path).unwrap();
    for (code, why) in [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=[60], daemon=True).start()",
            "threads",
        ),
        ("import mmap\nm = mmap.mmap(-1, 4096)", "memory"),
        // It could be made writable again in each fork.
        (
            "import ctypes, mmap\nm = mmap.mmap(-1, 4096)\n\
             a = ctypes.addressof(ctypes.c_char.from_buffer(m))\n\
             assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(a), 4096, mmap.PROT_READ) == 0",
            "memory",
        ),
        ("p = os.pipe()", "pipe:"),
        ("import socket as s\np = s.socketpair()", "socket:"),
        ("import select\ne = select.epoll()", "eventpoll"),
        (
            "import subprocess\np = subprocess.Popen(['/bin/sleep', '60'])",
            "processes",
        ),
    ] {
        std::fs::write(&path, format!("{handler}\n{code}\n")).unwrap();
        match take(&python).await {
            Taken::Not { reason, .. } => assert!(reason.contains(why), "{code}: {reason}"),
            _ => panic!("{code}: kept"),
        }
    }
    std::fs::write(&path, "raise KeyError('no')").unwrap();
    match python.bench.sandbox.snapshot(spec(&python)).await {
        Err(sandbox::StartError::InitFailed { .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it did not fail"),
    }
    python.bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tmp_larger_than_the_memory_is_part_of_a_snapshot() {
    let Some(python) = Python::open().await else {
        return;
    };
    // In pieces: how much room there is follows what is there.
    let write = "import time\nwith open('/tmp/large', 'wb') as file:\n    for _ in range(160): file.write(b'7' * (1 << 20)); file.flush(); time.sleep(0.01)\n";
    with_init(&python, write);
    let small = |mut spec: EnvironmentSpec| {
        spec.memory = model::Memory::from_mib(128).unwrap();
        spec
    };
    let taken = python.bench.sandbox.snapshot(small(spec(&python))).await;
    let Taken::Kept(snapshot) = taken.unwrap() else {
        panic!("no snapshot");
    };
    let mut again = small(spec(&python));
    again.snapshot = Some(snapshot);
    let mut env = python.start(again).await;
    let size = asked(&mut env, "size").await;
    assert_eq!(size, json!(160 << 20));
    env.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_read_open_files_each_at_a_place_of_its_own() {
    let Some(python) = Python::open().await else {
        return;
    };
    let data = python.bench.code.path().join("data");
    std::fs::write(&data, "one two three").unwrap();
    std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    with_init(
        &python,
        "data = open('/var/task/data', 'rb', 0)\ndata.read(4)",
    );
    let snapshot = kept(&python).await;
    for _ in 0..2 {
        let mut env = restored(&python, &snapshot).await;
        assert_eq!(asked(&mut env, "piece").await, json!("two "));
        env.stop().await;
    }
    python.bench.sandbox.shutdown(LONG).await;
}

/// What the runtime says of its fork is checked: its function may have replaced what says it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_cannot_name_another_process_as_its_fork() {
    let Some(python) = Python::open().await else {
        return;
    };
    // While the first environment is there its runtime is named instead of the next fork.
    with_init(
        &python,
        "open('/tmp/large', 'w').write('kept')\n\
         real = os.getpid\n\
         def below():\n    \
             for name in sorted(filter(str.isdigit, os.listdir('/proc')), key=int):\n        \
                 status = open(f'/proc/{name}/status').read()\n        \
                 depth = len(status.split('NSpid:')[1].splitlines()[0].split())\n        \
                 if depth == 2 and status.startswith('Name:\\tpython'): yield int(name)\n\
         def named():\n    \
             found = list(below())\n    \
             return found[0] if found else real()\n\
         os.getpid = named",
    );
    let snapshot = kept(&python).await;
    let mut one = restored(&python, &snapshot).await;
    let mut next = spec(&python);
    next.snapshot = Some(snapshot.clone());
    match python.bench.sandbox.start(next).await {
        Err(sandbox::StartError::Backend(why)) => assert!(why.contains("find the fork"), "{why}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken for the fork"),
    }
    assert_eq!(asked(&mut one, "size").await, json!(4));
    one.stop().await;
    python.bench.sandbox.shutdown(LONG).await;
}

/// A fork that never stands still keeps its snapshot from serving for a second and no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_that_does_not_stop_is_given_up() {
    let Some(python) = Python::open().await else {
        return;
    };
    // A process stands in vfork until its child ends, whatever else is wanted of it.
    with_init(
        &python,
        "import ctypes, threading\n\
         real, times = os.getpid, []\n\
         os.register_at_fork(after_in_parent=lambda: times.append(1))\n\
         def hangs():\n    \
             if times:\n        \
                 os.write(5, b'%d' % real())\n        \
                 ctypes.CDLL(None).vfork() or ctypes.CDLL(None).pause()\n    \
             return real()\n\
         os.getpid = hangs",
    );
    let snapshot = kept(&python).await;
    let mut next = spec(&python);
    next.snapshot = Some(snapshot.clone());
    match python.bench.sandbox.start(next).await {
        Err(sandbox::StartError::Backend(why)) => assert!(why.contains("stop the fork"), "{why}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it stood still"),
    }
    python.bench.sandbox.shutdown(LONG).await;
}

/// R10: when the first process of a snapshot is killed, its runtime and all environments that are forks of
/// it end too, and nothing of them stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_snapshot_leaves_nothing() {
    let Some(python) = Python::open().await else {
        return;
    };
    let name = format!("kept-{}", tasks::Ids::system().hex(4));
    with_init(&python, &format!("libc.prctl(15, b'{name}', 0, 0, 0)"));
    // What is made once and stays is there after the first.
    let snapshot = kept(&python).await;
    restored(&python, &snapshot).await.stop().await;
    let helper = helper_of(&runtime_of_the_snapshot(&python, &name).await);
    drop(snapshot);
    let helper = u32::try_from(helper).unwrap();
    let groups = leftovers::groups(helper);
    wait_until("the first snapshot stayed", || {
        leftovers::below(helper).is_empty()
    });
    let held = || leftovers::held(helper, &groups);
    wait_until("a group of the first snapshot stayed", || {
        held().1.iter().all(|entries| *entries == 0)
    });
    let before = held();

    let snapshot = kept(&python).await;
    let mut one = restored(&python, &snapshot).await;
    let two = restored(&python, &snapshot).await;
    assert!(held().0 >= 6, "a first process and a runtime each");
    let runtime = runtime_of_the_snapshot(&python, &name).await;
    rustix_kill(parent(&runtime).parse().unwrap());
    assert_eq!(one.lost().await, model::Exit::Lost);
    wait_until("the snapshot is alive", || !snapshot.is_alive());
    one.stop().await;
    two.stop().await;
    drop(snapshot);
    wait_until("something stayed", || held() == before);

    let snapshot = kept(&python).await;
    let mut next = restored(&python, &snapshot).await;
    assert_eq!(asked(&mut next, "key").await, json!("k"));
    next.stop().await;
    python.bench.sandbox.shutdown(LONG).await;
}

/// The process that is the initialised runtime, by the name that it gave itself; its forks have the name
/// too and lie one namespace deeper.
async fn runtime_of_the_snapshot(python: &Python, name: &str) -> String {
    for _ in 0..2_000 {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let read = |name| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            let status = read("status");
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let depth = ids.map_or(0, |ids| ids.split_whitespace().count());
            if depth == 2 && read("comm").trim_end() == name {
                return entry.file_name().to_string_lossy().into_owned();
            }
        }
        let clock = python.bench.tasks.clock();
        clock.sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("no process has the name")
}
