//! One invocation on its way: what it is made of and what it says in the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use functions::{Deployed, LogFormat};
use model::lineage::Lineage;
use model::{Call, FunctionRef, Timeout, Unfinished};
use sandbox::{ResponseWriter, StopReason};
use tokio::sync::oneshot;

use super::trace::trace_header;
use crate::admission::Share;
use crate::errors;
use crate::handle::{Inner, Outcome, Request};
use crate::output::EnvironmentLog;
use crate::pool::{Live, Pool, Purpose};
use crate::report::{Event, Figures, Level, Lines, SNAP_START, Spans};

/// One invocation on its way.
pub(super) struct Run<'a> {
    pub(super) inner: &'a Inner,
    pub(super) pool: &'a Arc<Pool>,
    pub(super) share: Share,
    pub(super) request: &'a Request,
    pub(super) lines: Lines,
    /// Where a streamed response goes.
    pub(super) to: Option<ResponseWriter>,
    pub(super) early: Early,
}

/// Takes an outcome before the end of the run.
pub(crate) type Early = Mutex<Option<oneshot::Sender<Outcome>>>;

pub(crate) fn early() -> (Early, oneshot::Receiver<Outcome>) {
    let (teller, told) = oneshot::channel();
    (Mutex::new(Some(teller)), told)
}

pub(super) fn tell(early: &Early, outcome: &Outcome) {
    let teller = early.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(teller) = teller {
        // A caller that has gone away needs none.
        let _ = teller.send(outcome.clone());
    }
}

impl Run<'_> {
    pub(super) fn give_back(&self, live: Live) {
        self.inner.take_back(self.pool, live);
    }

    pub(super) fn discard(&self, live: Live) {
        self.discard_for(live, StopReason::Failure);
    }

    pub(super) fn discard_for(&self, mut live: Live, reason: StopReason) {
        live.reason = reason;
        self.inner.starter.stop_failed(live, self.pool);
    }

    pub(super) fn outcome(
        &self,
        payload: bytes::Bytes,
        function_error: Option<&'static str>,
        log_tail: Option<Vec<u8>>,
    ) -> Outcome {
        Outcome {
            executed_version: self.pool.deployed.version,
            payload,
            function_error,
            log_tail,
        }
    }

    /// The chain of calls with this one.
    pub(super) fn lineage(&self) -> Lineage {
        let before = Lineage::of(self.request.trace.as_deref());
        before.and(&self.request.function)
    }

    pub(super) fn event(&self, limit: Duration, lineage: &Lineage) -> Call {
        let now = self.now();
        Call {
            request: self.request.request_id.clone(),
            payload: self.request.payload.clone(),
            deadline_unix_ms: now.after(limit).unix_millis(),
            // Unqualified when called without qualifier, else as called.  [observed, HC-4]
            invoked_arn: self.request.function.to_string(),
            trace: trace_header(
                self.request.trace.as_deref(),
                lineage,
                now,
                self.inner.tasks.ids(),
            ),
            client_context: self.request.client_context.clone(),
            cognito_identity: self.request.cognito_identity.clone(),
            tenant_id: self.request.tenant.clone(),
        }
    }

    pub(super) fn begin(&self, log: &EnvironmentLog) {
        log.begin(self.request.want_log);
        let request = self.request.request_id.as_str();
        self.push(log, Event::Start { request });
    }

    pub(super) fn finish(
        &self,
        log: &EnvironmentLog,
        figures: &Figures,
        spans: Spans,
    ) -> Option<Vec<u8>> {
        let request = self.request.request_id.as_str();
        let (now, figures) = (self.now(), *figures);
        log.say(now, &self.lines, &Event::End { request });
        log.say(
            now,
            &self.lines,
            &Event::Report {
                request,
                figures,
                spans,
            },
        );
        log.end()
    }

    /// The line that tells people why there was no answer.
    pub(super) fn failure_line(&self, end: &Unfinished) -> String {
        let id = &self.request.request_id;
        let text = errors::message(end, self.timeout());
        match end {
            Unfinished::TimedOut | Unfinished::TrailersTimedOut => {
                format!("{} {id} {text}\n", self.now().iso_millis())
            }
            Unfinished::Crashed(_) => {
                let kind = errors::error_type(end);
                format!("RequestId: {id} Error: {text}\n{kind}")
            }
            _ => format!("RequestId: {id} Error: {text}"),
        }
    }

    pub(super) fn push(&self, log: &EnvironmentLog, event: Event<'_>) {
        log.say(self.now(), &self.lines, &event);
    }

    /// The runtime is done with its call.
    pub(super) fn runtime_done(
        &self,
        log: &EnvironmentLog,
        figures: &Figures,
        produced: usize,
        spans: Spans,
    ) {
        let (request, took, status) = (
            self.request.request_id.as_str(),
            figures.duration,
            figures.status,
        );
        let event = Event::RuntimeDone {
            request,
            took,
            produced,
            status,
            spans,
        };
        self.push(log, event);
    }

    pub(super) fn timeout(&self) -> Timeout {
        self.pool.deployed.config.timeout
    }

    pub(super) fn now(&self) -> tasks::Time {
        self.inner.tasks.clock().now()
    }
}

pub(crate) fn lines(deployed: &Deployed, function: &FunctionRef, purpose: Purpose) -> Lines {
    let logging = &deployed.config.logging;
    Lines {
        json: logging.format == LogFormat::Json,
        level: Level::of(logging.system_level),
        function: function.clone(),
        version: deployed.version,
        memory_mib: deployed.config.memory.mib(),
        initialization: match deployed.is_snap_start() {
            true => SNAP_START,
            false => purpose.as_str(),
        },
    }
}
