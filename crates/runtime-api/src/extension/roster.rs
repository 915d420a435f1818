//! What an extension may do when. Pure.

/// Most extensions of one environment, internal ones too.  [Lambda guide: extensions]
pub(crate) const EXTENSIONS_MAX: usize = 10;
/// Longest name of an extension: that of a file.
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// The events that an extension asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    pub invoke: bool,
    pub shutdown: bool,
}

/// Where an extension stands.
///
/// ```text
///   Started ──register──▶ Registered ──next──▶ Ready ◀──next── Running
///      │                      │  │               │ └───deliver───▲
///      ▼                      │  └───────────────┴──exit error──▶ ExitError
///   LaunchError               └──init error──▶ InitError     any ──process ends──▶ Exited
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An external extension whose process was started.
    Started,
    Registered,
    /// It waits for an event.
    Ready,
    /// It has got an event.
    Running,
    InitError,
    ExitError,
    LaunchError,
    Exited,
}

/// One extension as the log shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub name: String,
    /// Started by the platform from `/opt/extensions`; the others live inside the runtime.
    pub is_external: bool,
    pub events: Events,
    pub standing: Standing,
    /// What the extension, or its start, gave as reason.
    pub error_type: Option<String>,
    id: String,
}

/// Why a request of an extension is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    RegistrationClosed,
    NameTaken,
    TooMany,
    InvalidEvent {
        event: String,
        why: &'static str,
    },
    UnknownId(String),
    Transition {
        from: Standing,
        to: Standing,
        who: String,
    },
}

/// The two ways for an extension to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GiveUp {
    Init,
    Exit,
}

/// All extensions of an environment.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    all: Vec<Extension>,
    is_closed: bool,
}

impl Standing {
    /// The names that error texts and log lines show.  [Lambda runtime interface emulator]
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Standing::Started => "Started",
            Standing::Registered => "Registered",
            Standing::Ready => "Ready",
            Standing::Running => "Running",
            Standing::InitError => "InitError",
            Standing::ExitError => "ExitError",
            Standing::LaunchError => "LaunchError",
            Standing::Exited => "Exited",
        }
    }

    fn has_failed(self) -> bool {
        matches!(
            self,
            Standing::InitError | Standing::ExitError | Standing::LaunchError | Standing::Exited
        )
    }
}

impl Events {
    /// `INVOKE`, `SHUTDOWN`
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = [(self.invoke, "INVOKE"), (self.shutdown, "SHUTDOWN")];
        all.into_iter()
            .filter_map(|(on, name)| on.then_some(name))
            .collect()
    }
}

impl Extension {
    /// An external one whose process was started.
    #[must_use]
    pub fn started(name: &str) -> Extension {
        Extension {
            name: name.to_owned(),
            is_external: true,
            events: Events::default(),
            standing: Standing::Started,
            error_type: None,
            id: String::new(),
        }
    }

    /// An external one whose process could not be started.
    #[must_use]
    pub fn not_launched(name: &str, why: &str) -> Extension {
        Extension {
            standing: Standing::LaunchError,
            error_type: Some(why.to_owned()),
            ..Extension::started(name)
        }
    }
}

impl Roster {
    /// `external`: the files in `/opt/extensions` that are started.
    pub(crate) fn new(external: &[String]) -> Roster {
        let all = external.iter().map(|name| Extension::started(name));
        Roster {
            all: all.collect(),
            is_closed: false,
        }
    }

    pub(crate) fn all(&self) -> &[Extension] {
        &self.all
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Extension> {
        self.all.get(index)
    }

    /// Takes an extension in; `id` is what it will be known by. Gives its place.
    pub(crate) fn register(
        &mut self,
        name: &str,
        wanted: &[String],
        id: &str,
    ) -> Result<usize, Refusal> {
        let place = self
            .all
            .iter()
            .position(|e| e.is_external && e.name == name);
        let events = events(wanted, place.is_some())?;
        if let Some(place) = place {
            let Some(known) = self.all.get_mut(place) else {
                return Err(Refusal::RegistrationClosed);
            };
            if known.standing != Standing::Started {
                return Err(Refusal::Transition {
                    from: known.standing,
                    to: Standing::Registered,
                    who: name.to_owned(),
                });
            }
            known.standing = Standing::Registered;
            known.events = events;
            id.clone_into(&mut known.id);
            return Ok(place);
        }
        if self.is_closed {
            return Err(Refusal::RegistrationClosed);
        }
        if self.all.iter().any(|e| e.name == name) {
            return Err(Refusal::NameTaken);
        }
        if self.all.len() >= EXTENSIONS_MAX {
            return Err(Refusal::TooMany);
        }
        self.all.push(Extension {
            name: name.to_owned(),
            is_external: false,
            events,
            standing: Standing::Registered,
            error_type: None,
            id: id.to_owned(),
        });
        Ok(self.all.len() - 1)
    }

    /// The extension asks for its next event.
    pub(crate) fn next(&mut self, id: &str) -> Result<usize, Refusal> {
        let (place, extension) = self.by_id(id)?;
        match extension.standing {
            Standing::Registered | Standing::Running => {
                extension.standing = Standing::Ready;
                Ok(place)
            }
            from => Err(refused(from, Standing::Ready, id)),
        }
    }

    /// The extension gives up; a repeated report changes nothing.
    pub(crate) fn give_up(&mut self, id: &str, how: GiveUp, why: &str) -> Result<(), Refusal> {
        let (_, extension) = self.by_id(id)?;
        let to = match how {
            GiveUp::Init => Standing::InitError,
            GiveUp::Exit => Standing::ExitError,
        };
        let may = match (how, extension.standing) {
            (_, now) if now == to => return Ok(()),
            (GiveUp::Init, now) => now == Standing::Registered,
            (GiveUp::Exit, now) => !now.has_failed() && now != Standing::Started,
        };
        if !may {
            return Err(refused(extension.standing, to, id));
        }
        extension.standing = to;
        extension.error_type = Some(why.to_owned());
        Ok(())
    }

    /// The extension at `place` gets an event.
    pub(crate) fn deliver(&mut self, place: usize) {
        if let Some(extension) = self.all.get_mut(place)
            && extension.standing == Standing::Ready
        {
            extension.standing = Standing::Running;
        }
    }

    /// Its process ended.
    pub(crate) fn exited(&mut self, name: &str) -> Standing {
        match self.external(name) {
            Some(extension) => {
                let before = extension.standing;
                if !before.has_failed() {
                    extension.standing = Standing::Exited;
                }
                before
            }
            None => Standing::Exited,
        }
    }

    /// The init phase is over.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Every external extension has registered.
    pub(crate) fn is_complete(&self) -> bool {
        !self.all.iter().any(|e| e.standing == Standing::Started)
    }

    /// Every extension has asked for its next event.
    pub(crate) fn is_ready(&self) -> bool {
        self.all.iter().all(|e| e.standing == Standing::Ready)
    }

    /// Every extension that gets invocations has asked for the next one.
    pub(crate) fn is_idle(&self) -> bool {
        let mut invoked = self.all.iter().filter(|e| e.events.invoke);
        invoked.all(|e| e.standing == Standing::Ready)
    }

    fn external(&mut self, name: &str) -> Option<&mut Extension> {
        self.all
            .iter_mut()
            .find(|e| e.is_external && e.name == name)
    }

    pub(crate) fn find(&self, id: &str) -> Result<&Extension, Refusal> {
        let known = self.all.iter().find(|e| !e.id.is_empty() && e.id == id);
        known.ok_or_else(|| Refusal::UnknownId(id.to_owned()))
    }

    fn by_id(&mut self, id: &str) -> Result<(usize, &mut Extension), Refusal> {
        let mut all = self.all.iter_mut().enumerate();
        all.find(|(_, e)| !e.id.is_empty() && e.id == id)
            .ok_or_else(|| Refusal::UnknownId(id.to_owned()))
    }
}

fn refused(from: Standing, to: Standing, who: &str) -> Refusal {
    Refusal::Transition {
        from,
        to,
        who: who.to_owned(),
    }
}

/// An extension that lives in the runtime's process ends with it: there is nothing to tell it then.
fn events(wanted: &[String], is_external: bool) -> Result<Events, Refusal> {
    let mut events = Events::default();
    for event in wanted {
        let refuse = |why| Refusal::InvalidEvent {
            event: event.clone(),
            why,
        };
        match event.as_str() {
            "INVOKE" => events.invoke = true,
            "SHUTDOWN" if is_external => events.shutdown = true,
            "SHUTDOWN" => return Err(refuse("ShutdownEventNotSupportedForInternalExtension")),
            _ => return Err(refuse("ErrorInvalidEventType")),
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(events: &[&str]) -> Vec<String> {
        events.iter().map(|e| (*e).to_owned()).collect()
    }

    fn roster(external: &[&str]) -> Roster {
        Roster::new(&wanted(external))
    }

    /// One step of a table; the name or id is `a`, `b`, …
    #[derive(Debug)]
    enum Do {
        Register(&'static str, &'static [&'static str]),
        Next(&'static str),
        InitError(&'static str),
        ExitError(&'static str),
        Deliver(usize),
        Close,
        Exited(&'static str),
    }

    fn step(roster: &mut Roster, what: &Do) -> Result<(), Refusal> {
        match what {
            Do::Register(name, events) => {
                let id = format!("id-{name}");
                roster.register(name, &wanted(events), &id).map(drop)
            }
            Do::Next(name) => roster.next(&format!("id-{name}")).map(drop),
            Do::InitError(name) => roster.give_up(&format!("id-{name}"), GiveUp::Init, "E.A"),
            Do::ExitError(name) => roster.give_up(&format!("id-{name}"), GiveUp::Exit, "E.B"),
            Do::Deliver(place) => {
                roster.deliver(*place);
                Ok(())
            }
            Do::Close => {
                roster.close();
                Ok(())
            }
            Do::Exited(name) => {
                roster.exited(name);
                Ok(())
            }
        }
    }

    fn standing_after(external: &[&str], steps: &[Do]) -> Standing {
        let mut roster = roster(external);
        for what in steps {
            step(&mut roster, what).unwrap_or_else(|e| panic!("{what:?}: {e:?}"));
        }
        roster.all()[0].standing
    }

    fn refusal_after(external: &[&str], steps: &[Do]) -> Refusal {
        let mut roster = roster(external);
        let (last, before) = steps.split_last().unwrap();
        for what in before {
            step(&mut roster, what).unwrap_or_else(|e| panic!("{what:?}: {e:?}"));
        }
        step(&mut roster, last).unwrap_err()
    }

    const BOTH: &[&str] = &["INVOKE", "SHUTDOWN"];

    #[test]
    fn an_extension_goes_from_registered_to_ready_to_running_and_back() {
        use Do::{Deliver, ExitError, Exited, InitError, Next, Register};
        for (steps, want) in [
            (vec![], Standing::Started),
            (vec![Register("a", BOTH)], Standing::Registered),
            (vec![Register("a", BOTH), Next("a")], Standing::Ready),
            (
                vec![Register("a", BOTH), Next("a"), Deliver(0)],
                Standing::Running,
            ),
            (
                vec![Register("a", BOTH), Next("a"), Deliver(0), Next("a")],
                Standing::Ready,
            ),
            (
                vec![Register("a", BOTH), InitError("a"), InitError("a")],
                Standing::InitError,
            ),
            (
                vec![Register("a", BOTH), Next("a"), Deliver(0), ExitError("a")],
                Standing::ExitError,
            ),
            (
                vec![Register("a", BOTH), ExitError("a"), Exited("a")],
                Standing::ExitError,
            ),
            (vec![Exited("a")], Standing::Exited),
        ] {
            assert_eq!(standing_after(&["a"], &steps), want, "{steps:?}");
        }
    }

    #[test]
    fn what_does_not_fit_the_standing_is_refused() {
        use Do::{Close, Deliver, ExitError, InitError, Next, Register};
        let transition = |from, to, who: &str| refused(from, to, who);
        for (external, steps, want) in [
            (
                vec!["a"],
                vec![Register("a", BOTH), Register("a", BOTH)],
                transition(Standing::Registered, Standing::Registered, "a"),
            ),
            (
                vec!["a"],
                vec![Register("a", BOTH), Next("a"), Next("a")],
                transition(Standing::Ready, Standing::Ready, "id-a"),
            ),
            (
                vec!["a"],
                vec![Register("a", BOTH), Next("a"), InitError("a")],
                transition(Standing::Ready, Standing::InitError, "id-a"),
            ),
            (
                vec!["a"],
                vec![Register("a", BOTH), InitError("a"), Next("a")],
                transition(Standing::InitError, Standing::Ready, "id-a"),
            ),
            (
                vec!["a"],
                vec![Register("a", BOTH), InitError("a"), ExitError("a")],
                transition(Standing::InitError, Standing::ExitError, "id-a"),
            ),
            (
                vec!["a"],
                vec![Next("a")],
                Refusal::UnknownId("id-a".into()),
            ),
            (
                vec![],
                vec![Register("i", &["INVOKE"]), Register("i", &["INVOKE"])],
                Refusal::NameTaken,
            ),
            (
                vec![],
                vec![Close, Register("i", &["INVOKE"])],
                Refusal::RegistrationClosed,
            ),
            (
                vec![],
                vec![Register("i", BOTH)],
                Refusal::InvalidEvent {
                    event: "SHUTDOWN".into(),
                    why: "ShutdownEventNotSupportedForInternalExtension",
                },
            ),
            (
                vec!["a"],
                vec![Register("a", &["RESUME"])],
                Refusal::InvalidEvent {
                    event: "RESUME".into(),
                    why: "ErrorInvalidEventType",
                },
            ),
            (
                vec!["a"],
                vec![Register("a", BOTH), Next("a"), Deliver(0), InitError("a")],
                transition(Standing::Running, Standing::InitError, "id-a"),
            ),
        ] {
            let external: Vec<&str> = external;
            assert_eq!(refusal_after(&external, &steps), want, "{steps:?}");
        }
    }

    #[test]
    fn ten_extensions_fit_and_no_more() {
        let mut roster = roster(&["a", "b"]);
        for n in 2..EXTENSIONS_MAX {
            let name = format!("i{n}");
            roster.register(&name, &[], &name).unwrap();
        }
        assert_eq!(roster.register("last", &[], "x"), Err(Refusal::TooMany));
        assert!(roster.register("a", &[], "y").is_ok(), "it was counted");
    }

    #[test]
    fn only_extensions_that_asked_for_invocations_keep_the_environment_busy() {
        let mut roster = roster(&["a", "b"]);
        assert!(!roster.is_complete());
        roster.register("a", &wanted(&["INVOKE"]), "1").unwrap();
        roster.register("b", &wanted(&["SHUTDOWN"]), "2").unwrap();
        assert!(roster.is_complete() && !roster.is_ready());
        roster.next("1").unwrap();
        assert!(roster.is_idle() && !roster.is_ready());
        roster.next("2").unwrap();
        assert!(roster.is_ready());
        roster.deliver(0);
        assert!(!roster.is_idle());
    }
}
