use store::embedded::{self, EmbeddedConfig};
use store::{Store, simulated};
use tasks::{Clock, ClockControl, Ids, Tasks, Time};

async fn on_simulated_disk() -> (Store, ClockControl, simulated::Disk) {
    let (store, disk, control) = simulated::open(1);
    (store, control, disk)
}

async fn on_simulated_disk_with_writer() -> (Store, ClockControl, simulated::Disk) {
    let (store, disk, control) = simulated::open(2);
    store.close().await;
    (simulated::open_threaded(&disk).unwrap(), control, disk)
}

async fn on_this_machine() -> (Store, ClockControl, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (clock, control) = Clock::virtual_at(Time::from_unix_secs(1_700_000_000));
    let tasks = Tasks::new(clock, Ids::system());
    let store = embedded::open(EmbeddedConfig::new(dir.path().join("data"), &tasks)).unwrap();
    (store, control, dir)
}

store::conformance!(simulated_engine, on_simulated_disk);
store::conformance!(simulated_engine_with_writer, on_simulated_disk_with_writer);
store::conformance!(embedded_engine, on_this_machine);
