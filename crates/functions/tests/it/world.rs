use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use functions::{
    Config, Deployed, Error, Functions, FunctionsConfig, LogFormat, Logging, NewCode, NewFunction,
    NewVersion, Package, SnapStart, State, Tracing,
};
use model::{Architecture, EphemeralStorage, FunctionRef, Memory, Timeout};
use store::Store;
use store::simulated::{self, Disk};
use tasks::ClockControl;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub(crate) const SETTLE: Duration = Duration::from_millis(50);

/// One process: it can be killed and started again on the same disk and folder.
pub(crate) struct World {
    pub(crate) functions: Functions,
    pub(crate) disk: Disk,
    pub(crate) clock: ClockControl,
    pub(crate) folder: Arc<tempfile::TempDir>,
    store: Store,
}

impl World {
    pub(crate) async fn new() -> World {
        World::whose_functions_sleep(None).await
    }

    /// After so long without a call.
    pub(crate) async fn whose_functions_sleep(idle_after: Option<Duration>) -> World {
        let (store, disk, clock) = simulated::open(7);
        let folder = Arc::new(tempfile::tempdir().unwrap());
        World::on(store, disk, clock, folder, idle_after).await
    }

    async fn on(
        store: Store,
        disk: Disk,
        clock: ClockControl,
        folder: Arc<tempfile::TempDir>,
        idle_after: Option<Duration>,
    ) -> World {
        let config = FunctionsConfig {
            settle: SETTLE,
            idle_after,
            ..FunctionsConfig::new(folder.path().to_owned())
        };
        let functions = Functions::open(config, &store, disk.tasks()).await.unwrap();
        World {
            functions,
            disk,
            clock,
            folder,
            store,
        }
    }

    /// As after `kill -9`.
    pub(crate) async fn killed(self) -> World {
        let image = self.disk.kill();
        let folder = self.folder.clone();
        drop(self);
        let (store, disk, clock) = simulated::reopen(image).unwrap();
        World::on(store, disk, clock, folder, None).await
    }

    /// As after a power cut.
    pub(crate) async fn cut_off(self) -> World {
        let image = self.disk.crash();
        let folder = self.folder.clone();
        drop(self);
        let (store, disk, clock) = simulated::reopen(image).unwrap();
        World::on(store, disk, clock, folder, None).await
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) async fn create(&self, name: &str) -> Result<Arc<Deployed>, Error> {
        self.functions
            .create(new(name, zip(&[("a.py", "1")])))
            .await
    }

    /// A function that is active.
    pub(crate) async fn active(&self, name: &str) -> FunctionRef {
        self.create(name).await.unwrap();
        self.settle(name).await;
        function(name)
    }

    /// Lets the time of settling pass and waits until the change is in force.
    pub(crate) async fn settle(&self, name: &str) {
        self.clock.advance(SETTLE);
        for _ in 0..1_000 {
            let d = self.functions.describe(&function(name)).unwrap().deployed;
            if d.state == State::Active && !d.is_updating() {
                return;
            }
            tokio::task::yield_now().await;
            self.clock.advance(SETTLE);
        }
        panic!("{name} does not settle");
    }

    pub(crate) async fn update(&self, f: &FunctionRef, zip: Bytes) -> Result<Arc<Deployed>, Error> {
        self.functions.update_code(f, new_code(zip)).await
    }

    pub(crate) async fn describe_as(
        &self,
        f: &FunctionRef,
        text: &str,
    ) -> Result<Arc<Deployed>, Error> {
        self.functions
            .update_configuration(f, None, set_description(text))
            .await
    }

    pub(crate) async fn publish(&self, f: &FunctionRef) -> Arc<Deployed> {
        self.functions
            .publish_version(f, NewVersion::default())
            .await
            .unwrap()
    }
}

pub(crate) fn set_description(
    text: &str,
) -> impl FnOnce(&mut Config) -> Result<(), Error> + Send + 'static {
    let text = text.to_owned();
    move |config| {
        config.description = text;
        Ok(())
    }
}

pub(crate) fn function(name: &str) -> FunctionRef {
    let (account, region) = (
        "000000000000".parse().unwrap(),
        "us-east-1".parse().unwrap(),
    );
    FunctionRef::parse(name, None, &account, &region).unwrap()
}

pub(crate) fn new(name: &str, zip: Bytes) -> NewFunction {
    NewFunction {
        function: function(name),
        config: config(name),
        zip,
        tags: BTreeMap::new(),
        publish: false,
        signing: None,
    }
}

pub(crate) fn new_code(zip: Bytes) -> NewCode {
    NewCode {
        zip,
        architecture: None,
        revision: None,
        publish: false,
    }
}

pub(crate) fn config(name: &str) -> Config {
    Config {
        runtime: Some("python3.13".parse().unwrap()),
        handler: "a.b".to_owned(),
        role: "arn:aws:iam::000000000000:role/r".parse().unwrap(),
        description: String::new(),
        memory: Memory::from_mib(128).unwrap(),
        timeout: Timeout::DEFAULT,
        ephemeral: EphemeralStorage::DEFAULT,
        environment: None,
        architecture: Architecture::X86_64,
        logging: Logging {
            format: LogFormat::Text,
            group: format!("/aws/lambda/{name}"),
            application_level: None,
            system_level: None,
        },
        tracing: Tracing::PassThrough,
        package: Package::Zip,
        snap_start: SnapStart::Off,
        layers: Vec::new(),
        vpc: None,
        dead_letter: None,
        kms_key: None,
        file_systems: Vec::new(),
        image: None,
        is_per_tenant: false,
    }
}

/// A zip of plain files.
pub(crate) fn zip(files: &[(&str, &str)]) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}
