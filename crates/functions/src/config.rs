use std::collections::BTreeMap;

use model::{Architecture, EphemeralStorage, Memory, RoleArn, Runtime, Timeout};

/// How one version of a function is run.  [Lambda API: FunctionConfiguration]
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// `None` for container images.
    pub runtime: Option<Runtime>,
    /// `file.export`; empty for container images.
    pub handler: String,
    pub role: RoleArn,
    pub description: String,
    pub memory: Memory,
    pub timeout: Timeout,
    pub ephemeral: EphemeralStorage,
    /// `None`: the caller never gave one; `Some` of nothing is another answer.
    pub environment: Option<BTreeMap<String, String>>,
    pub architecture: Architecture,
    pub logging: Logging,
    pub tracing: Tracing,
    pub package: Package,
    pub snap_start: SnapStart,
    /// ARNs of layer versions, lowest first.
    pub layers: Vec<String>,
    pub vpc: Option<Vpc>,
    /// The target of the dead-letter queue.
    pub dead_letter: Option<String>,
    pub kms_key: Option<String>,
    pub file_systems: Vec<FileSystem>,
    pub image: Option<ImageConfig>,
    /// Whether an environment serves one tenant only; chosen when the function is made.
    pub is_per_tenant: bool,
}

/// Where and how much a function logs.  [Lambda API: LoggingConfig]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logging {
    pub format: LogFormat,
    pub group: String,
    /// For `Json` only.
    pub application_level: Option<LogLevel>,
    /// For `Json` only.
    pub system_level: Option<LogLevel>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($variant),+ }

        impl $name {
            /// The spelling of the API.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// `None` if the API does not know the word.
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($text => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

words!(LogFormat { Text = "Text", Json = "JSON" });
words!(
    /// From most to least said.
    LogLevel {
        Trace = "TRACE", Debug = "DEBUG", Info = "INFO", Warn = "WARN", Error = "ERROR", Fatal = "FATAL",
    }
);
words!(
    /// Whether requests are traced that the caller did not sample.  [Lambda API: TracingConfig]
    Tracing { PassThrough = "PassThrough", Active = "Active" }
);
words!(Package { Zip = "Zip", Image = "Image" });
words!(
    /// Whether the init phase of a version runs before it is active.  [Lambda API: SnapStart]
    SnapStart { Off = "None", PublishedVersions = "PublishedVersions" }
);

/// [Lambda API: VpcConfig]
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Vpc {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub ipv6: Option<bool>,
}

/// [Lambda API: FileSystemConfig]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSystem {
    pub arn: String,
    pub local_mount_path: String,
}

/// [Lambda API: ImageConfig]
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ImageConfig {
    pub entry_point: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    pub working_directory: Option<String>,
}
