//! The environment variables of a function.  [spec 4.6; Lambda guide: defined runtime variables]

use std::collections::BTreeMap;

use functions::{Deployed, LogFormat};
use model::RuntimeFamily;

use super::LANG_DIR;
use crate::credentials::Issued;

/// What the variables are made of.
pub(crate) struct Facts<'a> {
    pub(crate) deployed: &'a Deployed,
    pub(crate) log_group: &'a str,
    pub(crate) log_stream: &'a str,
    pub(crate) keys: &'a Issued,
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
    set(defaults(facts));
    let user = facts.deployed.config.environment.iter().flatten();
    set(user
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect());
    set(reserved(facts));
    all.into_iter().collect()
}

/// Set, but free to change.
fn defaults(facts: &Facts<'_>) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        (
            "PATH",
            format!("{LANG_DIR}/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ),
        (
            "LD_LIBRARY_PATH",
            format!(
                "{LANG_DIR}/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
            ),
        ),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
        ("AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1:2000".to_owned()),
        ("_AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1".to_owned()),
        ("_AWS_XRAY_DAEMON_PORT", "2000".to_owned()),
    ];
    if let Some(endpoint) = facts.endpoint {
        pairs.push(("AWS_ENDPOINT_URL", endpoint.to_owned()));
    }
    let runtime = facts.deployed.config.runtime;
    match runtime.map(|r| (r.family(), r.language_version())) {
        Some((RuntimeFamily::Python, _)) => pairs.push(("PYTHONPATH", "/var/runtime".to_owned())),
        Some((RuntimeFamily::NodeJs, major)) => pairs.push((
            "NODE_PATH",
            format!(
                "/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
            ),
        )),
        _ => {}
    }
    pairs
}

/// The platform's own.
fn reserved(facts: &Facts<'_>) -> Vec<(&'static str, String)> {
    let Facts { deployed, keys, .. } = facts;
    let (function, config) = (&deployed.function, &deployed.config);
    let region = function.region.to_string();
    let mut pairs = vec![
        ("_HANDLER", config.handler.clone()),
        ("AWS_REGION", region.clone()),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", config.memory.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", deployed.version.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", facts.log_group.to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", facts.log_stream.to_owned()),
        ("AWS_ACCESS_KEY_ID", keys.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", keys.secret.clone()),
        ("AWS_SESSION_TOKEN", keys.token.clone()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        (
            "AWS_LAMBDA_LOG_FORMAT",
            config.logging.format.as_str().to_owned(),
        ),
    ];
    if config.logging.format == LogFormat::Json {
        let level = config
            .logging
            .application_level
            .map_or("INFO", |l| l.as_str());
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
