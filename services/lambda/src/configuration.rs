//! A version of a function as the API shows it.

use aws_lc_rs::digest::{SHA256, digest};
use functions::{Config, Deployed, LastUpdate, LogLevel, Optimization, State, Vpc};

use crate::api::{
    DeadLetterConfig, EnvironmentResponse, EphemeralStorage, FileSystemConfig,
    FunctionConfiguration, ImageConfig, ImageConfigResponse, Layer, LoggingConfig,
    RuntimeVersionConfig, SnapStartResponse, TenancyConfig, TracingConfig, VpcConfigResponse,
};

const CREATING: &str = "The function is being created.";
const IDLE: &str = "The function is idle.";

/// The whole configuration. `qualifier`: what the ARN ends with.
pub(crate) fn full(d: &Deployed, qualifier: Option<&str>) -> FunctionConfiguration {
    let is_pending = d.state == State::Pending;
    let reason = match &d.state {
        State::Pending => Some(CREATING.to_owned()),
        State::Active => None,
        State::Inactive => Some(IDLE.to_owned()),
        State::Failed(failure) => Some(failure.reason.clone()),
    };
    let reason_code = match &d.state {
        State::Pending => Some("Creating".to_owned()),
        State::Active => None,
        State::Inactive => Some("Idle".to_owned()),
        State::Failed(failure) => Some(failure.code.clone()),
    };
    FunctionConfiguration {
        state: Some(d.state.as_str()),
        state_reason: reason,
        state_reason_code: reason_code,
        last_update_status: d.last_update.filter(|_| !is_pending).map(|u| match u {
            LastUpdate::InProgress => "InProgress",
            LastUpdate::Successful => "Successful",
        }),
        last_update_status_reason: d.is_updating().then_some(CREATING),
        last_update_status_reason_code: d.is_updating().then_some("Creating"),
        runtime_version_config: d.config.runtime.map(|r| RuntimeVersionConfig {
            runtime_version_arn: r.version_arn(&d.function.region),
        }),
        ..listed(d, qualifier)
    }
}

/// As lists show it: without states.
pub(crate) fn listed(d: &Deployed, qualifier: Option<&str>) -> FunctionConfiguration {
    let c: &Config = &d.config;
    let arn = d.function.unqualified_arn();
    FunctionConfiguration {
        function_name: d.function.name.to_string(),
        function_arn: match qualifier {
            Some(q) => format!("{arn}:{q}"),
            None => arn,
        },
        runtime: c.runtime.map(model::Runtime::as_str),
        role: c.role.to_string(),
        handler: Some(c.handler.clone()).filter(|h| !h.is_empty()),
        code_size: d.code.bytes(),
        description: c.description.clone(),
        timeout: c.timeout.secs(),
        memory_size: c.memory.mib(),
        last_modified: d.last_modified.lambda_string(),
        code_sha256: d.code.sha256(),
        version: d.version.to_string(),
        vpc_config: c.vpc.as_ref().map(vpc),
        dead_letter_config: c.dead_letter.clone().map(|arn| DeadLetterConfig {
            target_arn: Some(arn),
        }),
        environment: c
            .environment
            .clone()
            .map(|variables| EnvironmentResponse { variables }),
        kms_key_arn: c.kms_key.clone(),
        tracing_config: TracingConfig {
            mode: Some(c.tracing.as_str().to_owned()),
        },
        revision_id: d.revision.clone(),
        layers: d
            .layers
            .used()
            .iter()
            .map(|layer| Layer {
                arn: layer.arn.clone(),
                code_size: layer.code.bytes(),
            })
            .collect(),
        state: None,
        state_reason: None,
        state_reason_code: None,
        last_update_status: None,
        last_update_status_reason: None,
        last_update_status_reason_code: None,
        file_system_configs: c
            .file_systems
            .iter()
            .map(|f| FileSystemConfig {
                arn: Some(f.arn.clone()),
                local_mount_path: Some(f.local_mount_path.clone()),
            })
            .collect(),
        tenancy_config: c.is_per_tenant.then(|| TenancyConfig {
            tenant_isolation_mode: Some("PER_TENANT".to_owned()),
        }),
        package_type: c.package.as_str(),
        image_config_response: c.image.clone().map(|i| ImageConfigResponse {
            image_config: ImageConfig {
                entry_point: i.entry_point,
                command: i.command,
                working_directory: i.working_directory,
            },
        }),
        architectures: [c.architecture.as_str()],
        ephemeral_storage: EphemeralStorage {
            size: Some(c.ephemeral.mib().into()),
        },
        snap_start: snap_start(d),
        runtime_version_config: None,
        logging_config: LoggingConfig {
            log_format: Some(c.logging.format.as_str().to_owned()),
            application_log_level: c.logging.application_level.map(level),
            system_log_level: c.logging.system_level.map(level),
            log_group: Some(c.logging.group.clone()),
        },
    }
}

fn level(level: LogLevel) -> String {
    level.as_str().to_owned()
}

/// What an init phase leaves may be such that there is no snapshot: nothing is optimized then, and the
/// answer says so.
fn snap_start(d: &Deployed) -> SnapStartResponse {
    SnapStartResponse {
        apply_on: d.config.snap_start.as_str(),
        optimization_status: match d.optimization {
            Optimization::On => "On",
            Optimization::Off => "Off",
        },
    }
}

/// Kiln has no VPCs: the id stands for the subnets that were named.
fn vpc(vpc: &Vpc) -> VpcConfigResponse {
    let vpc_id = if vpc.subnets.is_empty() {
        String::new()
    } else {
        let id = digest(&SHA256, vpc.subnets.concat().as_bytes());
        let hex: String = id.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!("vpc-{}", hex.chars().take(17).collect::<String>())
    };
    VpcConfigResponse {
        subnet_ids: vpc.subnets.clone(),
        security_group_ids: vpc.security_groups.clone(),
        vpc_id,
        ipv6_allowed_for_dual_stack: vpc.ipv6.unwrap_or(false),
    }
}
