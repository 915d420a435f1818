//! A folder that is deployed: one function with a `kiln.toml`, or those of a SAM template.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::package::{self, Manifest};
use super::template;

/// One function of a project.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) manifest: Manifest,
    /// The folder with its code.
    pub(crate) dir: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) members: Vec<Member>,
    /// The file that describes it.
    pub(crate) file: PathBuf,
    /// What the reader should know.
    pub(crate) notes: Vec<String>,
}

/// Reads `dir`, which holds a `kiln.toml` or a template, or is the path of a template.
pub(crate) fn read(dir: &Path) -> anyhow::Result<Project> {
    if !dir.exists() {
        bail!("{} does not exist", dir.display());
    }
    let found = match dir.is_file() {
        true => Some(dir.to_owned()),
        false => template::FILES
            .iter()
            .map(|f| dir.join(f))
            .find(|f| f.exists()),
    };
    let manifest = dir.join(package::MANIFEST);
    match found {
        Some(file) if !manifest.exists() => from_template(&file),
        _ => from_manifest(dir),
    }
}

fn from_manifest(dir: &Path) -> anyhow::Result<Project> {
    let manifest = package::manifest(dir)?;
    let dir = dir.canonicalize()?;
    let name = match &manifest.name {
        Some(name) => name.clone(),
        None => {
            let name = dir.file_name().context("the folder has no name")?;
            name.to_string_lossy().into_owned()
        }
    };
    let file = dir.join(package::MANIFEST);
    let members = vec![Member {
        name,
        manifest,
        dir,
    }];
    Ok(Project {
        members,
        file,
        notes: Vec::new(),
    })
}

fn from_template(file: &Path) -> anyhow::Result<Project> {
    let template = template::read(file)?;
    let beside = file.parent().unwrap_or(Path::new("."));
    let mut members = Vec::new();
    for declared in template.functions {
        let name = declared.manifest.name.clone().unwrap_or_default();
        let dir = beside.join(&declared.code);
        if !dir.is_dir() {
            bail!("function {name}: CodeUri {} is no folder", declared.code);
        }
        members.push(Member {
            name,
            manifest: declared.manifest,
            dir: dir.canonicalize()?,
        });
    }
    Ok(Project {
        members,
        file: file.to_owned(),
        notes: template.notes,
    })
}
