//! A function as a folder: code and a small `kiln.toml`.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Largest package that goes up in one request.  [Lambda quotas]
const ZIP_BYTES_MAX: usize = 52_428_800;
/// Entries of a package; more is surely the wrong folder.
const ENTRIES_MAX: usize = 100_000;
/// Describes the function of a folder.
pub(crate) const MANIFEST: &str = "kiln.toml";
/// Never part of a package.
pub(crate) const LEFT_OUT: &[&str] = &[
    MANIFEST,
    ".git",
    "__pycache__",
    ".venv",
    ".DS_Store",
    "target",
];
/// The role of functions that name none. Kiln asks for the form only.
const ROLE: &str = "arn:aws:iam::000000000000:role/lambda-role";

/// `kiln.toml` of a function.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) name: Option<String>,
    pub(crate) runtime: String,
    pub(crate) handler: Option<String>,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) memory: Option<u32>,
    pub(crate) timeout: Option<u32>,
    #[serde(default = "default_role")]
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// Size of `/tmp` in MB.
    pub(crate) storage: Option<u32>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// ARNs of layer versions.
    #[serde(default)]
    pub(crate) layers: Vec<String>,
    #[serde(default)]
    pub(crate) architectures: Vec<String>,
}

pub(crate) fn default_role() -> String {
    ROLE.to_owned()
}

/// Reads `kiln.toml` in `dir`.
pub(crate) fn manifest(dir: &Path) -> anyhow::Result<Manifest> {
    let path = dir.join(MANIFEST);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "{} is missing; the least is: runtime = \"python3.13\" and handler = \"index.handler\"",
            path.display()
        )
    })?;
    parse(&text).with_context(|| format!("{} cannot be used", path.display()))
}

pub(crate) fn parse(text: &str) -> anyhow::Result<Manifest> {
    toml::from_str(text).map_err(|e| anyhow::anyhow!("{}", e.message()))
}

/// Zips the folder; file modes and symbolic links are kept.
pub(crate) fn zip_folder(dir: &Path) -> anyhow::Result<Vec<u8>> {
    let mut files = Vec::new();
    collect(dir, Path::new(""), &mut files)?;
    if files.is_empty() {
        bail!("{} holds no files", dir.display());
    }
    files.sort();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for file in &files {
        let from = dir.join(file);
        let meta = from.symlink_metadata()?;
        let name = file
            .to_str()
            .with_context(|| format!("{} is not UTF-8", file.display()))?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(meta.permissions().mode() & 0o777);
        if meta.is_symlink() {
            let to = std::fs::read_link(&from)?;
            zip.add_symlink(name, to.to_string_lossy(), options)?;
        } else {
            zip.start_file(name, options)?;
            std::io::copy(&mut std::fs::File::open(&from)?, &mut zip)?;
        }
    }
    finish(zip)
}

/// Zips what is in memory: name, bytes, whether it can be executed.
pub(crate) fn zip_files(files: &[(&str, &[u8], bool)]) -> anyhow::Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, is_executable) in files {
        let mode = if *is_executable { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(mode);
        zip.start_file(*name, options)?;
        zip.write_all(bytes)?;
    }
    finish(zip)
}

fn finish(zip: zip::ZipWriter<Cursor<Vec<u8>>>) -> anyhow::Result<Vec<u8>> {
    let bytes = zip.finish()?.into_inner();
    if bytes.len() > ZIP_BYTES_MAX {
        bail!(
            "the package has {} bytes, a request takes {ZIP_BYTES_MAX}",
            bytes.len()
        );
    }
    Ok(bytes)
}

fn collect(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let dir = root.join(below);
    let entries =
        std::fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|out| name == *out) {
            continue;
        }
        let path = below.join(&name);
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push(path);
        }
        if files.len() > ENTRIES_MAX {
            bail!("{} holds more than {ENTRIES_MAX} files", root.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_holds_the_folder_without_the_manifest() {
        let dir = std::env::temp_dir().join(format!("kiln-package-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("lib/__pycache__")).unwrap();
        for name in ["kiln.toml", "index.py", "lib/a.py", "lib/__pycache__/a.pyc"] {
            std::fs::write(dir.join(name), "x").unwrap();
        }
        let zip = zip_folder(&dir).unwrap();
        let zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        let mut names: Vec<_> = zip.file_names().map(|name| name.unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["index.py", "lib/a.py"]);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_manifest_with_a_misspelt_key_is_refused() {
        assert!(parse("runtime = \"python3.13\"\nhandler = \"a.b\"").is_ok());
        let error = format!("{:#}", parse("runtime = \"x\"\ntimeuot = 3").unwrap_err());
        assert!(error.contains("timeuot"), "{error}");
    }
}
