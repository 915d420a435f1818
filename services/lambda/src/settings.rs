//! From the members of CreateFunction and UpdateFunctionConfiguration to a [`Config`].

use functions::{
    Config, Error, FileSystem, LogFormat, LogLevel, Logging, Package, SnapStart, Tracing, Vpc,
};
use model::{Architecture, EphemeralStorage, Memory, RoleArn, Runtime, Timeout};
use wire::Fault;

use crate::api::{FileSystemConfig, FunctionRequest, LoggingConfig, VpcConfig};
use crate::fault::{invalid_parameter, not_built};
use crate::rules::{
    FILE_SYSTEM, HANDLER, LAYER_VERSION_ARN, LOCAL_MOUNT_PATH, LOG_GROUP, RESOURCE_ARN, ROLE,
    SECURITY_GROUP_ID, SIGNING_ARN, SUBNET_ID, TEXT_MAX,
};
use crate::runtimes;
use crate::violations::Violations;

const DESCRIPTION_MAX: usize = 256;
const HANDLER_MAX: usize = 128;
const LAYERS_MAX: usize = 5;
/// What the model allows; functions that are not on managed instances get less.
const MEMORY_MODEL_MAX: i64 = 32_768;
const DEFAULT_MEMORY_MIB: i64 = 128;

/// The dead-letter queue that a request sets.
pub(crate) fn dead_letter(r: &FunctionRequest) -> Option<String> {
    let target = r.dead_letter_config.as_ref()?.target_arn.clone();
    target.filter(|arn| !arn.is_empty())
}

/// Adds what in the request breaks the service model.
pub(crate) fn check(v: &mut Violations, r: &FunctionRequest) {
    v.text("role", r.role.as_deref(), (0, TEXT_MAX), ROLE);
    let handler = r.handler.as_deref().filter(|h| !h.is_empty());
    v.text("handler", handler, (0, HANDLER_MAX), HANDLER);
    v.length("description", r.description.as_deref(), 0, DESCRIPTION_MAX);
    v.range("timeout", r.timeout, 1, 900);
    v.range("memorySize", r.memory_size, 128, MEMORY_MODEL_MAX);
    v.one_of("packageType", r.package_type.as_deref(), &["Zip", "Image"]);
    let key = r.kms_key_arn.as_deref();
    v.text("kMSKeyArn", key, (0, TEXT_MAX), RESOURCE_ARN);
    let target = r
        .dead_letter_config
        .as_ref()
        .and_then(|d| d.target_arn.as_deref());
    let at = "deadLetterConfig.targetArn";
    v.text(at, target, (0, TEXT_MAX), RESOURCE_ARN);
    let mode = r.tracing_config.as_ref().and_then(|t| t.mode.as_deref());
    v.one_of("tracingConfig.mode", mode, &["Active", "PassThrough"]);
    let apply_on = r.snap_start.as_ref().and_then(|s| s.apply_on.as_deref());
    v.one_of(
        "snapStart.applyOn",
        apply_on,
        &["PublishedVersions", "None"],
    );
    if let Some(storage) = &r.ephemeral_storage {
        v.required("ephemeralStorage.size", storage.size.as_ref());
        v.range("ephemeralStorage.size", storage.size, 512, 10_240);
    }
    if let Some(tenancy) = &r.tenancy_config {
        let mode = tenancy.tenant_isolation_mode.as_deref();
        v.required("tenancyConfig.tenantIsolationMode", mode.as_ref());
        v.one_of("tenancyConfig.tenantIsolationMode", mode, &["PER_TENANT"]);
    }
    check_architectures(v, r.architectures.as_ref());
    check_lists(v, r);
    check_logging(v, r.logging_config.as_ref());
    let signing = r.code_signing_config_arn.as_deref();
    v.text("codeSigningConfigArn", signing, (0, 200), SIGNING_ARN);
    if let Some(image) = &r.image_config {
        v.count(
            "imageConfig.entryPoint",
            image.entry_point.as_ref(),
            0,
            1_500,
        );
        v.count("imageConfig.command", image.command.as_ref(), 0, 1_500);
        let directory = image.working_directory.as_deref();
        v.length("imageConfig.workingDirectory", directory, 0, 1_000);
    }
    if let Some(variables) = r.environment.as_ref().and_then(|e| e.variables.as_ref()) {
        variables.check_names(v);
    }
}

pub(crate) fn check_architectures(v: &mut Violations, list: Option<&Vec<String>>) {
    v.count("architectures", list, 1, 1);
    let is_one = list.is_some_and(|l| l.len() == 1);
    v.each(
        "architectures",
        list.filter(|_| is_one),
        "Member must satisfy enum value set: [x86_64, arm64], Member must not be null",
        |word| word.parse::<Architecture>().is_ok(),
    );
}

fn check_lists(v: &mut Violations, r: &FunctionRequest) {
    let layer_rules = format!(
        "Member must have length less than or equal to 2048, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: {}, Member must not be null",
        LAYER_VERSION_ARN.text
    );
    v.each("layers", r.layers.as_ref(), &layer_rules, |arn| {
        arn.len() <= 2_048 && (LAYER_VERSION_ARN.matches)(arn)
    });
    if let Some(vpc) = &r.vpc_config {
        let rules = |pattern: &str| {
            format!(
                "Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: {pattern}"
            )
        };
        let (subnets, groups) = (vpc.subnet_ids.as_ref(), vpc.security_group_ids.as_ref());
        v.count("vpcConfig.subnetIds", subnets, 0, 16);
        v.each(
            "vpcConfig.subnetIds",
            subnets,
            &rules(SUBNET_ID.text),
            |id| id.len() <= 1_024 && (SUBNET_ID.matches)(id),
        );
        v.count("vpcConfig.securityGroupIds", groups, 0, 5);
        v.each(
            "vpcConfig.securityGroupIds",
            groups,
            &rules(SECURITY_GROUP_ID.text),
            |id| id.len() <= 1_024 && (SECURITY_GROUP_ID.matches)(id),
        );
    }
    let systems = r.file_system_configs.as_ref().map(|list| {
        let show = |fs: &FileSystemConfig| {
            let word = |text: &Option<String>| text.clone().unwrap_or("null".to_owned());
            let (arn, path) = (word(&fs.arn), word(&fs.local_mount_path));
            format!("FileSystemConfig(arn={arn}, localMountPath={path})")
        };
        list.iter().map(show).collect()
    });
    v.count("fileSystemConfigs", systems.as_ref(), 0, 1);
    for (i, fs) in r.file_system_configs.iter().flatten().enumerate() {
        let at = format!("fileSystemConfigs.{}.member", i + 1);
        v.required(&format!("{at}.arn"), fs.arn.as_ref());
        let arn = fs.arn.as_deref();
        v.text(&format!("{at}.arn"), arn, (0, 256), FILE_SYSTEM);
        let path = fs.local_mount_path.as_deref();
        v.required(&format!("{at}.localMountPath"), path.as_ref());
        let at = format!("{at}.localMountPath");
        v.text(&at, path, (0, 160), LOCAL_MOUNT_PATH);
    }
}

fn check_logging(v: &mut Violations, logging: Option<&LoggingConfig>) {
    let Some(l) = logging else { return };
    v.one_of(
        "loggingConfig.logFormat",
        l.log_format.as_deref(),
        &["JSON", "Text"],
    );
    v.one_of(
        "loggingConfig.applicationLogLevel",
        l.application_log_level.as_deref(),
        &["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
    );
    v.one_of(
        "loggingConfig.systemLogLevel",
        l.system_log_level.as_deref(),
        &["DEBUG", "INFO", "WARN"],
    );
    let group = l.log_group.as_deref();
    v.text("loggingConfig.logGroup", group, (1, 512), LOG_GROUP);
}

/// What a request asks for, checked, each member if it was sent.
#[derive(Default)]
pub(crate) struct Settings {
    runtime: Option<Runtime>,
    handler: Option<String>,
    role: Option<RoleArn>,
    description: Option<String>,
    memory: Option<Memory>,
    timeout: Option<Timeout>,
    ephemeral: Option<EphemeralStorage>,
    environment: Option<std::collections::BTreeMap<String, String>>,
    architecture: Option<Architecture>,
    logging: Option<LoggingConfig>,
    tracing: Option<Tracing>,
    snap_start: Option<SnapStart>,
    layers: Option<Vec<String>>,
    vpc: Option<Vpc>,
    dead_letter: Option<String>,
    kms_key: Option<String>,
    file_systems: Option<Vec<FileSystem>>,
    is_per_tenant: bool,
}

impl Settings {
    /// Takes over a request that [`check`] found nothing in.
    pub(crate) fn read(r: FunctionRequest) -> Result<Settings, Fault> {
        if r.image_config.is_some() || r.package_type.as_deref() == Some("Image") {
            return Err(not_built("container images"));
        }
        refuse_newest(&r)?;
        let memory = r.memory_size.map(Memory::from_mib).transpose().map_err(|e| {
            invalid_parameter(format!(
                "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to {}",
                e.max
            ))
        })?;
        if r.layers.as_ref().is_some_and(|l| l.len() > LAYERS_MAX) {
            return Err(invalid_parameter(format!(
                "Cannot reference more than {LAYERS_MAX} layers."
            )));
        }
        let out_of_range = |e: model::OutOfRange| Fault::internal(format!("unchecked value: {e}"));
        let environment = match r.environment {
            Some(e) => Some(e.variables.unwrap_or_default().accept()?),
            None => None,
        };
        Ok(Settings {
            runtime: r.runtime.as_deref().map(runtimes::parse).transpose()?,
            handler: r.handler,
            role: role(r.role)?,
            description: r.description,
            memory,
            timeout: r
                .timeout
                .map(Timeout::from_secs)
                .transpose()
                .map_err(out_of_range)?,
            ephemeral: r
                .ephemeral_storage
                .and_then(|s| s.size)
                .map(EphemeralStorage::from_mib)
                .transpose()
                .map_err(out_of_range)?,
            environment,
            architecture: architecture(r.architectures.as_ref()),
            logging: r.logging_config,
            tracing: r.tracing_config.and_then(|t| Tracing::from_word(&t.mode?)),
            snap_start: r
                .snap_start
                .and_then(|s| SnapStart::from_word(&s.apply_on?)),
            is_per_tenant: r.tenancy_config.is_some(),
            layers: r.layers,
            vpc: r.vpc_config.map(vpc),
            dead_letter: r
                .dead_letter_config
                .map(|d| d.target_arn.unwrap_or_default()),
            kms_key: r.kms_key_arn,
            file_systems: r.file_system_configs.map(|list| {
                list.into_iter()
                    .map(|f| FileSystem {
                        arn: f.arn.unwrap_or_default(),
                        local_mount_path: f.local_mount_path.unwrap_or_default(),
                    })
                    .collect()
            }),
        })
    }

    /// A new function's configuration; AWS's defaults for what was not sent.
    pub(crate) fn create(self, function_name: &str) -> Result<Config, Fault> {
        let (Some(runtime), Some(handler)) =
            (self.runtime, self.handler.clone().filter(|h| !h.is_empty()))
        else {
            return Err(invalid_parameter(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ));
        };
        let role = self
            .role
            .clone()
            .ok_or_else(|| Fault::internal("unchecked role"))?;
        let memory =
            Memory::from_mib(DEFAULT_MEMORY_MIB).map_err(|e| Fault::internal(e.to_string()))?;
        let mut config = Config {
            runtime: Some(runtime),
            handler,
            role,
            description: String::new(),
            memory,
            timeout: Timeout::DEFAULT,
            ephemeral: EphemeralStorage::DEFAULT,
            environment: None,
            architecture: Architecture::X86_64,
            logging: Logging {
                format: LogFormat::Text,
                group: format!("/aws/lambda/{function_name}"),
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
            is_per_tenant: self.is_per_tenant,
        };
        self.apply(&mut config).map_err(|e| match e {
            Error::Refused(text) => invalid_parameter(text),
            other => Fault::internal(other.to_string()),
        })?;
        Ok(config)
    }

    /// Changes what was sent and leaves the rest.
    pub(crate) fn apply(self, config: &mut Config) -> Result<(), Error> {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(value) = from {
                *to = value;
            }
        }
        config.runtime = self.runtime.or(config.runtime);
        set(&mut config.handler, self.handler.filter(|h| !h.is_empty()));
        set(&mut config.role, self.role);
        set(&mut config.description, self.description);
        set(&mut config.memory, self.memory);
        set(&mut config.timeout, self.timeout);
        set(&mut config.ephemeral, self.ephemeral);
        set(&mut config.architecture, self.architecture);
        set(&mut config.tracing, self.tracing);
        set(&mut config.snap_start, self.snap_start);
        set(&mut config.layers, self.layers);
        set(&mut config.file_systems, self.file_systems);
        config.environment = self.environment.or(config.environment.take());
        config.vpc = self.vpc.or(config.vpc.take());
        // An empty ARN takes the setting away.
        if let Some(arn) = self.dead_letter {
            config.dead_letter = Some(arn).filter(|a| !a.is_empty());
        }
        if let Some(arn) = self.kms_key {
            config.kms_key = Some(arn).filter(|a| !a.is_empty());
        }
        if let Some(logging) = &self.logging {
            log(&mut config.logging, logging);
        }
        check_snap_start(config)
    }
}

/// What belongs to areas of the API that are not built must not be passed over.
fn refuse_newest(r: &FunctionRequest) -> Result<(), Fault> {
    if r.durable_config.is_some() {
        return Err(not_built("durable functions"));
    }
    if r.capacity_provider_config.is_some() {
        return Err(not_built("capacity providers"));
    }
    refuse_publish_to(r.publish_to.as_deref())
}

/// `$LATEST.PUBLISHED` is for functions on capacity providers.
pub(crate) fn refuse_publish_to(publish_to: Option<&str>) -> Result<(), Fault> {
    match publish_to {
        None => Ok(()),
        Some(_) => Err(not_built("$LATEST.PUBLISHED")),
    }
}

/// [Lambda guide: SnapStart, supported features and limitations]
fn check_snap_start(config: &Config) -> Result<(), Error> {
    if config.snap_start == SnapStart::Off {
        return Ok(());
    }
    if config.is_per_tenant {
        return Err(Error::Refused(
            "SnapStart is not supported for functions with tenant isolation.".to_owned(),
        ));
    }
    if let Some(runtime) = config.runtime.filter(|r| !runtimes::has_snap_start(*r)) {
        return Err(Error::Refused(format!(
            "{runtime} is not supported for SnapStart enabled functions."
        )));
    }
    if config.ephemeral != EphemeralStorage::DEFAULT || !config.file_systems.is_empty() {
        return Err(Error::Refused(
            "SnapStart enabled functions can have neither file systems nor more than 512 MB of ephemeral storage.".to_owned(),
        ));
    }
    Ok(())
}

pub(crate) fn architecture(list: Option<&Vec<String>>) -> Option<Architecture> {
    list?.first()?.parse().ok()
}

/// A role of the form that [`ROLE`] allows but no account can hold is refused as AWS does.
fn role(role: Option<String>) -> Result<Option<RoleArn>, Fault> {
    let cannot =
        || invalid_parameter("The role defined for the function cannot be assumed by Lambda.");
    role.map(|r| r.parse().map_err(|_| cannot())).transpose()
}

fn vpc(config: VpcConfig) -> Vpc {
    Vpc {
        subnets: config.subnet_ids.unwrap_or_default(),
        security_groups: config.security_group_ids.unwrap_or_default(),
        ipv6: config.ipv6_allowed_for_dual_stack,
    }
}

/// Levels belong to `JSON` alone, where `INFO` is the default.  [Lambda API: LoggingConfig]
fn log(to: &mut Logging, from: &LoggingConfig) {
    if let Some(format) = from.log_format.as_deref().and_then(LogFormat::from_word) {
        to.format = format;
    }
    if let Some(group) = &from.log_group {
        to.group.clone_from(group);
    }
    let pick = |word: &Option<String>, former: Option<LogLevel>| {
        let sent = word.as_deref().and_then(LogLevel::from_word);
        match to.format {
            LogFormat::Text => None,
            LogFormat::Json => sent.or(former).or(Some(LogLevel::Info)),
        }
    };
    let application = pick(&from.application_log_level, to.application_level);
    let system = pick(&from.system_log_level, to.system_level);
    to.application_level = application;
    to.system_level = system;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logging() -> Logging {
        Logging {
            format: LogFormat::Text,
            group: "/aws/lambda/f".to_owned(),
            application_level: None,
            system_level: None,
        }
    }

    #[test]
    fn levels_come_and_go_with_the_json_format() {
        let mut l = logging();
        let json = LoggingConfig {
            log_format: Some("JSON".to_owned()),
            application_log_level: Some("DEBUG".to_owned()),
            ..LoggingConfig::default()
        };
        log(&mut l, &json);
        assert_eq!(l.application_level, Some(LogLevel::Debug));
        assert_eq!(l.system_level, Some(LogLevel::Info));
        let text = LoggingConfig {
            log_format: Some("Text".to_owned()),
            ..LoggingConfig::default()
        };
        log(&mut l, &text);
        assert_eq!(l, logging());
    }

    #[test]
    fn an_unset_member_leaves_the_former_value() {
        let request = FunctionRequest {
            runtime: Some("python3.13".to_owned()),
            handler: Some("a.b".to_owned()),
            role: Some("arn:aws:iam::000000000000:role/r".to_owned()),
            timeout: Some(9),
            ..FunctionRequest::default()
        };
        let mut config = Settings::read(request).unwrap().create("f").unwrap();
        let before = config.clone();
        Settings::default().apply(&mut config).unwrap();
        assert_eq!(config, before);
        assert_eq!(config.timeout.secs(), 9);
        assert_eq!(config.logging.group, "/aws/lambda/f");
    }
}
