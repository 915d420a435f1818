//! Which runtimes can be started before their function is known, and for which functions such a
//! process serves.

use std::collections::BTreeMap;

use model::{Runtime, RuntimeFamily};
use sandbox::Mount;

/// A start of a runtime's own bootstrap that knows no function yet. It loads what needs no function and
/// reads the function's variables from the file whose number is in [`Waiting::FD`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The same program and arguments as at a start with a function.
    pub argv: Vec<String>,
    /// What every function of the runtime has in common; without [`Waiting::FD`].
    pub env: Vec<(String, String)>,
    /// Without `/var/task` and `/opt`.
    pub mounts: Vec<Mount>,
    /// It is started once and forked for each function; else a process becomes one function.
    pub is_template: bool,
    family: RuntimeFamily,
}

/// The oldest Python that can be forked by Kiln's bootstrap.
const TEMPLATE_PYTHON: [u32; 2] = [3, 9];

/// Variables that the loader, the C library or an interpreter reads at its own start and never again.
/// A `*` stands for any rest.
const READ_AT_START: &[&str] = &[
    "AWS_LAMBDA_EXEC_WRAPPER",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LD_*",
    "MALLOC_*",
    "OPENSSL_*",
    "SSL_CERT_*",
    "TZ",
    "TZDIR",
];

/// The same of one family; the second list is what its bootstrap reads again.
fn read_by(family: RuntimeFamily) -> (&'static [&'static str], &'static [&'static str]) {
    match family {
        RuntimeFamily::NodeJs => (
            &["NODE_*", "NO_COLOR", "FORCE_COLOR", "UV_*", "ICU_*"],
            &["NODE_ENV", "NODE_PATH"],
        ),
        RuntimeFamily::Ruby => (&["RUBY*"], &[]),
        RuntimeFamily::Python => (&["PYTHON*", "HOME"], &[]),
        _ => (&[], &[]),
    }
}

impl Waiting {
    /// Names the file that the process reads its function's variables from.
    pub const FD: &str = "_KILN_WAIT_FD";

    /// `None`: a process of this runtime cannot wait.
    pub(super) fn of(
        runtime: Runtime,
        argv: &[String],
        env: BTreeMap<String, String>,
        mounts: &[Mount],
    ) -> Option<Waiting> {
        let family = runtime.family();
        let is_template = family == RuntimeFamily::Python
            && super::version_key(runtime.language_version()) >= TEMPLATE_PYTHON.to_vec();
        let can_wait = matches!(family, RuntimeFamily::NodeJs | RuntimeFamily::Ruby);
        (can_wait || is_template).then(|| Waiting {
            argv: argv.to_vec(),
            env: env.into_iter().collect(),
            mounts: mounts.to_vec(),
            is_template,
            family,
        })
    }

    /// Whether a process that was started like this can become a function with the variables `env`:
    /// none that is only read at the start may differ.
    pub fn serves(&self, env: &[(String, String)]) -> bool {
        let differs = |(name, value): &(String, String), other: &[(String, String)]| {
            self.counts_at_start(name)
                && !other
                    .iter()
                    .any(|(other, with)| other == name && with == value)
        };
        !env.iter().any(|pair| differs(pair, &self.env))
            && !self.env.iter().any(|pair| differs(pair, env))
    }

    fn counts_at_start(&self, name: &str) -> bool {
        let (read, read_again) = read_by(self.family);
        let among = |patterns: &[&str]| {
            patterns
                .iter()
                .any(|pattern| match pattern.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => name == *pattern,
                })
        };
        (among(READ_AT_START) || among(read)) && !among(read_again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::environment::generic;

    fn waiting(name: &str) -> Option<Waiting> {
        let runtime: Runtime = name.parse().unwrap();
        Waiting::of(runtime, &[], generic(runtime), &[])
    }

    #[test]
    fn each_family_has_its_own_variables() {
        let ruby = waiting("ruby3.4").unwrap();
        for (name, serves) in [
            ("GEM_PATH", true),
            ("NODE_OPTIONS", true),
            ("RUBYOPT", false),
            ("RUBYLIB", false),
        ] {
            let mut env: BTreeMap<_, _> = ruby.env.iter().cloned().collect();
            env.insert(name.to_owned(), "/opt/mine".to_owned());
            let env: Vec<_> = env.into_iter().collect();
            assert_eq!(ruby.serves(&env), serves, "{name}");
        }
    }

    #[test]
    fn what_an_interpreter_read_at_its_start_cannot_change() {
        let waiting = waiting("nodejs22.x").unwrap();
        for (name, value, serves) in [
            ("ANY", "thing", true),
            ("NODE_ENV", "production", true),
            ("NODE_PATH", "/opt/mine", true),
            ("PATH", "/opt/bin", true),
            ("TZ", ":UTC", true),
            ("TZ", "Europe/Vienna", false),
            ("LANG", "de_AT.UTF-8", false),
            ("LC_ALL", "C", false),
            ("LD_PRELOAD", "/opt/x.so", false),
            ("NODE_OPTIONS", "--enable-source-maps", false),
            ("NODE_EXTRA_CA_CERTS", "/var/task/ca.pem", false),
            ("UV_THREADPOOL_SIZE", "64", false),
            ("MALLOC_ARENA_MAX", "2", false),
            ("AWS_LAMBDA_EXEC_WRAPPER", "/opt/wrapper", false),
        ] {
            let mut env: BTreeMap<_, _> = waiting.env.iter().cloned().collect();
            env.insert(name.to_owned(), value.to_owned());
            let env: Vec<_> = env.into_iter().collect();
            assert_eq!(waiting.serves(&env), serves, "{name}={value}");
        }
        let mut without_zone = waiting.env.clone();
        without_zone.retain(|(name, _)| name != "TZ");
        assert!(!waiting.serves(&without_zone));
    }

    #[test]
    fn python_is_forked_unless_its_start_differs() {
        let waiting = waiting("python3.13").unwrap();
        assert!(waiting.is_template);
        for (name, value, serves) in [
            ("ANY", "thing", true),
            ("PYTHONPATH", "/var/runtime", true),
            ("PYTHONPATH", "/opt/mine", false),
            ("PYTHONHASHSEED", "0", false),
            ("PYTHONUNBUFFERED", "1", false),
            ("LD_PRELOAD", "/opt/x.so", false),
            ("TZ", "Europe/Vienna", false),
        ] {
            let mut env: BTreeMap<_, _> = waiting.env.iter().cloned().collect();
            env.insert(name.to_owned(), value.to_owned());
            let env: Vec<_> = env.into_iter().collect();
            assert_eq!(waiting.serves(&env), serves, "{name}={value}");
        }
        assert_eq!(
            Waiting::of("python3.8".parse().unwrap(), &[], BTreeMap::new(), &[]),
            None
        );
    }

    #[test]
    fn a_custom_runtime_cannot_wait() {
        assert_eq!(waiting("provided.al2023"), None);
    }
}
