//! Looks for interpreters by the names of files; starts one only if no file tells its version.

use std::path::{Path, PathBuf};

use model::{Runtime, RuntimeFamily};

/// Where interpreters may be.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) folders: Vec<PathBuf>,
    pub(super) home: Option<PathBuf>,
}

/// An interpreter of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interpreter {
    pub(super) program: PathBuf,
    /// Its installation, if environments do not see it anyway.
    pub(super) mounted_prefix: Option<PathBuf>,
    /// Its version, if that is another than the runtime's.
    pub(super) stands_in: Option<String>,
}

/// Environments see the host's `/usr`.
const SHARED: &str = "/usr";

impl Interpreter {
    /// `PREFIX/bin/NAME` with links resolved.
    fn at(program: &Path) -> Option<Interpreter> {
        let program = program.canonicalize().ok()?;
        if program.starts_with(SHARED) {
            return Some(Interpreter {
                program,
                mounted_prefix: None,
                stands_in: None,
            });
        }
        let prefix = program.parent()?.parent()?.to_owned();
        // A prefix such as `/` would show the whole host to functions.
        (prefix.components().count() > 1).then_some(Interpreter {
            program,
            mounted_prefix: Some(prefix),
            stands_in: None,
        })
    }

    /// The path inside an environment.
    pub(super) fn inside(&self) -> String {
        let path = match &self.mounted_prefix {
            Some(prefix) => {
                let below = self.program.strip_prefix(prefix).unwrap_or(&self.program);
                Path::new(super::LANG_DIR).join(below)
            }
            None => self.program.clone(),
        };
        path.display().to_string()
    }
}

impl Places {
    pub(super) fn find(&self, runtime: Runtime) -> Option<Interpreter> {
        let version = runtime.language_version();
        match runtime.family() {
            RuntimeFamily::Python => self.python(version),
            RuntimeFamily::NodeJs => self.node(version),
            RuntimeFamily::Ruby => self.ruby(version),
            RuntimeFamily::Java => self.java(version),
            _ => None,
        }
    }

    /// Prefixes in the order of preference: the operator's folders, the system, version managers.
    fn prefixes(&self, managers: &[&str]) -> Vec<PathBuf> {
        let mut prefixes = Vec::new();
        for folder in &self.folders {
            prefixes.push(folder.clone());
            prefixes.extend(children(folder));
        }
        prefixes.extend(["/usr".into(), "/usr/local".into()]);
        prefixes.extend(children(Path::new("/opt")));
        if let Some(home) = &self.home {
            managers
                .iter()
                .for_each(|m| prefixes.extend(children(&home.join(m))));
        }
        prefixes
    }

    fn python(&self, version: &str) -> Option<Interpreter> {
        let name = format!("python{version}");
        let library = format!("lib/python{version}/os.py");
        self.prefixes(&[".pyenv/versions", ".local/share/uv/python"])
            .into_iter()
            .filter(|prefix| prefix.join(&library).is_file())
            .map(|prefix| prefix.join("bin").join(&name))
            .filter(|program| program.is_file())
            .find_map(|program| Interpreter::at(&program))
    }

    fn node(&self, major: &str) -> Option<Interpreter> {
        self.prefixes(&[".nvm/versions/node", ".local/share/fnm/node-versions"])
            .into_iter()
            .flat_map(|prefix| [prefix.join("installation"), prefix])
            .filter(|prefix| prefix.join("bin/node").is_file())
            .find(|prefix| node_major(prefix).as_deref() == Some(major))
            .and_then(|prefix| Interpreter::at(&prefix.join("bin/node")))
    }

    /// Few hosts have each version of Ruby: where the runtime's own is absent, the newest serves.
    fn ruby(&self, version: &str) -> Option<Interpreter> {
        let programs = self
            .prefixes(&[".rbenv/versions", ".rubies", ".asdf/installs/ruby"])
            .into_iter()
            .map(|prefix| prefix.join("bin/ruby"))
            .filter(|program| program.is_file())
            .filter_map(|program| Some((ruby_version(&program)?, program)));
        best(programs, version, RUBY_MIN)
    }
}

impl Places {
    /// A JDK of the runtime's version, else the next newer one, which runs the same classes, else the
    /// newest: it runs what was built for it. A JRE cannot compile the bootstrap.
    fn java(&self, version: &str) -> Option<Interpreter> {
        let wanted = java_major(version)?;
        let mut homes = children(Path::new("/usr/lib/jvm"));
        homes.extend(children(Path::new("/opt/java")));
        homes.extend(self.prefixes(&[".sdkman/candidates/java", ".jdks", ".asdf/installs/java"]));
        let jdks: Vec<(u32, PathBuf)> = homes
            .into_iter()
            .filter(|home| home.join("bin/javac").is_file())
            .filter_map(|home| Some((java_release(&home)?, home.join("bin/java"))))
            .collect();
        let newer = jdks.iter().filter(|(major, _)| *major >= wanted);
        let nearest = newer.min_by_key(|(major, _)| *major);
        let (major, program) = nearest.or_else(|| jdks.iter().max_by_key(|(m, _)| *m))?;
        let interpreter = Interpreter::at(program)?;
        Some(Interpreter {
            stands_in: (*major != wanted).then(|| major.to_string()),
            ..interpreter
        })
    }
}

/// The major version of an installation, from the file that every JDK brings.
pub(super) fn java_release(home: &Path) -> Option<u32> {
    let release = std::fs::read_to_string(home.join("release")).ok()?;
    let version = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    java_major(version.trim_matches('"'))
}

/// `17` of `17.0.15`, and 8 of `1.8.0_442` and `8.al2`.
fn java_major(version: &str) -> Option<u32> {
    let mut parts = version.split(['.', '_', '-', '+']);
    let first = parts.next()?.parse().ok()?;
    if first == 1 {
        return parts.next()?.parse().ok();
    }
    Some(first)
}

/// Oldest Ruby that the bootstrap is written for.
const RUBY_MIN: &[u32] = &[3, 0];

/// The first program of the version `wanted`, else the newest that is at least `least`.
fn best(
    programs: impl Iterator<Item = (String, PathBuf)>,
    wanted: &str,
    least: &[u32],
) -> Option<Interpreter> {
    let mut newest: Option<(Vec<u32>, String, PathBuf)> = None;
    for (version, program) in programs {
        if version == wanted {
            return Interpreter::at(&program);
        }
        let key = super::version_key(&version);
        let is_newer = newest.as_ref().is_none_or(|(other, ..)| *other < key);
        if key.as_slice() >= least && is_newer {
            newest = Some((key, version, program));
        }
    }
    let (_, version, program) = newest?;
    let interpreter = Interpreter::at(&program)?;
    Some(Interpreter {
        stands_in: Some(version),
        ..interpreter
    })
}

/// Options that show a Ruby its libraries: it looks where it was installed, and environments see that
/// elsewhere.
pub(super) fn ruby_libraries(interpreter: &Interpreter) -> Vec<String> {
    let Some(prefix) = &interpreter.mounted_prefix else {
        return Vec::new();
    };
    let mut options = Vec::new();
    for library in children(&prefix.join("lib/ruby")) {
        let native = children(&library)
            .into_iter()
            .find(|folder| folder.join("rbconfig.rb").is_file());
        let Some(native) = native else { continue };
        for folder in [library, native] {
            let below = folder.strip_prefix(prefix).unwrap_or(&folder);
            options.push(format!(
                "-I{}",
                Path::new(super::LANG_DIR).join(below).display()
            ));
        }
    }
    options
}

/// `3.4`, as the program itself says: the files around it tell only the oldest that it is compatible to.
fn ruby_version(program: &Path) -> Option<String> {
    let output = std::process::Command::new(program)
        .args(["--disable-gems", "-e", "print RUBY_VERSION"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (short, _) = text.rsplit_once('.')?;
    Some(short.to_owned())
}

/// The folders in `dir`, newest version last in the alphabet first.
fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.is_dir()).collect();
    found.sort();
    found.reverse();
    found
}

/// From the header that every Node.js installation brings, else by asking the program.
fn node_major(prefix: &Path) -> Option<String> {
    if let Ok(header) = std::fs::read_to_string(prefix.join("include/node/node_version.h")) {
        let line = header
            .lines()
            .find_map(|l| l.strip_prefix("#define NODE_MAJOR_VERSION "))?;
        return Some(line.trim().to_owned());
    }
    let output = std::process::Command::new(prefix.join("bin/node"))
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().strip_prefix('v')?.split('.').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("kiln-find-{}-{}", std::process::id(), files.len()));
        for file in files {
            let path = dir.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "#define NODE_MAJOR_VERSION 22\n").unwrap();
        }
        dir
    }

    #[test]
    fn an_interpreter_outside_of_usr_brings_its_prefix() {
        let dir = folder(&["p/bin/python3.14", "p/lib/python3.14/os.py"]);
        let places = Places {
            folders: vec![dir.clone()],
            home: None,
        };
        let found = places.find("python3.14".parse().unwrap()).unwrap();
        assert_eq!(found.inside(), "/var/lang/bin/python3.14");
        assert_eq!(
            found.mounted_prefix,
            Some(dir.canonicalize().unwrap().join("p"))
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_runtimes_own_version_is_preferred_to_the_newest() {
        let dir = folder(&["r/bin/a", "r/bin/b", "r/bin/c", "r/bin/d"]);
        let programs = || {
            let at = |name: &str| dir.join("r/bin").join(name);
            [("2.7", "a"), ("3.10", "b"), ("3.9", "c"), ("3.2", "d")]
                .map(|(version, name)| (version.to_owned(), at(name)))
                .into_iter()
        };
        for (wanted, name, stands_in) in [("3.2", "d", None), ("3.4", "b", Some("3.10"))] {
            let found = best(programs(), wanted, RUBY_MIN).unwrap();
            assert!(found.program.ends_with(name), "{wanted}: {found:?}");
            assert_eq!(found.stands_in.as_deref(), stands_in, "{wanted}");
        }
        assert_eq!(best(programs().take(1), "3.2", RUBY_MIN), None);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_next_newer_jdk_stands_in_for_one_that_is_absent() {
        let dir = folder(&[
            "a/bin/java",
            "a/bin/javac",
            "b/bin/java",
            "b/bin/javac",
            "c/bin/java",
            "1",
            "2",
        ]);
        for (home, version) in [("a", "1.8.0_442"), ("b", "9993.0.1"), ("c", "9992")] {
            let text = format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n");
            std::fs::write(dir.join(home).join("release"), text).unwrap();
        }
        let places = Places {
            folders: vec![dir.clone()],
            home: None,
        };
        let found = |version: &str| places.java(version).unwrap();
        assert_eq!(found("8.al2").stands_in, None);
        // A JRE cannot compile.
        for wanted in ["9992", "9993"] {
            assert_eq!(found(wanted).inside(), "/var/lang/bin/java", "{wanted}");
        }
        assert_eq!(found("9992").stands_in.as_deref(), Some("9993"));
        assert_eq!(found("9994").stands_in.as_deref(), Some("9993"));
        assert_eq!(java_major("21-ea"), Some(21));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_ruby_outside_of_usr_is_shown_its_libraries() {
        let dir = folder(&[
            "bin/ruby",
            "lib/ruby/3.4.0/json.rb",
            "lib/ruby/3.4.0/x86_64-linux/rbconfig.rb",
            "lib/ruby/gems/3.4.0/x",
            "y",
        ]);
        let found = Interpreter::at(&dir.join("bin/ruby")).unwrap();
        let want =
            ["", "/x86_64-linux"].map(|native| format!("-I/var/lang/lib/ruby/3.4.0{native}"));
        assert_eq!(ruby_libraries(&found), want);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn node_is_known_by_its_header() {
        let dir = folder(&["n/bin/node", "n/include/node/node_version.h", "n/x"]);
        let places = Places {
            folders: vec![dir.clone()],
            home: None,
        };
        assert_eq!(node_major(&dir.join("n")).as_deref(), Some("22"));
        let found = places.find("nodejs22.x".parse().unwrap()).unwrap();
        assert_eq!(found.inside(), "/var/lang/bin/node");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
