//! The data folder, and who may look into it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Records, queues and bodies: variables of functions, messages, keys.
pub(crate) const STORE: &str = "store";
/// What functions print.
pub(crate) const LOGS: &str = "logs";

/// For their owner alone.
const PRIVATE: u32 = 0o700;

/// Makes the folder if it is missing, for its owner alone; one that is there keeps its mode, for it may hold
/// other things too. What holds secrets of functions is closed in any case. (Their code is not: functions run
/// as users of their own and read it.)
pub(crate) fn prepare(data: &Path) -> io::Result<PathBuf> {
    if !data.is_dir() {
        if let Some(parent) = data.parent() {
            fs::create_dir_all(parent)?;
        }
        make(data)?;
    }
    let data = data.canonicalize()?;
    for name in [STORE, LOGS] {
        let folder = data.join(name);
        if !folder.is_dir() {
            make(&folder)?;
        }
        fs::set_permissions(&folder, Permissions::from_mode(PRIVATE))?;
    }
    Ok(data)
}

/// Makes a folder for its owner alone; it must not be there.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let data = prepare(&home.path().join("deep/data")).unwrap();
        for folder in [data.clone(), data.join(STORE), data.join(LOGS)] {
            assert_eq!(mode(&folder), PRIVATE, "{}", folder.display());
        }
    }

    #[test]
    fn a_folder_that_was_open_keeps_its_mode_and_closes_what_is_secret() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir_all(data.join(STORE)).unwrap();
        for folder in [data.clone(), data.join(STORE)] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        prepare(&data).unwrap();
        assert_eq!(mode(&data), 0o755);
        assert_eq!(mode(&data.join(STORE)), PRIVATE);
        assert_eq!(mode(&data.join(LOGS)), PRIVATE);
    }
}
