//! One file for each family of operations.

pub(crate) mod account;
pub(crate) mod aliases;
pub(crate) mod call;
pub(crate) mod concurrency;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod event_invoke;
pub(crate) mod layer_permissions;
pub(crate) mod layers;
pub(crate) mod permissions;
pub(crate) mod provisioned;
pub(crate) mod read;
pub(crate) mod recursion;
pub(crate) mod runtime;
pub(crate) mod signing;
pub(crate) mod streaming;
pub(crate) mod tags;
pub(crate) mod update;
pub(crate) mod urls;
pub(crate) mod versions;

use http::Method;

/// Operations that AWS has and Kiln has not, with their routes.
#[rustfmt::skip]
pub(crate) const NOT_BUILT: [(&str, Method, &str); 22] = [
    ("CheckpointDurableExecution", Method::POST, "/2025-12-01/durable-executions/{DurableExecutionArn}/checkpoint"),
    ("CreateCapacityProvider", Method::POST, "/2025-11-30/capacity-providers"),
    ("CreateEventSourceMapping", Method::POST, "/2015-03-31/event-source-mappings"),
    ("DeleteCapacityProvider", Method::DELETE, "/2025-11-30/capacity-providers/{CapacityProviderName}"),
    ("DeleteEventSourceMapping", Method::DELETE, "/2015-03-31/event-source-mappings/{UUID}"),
    ("GetCapacityProvider", Method::GET, "/2025-11-30/capacity-providers/{CapacityProviderName}"),
    ("GetDurableExecution", Method::GET, "/2025-12-01/durable-executions/{DurableExecutionArn}"),
    ("GetDurableExecutionHistory", Method::GET, "/2025-12-01/durable-executions/{DurableExecutionArn}/history"),
    ("GetDurableExecutionState", Method::GET, "/2025-12-01/durable-executions/{DurableExecutionArn}/state"),
    ("GetEventSourceMapping", Method::GET, "/2015-03-31/event-source-mappings/{UUID}"),
    ("GetFunctionScalingConfig", Method::GET, "/2025-11-30/functions/{FunctionName}/function-scaling-config"),
    ("ListCapacityProviders", Method::GET, "/2025-11-30/capacity-providers"),
    ("ListDurableExecutionsByFunction", Method::GET, "/2025-12-01/functions/{FunctionName}/durable-executions"),
    ("ListEventSourceMappings", Method::GET, "/2015-03-31/event-source-mappings"),
    ("ListFunctionVersionsByCapacityProvider", Method::GET, "/2025-11-30/capacity-providers/{CapacityProviderName}/function-versions"),
    ("PutFunctionScalingConfig", Method::PUT, "/2025-11-30/functions/{FunctionName}/function-scaling-config"),
    ("SendDurableExecutionCallbackFailure", Method::POST, "/2025-12-01/durable-execution-callbacks/{CallbackId}/fail"),
    ("SendDurableExecutionCallbackHeartbeat", Method::POST, "/2025-12-01/durable-execution-callbacks/{CallbackId}/heartbeat"),
    ("SendDurableExecutionCallbackSuccess", Method::POST, "/2025-12-01/durable-execution-callbacks/{CallbackId}/succeed"),
    ("StopDurableExecution", Method::POST, "/2025-12-01/durable-executions/{DurableExecutionArn}/stop"),
    ("UpdateCapacityProvider", Method::PUT, "/2025-11-30/capacity-providers/{CapacityProviderName}"),
    ("UpdateEventSourceMapping", Method::PUT, "/2015-03-31/event-source-mappings/{UUID}"),
];
