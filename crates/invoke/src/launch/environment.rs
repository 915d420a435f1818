//! The environment variables of a function.  [spec 4.6; Lambda guide: defined runtime variables]

use std::collections::BTreeMap;

use functions::{Config, LogFormat, SnapStart};
use model::{FunctionRef, Runtime, RuntimeFamily, Version};

use super::LANG_DIR;
use crate::credentials::Issued;

/// What the variables are made of.
pub(crate) struct Facts<'a> {
    pub(crate) function: &'a FunctionRef,
    pub(crate) version: &'a Version,
    pub(crate) config: &'a Config,
    pub(crate) log_group: &'a str,
    pub(crate) log_stream: &'a str,
    pub(crate) keys: &'a Issued,
    /// `on-demand`, …
    pub(crate) initialization: &'static str,
    /// Kiln's API as seen from inside.
    pub(crate) endpoint: Option<&'a str>,
}

/// All variables of the runtime process. The user's win over the defaults, the reserved ones win
/// over the user's (who cannot set them anyway).
pub(crate) fn environment(facts: &Facts<'_>) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |pairs: Vec<(&str, String)>| {
        all.extend(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
    };
    set(defaults(facts.config.runtime));
    if let Some(endpoint) = facts.endpoint {
        set(vec![("AWS_ENDPOINT_URL", endpoint.to_owned())]);
    }
    let user = facts.config.environment.iter().flatten();
    set(user
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect());
    set(reserved(facts));
    all.into_iter().collect()
}

/// What every function of `runtime` has in common.
pub(super) fn generic(runtime: Runtime) -> BTreeMap<String, String> {
    defaults(Some(runtime))
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Set, but free to change. As observed in each of the managed runtimes.
fn defaults(runtime: Option<Runtime>) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
        ("AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1:2000".to_owned()),
        ("_AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1".to_owned()),
        ("_AWS_XRAY_DAEMON_PORT", "2000".to_owned()),
    ];
    pairs.extend(paths(runtime));
    let Some(runtime) = runtime.filter(|r| r.family() != RuntimeFamily::Provided) else {
        return pairs;
    };
    if runtime.family() != RuntimeFamily::Java {
        // What the shell that starts a managed runtime leaves.
        pairs.push(("PWD", "/var/task".to_owned()));
        pairs.push(("SHLVL", "0".to_owned()));
    }
    let version = runtime.language_version();
    match runtime.family() {
        RuntimeFamily::Python => {
            pairs.push(("PYTHONPATH", "/var/runtime".to_owned()));
            // The images of the newer ones lack en_US.UTF-8, which Python makes up for like this.
            if super::version_key(version) >= vec![3, 12] {
                pairs.push(("LC_CTYPE", "C.UTF-8".to_owned()));
            }
        }
        RuntimeFamily::NodeJs => pairs.push((
            "NODE_PATH",
            format!(
                "/opt/nodejs/node{version}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
            ),
        )),
        RuntimeFamily::Ruby => pairs.extend([
            ("GEM_HOME", "/var/runtime".to_owned()),
            (
                "GEM_PATH",
                format!(
                    "/var/task/vendor/bundle/ruby/{version}.0:/opt/ruby/gems/{version}.0:/var/runtime:/var/runtime/ruby/{version}.0"
                ),
            ),
            (
                "RUBYLIB",
                "/var/task:/var/runtime/lib:/opt/ruby/lib".to_owned(),
            ),
        ]),
        _ => {}
    }
    pairs
}

/// The oldest image has no folder for a language.
fn paths(runtime: Option<Runtime>) -> [(&'static str, String); 2] {
    const PATH: &str = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";
    const LIBRARIES: &str =
        "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";
    if runtime.is_some_and(|r| r.as_str() == "provided.al2") {
        return [
            ("PATH", PATH.to_owned()),
            ("LD_LIBRARY_PATH", LIBRARIES.to_owned()),
        ];
    }
    [
        ("PATH", format!("{LANG_DIR}/bin:{PATH}")),
        ("LD_LIBRARY_PATH", format!("{LANG_DIR}/lib:{LIBRARIES}")),
    ]
}

/// The platform's own.
fn reserved(facts: &Facts<'_>) -> Vec<(&'static str, String)> {
    let Facts {
        function,
        version,
        config,
        keys,
        ..
    } = facts;
    let region = function.region.to_string();
    let mut pairs = vec![
        ("_HANDLER", config.handler.clone()),
        ("AWS_REGION", region.clone()),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", config.memory.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", version.to_string()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
    ];
    let is_snap_start =
        **version != Version::Latest && config.snap_start == SnapStart::PublishedVersions;
    // What is prepared before it is called asks for them.  [Lambda guide: environment variables]
    if !is_snap_start {
        pairs.extend([
            ("AWS_ACCESS_KEY_ID", keys.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", keys.secret.clone()),
            ("AWS_SESSION_TOKEN", keys.token.clone()),
        ]);
    }
    let has_older_names = |r: Runtime| ["java8.al2", "java11"].contains(&r.as_str());
    if config.runtime.is_some_and(has_older_names) && !is_snap_start {
        // The names of the first SDK.
        pairs.push(("AWS_ACCESS_KEY", keys.access_key.clone()));
        pairs.push(("AWS_SECRET_KEY", keys.secret.clone()));
    }
    // It knows no log stream either.
    if is_snap_start {
        pairs.push(("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start".to_owned()));
    } else {
        pairs.extend([
            (
                "AWS_LAMBDA_INITIALIZATION_TYPE",
                facts.initialization.to_owned(),
            ),
            ("AWS_LAMBDA_LOG_GROUP_NAME", facts.log_group.to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", facts.log_stream.to_owned()),
        ]);
    }
    // Absent in the text format.
    if config.logging.format == LogFormat::Json {
        let level = config
            .logging
            .application_level
            .map_or("INFO", |l| l.as_str());
        pairs.push(("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()));
        pairs.push(("AWS_LAMBDA_LOG_LEVEL", level.to_owned()));
    }
    if let Some(runtime) = config
        .runtime
        .filter(|r| r.family() != RuntimeFamily::Provided)
    {
        pairs.push(("AWS_EXECUTION_ENV", format!("AWS_Lambda_{runtime}")));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use functions::{Logging, Package, Tracing};
    use model::{Architecture, EphemeralStorage, Memory, RoleArn, Timeout};

    fn config(runtime: &str) -> Config {
        Config {
            runtime: Some(runtime.parse().unwrap()),
            handler: "i.h".to_owned(),
            role: "arn:aws:iam::000000000000:role/r".parse().unwrap(),
            description: String::new(),
            memory: Memory::MIN,
            timeout: Timeout::from_secs(3).unwrap(),
            ephemeral: EphemeralStorage::DEFAULT,
            environment: None,
            architecture: Architecture::X86_64,
            logging: Logging {
                format: LogFormat::Text,
                group: "/aws/lambda/f".to_owned(),
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

    fn variables(config: &Config) -> BTreeMap<String, String> {
        let role: RoleArn = config.role.clone();
        let account = "000000000000".parse().unwrap();
        let function = FunctionRef {
            account,
            region: "us-east-1".parse().unwrap(),
            name: "f".parse().unwrap(),
            qualifier: None,
        };
        let keys = Issued {
            access_key: "key".to_owned(),
            secret: "secret".to_owned(),
            token: "token".to_owned(),
            account: function.account.clone(),
            role,
            session: "f".to_owned(),
            trace: Default::default(),
        };
        let facts = Facts {
            function: &function,
            version: &Version::Latest,
            config,
            log_group: "/aws/lambda/f",
            log_stream: "stream",
            keys: &keys,
            initialization: "on-demand",
            endpoint: None,
        };
        environment(&facts).into_iter().collect()
    }

    #[test]
    fn each_runtime_has_the_variables_of_its_image() {
        let long = "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin";
        let short = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";
        let node = "/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task";
        let gems = "/var/task/vendor/bundle/ruby/3.4.0:/opt/ruby/gems/3.4.0:/var/runtime:/var/runtime/ruby/3.4.0";
        for (runtime, name, value) in [
            ("python3.11", "LC_CTYPE", None),
            ("python3.12", "LC_CTYPE", Some("C.UTF-8")),
            ("python3.12", "PYTHONPATH", Some("/var/runtime")),
            (
                "python3.12",
                "AWS_EXECUTION_ENV",
                Some("AWS_Lambda_python3.12"),
            ),
            ("python3.12", "PATH", Some(long)),
            ("python3.12", "PWD", Some("/var/task")),
            ("nodejs22.x", "NODE_PATH", Some(node)),
            ("nodejs22.x", "SHLVL", Some("0")),
            ("nodejs22.x", "LC_CTYPE", None),
            ("java11", "AWS_SECRET_KEY", Some("secret")),
            ("java17", "AWS_SECRET_KEY", None),
            ("java17", "PWD", None),
            ("java17", "PATH", Some(long)),
            ("ruby3.4", "GEM_HOME", Some("/var/runtime")),
            ("ruby3.4", "GEM_PATH", Some(gems)),
            (
                "ruby3.4",
                "RUBYLIB",
                Some("/var/task:/var/runtime/lib:/opt/ruby/lib"),
            ),
            ("provided.al2023", "PATH", Some(long)),
            ("provided.al2", "PATH", Some(short)),
            ("provided.al2", "PWD", None),
            ("provided.al2", "AWS_EXECUTION_ENV", None),
        ] {
            let got = variables(&config(runtime));
            assert_eq!(got.get(name).map(String::as_str), value, "{runtime} {name}");
        }
    }

    #[test]
    fn the_users_variables_win_over_defaults_but_not_over_reserved_ones() {
        let mut config = config("python3.13");
        let user = [("TZ", "Europe/Vienna"), ("A", "b"), ("_HANDLER", "no")];
        config.environment = Some(
            user.iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
        );
        let got = variables(&config);
        for (name, value) in [("TZ", "Europe/Vienna"), ("A", "b"), ("_HANDLER", "i.h")] {
            assert_eq!(got.get(name).map(String::as_str), Some(value));
        }
    }

    #[test]
    fn the_log_format_is_told_when_it_is_json() {
        let mut config = config("python3.13");
        assert!(!variables(&config).contains_key("AWS_LAMBDA_LOG_FORMAT"));
        config.logging.format = LogFormat::Json;
        let got = variables(&config);
        assert_eq!(got.get("AWS_LAMBDA_LOG_FORMAT").unwrap(), "JSON");
        assert_eq!(got.get("AWS_LAMBDA_LOG_LEVEL").unwrap(), "INFO");
    }
}
