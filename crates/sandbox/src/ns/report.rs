use crate::helper::Hello;
use crate::{Enforcement, Isolation, LimitState};

/// Without these there is no environment.
pub(crate) const NAMESPACES: &str = "namespaces";

/// Says what the helper found, limit by limit, with what would mend a lack.
pub(crate) fn isolation(hello: &Hello) -> Isolation {
    let items = vec![
        enforced(
            NAMESPACES,
            "user, pid, mount, network, ipc, uts and cgroup, new for every environment",
        ),
        enforced(
            "file system",
            "read-only view of the system, code read-only, /tmp alone writable, assembled from descriptors",
        ),
        enforced("/tmp quota", "tmpfs of the size of EphemeralStorage"),
        user(hello),
        enforced(
            "system calls",
            "seccomp allow-list, no_new_privs, no capabilities",
        ),
        landlock(hello),
        memory(hello),
        cpu(hello),
        processes(hello),
        enforced(
            "network",
            "loopback only, the Runtime API and, if allowed, Kiln's own endpoint",
        ),
        full_network(hello),
    ];
    Isolation {
        backend: if hello.rootless {
            "ns (rootless)".to_owned()
        } else {
            "ns (root)".to_owned()
        },
        items,
    }
}

/// Says that nothing works, and why.
pub(crate) fn nothing(problem: &str) -> Isolation {
    Isolation {
        backend: "none".to_owned(),
        items: vec![item(NAMESPACES, LimitState::Missing, problem)],
    }
}

fn item(what: &str, state: LimitState, detail: &str) -> Enforcement {
    Enforcement {
        what: what.to_owned(),
        state,
        detail: detail.to_owned(),
    }
}

fn enforced(what: &str, detail: &str) -> Enforcement {
    item(what, LimitState::Enforced, detail)
}

fn user(hello: &Hello) -> Enforcement {
    if hello.rootless {
        item(
            "user",
            LimitState::Weakened,
            "every environment runs as the user of the server; run as root for a user of its own",
        )
    } else {
        enforced(
            "user",
            "two unprivileged host ids of its own per environment",
        )
    }
}

fn landlock(hello: &Hello) -> Enforcement {
    match hello.landlock_abi {
        0 => item(
            "landlock",
            LimitState::Missing,
            "the kernel has none; boot with lsm=landlock,… on Linux 5.13 or newer",
        ),
        abi @ 1..=5 => item(
            "landlock",
            LimitState::Weakened,
            &format!("ABI {abi}: files, but neither signals nor abstract sockets (Linux 6.12)"),
        ),
        abi => enforced(
            "landlock",
            &format!("ABI {abi}: files, signals, abstract sockets"),
        ),
    }
}

/// What would mend the lack of a controller, and why it is missing.
fn why(hello: &Hello, controller: &str) -> String {
    let hint = if hello.rootless {
        "run as root, or under systemd with Delegate=yes on cgroup v2"
    } else {
        "mount a cgroup hierarchy with the memory, cpu and pids controllers"
    };
    let general = |note: &&String| !note.contains("controller ") || note.contains("v2");
    let of_this = format!("controller {controller} ");
    let notes: Vec<&str> = hello
        .cgroup_notes
        .iter()
        .filter(|note| note.contains(&of_this) || general(note))
        .map(String::as_str)
        .collect();
    if notes.is_empty() {
        hint.to_owned()
    } else {
        format!("{hint} ({})", notes.join("; "))
    }
}

fn memory(hello: &Hello) -> Enforcement {
    match &hello.cgroups.memory {
        Some(dir) => enforced(
            "memory limit",
            &format!("cgroup v{} at {}", hello.cgroups.version, dir.display()),
        ),
        None => item(
            "memory limit",
            LimitState::Weakened,
            &format!(
                "RLIMIT_DATA per process and a watcher every 20 ms; {}",
                why(hello, "memory")
            ),
        ),
    }
}

fn cpu(hello: &Hello) -> Enforcement {
    match &hello.cgroups.cpu {
        Some(_) => enforced(
            "cpu limit",
            &format!(
                "cgroup v{} quota, 1 769 MB buy a core, after init",
                hello.cgroups.version
            ),
        ),
        None => item("cpu limit", LimitState::Missing, &why(hello, "cpu")),
    }
}

fn processes(hello: &Hello) -> Enforcement {
    match &hello.cgroups.pids {
        Some(_) => enforced("process limit", "cgroup pids and RLIMIT_NPROC, 1 024"),
        None => item(
            "process limit",
            LimitState::Weakened,
            &format!(
                "RLIMIT_NPROC of 1 024 in the environment's user namespace; {}",
                why(hello, "pids")
            ),
        ),
    }
}

fn full_network(hello: &Hello) -> Enforcement {
    if hello.full_network {
        enforced(
            "full network",
            "if allowed: TCP and name lookups, carried out by the server; not the host's loopback",
        )
    } else {
        item(
            "full network",
            LimitState::Missing,
            "the kernel lacks nf_tables with NAT; load nft_redir and nft_chain_nat",
        )
    }
}
