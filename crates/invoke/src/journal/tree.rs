//! Which note belongs to which event, and what followed from what. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use tasks::Time;

use super::{Note, What};

/// Roots that are joined: an event that a parcel without a trace brought begins another.
const ROOTS_MAX: usize = 16;
/// Notes of one tree; a longer one is cut.
const NOTES_MAX: usize = 5_000;
/// Links of one chain; what comes behind is not shown.
const DEPTH_MAX: usize = 100;

/// Everything that followed from one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// What nothing else caused, in the order of time.
    pub nodes: Vec<Node>,
}

/// An event or a parcel on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// `event` or `delivery`
    pub kind: &'static str,
    pub id: String,
    /// The function, or the receiver.
    pub to: String,
    /// What happened, in the order of time.
    pub steps: Vec<Step>,
    pub next: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub at: String,
    pub text: String,
}

/// The tree in which `id` is.
pub(super) fn grow(notes: &[Arc<Note>], id: &str) -> Option<Tree> {
    let mut roots: BTreeSet<&str> = notes
        .iter()
        .filter(|note| note.id == id)
        .map(|note| note.root.as_str())
        .collect();
    if roots.is_empty() {
        return None;
    }
    loop {
        let causes: BTreeSet<&str> = notes
            .iter()
            .filter(|note| roots.contains(note.root.as_str()))
            .filter_map(|note| note.from.as_deref())
            .collect();
        let before = roots.len();
        let more = notes
            .iter()
            .filter(|note| causes.contains(note.id.as_str()));
        roots.extend(more.map(|note| note.root.as_str()));
        if roots.len() == before || roots.len() > ROOTS_MAX {
            break;
        }
    }
    let mut flat: Vec<Flat> = Vec::new();
    let ours = notes
        .iter()
        .filter(|note| roots.contains(note.root.as_str()));
    for note in ours.take(NOTES_MAX) {
        let known = flat
            .iter_mut()
            .find(|f| f.node.id == note.id && f.node.to == note.to);
        match known {
            Some(known) => known.node.steps.push(step(note)),
            None => flat.push(Flat::of(note)),
        }
    }
    Some(joined(flat))
}

struct Flat {
    node: Node,
    from: Option<String>,
}

impl Flat {
    fn of(note: &Note) -> Flat {
        let kind = match note.what {
            What::Delivery { .. } => "delivery",
            _ => "event",
        };
        Flat {
            node: Node {
                kind,
                id: note.id.clone(),
                to: note.to.clone(),
                steps: vec![step(note)],
                next: Vec::new(),
            },
            from: note.from.clone(),
        }
    }

    /// The node that caused it. A parcel is noted after what it brought about, so an event looks for its parcel
    /// everywhere; a parcel comes from the newest earlier event or parcel of its sender's ARN, with or
    /// without qualifier.
    fn cause(&self, at: usize, flat: &[Flat]) -> Option<usize> {
        let from = self.from.as_deref()?;
        if self.node.kind == "event" {
            return flat
                .iter()
                .rposition(|other| other.node.id == from && other.node.id != self.node.id);
        }
        let earlier = flat.get(..at)?;
        earlier.iter().rposition(|other| {
            let rest = other.node.to.strip_prefix(from);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
                && other.from.as_deref() != Some(&self.node.id)
        })
    }
}

/// Hangs every node below the one that caused it.
fn joined(flat: Vec<Flat>) -> Tree {
    let causes: Vec<Option<usize>> = flat
        .iter()
        .enumerate()
        .map(|(at, one)| one.cause(at, &flat))
        .collect();
    let mut nodes: Vec<Option<Node>> = flat.into_iter().map(|one| Some(one.node)).collect();
    let beginnings = (0..nodes.len()).filter(|at| causes.get(*at) == Some(&None));
    let beginnings: Vec<usize> = beginnings.collect();
    let grown = beginnings
        .into_iter()
        .filter_map(|at| taken(at, &causes, &mut nodes, 0));
    Tree {
        nodes: grown.collect(),
    }
}

/// Takes a node out, with all that it caused.
fn taken(
    at: usize,
    causes: &[Option<usize>],
    nodes: &mut [Option<Node>],
    depth: usize,
) -> Option<Node> {
    let mut node = nodes.get_mut(at)?.take()?;
    if depth < DEPTH_MAX {
        let caused = causes.iter().enumerate();
        let caused = caused.filter(|(_, cause)| **cause == Some(at));
        let caused: Vec<usize> = caused.map(|(child, _)| child).collect();
        let next = caused
            .into_iter()
            .filter_map(|child| taken(child, causes, nodes, depth + 1));
        node.next = next.collect();
    }
    Some(node)
}

fn step(note: &Note) -> Step {
    let text = match &note.what {
        What::Accepted { .. } => "accepted".to_owned(),
        What::Attempt { outcome, next_us } => match next_us {
            Some(at) => {
                let at = Time::from_unix_micros(*at).iso_millis();
                format!("attempt: {outcome}; again at {at}")
            }
            None => format!("attempt: {outcome}"),
        },
        What::Ended { condition } => format!("ended: {condition}"),
        What::Delivery { attempt, outcome } => format!("delivery {attempt}: {outcome}"),
    };
    let at = Time::from_unix_micros(note.at_us).iso_millis();
    Step { at, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(root: &str, id: &str, to: &str, from: Option<&str>, what: What) -> Arc<Note> {
        Arc::new(Note {
            at_us: 0,
            root: root.to_owned(),
            id: id.to_owned(),
            to: to.to_owned(),
            from: from.map(str::to_owned),
            what,
        })
    }

    fn accepted() -> What {
        What::Accepted { payload: None }
    }

    fn delivered() -> What {
        What::Delivery {
            attempt: 1,
            outcome: "delivered".to_owned(),
        }
    }

    fn shape(nodes: &[Node]) -> String {
        let one = |node: &Node| match node.next.is_empty() {
            true => node.id.clone(),
            false => format!("{}({})", node.id, shape(&node.next)),
        };
        nodes.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_followed_hangs_below_what_caused_it() {
        let notes = [
            note("r", "e1", "f:live", None, accepted()),
            note("x", "other", "h", None, accepted()),
            note(
                "r",
                "e1",
                "f:live",
                None,
                What::Ended {
                    condition: "Success".to_owned(),
                },
            ),
            note("r", "p1", "topic", Some("f"), delivered()),
            note("r", "e2", "g", Some("p2"), accepted()),
            note("r", "p2", "g", Some("topic"), delivered()),
            note("r", "p3", "queue", Some("topic"), delivered()),
        ];
        for id in ["e1", "p2", "e2"] {
            let tree = grow(&notes, id).unwrap();
            assert_eq!(shape(&tree.nodes), "e1(p1(p2(e2) p3))", "{id}");
        }
        assert_eq!(grow(&notes, "e1").unwrap().nodes[0].steps.len(), 2);
        assert_eq!(grow(&notes, "unknown"), None);
    }

    #[test]
    fn an_event_of_a_parcel_without_a_trace_is_found_below_it() {
        let notes = [
            note("p1", "p1", "f", Some("rule"), delivered()),
            note("r", "e1", "f", Some("p1"), accepted()),
        ];
        assert_eq!(shape(&grow(&notes, "e1").unwrap().nodes), "p1(e1)");
    }
}
