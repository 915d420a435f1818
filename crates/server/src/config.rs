//! The configuration: defaults, one file, the environment, the command line; later ones win.
//!
//! This is the only place that reads environment variables. Crates receive their own small structs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use egress::Networks;
use invoke::{EventLimits, StreamLimits};
use model::{Account, Region};
use sandbox::Network;

/// Where a value came from, for `kiln config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Environment(&'static str),
    Flag(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Environment(name) => write!(f, "${name}"),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One setting: its key in the file, its variable, its default and what it means.
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) variable: &'static str,
    default: &'static str,
    pub(crate) help: &'static str,
}

const fn setting(
    key: &'static str,
    variable: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        variable,
        default,
        help,
    }
}

pub(crate) static SETTINGS: &[Setting] = &[
    setting(
        "listen",
        "KILN_LISTEN",
        "127.0.0.1:4566",
        "address of the API; port 0 takes a free one",
    ),
    setting(
        "data",
        "KILN_DATA",
        "kiln-data",
        "folder of everything that Kiln keeps",
    ),
    setting(
        "account",
        "KILN_ACCOUNT",
        "000000000000",
        "account of callers whose key names none",
    ),
    setting(
        "region",
        "KILN_REGION",
        "us-east-1",
        "region of callers that name none",
    ),
    setting(
        "url_domain",
        "KILN_URL_DOMAIN",
        "localhost",
        "end of the hosts of function URLs: a name, or scheme and authority",
    ),
    setting(
        "hosts",
        "KILN_HOSTS",
        "",
        "names of this server that clients use: kiln.example.com,other.example.com",
    ),
    setting(
        "auth",
        "KILN_AUTH",
        "parse",
        "signatures: off, parse (read, not required) or strict",
    ),
    setting(
        "access_key",
        "KILN_ACCESS_KEY",
        "",
        "access key of the operator, for strict",
    ),
    setting("secret_key", "KILN_SECRET_KEY", "", "secret of that key"),
    setting(
        "sandbox",
        "KILN_SANDBOX",
        "ns",
        "isolation: ns, or process (none, for development)",
    ),
    setting(
        "network",
        "KILN_NETWORK",
        "kiln",
        "what functions reach: none, kiln (this API) or full",
    ),
    setting(
        "egress_allow",
        "KILN_EGRESS_ALLOW",
        "",
        "internal networks that HTTP deliveries may reach: 10.0.0.0/8,127.0.0.1",
    ),
    setting(
        "runtimes",
        "KILN_RUNTIMES",
        "",
        "more folders with interpreters, separated by ':'",
    ),
    setting(
        "concurrency_max",
        "KILN_CONCURRENCY_MAX",
        "1000",
        "invocations at once",
    ),
    setting(
        "unreserved_min",
        "KILN_UNRESERVED_MIN",
        "100",
        "of these, what functions cannot reserve",
    ),
    setting(
        "scaling_per_10s",
        "KILN_SCALING_PER_10S",
        "1000",
        "environments that one function may add in ten seconds",
    ),
    setting(
        "calls_per_unit",
        "KILN_CALLS_PER_UNIT",
        "10",
        "calls of a function in a second for each that may run at once; 0 counts none",
    ),
    setting(
        "function_events_max",
        "KILN_FUNCTION_EVENTS_MAX",
        "2000000",
        "asynchronous events of one function that may wait",
    ),
    setting(
        "events_max",
        "KILN_EVENTS_MAX",
        "4000000",
        "asynchronous events of all functions that may wait",
    ),
    setting(
        "environments_max",
        "KILN_ENVIRONMENTS_MAX",
        "1000",
        "environments alive at once",
    ),
    setting(
        "stream_bytes_max",
        "KILN_STREAM_BYTES_MAX",
        "209715200",
        "longest streamed response, in bytes",
    ),
    setting(
        "stream_burst_max",
        "KILN_STREAM_BURST_MAX",
        "6291456",
        "bytes of a streamed response that flow without limit of speed",
    ),
    setting(
        "stream_per_sec_max",
        "KILN_STREAM_PER_SEC_MAX",
        "2097152",
        "bytes in a second that follow them",
    ),
    setting(
        "control_rates",
        "KILN_CONTROL_RATES",
        "false",
        "keep AWS's rates of control-plane requests: 15 a second, 100 of GetFunction",
    ),
    setting(
        "idle_keep_secs",
        "KILN_IDLE_KEEP_SECS",
        "600",
        "idle environments are stopped after it",
    ),
    setting(
        "function_idle_secs",
        "KILN_FUNCTION_IDLE_SECS",
        "0",
        "a version without a call for so long is Inactive: its next call fails and wakes it; 0 is never",
    ),
    setting(
        "pool_sandboxes",
        "KILN_POOL_SANDBOXES",
        "8",
        "most sandboxes kept ready for cold starts; 0 is none",
    ),
    setting(
        "pool_waiting",
        "KILN_POOL_WAITING",
        "4",
        "most runtimes kept waiting for their function, and as many forks; 0 is none",
    ),
    setting(
        "freeze_after_ms",
        "KILN_FREEZE_AFTER_MS",
        "50",
        "idle environments are frozen after it",
    ),
    setting(
        "lifetime_secs",
        "KILN_LIFETIME_SECS",
        "14400",
        "environments get no more calls after it, however busy",
    ),
    setting(
        "templates",
        "KILN_TEMPLATES",
        "true",
        "keep interpreters to fork Python functions from",
    ),
    setting(
        "endpoint_variable",
        "KILN_ENDPOINT_VARIABLE",
        "true",
        "give functions Kiln's address as AWS_ENDPOINT_URL, which Lambda does not set",
    ),
    setting(
        "movable_clock",
        "KILN_MOVABLE_CLOCK",
        "false",
        "let `kiln clock` move the time of retries, schedules and retention",
    ),
    setting(
        "grace_secs",
        "KILN_GRACE_SECS",
        "10",
        "longest orderly stop",
    ),
    setting(
        "threads",
        "KILN_THREADS",
        "0",
        "threads of the server; 0 is one for two cores",
    ),
    setting(
        "log",
        "KILN_LOG",
        "warn,kiln=info",
        "log filter, as of tracing: level or target=level",
    ),
    setting("log_json", "KILN_LOG_JSON", "false", "log lines as JSON"),
];

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is not TOML: {reason}")]
    Syntax { path: PathBuf, reason: String },
    #[error("{path}: unknown setting {key:?}; `kiln config` lists the known ones")]
    Unknown { path: PathBuf, key: String },
    #[error("{key} = {value:?} (from {origin}): {reason}")]
    Value {
        key: &'static str,
        value: String,
        origin: Origin,
        reason: String,
    },
    #[error(
        "listening on {0} is open to others: set auth = \"strict\" with access_key and secret_key, or listen on 127.0.0.1"
    )]
    OpenToOthers(SocketAddr),
    #[error("auth = \"strict\" needs access_key and secret_key, or nobody could call")]
    NoCredential,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    Off,
    Parse,
    Strict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Ns,
    Process,
}

/// The effective configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) url_domain: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) auth: Auth,
    pub(crate) credential: Option<(String, String)>,
    pub(crate) backend: Backend,
    pub(crate) network: Network,
    pub(crate) egress_allow: Networks,
    pub(crate) runtimes: Vec<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) concurrency_max: u32,
    pub(crate) unreserved_min: u32,
    pub(crate) scaling_per_10s: u32,
    pub(crate) calls_per_unit: u32,
    pub(crate) control_rates: bool,
    pub(crate) events: EventLimits,
    pub(crate) environments_max: usize,
    pub(crate) stream: StreamLimits,
    pub(crate) idle_keep: Duration,
    /// How long a version stays active without a call.
    pub(crate) function_idle: Option<Duration>,
    /// Most that are kept ready.
    pub(crate) pool_sandboxes: usize,
    pub(crate) pool_waiting: usize,
    /// Where the functions of `kiln dev` listen for a debugger; no setting of a server's.
    pub(crate) debug_port: Option<u16>,
    pub(crate) templates: bool,
    pub(crate) endpoint_variable: bool,
    pub(crate) freeze_after: Duration,
    pub(crate) lifetime: Duration,
    pub(crate) movable_clock: bool,
    pub(crate) grace: Duration,
    pub(crate) threads: usize,
    pub(crate) log: String,
    pub(crate) log_json: bool,
}

/// Values by key, each with its origin.
pub(crate) struct Layers(BTreeMap<&'static str, (String, Origin)>);

impl Layers {
    pub(crate) fn defaults() -> Layers {
        let row = |s: &Setting| (s.key, (s.default.to_owned(), Origin::Default));
        Layers(SETTINGS.iter().map(row).collect())
    }

    /// Reads the file; one that nobody asked for may be absent.
    pub(crate) fn file(mut self, path: &Path, must_exist: bool) -> Result<Layers, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(self),
            Err(source) => {
                return Err(ConfigError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let table: toml::Table =
            text.parse()
                .map_err(|e: toml::de::Error| ConfigError::Syntax {
                    path: path.to_owned(),
                    reason: e.message().to_owned(),
                })?;
        for (key, value) in table {
            let Some(setting) = SETTINGS.iter().find(|s| s.key == key) else {
                return Err(ConfigError::Unknown {
                    path: path.to_owned(),
                    key,
                });
            };
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Array(items) => items
                    .iter()
                    .filter_map(|i| i.as_str())
                    .collect::<Vec<_>>()
                    .join(":"),
                other => other.to_string(),
            };
            self.0
                .insert(setting.key, (value, Origin::File(path.to_owned())));
        }
        Ok(self)
    }

    /// Takes the variables that are set.
    pub(crate) fn environment(mut self) -> Layers {
        for s in SETTINGS {
            if let Some(value) = variable(s.variable) {
                self.0
                    .insert(s.key, (value, Origin::Environment(s.variable)));
            }
        }
        self
    }

    pub(crate) fn flag(
        mut self,
        key: &'static str,
        flag: &'static str,
        value: Option<String>,
    ) -> Layers {
        if let Some(value) = value {
            self.0.insert(key, (value, Origin::Flag(flag)));
        }
        self
    }

    /// Rows for people: key, value (secrets hidden), origin.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String, String)> {
        let row = |s: &Setting| {
            let (value, origin) = self
                .0
                .get(s.key)
                .cloned()
                .unwrap_or((String::new(), Origin::Default));
            let hide = s.key == "secret_key" && !value.is_empty();
            (
                s.key,
                if hide { "(hidden)".to_owned() } else { value },
                origin.to_string(),
            )
        };
        SETTINGS.iter().map(row).collect()
    }

    fn parse<T, E: std::fmt::Display>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        let (value, origin) = self
            .0
            .get(key)
            .cloned()
            .unwrap_or((String::new(), Origin::Default));
        read(&value).map_err(|e| ConfigError::Value {
            key,
            value,
            origin,
            reason: e.to_string(),
        })
    }

    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let text = |key| self.parse(key, |t| Ok::<_, ConfigError>(t.to_owned()));
        let secs = |t: &str| t.parse().map(Duration::from_secs);
        let config = Config {
            listen: self.parse("listen", str::parse)?,
            data: text("data")?.into(),
            account: self.parse("account", str::parse)?,
            region: self.parse("region", str::parse)?,
            url_domain: text("url_domain")?,
            hosts: text("hosts")?
                .split(',')
                .map(|host| host.trim().to_owned())
                .filter(|host| !host.is_empty())
                .collect(),
            auth: self.parse("auth", |t| match t {
                "off" => Ok(Auth::Off),
                "parse" => Ok(Auth::Parse),
                "strict" => Ok(Auth::Strict),
                _ => Err("use off, parse or strict"),
            })?,
            credential: Some((text("access_key")?, text("secret_key")?))
                .filter(|(key, secret)| !key.is_empty() && !secret.is_empty()),
            backend: self.parse("sandbox", |t| match t {
                "ns" => Ok(Backend::Ns),
                "process" => Ok(Backend::Process),
                _ => Err("use ns or process"),
            })?,
            network: self.parse("network", |t| match t {
                "none" => Ok(Network::None),
                "kiln" => Ok(Network::Kiln),
                "full" => Ok(Network::Full),
                _ => Err("use none, kiln or full"),
            })?,
            egress_allow: self.parse("egress_allow", str::parse)?,
            runtimes: text("runtimes")?
                .split(':')
                .filter(|p| !p.is_empty())
                .map(PathBuf::from)
                .collect(),
            home: variable("HOME").map(PathBuf::from),
            concurrency_max: self.parse("concurrency_max", str::parse)?,
            unreserved_min: self.parse("unreserved_min", str::parse)?,
            scaling_per_10s: self.parse("scaling_per_10s", str::parse)?,
            calls_per_unit: self.parse("calls_per_unit", str::parse)?,
            control_rates: self.parse("control_rates", str::parse)?,
            events: EventLimits {
                function_max: self.parse("function_events_max", str::parse)?,
                all_max: self.parse("events_max", str::parse)?,
            },
            environments_max: self.parse("environments_max", str::parse)?,
            stream: StreamLimits {
                bytes_max: self.parse("stream_bytes_max", str::parse)?,
                burst_max: self.parse("stream_burst_max", str::parse)?,
                per_sec_max: self.parse("stream_per_sec_max", str::parse)?,
            },
            idle_keep: self.parse("idle_keep_secs", secs)?,
            function_idle: Some(self.parse("function_idle_secs", secs)?).filter(|s| !s.is_zero()),
            pool_sandboxes: self.parse("pool_sandboxes", str::parse)?,
            pool_waiting: self.parse("pool_waiting", str::parse)?,
            debug_port: None,
            templates: self.parse("templates", str::parse)?,
            endpoint_variable: self.parse("endpoint_variable", str::parse)?,
            freeze_after: self
                .parse("freeze_after_ms", |t| t.parse().map(Duration::from_millis))?,
            lifetime: self.parse("lifetime_secs", secs)?,
            movable_clock: self.parse("movable_clock", str::parse)?,
            grace: self.parse("grace_secs", secs)?,
            threads: self.parse("threads", str::parse)?,
            log: text("log")?,
            log_json: self.parse("log_json", str::parse)?,
        };
        config.check()
    }
}

impl Config {
    /// Anything but loopback needs signatures and a credential.
    fn check(self) -> Result<Config, ConfigError> {
        if self.auth != Auth::Strict && !self.listen.ip().is_loopback() {
            return Err(ConfigError::OpenToOthers(self.listen));
        }
        if self.auth == Auth::Strict && self.credential.is_none() {
            return Err(ConfigError::NoCredential);
        }
        Ok(self)
    }
}

/// Reads one environment variable; empty counts as unset.
#[allow(clippy::disallowed_methods)] // the one place
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
        let set = |layers: Layers, (key, value): &(&'static str, &str)| {
            layers.flag(key, "--test", Some((*value).to_owned()))
        };
        pairs.iter().fold(Layers::defaults(), set).config()
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = with(&[]).unwrap();
        assert_eq!(config.listen.port(), 4566);
        assert_eq!(config.auth, Auth::Parse);
    }

    #[test]
    fn an_open_address_needs_strict_and_a_credential() {
        let open = ("listen", "0.0.0.0:4566");
        assert!(matches!(with(&[open]), Err(ConfigError::OpenToOthers(_))));
        assert!(matches!(
            with(&[open, ("auth", "strict")]),
            Err(ConfigError::NoCredential)
        ));
        let full = [
            open,
            ("auth", "strict"),
            ("access_key", "AK"),
            ("secret_key", "s"),
        ];
        assert!(with(&full).is_ok());
    }

    #[test]
    fn a_wrong_value_names_its_key_and_origin() {
        let error = with(&[("network", "moon")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "network = \"moon\" (from --test): use none, kiln or full"
        );
    }

    #[test]
    fn a_file_with_an_unknown_key_is_refused() {
        let dir = std::env::temp_dir().join(format!("kiln-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("kiln.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\nlissen = 3\n").unwrap();
        let error = Layers::defaults().file(&path, true).err().unwrap();
        assert!(
            matches!(error, ConfigError::Unknown { ref key, .. } if key == "lissen"),
            "{error}"
        );
        std::fs::write(&path, "concurrency_max = 7\nruntimes = [\"/a\", \"/b\"]\n").unwrap();
        let config = Layers::defaults()
            .file(&path, true)
            .unwrap()
            .config()
            .unwrap();
        assert_eq!(config.concurrency_max, 7);
        assert_eq!(config.runtimes.len(), 2);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn secrets_are_not_shown() {
        let layers = Layers::defaults().flag("secret_key", "--x", Some("hush".to_owned()));
        assert!(layers.rows().iter().all(|(_, value, _)| value != "hush"));
    }
}
