use std::time::Duration;

use model::{Concluded, EphemeralStorage, Exit, Memory, Unfinished};
use sandbox::{LimitState, Network, StartError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::bench::{Bench, LONG, ask, call, mount, namespaces, told};

/// A test of the `ns` backend, with nothing kept ready and from the pool; on a host without
/// namespaces it says so and passes.
macro_rules! in_namespaces {
    ($(async fn $name:ident($bench:ident: Bench) $body:block)*) => {
        $(async fn $name($bench: Bench) {
            $body
            $bench.sandbox.shutdown(LONG).await;
        })*

        mod new {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(bench) = crate::bench::namespaces(None).await else { return };
                super::$name(bench).await;
            }
        )*}

        mod ready {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(bench) = crate::bench::pooled().await else { return };
                super::$name(bench).await;
            }
        )*}
    };
}

in_namespaces! {
    async fn calls_are_answered_and_measured(bench: Bench) {
        let mut env = bench.start().await;
        assert!(env.init().duration > Duration::ZERO && env.init().setup > Duration::ZERO);
        for event in ["one", "two", "three"] {
            let answer = ask(&mut env, event).await;
            assert_eq!(answer.ending, Ok(Concluded::Success(event.into())));
            let mib = answer.memory_max_mib.unwrap();
            assert!((1..100).contains(&mib), "{mib} MiB");
        }
        env.stop().await;
    }

    async fn a_call_over_its_limit_times_out(bench: Bench) {
        let mut env = bench.start().await;
        let answer = env.invoke(call("sleep 60000"), Duration::from_millis(100)).await;
        assert_eq!(answer.ending, Err(Unfinished::TimedOut));
        assert!(answer.duration >= Duration::from_millis(100));
        env.stop().await;
    }

    async fn the_end_of_the_runtime_is_told(bench: Bench) {
        for (event, exit) in [
            ("exit 3", Exit::Code(3)),
            ("exit 0", Exit::Code(0)),
            ("abort", Exit::Signal(6)),
            ("sh kill -9 $PPID", Exit::Signal(9)),
        ] {
            let mut env = bench.start().await;
            let answer = ask(&mut env, event).await;
            assert_eq!(answer.ending, Err(Unfinished::Crashed(exit)), "{event}");
            assert_eq!(env.lost().await, exit, "{event}");
            env.stop().await;
        }
    }

    async fn an_init_that_goes_wrong_is_told(bench: Bench) {
        let exited = bench.start_fails(bench.spec(&["init-exit"])).await;
        assert!(matches!(exited, StartError::InitExited { exit: Exit::Code(7), .. }), "{exited:?}");
        let failed = bench.start_fails(bench.spec(&["init-error"])).await;
        let StartError::InitFailed { error, .. } = failed else { panic!("{failed:?}") };
        assert!(error.payload.starts_with(b"{\"errorMessage\":\"no module\""), "{error:?}");
        let mut spec = bench.spec(&["init-hang"]);
        spec.init_limit = Duration::from_millis(200);
        let hung = bench.start_fails(spec).await;
        assert!(matches!(hung, StartError::InitTimedOut { .. }), "{hung:?}");
    }

    async fn a_program_that_cannot_run_is_told(bench: Bench) {
        std::fs::write(bench.code.path().join("data"), "no program").unwrap();
        for (path, why) in [
            ("/var/task/missing", "no such file or directory"),
            ("/var/task/data", "permission denied"),
        ] {
            let mut spec = bench.spec(&[]);
            spec.argv = vec![path.to_owned()];
            match bench.start_fails(spec).await {
                StartError::BadEntrypoint { path: p, reason } => assert_eq!((&*p, &*reason), (path, why)),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn a_place_that_cannot_be_entered_is_told(bench: Bench) {
        std::fs::write(bench.code.path().join("data"), "no directory").unwrap();
        std::fs::create_dir(bench.code.path().join("inner")).unwrap();
        for (dir, why) in [
            ("/var/nowhere", "the working directory doesn't exist: /var/nowhere"),
            ("/var/task/data", "chdir /var/task/data: not a directory"),
            ("task", "the working directory 'task' is invalid, it needs to be an absolute path"),
            ("", "the working directory '' is invalid, it needs to be an absolute path"),
        ] {
            let mut spec = bench.spec(&[]);
            spec.working_dir = dir.to_owned();
            match bench.start_fails(spec).await {
                StartError::BadWorkingDir { reason } => assert_eq!(reason, why),
                other => panic!("{dir}: {other:?}"),
            }
        }
        let mut spec = bench.spec(&[]);
        spec.working_dir = "/var/task/inner".to_owned();
        let mut env = bench.sandbox.start(spec).await.unwrap();
        assert_eq!(told(&mut env, "sh pwd").await, "/var/task/inner\n[0]");
        env.stop().await;
        for (argv, name, why) in [
            (vec![], "A", "neither an entry point nor a command"),
            (vec![""], "A", "neither an entry point nor a command"),
            (vec!["/bin/a\0b"], "A", "a zero byte in the entry point, the command or a variable"),
            (vec!["/bin/a"], "A\0", "a zero byte in the entry point, the command or a variable"),
        ] {
            let mut spec = bench.spec(&[]);
            spec.argv = argv.into_iter().map(str::to_owned).collect();
            spec.env.push((name.to_owned(), "1".to_owned()));
            match bench.start_fails(spec).await {
                StartError::BadTaskConfig { reason } => assert_eq!(reason, why),
                other => panic!("{why}: {other:?}"),
            }
        }
    }

    async fn the_end_of_the_first_process_is_that_of_the_sandbox(bench: Bench) {
        let mut env = bench.start().await;
        let inside = env_host_pid(&bench, &mut env).await;
        rustix_kill(first_of(&inside));
        assert_eq!(env.lost().await, Exit::Lost);
        let answer = ask(&mut env, "sleep 60000").await;
        assert_eq!(answer.ending, Err(Unfinished::Crashed(Exit::Lost)));
        env.stop().await;
    }

    async fn a_spec_that_makes_no_sense_is_refused(bench: Bench) {
        let mut long = bench.spec(&[]);
        long.env.push(("BIG".to_owned(), "x".repeat(200_000)));
        let mut name = bench.spec(&[]);
        name.id = "../up".to_owned();
        let mut over = bench.spec(&[]);
        over.mounts.push(mount(bench.code.path(), "/usr/lib"));
        let mut up = bench.spec(&[]);
        up.mounts.push(mount(bench.code.path(), "/var/../etc"));
        for spec in [long, name, over, up] {
            let error = bench.start_fails(spec).await;
            assert!(matches!(error, StartError::Backend(_)), "{error:?}");
        }
        // The helper is none the worse for it.
        let mut env = bench.start().await;
        assert_eq!(told(&mut env, "still here").await, "still here");
        env.stop().await;
    }

    async fn too_much_memory_ends_as_out_of_memory(bench: Bench) {
        let mut spec = bench.spec(&[]);
        spec.memory = Memory::MIN;
        let mut env = bench.sandbox.start(spec).await.unwrap();
        let answer = ask(&mut env, "eat 40").await;
        assert!(answer.ending.is_ok(), "{:?}", answer.ending);
        assert!((41..=128).contains(&answer.memory_max_mib.unwrap()), "{answer:?}");
        let answer = ask(&mut env, "eat 900").await;
        assert_eq!(answer.ending, Err(Unfinished::Crashed(Exit::OutOfMemory)));
        env.stop().await;
    }

    async fn tmp_is_bounded_and_private(bench: Bench) {
        let mut spec = bench.spec(&[]);
        spec.ephemeral = EphemeralStorage::DEFAULT;
        spec.memory = Memory::from_mib(1_024).unwrap();
        let mut env = bench.sandbox.start(spec).await.unwrap();
        let filled = told(&mut env, "fill 600").await;
        assert!(filled.contains("No space left on device"), "{filled}");
        let mib: u32 = filled.split(' ').next().unwrap().parse().unwrap();
        assert!((500..=512).contains(&mib), "{filled}");
        let files = told(&mut env, "sh i=0; while printf '' 2>/dev/null >/tmp/$i; do i=$((i+1)); done 2>/dev/null; echo $i").await;
        let files: u32 = files.split('\n').next().unwrap().parse().unwrap();
        assert!((1_000..40_000).contains(&files), "{files}");
        let mut other = bench.start().await;
        assert_eq!(told(&mut other, "sh ls -A /tmp").await, "[0]");
        env.stop().await;
        other.stop().await;
    }

    async fn tmp_does_not_count_as_memory(bench: Bench) {
        let mut spec = bench.spec(&[]);
        spec.memory = Memory::MIN;
        let mut env = bench.sandbox.start(spec).await.unwrap();
        assert_eq!(told(&mut env, "fill 400").await, "400 MiB");
        let answer = ask(&mut env, "eat 60").await;
        assert!(answer.ending.is_ok(), "{:?}", answer.ending);
        assert!((30..=128).contains(&answer.memory_max_mib.unwrap()), "{answer:?}");
        let answer = ask(&mut env, "eat 900").await;
        assert_eq!(answer.ending, Err(Unfinished::Crashed(Exit::OutOfMemory)));
        env.stop().await;
    }

    async fn only_the_view_is_visible(bench: Bench) {
        let mut env = bench.start().await;
        let top = told(&mut env, "sh ls /").await;
        for name in ["root", "home", "boot", "mnt", "srv", "sys", "run", "media", "host"] {
            assert!(!top.lines().any(|line| line == name), "/{name} is visible:\n{top}");
        }
        let etc = told(&mut env, "sh cat /etc/passwd /etc/shadow; ls /etc").await;
        assert!(etc.contains("sbx_user1051"), "{etc}");
        assert!(etc.contains("/etc/shadow: No such file"), "{etc}");
        let data = bench.code.path().display();
        assert!(told(&mut env, &format!("sh ls {data}")).await.contains("No such file"));
        for path in ["/x", "/usr/x", "/etc/x", "/var/task/x", "/var/x", "/dev/x", "/opt/x"] {
            let said = told(&mut env, &format!("sh echo 1 > {path}")).await;
            assert!(!said.ends_with("[0]"), "{path}: {said}");
        }
        assert_eq!(told(&mut env, "sh echo 1 > /tmp/x && cat /tmp/x").await, "1\n[0]");
        assert_eq!(told(&mut env, "sh pwd; ls /dev/shm 2>/dev/null").await, "/var/task\n[2]");
        assert_eq!(told(&mut env, "sh head -c 4 /dev/zero | od -An -tx1 >/dev/null").await, "[0]");
        env.stop().await;
    }

    async fn mounts_appear_where_the_spec_says(bench: Bench) {
        let more = tempfile::TempDir::new().unwrap();
        std::fs::write(more.path().join("file"), "content").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", more.path().join("link")).unwrap();
        std::fs::set_permissions(more.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut spec = bench.spec(&[]);
        for inside in ["/opt", "/var/runtime", "/var/lang", "/mnt/a/b"] {
            spec.mounts.push(mount(more.path(), inside));
        }
        let mut env = bench.sandbox.start(spec).await.unwrap();
        for inside in ["/opt", "/var/runtime", "/var/lang", "/mnt/a/b"] {
            assert_eq!(told(&mut env, &format!("sh cat {inside}/file")).await, "content[0]");
            let write = told(&mut env, &format!("sh echo > {inside}/file")).await;
            assert!(write.contains("Read-only file system"), "{write}");
            // A link in a mount leads to the view, not to the host.
            let link = told(&mut env, &format!("sh head -1 {inside}/link")).await;
            assert_eq!(link, "root:x:0:0:root:/root:/sbin/nologin\n[0]");
        }
        // What a mount brought is not there for others.
        let mut other = bench.start().await;
        assert_eq!(told(&mut other, "sh ls /opt /var/lang /mnt/a/b 2>/dev/null | wc -w").await, "3\n[0]");
        env.stop().await;
        other.stop().await;
    }

    async fn what_is_roots_outside_is_roots_inside(bench: Bench) {
        if bench.sandbox.isolation().backend == "ns (rootless)" {
            return; // it may not map the host's root
        }
        let more = tempfile::TempDir::new().unwrap();
        std::fs::set_permissions(more.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(more.path().join("file"), "content").unwrap();
        let mut plain = bench.start().await;
        let owners = "sh stat -c %u:%g /var/task /var/task/* /opt /lambda-entrypoint.sh | sort -u";
        assert_eq!(told(&mut plain, owners).await, "0:0\n[0]");
        let mut spec = bench.spec(&[]);
        spec.mounts.push(mount(more.path(), "/opt"));
        let mut layered = bench.sandbox.start(spec).await.unwrap();
        assert_eq!(told(&mut layered, "sh stat -c %u:%g /opt /opt/file | sort -u").await, "0:0\n[0]");
        for path in ["/opt/file", "/var/task/x", "/lambda-entrypoint.sh"] {
            let said = told(&mut layered, &format!("sh echo > {path}")).await;
            assert!(said.contains("Read-only file system"), "{path}: {said}");
        }
        plain.stop().await;
        layered.stop().await;
    }

    async fn many_start_at_once_and_stay_apart(bench: Bench) {
        let started = start_together(&bench, 24).await;
        let mut envs = Vec::new();
        for (n, mut env) in started.into_iter().enumerate() {
            assert_eq!(told(&mut env, &format!("sh ls /tmp; echo {n} > /tmp/own-{n}")).await, "[0]");
            envs.push(env);
        }
        for (n, env) in envs.iter_mut().enumerate() {
            assert_eq!(told(env, "sh ls /tmp").await, format!("own-{n}\n[0]"));
        }
        for env in envs {
            env.stop().await;
        }
    }

    async fn only_its_own_processes_exist(bench: Bench) {
        let mut env = bench.start().await;
        let mut other = bench.start().await;
        let pids = told(&mut env, "sh ls -d /proc/[0-9]* | wc -l").await;
        let count: u32 = pids.split_whitespace().next().unwrap().parse().unwrap();
        assert!(count <= 6, "{count} processes");
        let own = std::process::id();
        for what in [format!("kill -0 {own}"), "kill -9 1; ls /proc/1/fd /proc/1/root/".to_owned()] {
            let said = told(&mut env, &format!("sh {what}")).await;
            assert!(!said.ends_with("[0]"), "{what}: {said}");
        }
        assert_eq!(told(&mut env, "alive").await, "alive");
        assert_eq!(told(&mut other, "alive").await, "alive");
        env.stop().await;
        other.stop().await;
    }

    async fn rights_are_gone(bench: Bench) {
        let mut env = bench.start().await;
        let status = told(&mut env, "sh cat /proc/self/status").await;
        let field = |name: &str| {
            let line = status.lines().find(|l| l.starts_with(name));
            line.unwrap().split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(field("Uid:"), "993 993 993 993");
        assert_eq!(field("Gid:"), "990 990 990 990");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
        assert_eq!((field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()), ("1", "2"));
        let limits = told(&mut env, "sh ulimit -n; ulimit -c; ulimit -l; umask").await;
        assert_eq!(limits, "1024\n0\n64\n0022\n[0]");
        // 4 and 5 are the connection with the Runtime API, 6 is the look at them.
        assert_eq!(told(&mut env, "descriptors").await, "0 1 2 3 4 5 6");
        env.stop().await;
    }

    async fn priority_cannot_be_taken(bench: Bench) {
        let mut env = bench.start().await;
        assert_eq!(told(&mut env, "sh cat /proc/self/oom_score_adj; nice").await, "500\n0\n[0]");
        if has_capability(24) {
            // CAP_SYS_RESOURCE makes the score the least that the function can have.
            let lower = told(&mut env, "sh echo 0 > /proc/self/oom_score_adj").await;
            assert!(!lower.ends_with("[0]"), "{lower}");
        }
        let nice = told(&mut env, "sh nice -n -5 nice 2>/dev/null").await;
        assert_eq!(nice, "0\n[0]");
        let realtime = told(&mut env, "sh chrt -f 1 true").await;
        assert!(!realtime.ends_with("[0]"), "{realtime}");
        env.stop().await;
    }

    async fn new_rights_are_refused(bench: Bench) {
        let mut env = bench.start().await;
        for command in [
            "unshare -U true",
            "unshare -r true",
            "unshare -n true",
            "unshare -m true",
            "mount -t tmpfs none /tmp",
            "mount --bind /usr /tmp",
            "umount /proc/sys",
            "umount -l /tmp",
            "chroot /tmp true",
            "nsenter -t 1 -m true",
            "nsenter -t 1 -n true",
            "mknod /tmp/sda b 8 0",
            "dmesg",
            "echo 1 > /proc/sys/kernel/core_pattern",
            "echo 1 > /proc/sysrq-trigger",
            "cat /proc/kcore",
            "cat /proc/1/environ",
            "cat /proc/1/mem",
            "readlink /proc/1/exe",
            "echo x > /proc/self/exe",
            "setpriv --reuid 0 true",
            "ls /sys/fs/cgroup",
        ] {
            let said = told(&mut env, &format!("sh {command}")).await;
            assert!(!said.ends_with("[0]"), "{command}: {said}");
            assert!(!said.ends_with("[127]"), "{command} is missing: {said}");
        }
        env.stop().await;
    }

    async fn processes_are_bounded(bench: Bench) {
        let mut env = bench.start().await;
        let said = told(&mut env, "processes 3000").await;
        let count: u32 = said.split(' ').next().unwrap().parse().unwrap();
        assert!((100..1_024).contains(&count), "{said}");
        assert_eq!(told(&mut env, "alive").await, "alive");
        env.stop().await;
    }

    async fn output_comes_before_the_answer(bench: Bench) {
        let mut env = bench.start().await;
        for n in 0..50 {
            told(&mut env, &format!("print line {n}")).await;
            assert_eq!(bench.lines.texts(), [format!("line {n}")]);
        }
        assert_eq!(told(&mut env, "frame two\nlines").await, "Ok(())");
        let lines = bench.lines.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!((lines[0].message.as_str(), lines[0].unix_ms), ("two\nlines", 1_700_000_000_123));
        assert_eq!(told(&mut env, "flood 8").await, "flooded");
        assert_eq!(bench.lines.take().len(), 8 * 1_024);
        env.stop().await;
    }

    async fn the_host_cannot_be_reached(bench: Bench) {
        let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = host.local_addr().unwrap();
        let mut env = bench.start().await;
        let said = told(&mut env, &format!("connect {address}")).await;
        assert!(said.contains("refused"), "{said}");
        for address in ["169.254.169.254:80", "10.0.0.1:80", "[2001:db8::1]:80"] {
            let said = told(&mut env, &format!("connect {address}")).await;
            assert!(said.contains("unreachable") || said.contains("assign"), "{said}");
        }
        env.stop().await;
    }

    async fn an_environment_survives_nothing_of_its_helper(bench: Bench) {
        let mut env = bench.start().await;
        let helper = helper_of(&env_host_pid(&bench, &mut env).await);
        rustix_kill(helper);
        assert_eq!(env.lost().await, Exit::Lost);
        env.stop().await;
        let mut next = bench.start().await;
        assert_eq!(told(&mut next, "again").await, "again");
        next.stop().await;
    }

    async fn interpreters_of_the_host_run(bench: Bench) {
        let mut spec = bench.spec(&[]);
        spec.memory = Memory::from_mib(1_024).unwrap();
        let mut env = bench.sandbox.start(spec).await.unwrap();
        for (program, script, want) in [
            ("python3", "-c 'import ssl, socket, subprocess, threading, tempfile, json; \
                t = threading.Thread(target=print, args=(1,)); t.start(); t.join(); \
                print(subprocess.check_output([\"echo\", \"2\"]).decode().strip()); \
                print(len(ssl.create_default_context().get_ca_certs()) >= 0); \
                print(socket.getaddrinfo(\"localhost\", 80)[0][0] > 0)'", "1\n2\nTrue\nTrue\n[0]"),
            ("node", "-e 'const w = require(\"worker_threads\"); \
                if (w.isMainThread) { new w.Worker(\"console.log(2)\", {eval: true}) \
                .on(\"exit\", () => console.log(require(\"child_process\").execSync(\"echo 3\").toString().trim())); \
                console.log(1); require(\"os\").networkInterfaces(); require(\"tls\"); }'", "1\n2\n3\n[0]"),
            ("ruby", "-e 'Thread.new { puts 1 }.join; puts `echo 2`'", "1\n2\n[0]"),
            ("java", "-version 2>/dev/null", "[0]"),
        ] {
            let here = ["/usr/bin", "/bin"].iter().any(|dir| {
                std::path::Path::new(dir).join(program).exists()
            });
            if !here {
                eprintln!("skipped: this host has no {program} in /usr/bin");
                continue;
            }
            assert_eq!(told(&mut env, &format!("sh {program} {script}")).await, want, "{program}");
        }
        env.stop().await;
    }

    async fn what_is_enforced_is_told(bench: Bench) {
        let isolation = bench.sandbox.isolation();
        assert!(isolation.backend.starts_with("ns ("), "{isolation:?}");
        let state = |what: &str| isolation.items.iter().find(|i| i.what == what).unwrap().state;
        assert_eq!(state("namespaces"), LimitState::Enforced);
        assert_eq!(state("system calls"), LimitState::Enforced);
        // Another run has its cgroups elsewhere; else the doctor says the same.
        let states = |i: &sandbox::Isolation| -> Vec<_> {
            i.items.iter().map(|i| (i.what.clone(), i.state)).collect()
        };
        let doctor = sandbox::doctor::probe_with(&crate::bench::probe());
        assert_eq!(states(&doctor), states(&isolation));
        if isolation.backend == "ns (rootless)" {
            assert_ne!(state("user"), LimitState::Enforced);
        }
    }
}

/// Whether this process has a capability, by its number.
fn has_capability(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let set = status
        .lines()
        .find_map(|l| l.strip_prefix("CapEff:"))
        .unwrap();
    u64::from_str_radix(set.trim(), 16).unwrap() >> number & 1 == 1
}

/// Starts so many environments at the same time.
async fn start_together(bench: &Bench, count: usize) -> Vec<Box<dyn sandbox::Environment>> {
    let (send, mut receive) = tokio::sync::mpsc::channel(count);
    for _ in 0..count {
        let (sandbox, spec, send) = (bench.sandbox.clone(), bench.spec(&[]), send.clone());
        bench.tasks.spawn("start", async move {
            send.send(sandbox.start(spec).await.unwrap()).await.ok();
        });
    }
    drop(send);
    let mut all = Vec::new();
    while let Some(env) = receive.recv().await {
        all.push(env);
    }
    assert_eq!(all.len(), count);
    all
}

/// The host's id of the runtime's process, found by a mark in its environment.
async fn env_host_pid(bench: &Bench, env: &mut Box<dyn sandbox::Environment>) -> String {
    let mark = format!("mark-{}", tasks::Ids::system().hex(8));
    told(
        env,
        &format!("sh sh -c 'sleep 1000; : {mark}' >/dev/null 2>&1 & echo"),
    )
    .await;
    // While it executes its program it has no command line for a moment.
    for _ in 0..2_000 {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let cmdline = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&cmdline).contains(&mark) {
                return entry.file_name().to_string_lossy().into_owned();
            }
        }
        bench.tasks.clock().sleep(Duration::from_millis(5)).await;
    }
    panic!("no process has the mark")
}

/// Walks up to the helper.
pub(crate) fn helper_of(pid: &str) -> i32 {
    let mut pid = pid.to_owned();
    loop {
        let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let parent = parent(&pid);
        let parents = std::fs::read(format!("/proc/{parent}/cmdline")).unwrap_or_default();
        let is_helper = |c: &[u8]| c.starts_with(b"kiln: sandbox helper");
        // The first process of an environment shows the helper's name as well.
        if is_helper(&cmdline) && !is_helper(&parents) {
            return pid.parse().unwrap();
        }
        pid = parent;
    }
}

/// Walks up to the first process of the environment.
fn first_of(pid: &str) -> i32 {
    let mut pid = pid.to_owned();
    loop {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|l| l.starts_with("NSpid:")).unwrap();
        if line.split_whitespace().last() == Some("1") {
            return pid.parse().unwrap();
        }
        pid = parent(&pid);
    }
}

pub(crate) fn parent(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("PPid:")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

pub(crate) fn rustix_kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kilns_endpoint_is_reached_by_those_who_may() {
    let kiln = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let Some(bench) = namespaces(Some(kiln.local_addr().unwrap())).await else {
        return;
    };
    bench.tasks.spawn("kiln", async move {
        while let Ok((mut stream, _)) = kiln.accept().await {
            stream.write_all(b"hello").await.unwrap();
        }
    });
    let inside = bench.sandbox.kiln_endpoint().unwrap();
    for (network, want) in [
        (Network::Kiln, "connected hello"),
        (Network::None, "Connection refused (os error 111)"),
    ] {
        let mut spec = bench.spec(&[]);
        spec.network = network;
        let mut env = bench.sandbox.start(spec).await.unwrap();
        assert_eq!(told(&mut env, &format!("connect {inside}")).await, want);
        env.stop().await;
    }
    bench.sandbox.shutdown(LONG).await;
}

#[test]
fn a_program_that_is_no_helper_is_told_apart() {
    let isolation = sandbox::doctor::probe_with(std::path::Path::new("/bin/true"));
    let [item] = isolation.items.as_slice() else {
        panic!("{isolation:?}")
    };
    assert!(
        item.is_essential() && item.state == LimitState::Missing,
        "{item:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_full_network_is_that_of_the_host_but_not_its_loopback() {
    let Some(bench) = namespaces(None).await else {
        return;
    };
    let isolation = bench.sandbox.isolation();
    let full = isolation.items.iter().find(|i| i.what == "full network");
    let mut spec = bench.spec(&[]);
    spec.network = Network::Full;
    if full.unwrap().state == LimitState::Missing {
        eprintln!("skipped: {}", full.unwrap().detail);
        bench.start_fails(spec).await;
        return;
    }
    let host = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = host.local_addr().unwrap().port();
    bench.tasks.spawn("host", async move {
        while let Ok((mut stream, _)) = host.accept().await {
            stream.write_all(b"hello").await.unwrap();
        }
    });
    let mut env = bench.sandbox.start(spec).await.unwrap();
    // Inside, the function's own loopback is its own; nothing listens there.
    let own = told(&mut env, &format!("connect 127.0.0.1:{port}")).await;
    assert!(own.contains("refused"), "{own}");
    let link = told(&mut env, &format!("connect 169.254.169.254:{port}")).await;
    assert!(link.starts_with("connected, then "), "{link}");
    match own_address() {
        Some(ip) => {
            let said = told(&mut env, &format!("connect {ip}:{port}")).await;
            assert_eq!(said, "connected hello");
        }
        None => eprintln!("this host has no address but loopback; nothing to reach"),
    }
    env.stop().await;
    bench.sandbox.shutdown(LONG).await;
}

/// An address of this host that is not loopback. Asks the routing table; sends nothing.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("203.0.113.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}
