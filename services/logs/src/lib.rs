//! CloudWatch Logs: groups, streams and events, and the place where the output of functions goes.
//!
//! ```text
//! function output ─▶ Engine as LogSink (buffer, never waits) ─▶ flusher ─┐
//! PutLogEvents ─▶ operations ───────────────────────────────────────────▶ journal: segment files
//! GetLogEvents, FilterLogEvents ─▶ operations ─▶ search (page, pattern) ─▶ of one log group
//! groups, streams, tags ─▶ records of the store
//! ```
//!
//! Events that came by the API are on the disk when the answer goes out. Function output is
//! written some hundred milliseconds later, without a sync; when the disk is slower than the
//! functions it is dropped and counted.
//!
//! Not here: metric and subscription filters, queries (Insights), live tail, export; those
//! operations answer that they are not built. Start with [`open`] and [`service`].

mod api;
mod engine;
mod fault;
mod frame;
mod journal;
mod loops;
mod names;
mod operations;
mod page;
mod pattern;
mod record;
mod sink;

use std::path::Path;
use std::sync::Arc;

pub use engine::Engine;
use operations::{events, groups, put_events, streams, tags};
use store::{Store, StoreError};
use tasks::Tasks;
use wire::{Protocol, Service};

/// Opens the state of the service and starts its loops. `dir` belongs to it alone and is made when
/// the first event comes.
///
/// # Errors
/// None so far: groups are read when they are asked for.
#[allow(clippy::unused_async)] // another engine will have to ask the network
pub async fn open(store: &Store, dir: &Path, tasks: &Tasks) -> Result<Arc<Engine>, StoreError> {
    let engine = Arc::new(Engine::new(store, dir, tasks));
    tasks.spawn("logs: flusher", engine.clone().run_flusher());
    tasks.add(loops::Save(engine.clone()));
    tasks.add(loops::Trim::new(engine.clone()));
    Ok(engine)
}

impl Engine {
    /// Writes what is still buffered and what streams did. For the end of the process: after the
    /// last environment stopped, before the store is closed.
    pub async fn close(&self) {
        self.flush().await;
        if let Err(error) = self.save_activity(None).await {
            tracing::warn!(%error, "activity of log streams was not saved");
        }
    }
}

/// The service as the router takes it.
pub fn service(engine: Arc<Engine>) -> Service {
    Service::new("logs", engine)
        .target_prefix("Logs_20140328")
        .protocols([Protocol::Json11])
        .validation_code("InvalidParameterException")
        .operation("CreateLogGroup", groups::create)
        .operation("DeleteLogGroup", groups::delete)
        .operation("DescribeLogGroups", groups::describe)
        .operation("ListLogGroups", groups::list)
        .operation("PutRetentionPolicy", groups::put_retention)
        .operation("DeleteRetentionPolicy", groups::delete_retention)
        .operation(
            "PutLogGroupDeletionProtection",
            groups::put_deletion_protection,
        )
        .operation("CreateLogStream", streams::create)
        .operation("DeleteLogStream", streams::delete)
        .operation("DescribeLogStreams", streams::describe)
        .operation("PutLogEvents", put_events::put)
        .operation("GetLogEvents", events::get)
        .operation("FilterLogEvents", events::filter)
        .operation("TagResource", tags::tag_resource)
        .operation("UntagResource", tags::untag_resource)
        .operation("ListTagsForResource", tags::list_tags)
        .operation("TagLogGroup", tags::tag_group)
        .operation("UntagLogGroup", tags::untag_group)
        .operation("ListTagsLogGroup", tags::list_group_tags)
        .not_built(NOT_BUILT)
        .build()
}

/// Operations of the model that Kiln does not have yet.
const NOT_BUILT: [&str; 94] = [
    "AssociateKmsKey",
    "AssociateSourceToS3TableIntegration",
    "CancelExportTask",
    "CancelImportTask",
    "CreateDelivery",
    "CreateExportTask",
    "CreateImportTask",
    "CreateLogAnomalyDetector",
    "CreateLookupTable",
    "CreateScheduledQuery",
    "DeleteAccountPolicy",
    "DeleteDataProtectionPolicy",
    "DeleteDelivery",
    "DeleteDeliveryDestination",
    "DeleteDeliveryDestinationPolicy",
    "DeleteDeliverySource",
    "DeleteDestination",
    "DeleteIndexPolicy",
    "DeleteIntegration",
    "DeleteLogAnomalyDetector",
    "DeleteLookupTable",
    "DeleteMetricFilter",
    "DeleteQueryDefinition",
    "DeleteResourcePolicy",
    "DeleteScheduledQuery",
    "DeleteSubscriptionFilter",
    "DeleteTransformer",
    "DescribeAccountPolicies",
    "DescribeConfigurationTemplates",
    "DescribeDeliveries",
    "DescribeDeliveryDestinations",
    "DescribeDeliverySources",
    "DescribeDestinations",
    "DescribeExportTasks",
    "DescribeFieldIndexes",
    "DescribeImportTaskBatches",
    "DescribeImportTasks",
    "DescribeIndexPolicies",
    "DescribeLookupTables",
    "DescribeMetricFilters",
    "DescribeQueries",
    "DescribeQueryDefinitions",
    "DescribeResourcePolicies",
    "DescribeSubscriptionFilters",
    "DisassociateKmsKey",
    "DisassociateSourceFromS3TableIntegration",
    "GetDataProtectionPolicy",
    "GetDelivery",
    "GetDeliveryDestination",
    "GetDeliveryDestinationPolicy",
    "GetDeliverySource",
    "GetIntegration",
    "GetLogAnomalyDetector",
    "GetLogFields",
    "GetLogGroupFields",
    "GetLogObject",
    "GetLogRecord",
    "GetLookupTable",
    "GetQueryResults",
    "GetScheduledQuery",
    "GetScheduledQueryHistory",
    "GetTransformer",
    "ListAggregateLogGroupSummaries",
    "ListAnomalies",
    "ListIntegrations",
    "ListLogAnomalyDetectors",
    "ListLogGroupsForQuery",
    "ListScheduledQueries",
    "ListSourcesForS3TableIntegration",
    "PutAccountPolicy",
    "PutBearerTokenAuthentication",
    "PutDataProtectionPolicy",
    "PutDeliveryDestination",
    "PutDeliveryDestinationPolicy",
    "PutDeliverySource",
    "PutDestination",
    "PutDestinationPolicy",
    "PutIndexPolicy",
    "PutIntegration",
    "PutMetricFilter",
    "PutQueryDefinition",
    "PutResourcePolicy",
    "PutSubscriptionFilter",
    "PutTransformer",
    "StartLiveTail",
    "StartQuery",
    "StopQuery",
    "TestMetricFilter",
    "TestTransformer",
    "UpdateAnomaly",
    "UpdateDeliveryConfiguration",
    "UpdateLogAnomalyDetector",
    "UpdateLookupTable",
    "UpdateScheduledQuery",
];
