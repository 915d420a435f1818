use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use functions::{
    Config, Functions, FunctionsConfig, LogFormat, Logging, NewCode, NewFunction, Package,
};
use invoke::{
    Catalog, EventQueue, Invoke, InvokeConfig, Outcome, Parts, Refused, Request, SessionKeys,
};
use model::ports::{LogLine, LogSink, LogStreamRef};
use model::{FunctionRef, RequestId};
use sandbox::fake::Fake;
use tasks::{ClockControl, Ids, Tasks};

/// Keeps every line.
#[derive(Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<(String, String)>>);

impl LogSink for Lines {
    fn append(&self, to: &LogStreamRef, lines: Vec<LogLine>) {
        let mut kept = self.0.lock().unwrap();
        kept.extend(
            lines
                .into_iter()
                .map(|l| (to.stream.to_string(), l.message)),
        );
    }
}

/// Everything below one invocation path.
pub(crate) struct House {
    pub(crate) invoke: Invoke,
    pub(crate) functions: Functions,
    pub(crate) fake: Arc<Fake>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) control: ClockControl,
    pub(crate) tasks: Tasks,
    pub(crate) keys: SessionKeys,
    pub(crate) store: store::Store,
    pub(crate) disk: store::simulated::Disk,
    pub(crate) events: EventQueue,
    _dir: tempfile::TempDir,
}

pub(crate) fn zip(files: &[(&str, &str)]) -> bytes::Bytes {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .unix_permissions(0o755);
        zip.start_file(*name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner().into()
}

pub(crate) fn name(text: &str) -> FunctionRef {
    let (account, region) = (
        "000000000000".parse().unwrap(),
        "us-east-1".parse().unwrap(),
    );
    FunctionRef::parse(text, None, &account, &region).unwrap()
}

pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config {
        runtime: Some("provided.al2023".parse().unwrap()),
        handler: "h".to_owned(),
        role: "arn:aws:iam::000000000000:role/r".parse().unwrap(),
        description: String::new(),
        memory: model::Memory::MIN,
        timeout: model::Timeout::DEFAULT,
        ephemeral: model::EphemeralStorage::DEFAULT,
        environment: None,
        architecture: model::Architecture::host(),
        logging: Logging {
            format: LogFormat::Text,
            group: "/aws/lambda/f".to_owned(),
            application_level: None,
            system_level: None,
        },
        tracing: functions::Tracing::PassThrough,
        package: Package::Zip,
        snap_start: functions::SnapStart::Off,
        layers: Vec::new(),
        vpc: None,
        dead_letter: None,
        kms_key: None,
        file_systems: Vec::new(),
        image: None,
        is_per_tenant: false,
    };
    change(&mut config);
    config
}

impl House {
    pub(crate) async fn new(fake: impl FnOnce(Fake) -> Fake, limits: InvokeConfig) -> House {
        let (store, disk, control) = store::simulated::open(7);
        let tasks = Tasks::new(disk.clock().clone(), Ids::seeded(11));
        let dir = tempfile::tempdir().unwrap();
        let folder = FunctionsConfig::new(dir.path().to_owned());
        let functions = Functions::open(folder, &store, &tasks).await.unwrap();
        let fake = Arc::new(fake(Fake::new(disk.clock())));
        let lines = Arc::new(Lines::default());
        let keys = SessionKeys::default();
        let invoke = Invoke::new(
            limits,
            Parts {
                functions: functions.clone(),
                sandbox: fake.clone(),
                catalog: Arc::new(Catalog::new(Vec::new(), None, dir.path().join("runtimes"))),
                sink: lines.clone(),
                keys: keys.clone(),
                tasks: tasks.clone(),
            },
        );
        House {
            invoke,
            functions,
            fake,
            lines,
            control,
            keys,
            events: EventQueue::new(&store, &tasks),
            tasks,
            store,
            disk,
            _dir: dir,
        }
    }

    /// A house with the function `f` in it.
    pub(crate) async fn with_function(fake: impl FnOnce(Fake) -> Fake) -> House {
        let house = House::new(fake, InvokeConfig::default()).await;
        house.deploy("f", config(|_| ())).await;
        house
    }

    pub(crate) async fn deploy(&self, function: &str, config: Config) {
        let new = NewFunction {
            function: name(function),
            config,
            zip: zip(&[("bootstrap", "#!/bin/true\n")]),
            tags: Default::default(),
            publish: false,
            signing: None,
        };
        self.functions.create(new).await.unwrap();
        self.functions.resolve_ready(&name(function)).await.unwrap();
    }

    pub(crate) async fn new_code(&self, function: &str, text: &str) {
        let code = NewCode {
            zip: zip(&[("bootstrap", text)]),
            architecture: None,
            revision: None,
            publish: false,
        };
        let before = self.functions.resolve(&name(function)).unwrap().generation;
        self.functions
            .update_code(&name(function), code)
            .await
            .unwrap();
        while self.functions.resolve(&name(function)).unwrap().generation == before {
            self.control.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) fn request(&self, function: &str) -> Request {
        Request {
            function: name(function),
            payload: "{\"n\":1}".into(),
            request_id: self.tasks.ids().uuid().parse::<RequestId>().unwrap(),
            client_context: None,
            cognito_identity: None,
            trace: None,
            want_log: true,
            tenant: None,
        }
    }

    pub(crate) async fn call(&self, function: &str) -> Result<Outcome, Refused> {
        self.invoke.request_response(self.request(function)).await
    }

    /// Runs a call while the virtual clock moves.
    pub(crate) async fn call_in_time(&self, function: &str) -> Result<Outcome, Refused> {
        let mut call = Box::pin(self.call(function));
        loop {
            tokio::select! {
                biased;
                done = &mut call => return done,
                () = tokio::time::sleep(Duration::from_millis(1)) => {
                    self.control.advance(Duration::from_millis(50));
                }
            }
        }
    }

    pub(crate) fn tail(outcome: &Outcome) -> String {
        String::from_utf8(outcome.log_tail.clone().unwrap()).unwrap()
    }
}
