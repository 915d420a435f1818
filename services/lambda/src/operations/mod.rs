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
pub(crate) mod mappings;
pub(crate) mod permissions;
pub(crate) mod provisioned;
pub(crate) mod read;
pub(crate) mod recursion;
pub(crate) mod resource_policies;
pub(crate) mod runtime;
pub(crate) mod scaling;
pub(crate) mod signing;
pub(crate) mod streaming;
pub(crate) mod tags;
pub(crate) mod update;
pub(crate) mod urls;
pub(crate) mod versions;

use http::Method;

/// Operations that AWS has and Kiln has not, with their routes.
#[rustfmt::skip]
pub(crate) const NOT_BUILT: [(&str, Method, &str); 18] = [
    ("CheckpointDurableExecution", Method::POST, "/2025-12-01/durable-executions/{DurableExecutionArn}/checkpoint"),
    ("CreateCapacityProvider", Method::POST, "/2025-11-30/capacity-providers"),
    ("DeleteCapacityProvider", Method::DELETE, "/2025-11-30/capacity-providers/{CapacityProviderName}"),
    ("DeleteDurableExecution", Method::DELETE, "/2025-12-01/durable-executions/{DurableExecutionArn}"),
    ("GetCapacityProvider", Method::GET, "/2025-11-30/capacity-providers/{CapacityProviderName}"),
    ("GetDurableExecution", Method::GET, "/2025-12-01/durable-executions/{DurableExecutionArn}"),
    ("GetDurableExecutionHistory", Method::GET, "/2025-12-01/durable-executions/{DurableExecutionArn}/history"),
    ("GetDurableExecutionState", Method::GET, "/2025-12-01/durable-executions/{DurableExecutionArn}/state"),
    ("ListCapacityProviders", Method::GET, "/2025-11-30/capacity-providers"),
    ("ListDurableExecutionsByFunction", Method::GET, "/2025-12-01/functions/{FunctionName}/durable-executions"),
    ("ListFunctionVersionsByCapacityProvider", Method::GET, "/2025-11-30/capacity-providers/{CapacityProviderName}/function-versions"),
    ("PauseDurableExecution", Method::POST, "/2025-12-01/durable-executions/{DurableExecutionArn}/pause"),
    ("ResumeDurableExecution", Method::POST, "/2025-12-01/durable-executions/{DurableExecutionArn}/resume"),
    ("SendDurableExecutionCallbackFailure", Method::POST, "/2025-12-01/durable-execution-callbacks/{CallbackId}/fail"),
    ("SendDurableExecutionCallbackHeartbeat", Method::POST, "/2025-12-01/durable-execution-callbacks/{CallbackId}/heartbeat"),
    ("SendDurableExecutionCallbackSuccess", Method::POST, "/2025-12-01/durable-execution-callbacks/{CallbackId}/succeed"),
    ("StopDurableExecution", Method::POST, "/2025-12-01/durable-executions/{DurableExecutionArn}/stop"),
    ("UpdateCapacityProvider", Method::PUT, "/2025-11-30/capacity-providers/{CapacityProviderName}"),
];
