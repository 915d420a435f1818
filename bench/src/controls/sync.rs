//! Unit S: append 1 KiB to a file and fdatasync it, alone.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

pub(crate) struct Appender {
    file: File,
}

impl Appender {
    /// The folder must lie on the disk that the server writes to.
    pub(crate) fn new(folder: &Path) -> Result<Appender> {
        let file = File::create(folder.join("appended"))?;
        Ok(Appender { file })
    }

    pub(crate) fn append(&mut self) -> Result<Duration> {
        let record = [b'x'; 1 << 10];
        let started = Instant::now();
        self.file.write_all(&record)?;
        self.file.sync_data()?;
        Ok(started.elapsed())
    }
}
