//! Heavy dependencies have one door each (rule 8), and the quiet crates have none (rule 2).

use std::path::Path;

use super::{Finding, Metadata, Package};

/// A dependency and the folders that may name it.
struct Door {
    dependency: &'static str,
    allowed: &'static [&'static str],
}

const DOORS: &[Door] = &[
    Door {
        dependency: "redb",
        allowed: &["crates/store"],
    },
    Door {
        dependency: "quick-xml",
        allowed: &["crates/wire"],
    },
    Door {
        dependency: "zip",
        allowed: &["crates/functions", "crates/server", "bench"],
    },
    Door {
        dependency: "seccompiler",
        allowed: &["crates/sandbox"],
    },
    Door {
        dependency: "landlock",
        allowed: &["crates/sandbox"],
    },
    // wire names http types and bodies, egress is the client; the others own a listener.
    Door {
        dependency: "hyper",
        allowed: &[
            "crates/egress",
            "crates/server",
            "crates/runtime-api",
            "crates/wire",
            "bench",
        ],
    },
    Door {
        dependency: "hyper-util",
        allowed: &[
            "crates/egress",
            "crates/server",
            "crates/runtime-api",
            "bench",
        ],
    },
    Door {
        dependency: "rustls",
        allowed: &["crates/egress"],
    },
    Door {
        dependency: "clap",
        allowed: &["crates/server"],
    },
    Door {
        dependency: "anyhow",
        allowed: &["crates/server", "xtask", "bench"],
    },
];

/// Crates that do no I/O and need no runtime.
const QUIET: &[(&str, &[&str])] = &[
    (
        "crates/model",
        &[
            "tokio",
            "async-std",
            "mio",
            "rustix",
            "libc",
            "tracing-subscriber",
        ],
    ),
    ("crates/wire", &["tokio", "mio", "rustix", "libc"]),
];

pub(super) fn check(root: &Path, metadata: &Metadata) -> Vec<Finding> {
    metadata
        .packages
        .iter()
        .flat_map(|package| check_one(root, package))
        .collect()
}

fn check_one(root: &Path, package: &Package) -> Vec<Finding> {
    let manifest = package
        .manifest_path
        .strip_prefix(root)
        .unwrap_or(&package.manifest_path);
    let folder = manifest.parent().unwrap_or(manifest).to_string_lossy();
    let mut findings = Vec::new();
    for dependency in package.dependencies.iter().filter(|d| !d.is_for_tests()) {
        let shut = DOORS
            .iter()
            .any(|door| door.dependency == dependency.name && !door.allowed.contains(&&*folder));
        if shut {
            let message = format!("rule 8: {} comes in by another door", dependency.name);
            findings.push(Finding::new(manifest, 0, message));
        }
        let noisy = QUIET.iter().any(|(quiet, refused)| {
            *quiet == folder && refused.contains(&dependency.name.as_str())
        });
        if noisy {
            let message = format!("rule 2: {folder} needs no {}", dependency.name);
            findings.push(Finding::new(manifest, 0, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Dependency;
    use super::*;

    fn count(folder: &str, name: &str, kind: Option<&str>) -> usize {
        let package = Package {
            name: "x".to_owned(),
            manifest_path: PathBuf::from(format!("/r/{folder}/Cargo.toml")),
            dependencies: vec![Dependency {
                name: name.to_owned(),
                kind: kind.map(str::to_owned),
                path: None,
            }],
        };
        check_one(Path::new("/r"), &package).len()
    }

    #[test]
    fn a_heavy_dependency_comes_in_by_its_door_only() {
        assert_eq!(count("crates/store", "redb", None), 0);
        assert_eq!(count("crates/functions", "redb", None), 1);
        assert_eq!(count("crates/functions", "redb", Some("dev")), 0);
        assert_eq!(count("services/iam", "hyper", None), 1);
    }

    #[test]
    fn quiet_crates_need_no_runtime() {
        assert_eq!(count("crates/model", "tokio", None), 1);
        assert_eq!(count("crates/wire", "tokio", None), 1);
        assert_eq!(count("crates/store", "tokio", None), 0);
    }
}
