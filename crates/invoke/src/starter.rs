//! Turns a version into a running environment.

use std::sync::Arc;
use std::time::Duration;

use functions::{Deployed, LogFormat};
use model::ports::{LogSink, LogStreamRef};
use model::{Exit, RuntimeFamily};
use sandbox::{
    Credentials, Environment, EnvironmentSpec, Extensions, Function, Leaves, LeftTmp, Mount,
    Network, Sandbox, Snapshot, StartError, StopReason, TASK_DIR,
};
use tasks::Tasks;

use crate::credentials::{KeyGuard, SessionKeys};
use crate::errors;
use crate::launch::{self, Catalog, MissingRuntime};
use crate::left::HostBytes;
use crate::output::EnvironmentLog;
use crate::pool::{Live, Pool, Purpose, Seat};
use crate::report::{Level, Restore};
use crate::snapshots::{Found, Place, Snapshots};

/// The variable that names a script to start the runtime with.  [Lambda guide: wrapper scripts]
const EXEC_WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";
/// [spec 4.8: Runtime.InvalidEntrypoint]
const NO_BOOTSTRAP: &str = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";

/// Longest restore with its hooks.  [Lambda guide: SnapStart]
const RESTORE_LIMIT: Duration = Duration::from_secs(10);
/// How long credentials that are asked for may be kept.
const CREDENTIALS_LIVE: Duration = Duration::from_secs(6 * 3_600);

/// Everything that a start needs; one for the server.
pub(crate) struct Starter {
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) sink: Arc<dyn LogSink>,
    pub(crate) keys: SessionKeys,
    pub(crate) tasks: Tasks,
    pub(crate) network: Network,
    /// Whether interpreters are kept to be forked.
    pub(crate) templates: bool,
    /// Kiln's own endpoint as seen from inside an environment; becomes `AWS_ENDPOINT_URL`.
    pub(crate) endpoint_inside: Option<String>,
    pub(crate) snapshots: Snapshots,
    pub(crate) left: HostBytes,
}

/// Why there is no environment.
#[derive(Debug)]
pub(crate) enum StartFailure {
    MissingRuntime(MissingRuntime),
    Sandbox(StartError),
    /// The code directory is gone or the version cannot run on this host.
    Unusable(String),
}

/// An environment to be: its log exists before it does, so that init output has a place.
pub(crate) struct Planned {
    spec: EnvironmentSpec,
    /// Why the program cannot be there, found before anything is started.
    refused: Option<String>,
    /// The user's script that starts the runtime.
    has_wrapper: bool,
    pub(crate) log: Arc<EnvironmentLog>,
    keys: Arc<KeyGuard>,
    /// Of a version with SnapStart.
    pub(crate) place: Option<Arc<Place>>,
}

impl Starter {
    /// Chooses the runtime and fills in what the environment sees. `left`: of the one whose place it takes.
    pub(crate) async fn plan(
        &self,
        deployed: &Arc<Deployed>,
        purpose: Purpose,
        left: Option<Arc<LeftTmp>>,
    ) -> Result<Planned, StartFailure> {
        let config = &deployed.config;
        let runtime = config
            .runtime
            .ok_or_else(|| StartFailure::Unusable("the function has no runtime".to_owned()))?;
        let code = deployed
            .code_dir()
            .map(std::path::Path::to_owned)
            .ok_or_else(|| StartFailure::Unusable("the function has no code".to_owned()))?;
        if config.architecture != model::Architecture::host() {
            return Err(StartFailure::Unusable(format!(
                "the function was built for {}, this host runs {}",
                config.architecture.as_str(),
                model::Architecture::host().as_str(),
            )));
        }
        let found = self
            .catalog
            .prepare(runtime, &code, config.memory, &self.tasks)
            .await
            .map_err(StartFailure::MissingRuntime)?;
        let found = match deployed.opt_dir() {
            Some(opt) => found.with_layers(opt),
            None => found,
        };
        let logging = &config.logging;
        let json = (logging.format == LogFormat::Json).then(|| Level::of(logging.system_level));
        let log = EnvironmentLog::new(self.stream(deployed), self.sink.clone());
        let log = Arc::new(log.in_json(json));
        let function = &deployed.function;
        let keys = self.keys.issue(
            self.tasks.ids(),
            &function.account,
            &config.role,
            function.name.as_str(),
        );
        let keys = Arc::new(KeyGuard::new(&self.keys, keys));
        let place = deployed
            .is_snap_start()
            .then(|| self.snapshots.place(deployed, self.tasks.ids()));
        let env = launch::environment(&launch::Facts {
            function,
            version: &deployed.version,
            config: &deployed.config,
            log_group: &log.stream().group,
            log_stream: &log.stream().stream,
            keys: &keys.issued,
            initialization: purpose.as_str(),
            endpoint: self.endpoint_inside.as_deref(),
        });
        let wrapper = deployed
            .config
            .environment
            .iter()
            .flatten()
            .find(|(name, _)| *name == EXEC_WRAPPER && runtime.family() != RuntimeFamily::Provided)
            .map(|(_, path)| path.clone());
        let has_wrapper = wrapper.is_some();
        let early = found.waiting.as_ref().filter(|early| early.serves(&env));
        let is_template = early.is_some_and(|early| early.is_template);
        let early = early
            .filter(|_| self.templates || !is_template)
            .map(|waiting| {
                // Accounts do not share processes, not even before a function is in them.
                Arc::new(sandbox::Waiting {
                    key: format!("{}/{runtime}", function.account),
                    argv: waiting.argv.clone(),
                    env: waiting.env.clone(),
                    mounts: waiting.mounts.clone(),
                    is_fork: is_template,
                })
            });
        let template = early.clone().filter(|early| early.is_fork);
        let argv = wrapper.into_iter().chain(found.argv).collect();
        let mut mounts = vec![Mount {
            host: code,
            inside: "/var/task".into(),
        }];
        mounts.extend(found.mounts);
        let spec = EnvironmentSpec {
            id: self.tasks.ids().hex(8),
            argv,
            working_dir: TASK_DIR.to_owned(),
            env,
            mounts,
            memory: config.memory,
            ephemeral: config.ephemeral,
            network: self.network,
            waiting: early,
            template,
            snapshot: None,
            left,
            leaves: Leaves::default(),
            credentials: place.as_ref().map(|place| self.credentials(place, &keys)),
            extensions: Extensions {
                external: deployed.layers.extensions().to_vec(),
                function: Arc::new(Function {
                    name: function.name.to_string(),
                    version: deployed.version.to_string(),
                    handler: config.handler.clone(),
                    account: function.account.to_string(),
                }),
                telemetry: log.telemetry().clone(),
            },
            init_limit: Duration::ZERO,
            output: log.clone(),
        };
        let refused = found.bootstrap_missing.then(|| NO_BOOTSTRAP.to_owned());
        Ok(Planned {
            spec,
            refused,
            has_wrapper,
            log,
            keys,
            place,
        })
    }

    /// What the environment's function asks for instead of finding it in its variables.
    fn credentials(&self, place: &Place, keys: &Arc<KeyGuard>) -> Arc<Credentials> {
        let (clock, issued) = (self.tasks.clock().clone(), keys.issued.clone());
        let content = move || {
            // They end with the environment; clients ask again before they expire.
            let json = serde_json::json!({
                "AccessKeyId": issued.access_key,
                "SecretAccessKey": issued.secret,
                "Token": issued.token,
                "Expiration": clock.now().after(CREDENTIALS_LIVE).iso_secs(),
            });
            json.to_string().into()
        };
        Arc::new(Credentials::new(place.token.clone(), content))
    }

    /// The snapshot that an environment may be restored from, made now if there is none. `None`: its
    /// version has no SnapStart.
    pub(crate) async fn snapshot(&self, planned: &Planned) -> Option<Result<Found, StartError>> {
        let place = planned.place.as_ref()?;
        let id = self.tasks.ids().hex(8);
        let spec = EnvironmentSpec {
            id,
            ..planned.spec.clone()
        };
        Some(place.find(&self.sandbox, spec).await)
    }

    /// Restores a snapshot.
    pub(crate) async fn restore(
        &self,
        planned: &Planned,
        snapshot: Arc<dyn Snapshot>,
        seat: Seat,
    ) -> Result<Live, StartError> {
        let spec = EnvironmentSpec {
            init_limit: RESTORE_LIMIT,
            id: self.tasks.ids().hex(8),
            snapshot: Some(snapshot),
            ..planned.spec.clone()
        };
        let environment = self.sandbox.start(spec).await?;
        let report = *environment.init();
        let mut live = self.live(planned, environment, seat);
        live.init = None;
        live.restore = Some(Restore {
            total: report.setup + report.duration,
            billed: report.duration,
        });
        Ok(live)
    }

    /// Boots and initialises; may be called again with the same plan after a failed init.
    pub(crate) async fn start(
        &self,
        planned: &Planned,
        init_limit: Duration,
        seat: Seat,
    ) -> Result<Live, StartError> {
        if let Some(reason) = &planned.refused {
            let path = planned.spec.argv.first().cloned().unwrap_or_default();
            return Err(StartError::BadEntrypoint {
                path,
                reason: reason.clone(),
            });
        }
        let id = self.tasks.ids().hex(8);
        let spec = EnvironmentSpec {
            init_limit,
            id,
            left: planned
                .spec
                .leaves
                .take()
                .or_else(|| planned.spec.left.clone()),
            ..planned.spec.clone()
        };
        let environment = match self.sandbox.start(spec).await {
            // A wrapper is started by a shell on AWS, which answers 127 for what it does not find.
            Err(StartError::BadEntrypoint { .. }) if planned.has_wrapper => {
                return Err(StartError::InitExited {
                    exit: Exit::Code(127),
                    took: Duration::ZERO,
                });
            }
            Err(StartError::BadEntrypoint { path, reason }) => {
                let reason = errors::launch_message(&path, &reason);
                return Err(StartError::BadEntrypoint { path, reason });
            }
            other => other?,
        };
        Ok(self.live(planned, environment, seat))
    }

    fn live(&self, planned: &Planned, environment: Box<dyn Environment>, seat: Seat) -> Live {
        let init = environment.init().duration;
        let now = self.tasks.clock().now();
        Live {
            environment,
            log: planned.log.clone(),
            keys: planned.keys.clone(),
            seat,
            init: Some(init),
            restore: None,
            born: now,
            idle_since: now,
            is_frozen: false,
            tenant: None,
            reason: StopReason::Spindown,
        }
    }

    /// Gives up a plan whose environment never lived.
    pub(crate) fn abandon(&self, planned: &Planned) {
        planned.keys.revoke();
        planned.log.flush();
    }

    /// Stops an environment without making anybody wait for it.
    pub(crate) fn stop(&self, live: Live) {
        self.tasks.spawn("environment stop", self.stop_now(live));
    }

    /// Stops an environment that failed; the next one of its pool finds its `/tmp`.
    pub(crate) fn stop_failed(&self, live: Live, pool: &Pool) {
        // What is restored begins as its snapshot did.
        if pool.deployed.is_snap_start() {
            return self.stop(live);
        }
        let tell = pool.lefts.add(self.tasks.clock().now());
        let (environment, log, reason) = self.leave(live);
        let host = self.left.clone();
        self.tasks.spawn("environment reset", async move {
            let left = environment.stop_leaving(reason).await;
            if let Some(kept) = left.and_then(|left| host.keep(left)) {
                // The pool may have gone meanwhile.
                let _ = tell.send(kept);
            }
            log.flush(); // what it printed after its last answer
        });
    }

    /// Its keys end at once.
    pub(crate) fn stop_now(&self, live: Live) -> impl Future<Output = ()> + Send + use<> {
        let (environment, log, reason) = self.leave(live);
        async move {
            environment.stop_for(reason).await;
            log.flush(); // what it printed after its last answer
        }
    }

    fn leave(&self, mut live: Live) -> (Box<dyn Environment>, Arc<EnvironmentLog>, StopReason) {
        live.keys.revoke();
        // Its extensions have a last word.
        live.environment.thaw();
        // Its room is free at once: whoever needs it does not wait for the end.
        drop(live.seat);
        (live.environment, live.log, live.reason)
    }

    /// `YYYY/MM/DD/[version]<32 hex>`; with a log group of the user's, the function's name goes
    /// before the version.  [Lambda guide: log streams]
    fn stream(&self, deployed: &Deployed) -> LogStreamRef {
        let function = &deployed.function;
        let date = self.tasks.clock().now().log_date();
        let id = self.tasks.ids().hex(16);
        let version = deployed.version;
        let default_group = format!("/aws/lambda/{}", function.name);
        let group = deployed.config.logging.group.clone();
        let stream = if group == default_group {
            format!("{date}/[{version}]{id}")
        } else {
            format!("{date}/{}[{version}]{id}", function.name)
        };
        LogStreamRef {
            account: function.account.clone(),
            region: function.region.clone(),
            group: group.into(),
            stream: stream.into(),
        }
    }
}
