//! One backend with the probe as its function.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Call, Concluded, EphemeralStorage, Memory, RequestId};
use sandbox::{
    Answer, Environment, EnvironmentSpec, Extensions, Kept, Mount, Network, Output, OutputLine,
    Sandbox, StartError, ns, process,
};
use tasks::{Clock, Ids, Tasks};
use tempfile::TempDir;

pub(crate) const PROBE: &str = env!("CARGO_BIN_EXE_sandbox-probe");
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Beside the tests if they were copied to where an ordinary user may run them.
pub(crate) fn probe() -> PathBuf {
    let beside = std::env::current_exe()
        .unwrap()
        .with_file_name("sandbox-probe");
    if beside.exists() {
        beside
    } else {
        PROBE.into()
    }
}

#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<OutputLine>>);

impl Lines {
    pub(crate) fn take(&self) -> Vec<OutputLine> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.take().into_iter().map(|l| l.message).collect()
    }
}

impl Output for Lines {
    fn line(&self, line: OutputLine) {
        self.0.lock().unwrap().push(line);
    }
}

pub(crate) struct Bench {
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) tasks: Tasks,
    pub(crate) code: TempDir,
}

/// A directory that any user may read, with the probe in it.
pub(crate) fn code_dir() -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::copy(probe(), dir.path().join("sandbox-probe")).unwrap();
    dir
}

fn tasks() -> Tasks {
    Tasks::new(Clock::real(), Ids::system())
}

fn bench(sandbox: Arc<dyn Sandbox>, tasks: Tasks) -> Bench {
    Bench {
        sandbox,
        lines: Arc::default(),
        tasks,
        code: code_dir(),
    }
}

/// `None`, with the reason printed, on a host that cannot make namespaces. Nothing is kept ready.
pub(crate) async fn namespaces(endpoint: Option<SocketAddr>) -> Option<Bench> {
    open(ns::NsConfig {
        helper: probe(),
        endpoint,
        ..ns::NsConfig::default()
    })
    .await
}

/// The same with sandboxes and waiting processes kept ready, the first of them by now.
pub(crate) async fn pooled() -> Option<Bench> {
    let bench = open(ns::NsConfig {
        helper: probe(),
        sandboxes_max: 4,
        waiting_max: 2,
        ready_for: Some(Network::None),
        ..ns::NsConfig::default()
    })
    .await?;
    bench.keeps(|kept| kept.sandboxes == 2).await;
    Some(bench)
}

async fn open(config: ns::NsConfig) -> Option<Bench> {
    let tasks = tasks();
    match ns::open(config, &tasks).await {
        Ok(sandbox) => Some(bench(sandbox, tasks)),
        Err(ns::OpenError::Unsupported(why)) => {
            eprintln!("skipped: {why}");
            None
        }
        Err(other) => panic!("{other}"),
    }
}

pub(crate) fn processes() -> Bench {
    let tasks = tasks();
    bench(process::open(None, None, &tasks), tasks)
}

impl Bench {
    /// Waits until what is kept ready is as wanted.
    pub(crate) async fn keeps(&self, wanted: impl Fn(Kept) -> bool) {
        for _ in 0..2_000 {
            if wanted(self.sandbox.kept()) {
                return;
            }
            self.tasks.clock().sleep(Duration::from_millis(5)).await;
        }
        panic!("{:?}", self.sandbox.kept());
    }

    pub(crate) fn spec(&self, args: &[&str]) -> EnvironmentSpec {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = ["/var/task/sandbox-probe"];
        EnvironmentSpec {
            id: format!("e{}", COUNT.fetch_add(1, Ordering::SeqCst)),
            argv: program
                .iter()
                .chain(args)
                .map(|a| (*a).to_owned())
                .collect(),
            working_dir: sandbox::TASK_DIR.to_owned(),
            env: vec![(
                "PATH".to_owned(),
                "/usr/bin:/bin:/usr/sbin:/sbin".to_owned(),
            )],
            mounts: vec![mount(self.code.path(), "/var/task")],
            memory: Memory::from_mib(256).unwrap(),
            ephemeral: EphemeralStorage::DEFAULT,
            network: Network::None,
            waiting: None,
            template: None,
            snapshot: None,
            left: None,
            leaves: sandbox::Leaves::default(),
            credentials: None,
            extensions: Extensions::default(),
            init_limit: Duration::from_secs(10),
            output: self.lines.clone(),
        }
    }

    pub(crate) async fn start(&self) -> Box<dyn Environment> {
        self.sandbox.start(self.spec(&[])).await.unwrap()
    }

    pub(crate) async fn start_fails(&self, spec: EnvironmentSpec) -> StartError {
        match self.sandbox.start(spec).await {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    }
}

pub(crate) fn mount(host: &Path, inside: &str) -> Mount {
    Mount {
        host: host.to_owned(),
        inside: inside.into(),
    }
}

pub(crate) fn call(event: &str) -> Call {
    Call {
        request: Ids::system().uuid().parse::<RequestId>().unwrap(),
        payload: event.to_owned().into(),
        deadline_unix_ms: 2_000_000_000_000,
        invoked_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
        trace: "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0"
            .to_owned(),
        client_context: None,
        cognito_identity: None,
        tenant_id: None,
    }
}

pub(crate) async fn ask(env: &mut Box<dyn Environment>, event: &str) -> Answer {
    env.invoke(call(event), LONG).await
}

/// The text of a successful answer.
pub(crate) async fn told(env: &mut Box<dyn Environment>, event: &str) -> String {
    match ask(env, event).await.ending {
        Ok(Concluded::Success(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        other => panic!("{event}: {other:?}"),
    }
}
