//! What is written to disk. These types change only with care: an older file must stay readable.

use std::collections::BTreeMap;

use model::{Architecture, EphemeralStorage, Memory, Timeout};
use serde::{Deserialize, Serialize};
use store::{Digest, Record, Space, StoreError};

use crate::config::{
    Config, FileSystem, ImageConfig, LogFormat, LogLevel, Logging, Package, SnapStart, Tracing, Vpc,
};
use crate::{LayerVersion, UsedLayer};

pub(crate) const SPACE: Space = Space("lambda");

/// A function and its `$LATEST`, written as it will be once it has settled: that it has not yet is
/// known in memory only, so a restart settles it.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct FunctionRecord {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) latest: DeployedRecord,
    /// Versions below it belong to an earlier function of this name.
    pub(crate) first_version: u32,
    /// Zero: none was published yet.
    pub(crate) last_version: u32,
    /// What `$LATEST` was when the last version was cut from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) published: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reserved: Option<u32>,
    /// By qualifier.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) provisioned: BTreeMap<String, ProvisionedRecord>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) allows_recursion: bool,
}

impl Record for FunctionRecord {
    const KIND: &'static str = "function";
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ProvisionedRecord {
    pub(crate) requested: u32,
    pub(crate) modified_us: i64,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct VersionRecord {
    pub(crate) number: u32,
    pub(crate) version: DeployedRecord,
    /// Of versions with SnapStart; absent once their init phase has run well without a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preparation: Option<PreparationRecord>,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) enum PreparationRecord {
    Pending,
    /// Its environments are restored.
    Optimized,
    Failed {
        code: String,
        reason: String,
    },
}

impl Record for VersionRecord {
    const KIND: &'static str = "version";
    const VERSION: u8 = 1;
}

/// Stays when a function is deleted, so that its version numbers are never used again.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct RetiredRecord {
    pub(crate) last_version: u32,
}

impl Record for RetiredRecord {
    const KIND: &'static str = "retired";
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct AliasRecord {
    pub(crate) name: String,
    /// Zero: `$LATEST`.
    pub(crate) version: u32,
    /// The first version number of its function, which tells it from an earlier one of this name.
    pub(crate) born: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    pub(crate) revision: String,
    /// The second version and its share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<(u32, f64)>,
}

impl Record for AliasRecord {
    const KIND: &'static str = "alias";
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct PolicyRecord {
    /// As in [`AliasRecord`].
    pub(crate) born: u32,
    pub(crate) revision: String,
    pub(crate) statements: Vec<StatementRecord>,
}

impl Record for PolicyRecord {
    const KIND: &'static str = "policy";
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct StatementRecord {
    pub(crate) id: String,
    /// `*`, `AWS` or `Service`.
    pub(crate) principal_kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) principal: String,
    pub(crate) action: String,
    /// Operator, key, value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<(String, String, String)>,
    /// As it was put, if it was not made of the members above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) written: Option<String>,
}

/// Stays when all versions of a layer are deleted, so that their numbers are never used again.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct LayerRecord {
    pub(crate) last_version: u64,
}

impl Record for LayerRecord {
    const KIND: &'static str = "layer";
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct LayerVersionRecord {
    pub(crate) number: u64,
    pub(crate) created_us: i64,
    /// SHA-256 in lower-case hexadecimal.
    pub(crate) code: String,
    pub(crate) code_bytes: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) license: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runtimes: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) architectures: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<PolicyRecord>,
}

impl Record for LayerVersionRecord {
    const KIND: &'static str = "layer-version";
    const VERSION: u8 = 1;
}

impl LayerVersionRecord {
    pub(crate) fn of(version: &LayerVersion, policy: Option<PolicyRecord>) -> LayerVersionRecord {
        let words = |list: &Vec<Architecture>| list.iter().map(|a| a.as_str().to_owned()).collect();
        LayerVersionRecord {
            number: version.number,
            created_us: version.created.unix_micros(),
            code: version.code.digest().to_string(),
            code_bytes: version.code.bytes(),
            description: version.description.clone(),
            license: version.license.clone(),
            runtimes: version.runtimes.clone(),
            architectures: version.architectures.as_ref().map(words),
            policy,
        }
    }
}

pub(crate) fn architectures(words: Vec<String>) -> Result<Vec<Architecture>, StoreError> {
    let parse = |word: String| word.parse().map_err(|_| damaged("architecture"));
    words.into_iter().map(parse).collect()
}

/// A layer version with its content: the version itself may be deleted.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct UsedLayerRecord {
    pub(crate) arn: String,
    pub(crate) code: String,
    pub(crate) code_bytes: u64,
}

impl From<&UsedLayer> for UsedLayerRecord {
    fn from(used: &UsedLayer) -> UsedLayerRecord {
        UsedLayerRecord {
            arn: used.arn.clone(),
            code: used.code.digest().to_string(),
            code_bytes: used.code.bytes(),
        }
    }
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct DeployedRecord {
    pub(crate) revision: String,
    pub(crate) modified_us: i64,
    /// SHA-256 in lower-case hexadecimal.
    pub(crate) code: String,
    pub(crate) code_bytes: u64,
    /// What [`ConfigRecord`] names by ARN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<UsedLayerRecord>,
    pub(crate) config: ConfigRecord,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ConfigRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runtime: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    handler: String,
    role: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    memory_mib: u32,
    timeout_s: u32,
    ephemeral_mib: u32,
    /// The seam for encryption at rest: only [`EnvironmentRecord`] knows the stored form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<EnvironmentRecord>,
    architecture: String,
    log_format: String,
    log_group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_application: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_system: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    traced: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_image: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    snap_start: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vpc: Option<VpcRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead_letter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kms_key: Option<String>,
    /// Pairs of ARN and mount path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    file_systems: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<ImageRecord>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    per_tenant: bool,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(untagged)]
enum EnvironmentRecord {
    Plain(BTreeMap<String, String>),
}

#[derive(Serialize, Deserialize, Clone)]
struct VpcRecord {
    subnets: Vec<String>,
    security_groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ipv6: Option<bool>,
}

#[derive(Serialize, Deserialize, Clone)]
struct ImageRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry_point: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    working_directory: Option<String>,
}

impl From<&Config> for ConfigRecord {
    fn from(c: &Config) -> ConfigRecord {
        ConfigRecord {
            runtime: c.runtime.map(|r| r.to_string()),
            handler: c.handler.clone(),
            role: c.role.to_string(),
            description: c.description.clone(),
            memory_mib: c.memory.mib(),
            timeout_s: c.timeout.secs(),
            ephemeral_mib: c.ephemeral.mib(),
            environment: c.environment.clone().map(EnvironmentRecord::Plain),
            architecture: c.architecture.as_str().to_owned(),
            log_format: c.logging.format.as_str().to_owned(),
            log_group: c.logging.group.clone(),
            log_application: c.logging.application_level.map(|l| l.as_str().to_owned()),
            log_system: c.logging.system_level.map(|l| l.as_str().to_owned()),
            traced: c.tracing == Tracing::Active,
            is_image: c.package == Package::Image,
            snap_start: c.snap_start == SnapStart::PublishedVersions,
            layers: c.layers.clone(),
            vpc: c.vpc.clone().map(|v| VpcRecord {
                subnets: v.subnets,
                security_groups: v.security_groups,
                ipv6: v.ipv6,
            }),
            dead_letter: c.dead_letter.clone(),
            kms_key: c.kms_key.clone(),
            file_systems: c
                .file_systems
                .iter()
                .map(|f| (f.arn.clone(), f.local_mount_path.clone()))
                .collect(),
            image: c.image.clone().map(|i| ImageRecord {
                entry_point: i.entry_point,
                command: i.command,
                working_directory: i.working_directory,
            }),
            per_tenant: c.is_per_tenant,
        }
    }
}

/// The error for a record whose content makes no sense.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("record of a function: {what}").into())
}

impl TryFrom<ConfigRecord> for Config {
    type Error = StoreError;
    fn try_from(r: ConfigRecord) -> Result<Config, StoreError> {
        let level = |word: Option<String>| {
            word.map(|w| LogLevel::from_word(&w).ok_or_else(|| damaged("log level")))
                .transpose()
        };
        let runtime = r
            .runtime
            .map(|text| text.parse().map_err(|_| damaged("runtime")))
            .transpose()?;
        Ok(Config {
            runtime,
            handler: r.handler,
            role: r.role.parse().map_err(|_| damaged("role"))?,
            description: r.description,
            memory: Memory::from_mib(r.memory_mib.into()).map_err(|_| damaged("memory"))?,
            timeout: Timeout::from_secs(r.timeout_s.into()).map_err(|_| damaged("timeout"))?,
            ephemeral: EphemeralStorage::from_mib(r.ephemeral_mib.into())
                .map_err(|_| damaged("ephemeral storage"))?,
            environment: r.environment.map(|EnvironmentRecord::Plain(map)| map),
            architecture: r
                .architecture
                .parse::<Architecture>()
                .map_err(|_| damaged("architecture"))?,
            logging: Logging {
                format: LogFormat::from_word(&r.log_format).ok_or_else(|| damaged("log format"))?,
                group: r.log_group,
                application_level: level(r.log_application)?,
                system_level: level(r.log_system)?,
            },
            tracing: if r.traced {
                Tracing::Active
            } else {
                Tracing::PassThrough
            },
            package: if r.is_image {
                Package::Image
            } else {
                Package::Zip
            },
            snap_start: if r.snap_start {
                SnapStart::PublishedVersions
            } else {
                SnapStart::Off
            },
            layers: r.layers,
            vpc: r.vpc.map(|v| Vpc {
                subnets: v.subnets,
                security_groups: v.security_groups,
                ipv6: v.ipv6,
            }),
            dead_letter: r.dead_letter,
            kms_key: r.kms_key,
            file_systems: r
                .file_systems
                .into_iter()
                .map(|(arn, local_mount_path)| FileSystem {
                    arn,
                    local_mount_path,
                })
                .collect(),
            image: r.image.map(|i| ImageConfig {
                entry_point: i.entry_point,
                command: i.command,
                working_directory: i.working_directory,
            }),
            is_per_tenant: r.per_tenant,
        })
    }
}

/// Reads the digest of [`DeployedRecord::code`].
pub(crate) fn parse_digest(hex: &str) -> Result<Digest, StoreError> {
    let mut digest = [0u8; 32];
    if hex.len() != 64 {
        return Err(damaged("code digest"));
    }
    for (i, byte) in digest.iter_mut().enumerate() {
        *byte = hex
            .get(2 * i..2 * i + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or_else(|| damaged("code digest"))?;
    }
    Ok(Digest(digest))
}
