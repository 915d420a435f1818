//! The whole, in one place: straight-line code that makes every part and joins them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use functions::{Functions, FunctionsConfig};
use invoke::{
    Catalog, EventQueue, EventTarget, Invoke, InvokeConfig, Parts, Rate, SessionKeys, Subject,
};
use model::ports::{Parcel, Roles};
use sandbox::{Network, Sandbox};
use store::Store;
use targets::{Deliverer, DurableOutbox, Registry, Step};
use tasks::{Clock, Tasks};
use wire::access::{Credential, Credentials, Principal, Secret};
use wire::{Access, Mode, Router};

use crate::admin::{self, Admin, ClockNote, SetNote};
use crate::config::{Auth, Backend, Config};
use crate::folder;

/// Everything that runs.
pub(crate) struct App {
    pub(crate) router: Arc<Router>,
    pub(crate) functions: Functions,
    pub(crate) invoke: Invoke,
    pub(crate) logs: Arc<logs::Engine>,
    pub(crate) store: Store,
}

/// Makes the whole. `endpoint` is where the API listens; at most `environments_max` live at once.
pub(crate) async fn build(
    config: &Config,
    environments_max: usize,
    endpoint: SocketAddr,
    tasks: &Tasks,
) -> anyhow::Result<App> {
    let data = folder::prepare(&config.data)
        .with_context(|| format!("cannot use the data folder {}", config.data.display()))?;

    // Work that takes as long as it takes lives by the machine's clock, what waits for moments (retries,
    // ages, schedules, visibility, retention) by one that may be movable.
    let machine = tasks;
    let (clock, mover) = match config.movable_clock {
        true => {
            let (clock, mover) = Clock::movable(machine.clock(), admin::ahead(&data));
            machine.add(ClockNote::new(&mover, machine, &data));
            (clock, Some(mover))
        }
        false => {
            let clock = machine.clock().set_before(admin::set_us(&data));
            machine.add(SetNote::new(&clock, &data));
            (clock, None)
        }
    };
    let tasks = &machine.with_clock(&clock);

    // 1. Seams.
    let store = store::embedded::open(store::embedded::EmbeddedConfig::new(
        data.join(folder::STORE),
        tasks,
    ))
    .with_context(|| format!("cannot open the store in {}", data.display()))?;
    let sandbox = open_sandbox(config, endpoint, machine).await?;

    // 2. The platform.
    let folder = FunctionsConfig {
        idle_after: config.function_idle,
        ..FunctionsConfig::new(data.clone())
    };
    let functions = Functions::open(folder, &store, machine).await?;
    let logs = logs::open(&store, &data.join(folder::LOGS), tasks).await?;
    let keys = SessionKeys::default();
    let catalog = Arc::new(catalog(config, &data));
    let invoke = Invoke::new(
        InvokeConfig {
            concurrency_max: config.concurrency_max,
            unreserved_min: config.unreserved_min,
            scaling: Rate::new(config.scaling_per_10s, Duration::from_secs(10)),
            calls_per_unit: config.calls_per_unit,
            environments_max,
            idle_keep: config.idle_keep,
            stream: config.stream,
            freeze_after: config.freeze_after,
            lifetime_max: config.lifetime,
            network: config.network,
            templates: config.templates,
            endpoint_inside: endpoint_inside(config, sandbox.as_ref()),
            ..InvokeConfig::default()
        },
        Parts {
            functions: functions.clone(),
            sandbox,
            catalog,
            sink: logs.clone(),
            keys: keys.clone(),
            tasks: machine.clone(),
        },
    );

    // Senders get `outbox`; the deliverer is started when every receiver is there.
    let outbox = DurableOutbox::open(&store, tasks);
    let events = EventQueue::new(&store, tasks).with_limits(config.events);
    tasks.add(events.journal().worker());
    tasks.add(invoke.drain(&events, Arc::new(outbox.clone())));

    // 3. Embedded services.
    let iam = iam::open(&store, machine).await?;
    let sqs = sqs::open_waiting_by(&store, tasks, machine.clock());
    if config.auth == Auth::Strict {
        sqs.require_policies();
    }
    let web = Arc::new(egress::Client::new(config.egress_allow.clone(), machine));
    let post = Arc::new(outbox.clone());
    let eventbridge = events::open(&store, post, logs.clone(), web.clone(), tasks).await?;
    let scheduler = scheduler::open(&store, Arc::new(outbox.clone()), tasks).await?;

    let sns = sns::open(
        &store,
        tasks,
        Arc::new(outbox.clone()),
        web.clone(),
        sns::Settings {
            base: format!("http://{endpoint}"),
            needs_policies: config.auth == Auth::Strict,
        },
    )
    .await?;

    // Who receives what the outbox holds, by the service in the ARN.
    let registry = Registry::default()
        .with("lambda", Arc::new(EventTarget::new(&functions, &events)))
        .with("sns", Arc::new(sns::TopicTarget::new(&sns)))
        .with("sqs", sqs.clone())
        .with("events", eventbridge.clone())
        .with("http", Arc::new(sns::WebTarget::new(&sns)));
    let count = {
        let events = events.clone();
        move |parcel: &Parcel, attempt: u32, step: &Step| {
            let (to, from) = (parcel.to.to_string(), parcel.sender.source.to_string());
            let subject = Subject {
                trace: parcel.trace.as_deref(),
                id: &parcel.id,
                to: &to,
                from: Some(&from),
            };
            events
                .journal()
                .delivered(&subject, attempt, step.to_string());
            if matches!(step, Step::Lost { .. }) {
                events.not_delivered(parcel);
            }
        }
    };
    let deliverer = Deliverer::new(&outbox, registry, tasks).with_witness(Arc::new(count));
    let admin = Admin {
        operator: config.credential.as_ref().map(|(key, _)| key.clone()),
        clock: mover,
        functions: functions.clone(),
        events: events.clone(),
        outbox: outbox.clone(),
        deliveries: deliverer.counters(),
    };
    tasks.add(deliverer.worker());

    // 4. The door.
    let known = Known {
        operator: operator(config),
        keys,
        iam: iam.clone(),
    };
    let mode = match config.auth {
        Auth::Off => Mode::Off,
        Auth::Parse => Mode::Parse,
        Auth::Strict => Mode::Strict,
    };
    let access = Access::new(mode, Arc::new(known))
        .default_account(config.account.as_str())
        .default_region(config.region.as_str())
        .own_hosts(&config.hosts);
    let lambda = lambda::Deps {
        functions: functions.clone(),
        invoke: invoke.clone(),
        events,
        tasks: machine.clone(),
        control_rates: config.control_rates,
        url_base: lambda::UrlBase::new(&config.url_domain, endpoint.port()),
        queues: sqs.clone(),
        roles: (config.auth == Auth::Strict).then(|| iam.clone() as Arc<dyn Roles>),
    };
    let router = Router::new(access)
        .with_hosts(lambda::urls(&lambda))
        .with(lambda::service(lambda))
        .with(logs::service(logs.clone()))
        .with(events::service(eventbridge))
        .with(scheduler::service(scheduler))
        .with(iam::service(iam))
        .with(sns::service(sns))
        .with(sqs::service(sqs))
        .with(sts::service())
        .with(admin.service());
    Ok(App {
        router: Arc::new(router),
        functions,
        invoke,
        logs,
        store,
    })
}

async fn open_sandbox(
    config: &Config,
    endpoint: SocketAddr,
    tasks: &Tasks,
) -> anyhow::Result<Arc<dyn Sandbox>> {
    match config.backend {
        Backend::Ns => {
            let config = sandbox::ns::NsConfig {
                endpoint: Some(endpoint),
                sandboxes_max: config.pool_sandboxes,
                waiting_max: config.pool_waiting,
                ready_for: Some(config.network),
                ..Default::default()
            };
            sandbox::ns::open(config, tasks)
                .await
                .context("the sandbox cannot start; `kiln doctor` tells what this host lacks")
        }
        Backend::Process => {
            let debug = config.debug_port;
            Ok(sandbox::process::open(Some(endpoint), debug, tasks))
        }
    }
}

/// What functions get as `AWS_ENDPOINT_URL`.
fn endpoint_inside(config: &Config, sandbox: &dyn Sandbox) -> Option<String> {
    let endpoint = sandbox
        .kiln_endpoint()
        .filter(|_| config.endpoint_variable && config.network != Network::None)?;
    Some(format!("http://{endpoint}"))
}

/// Finds interpreters; the bootstraps of our own are written below the data folder.
pub(crate) fn catalog(config: &Config, data: &Path) -> Catalog {
    let bootstraps: PathBuf = data.join("runtimes");
    Catalog::new(config.runtimes.clone(), config.home.clone(), bootstraps)
}

/// Every access key that this server knows.
struct Known {
    operator: Option<(String, Credential)>,
    keys: SessionKeys,
    iam: Arc<iam::Engine>,
}

fn operator(config: &Config) -> Option<(String, Credential)> {
    let (key, secret) = config.credential.as_ref()?;
    let credential = Credential {
        secret: Secret::new(secret.as_str()),
        account: config.account.to_string(),
        principal: None,
        session_token: None,
        expires_unix_ms: None,
    };
    Some((key.clone(), credential))
}

impl Credentials for Known {
    fn find(&self, access_key: &str) -> Option<Credential> {
        if let Some((key, credential)) = &self.operator
            && key == access_key
        {
            return Some(credential.clone());
        }
        if let Some(issued) = self.keys.find(access_key) {
            let (account, role, session) =
                (&issued.account, issued.role.role_name(), &issued.session);
            return Some(Credential {
                secret: Secret::new(issued.secret.as_str()),
                account: account.to_string(),
                principal: Some(Principal {
                    arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
                    user_id: format!(
                        "{}:{session}",
                        issued.access_key.replacen("ASIA", "AROA", 1)
                    ),
                }),
                session_token: Some(Secret::new(issued.token.as_str())),
                expires_unix_ms: None,
            });
        }
        self.iam.find(access_key)
    }

    fn trace(&self, access_key: &str, given: Option<&str>) -> Option<String> {
        self.keys.trace(access_key, given)
    }
}
