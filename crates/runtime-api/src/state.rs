use std::sync::Arc;

use crate::route::Post;

/// Where the runtime stands, as far as its requests tell.
///
/// ```text
///   Started ──next──▶ Ready ──deliver──▶ Running ──post──▶ Answering ──posted──▶ Sent
///    │  │               ▲ ▲                 │  ▲ next: the same event again        │
///    │  └─restore next  │ └─────────────────┼──┴─────────────next──────────────────┘
///    │          │       │                   └──abandon──▶ Sent, without an id
///    │      Restoring ──┘ next
///    │          └─restore or init error──▶ RestoreFailed
///    └─init error──▶ InitFailed
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Started,
    InitFailed,
    Restoring,
    RestoreFailed,
    Ready,
    Running(Attempt),
    Answering(Attempt, Post),
    /// The answer is in, or nobody waits for it any more.
    Sent(Option<Attempt>),
}

/// One delivery of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Counts deliveries of this session; the text of it is `Lambda-Runtime-Invocation-Id`.
    pub number: u64,
    pub request: Arc<str>,
}

#[derive(Debug)]
pub(crate) enum Event<'a> {
    Next,
    Post {
        what: Post,
        request: &'a str,
        /// `Lambda-Runtime-Invocation-Id`, which older runtimes do not send back.
        invocation: Option<&'a str>,
    },
    /// The body of a post has been read, or broke off.
    Posted(u64),
    InitError,
    RestoreNext,
    RestoreError,
    /// The platform hands over an event.
    Deliver(Attempt),
    /// Nobody waits for the answer any more.
    Abandon(u64),
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The path or the header names another invocation than the current one.
    RequestId,
    Transition {
        from: &'static str,
        to: &'static str,
    },
}

impl State {
    /// The state after `event`. A refused event leaves the state as it is.
    pub(crate) fn on(&self, event: &Event<'_>) -> Result<State, Refusal> {
        match (self, event) {
            (State::Started | State::Restoring | State::Ready | State::Sent(_), Event::Next) => {
                Ok(State::Ready)
            }
            (State::Running(_), Event::Next) => Ok(self.clone()),
            (State::Started, Event::InitError) => Ok(State::InitFailed),
            (State::Started, Event::RestoreNext) => Ok(State::Restoring),
            (State::Restoring, Event::InitError | Event::RestoreError) => Ok(State::RestoreFailed),
            (State::Ready, Event::Deliver(attempt)) => Ok(State::Running(attempt.clone())),
            (_, Event::Post { what, .. }) => self.post(event, *what),
            (State::Answering(current, _), Event::Posted(number)) if current.number == *number => {
                Ok(State::Sent(Some(current.clone())))
            }
            (State::Running(current) | State::Answering(current, _), Event::Abandon(number))
                if current.number == *number =>
            {
                Ok(State::Sent(None))
            }
            // The invocation that these speak of is over.
            (_, Event::Posted(_) | Event::Abandon(_)) => Ok(self.clone()),
            (_, Event::Next) => Err(self.refuse("Ready")),
            (_, Event::InitError) => Err(self.refuse("InitError")),
            (_, Event::RestoreNext) => Err(self.refuse("Ready")),
            (_, Event::RestoreError) => Err(self.refuse("RuntimeRestoreErrorState")),
            (_, Event::Deliver(_)) => Err(self.refuse("Running")),
        }
    }

    fn post(&self, event: &Event<'_>, what: Post) -> Result<State, Refusal> {
        let current = match self {
            State::Running(a) | State::Answering(a, _) | State::Sent(Some(a)) => a,
            _ => return Err(Refusal::RequestId),
        };
        if !current.is_named_by(event) {
            return Err(Refusal::RequestId);
        }
        match self {
            State::Running(_) => Ok(State::Answering(current.clone(), what)),
            _ => Err(self.refuse(what.state_name())),
        }
    }

    fn refuse(&self, to: &'static str) -> Refusal {
        let from = self.name();
        Refusal::Transition { from, to }
    }

    /// The names that the error texts of the API show.  [Lambda runtime interface emulator]
    fn name(&self) -> &'static str {
        match self {
            State::Started => "Started",
            State::InitFailed => "InitError",
            State::Restoring => "Restoring",
            State::RestoreFailed => "RuntimeRestoreErrorState",
            State::Ready => "Ready",
            State::Running(_) => "Running",
            State::Answering(_, post) => post.state_name(),
            State::Sent(_) => "RuntimeResponseSentState",
        }
    }

    /// The number of the attempt whose answer is still wanted.
    pub(crate) fn wanted(&self) -> Option<u64> {
        match self {
            State::Running(a) | State::Answering(a, _) => Some(a.number),
            _ => None,
        }
    }
}

impl Attempt {
    fn is_named_by(&self, event: &Event<'_>) -> bool {
        let Event::Post {
            request,
            invocation,
            ..
        } = event
        else {
            return false;
        };
        *request == &*self.request
            && invocation.is_none_or(|text| text.parse::<u64>() == Ok(self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u64) -> Attempt {
        Attempt {
            number,
            request: format!("r{number}").into(),
        }
    }

    fn post(what: Post, request: &'static str, invocation: Option<&'static str>) -> Event<'static> {
        Event::Post {
            what,
            request,
            invocation,
        }
    }

    fn response(request: &'static str) -> Event<'static> {
        post(Post::Response, request, None)
    }

    fn check(events: &[Event<'_>], end: State) {
        let mut state = State::Started;
        for event in events {
            state = state.on(event).unwrap();
        }
        assert_eq!(state, end);
    }

    fn refused(state: State, event: Event<'_>, from: &'static str, to: &'static str) {
        assert_eq!(state.on(&event), Err(Refusal::Transition { from, to }));
    }

    #[test]
    fn an_invocation_goes_round_once() {
        let r1 = || Event::Deliver(attempt(1));
        check(&[Event::Next], State::Ready);
        check(&[Event::Next, Event::Next], State::Ready);
        check(&[Event::Next, r1()], State::Running(attempt(1)));
        check(
            &[Event::Next, r1(), response("r1")],
            State::Answering(attempt(1), Post::Response),
        );
        check(
            &[Event::Next, r1(), response("r1"), Event::Posted(1)],
            State::Sent(Some(attempt(1))),
        );
        check(
            &[
                Event::Next,
                r1(),
                response("r1"),
                Event::Posted(1),
                Event::Next,
            ],
            State::Ready,
        );
    }

    #[test]
    fn a_runtime_that_asks_again_is_still_running_the_same_event() {
        check(
            &[Event::Next, Event::Deliver(attempt(1)), Event::Next],
            State::Running(attempt(1)),
        );
    }

    #[test]
    fn init_and_restore_errors_end_the_session() {
        check(&[Event::InitError], State::InitFailed);
        check(&[Event::RestoreNext, Event::Next], State::Ready);
        check(
            &[Event::RestoreNext, Event::RestoreError],
            State::RestoreFailed,
        );
        check(
            &[Event::RestoreNext, Event::InitError],
            State::RestoreFailed,
        );
        refused(State::InitFailed, Event::Next, "InitError", "Ready");
        refused(State::Ready, Event::InitError, "Ready", "InitError");
        refused(State::Ready, Event::RestoreNext, "Ready", "Ready");
        refused(
            State::Started,
            Event::RestoreError,
            "Started",
            "RuntimeRestoreErrorState",
        );
    }

    #[test]
    fn a_post_must_name_the_current_invocation() {
        let running = State::Running(attempt(7));
        for (event, good) in [
            (response("r7"), true),
            (response("r8"), false),
            (post(Post::Error, "r7", Some("7")), true),
            (post(Post::Error, "r7", Some("6")), false),
            (post(Post::Error, "r7", Some("x")), false),
        ] {
            assert_eq!(running.on(&event).is_ok(), good, "{event:?}");
        }
        for state in [State::Started, State::Ready, State::Sent(None)] {
            assert_eq!(state.on(&response("r7")), Err(Refusal::RequestId));
        }
    }

    #[test]
    fn a_second_answer_is_a_wrong_transition() {
        let sent = State::Sent(Some(attempt(1)));
        refused(
            sent.clone(),
            response("r1"),
            "RuntimeResponseSentState",
            "InvocationResponse",
        );
        refused(
            sent,
            post(Post::Error, "r1", None),
            "RuntimeResponseSentState",
            "InvocationErrorResponse",
        );
        let answering = State::Answering(attempt(1), Post::Response);
        refused(
            answering.clone(),
            response("r1"),
            "InvocationResponse",
            "InvocationResponse",
        );
        refused(answering, Event::Next, "InvocationResponse", "Ready");
    }

    #[test]
    fn an_abandoned_invocation_cannot_be_answered() {
        let abandoned = State::Running(attempt(1)).on(&Event::Abandon(1)).unwrap();
        assert_eq!(abandoned, State::Sent(None));
        assert_eq!(abandoned.on(&response("r1")), Err(Refusal::RequestId));
        assert_eq!(abandoned.on(&Event::Next), Ok(State::Ready));
    }

    #[test]
    fn the_end_of_an_older_invocation_leaves_the_newer_alone() {
        let second = State::Answering(attempt(2), Post::Response);
        assert_eq!(second.on(&Event::Posted(1)), Ok(second.clone()));
        assert_eq!(second.on(&Event::Abandon(1)), Ok(second.clone()));
    }
}
