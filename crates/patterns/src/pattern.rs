use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::compile;
use crate::flat::{ArrayId, Flat, Leaf};
use crate::matcher::Matcher;

/// Why a text is no event pattern, in AWS's words; they follow `Event pattern is not valid. Reason: `.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(String);

impl InvalidPattern {
    pub(crate) fn new(text: impl Into<String>) -> InvalidPattern {
        InvalidPattern(text.into())
    }
}

/// What must hold together: each path has a value that one of its matchers takes.
pub(crate) type Rule = BTreeMap<String, Vec<Matcher>>;

/// An event pattern, ready to be asked.  [EventBridge guide: event patterns]
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// One of them is enough: `$or`, multiplied out.
    alternatives: Vec<Rule>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Fails with the reason that AWS gives, with the place in the text.
    pub fn parse(text: &str) -> Result<Pattern, InvalidPattern> {
        let alternatives = compile::compile(text)?;
        Ok(Pattern { alternatives })
    }

    /// Whether the event is one of those that the pattern describes. Values out of different
    /// elements of one array never fit together.
    pub fn matches(&self, event: &Value) -> bool {
        let flat = Flat::of(event);
        self.alternatives.iter().any(|rule| fits(rule, &flat))
    }
}

fn fits(rule: &Rule, flat: &Flat<'_>) -> bool {
    let mut open: Vec<Vec<&Leaf<'_>>> = Vec::new();
    for (path, matchers) in rule {
        let leaves = flat.at(path);
        if leaves.is_empty() {
            if matchers.contains(&Matcher::Absent) {
                continue;
            }
            return false;
        }
        let taken = leaves
            .iter()
            .filter(|leaf| matchers.iter().any(|m| m.takes(leaf.value)));
        let taken: Vec<&Leaf<'_>> = taken.collect();
        if taken.is_empty() {
            return false;
        }
        // A value outside of all arrays fits any other.
        if taken.iter().all(|leaf| !leaf.within.is_empty()) {
            open.push(taken);
        }
    }
    choose(&open, &BTreeMap::new())
}

/// Whether one value can be chosen for each path so that no two lie in different elements of one
/// array. `fixed` says which elements are chosen already. Paths that share no array are looked at
/// apart, so the work grows with the number of elements and not with its powers.
fn choose(open: &[Vec<&Leaf<'_>>], fixed: &BTreeMap<ArrayId, usize>) -> bool {
    let mut left: Vec<Vec<&Leaf<'_>>> = Vec::new();
    for leaves in open {
        let fitting = leaves.iter().copied().filter(|leaf| {
            let mut within = leaf.within.iter();
            within.all(|(id, at)| fixed.get(id).is_none_or(|chosen| chosen == at))
        });
        let fitting: Vec<&Leaf<'_>> = fitting.collect();
        if fitting.is_empty() {
            return false;
        }
        let is_free = |leaf: &&Leaf<'_>| leaf.within.iter().all(|(id, _)| fixed.contains_key(id));
        if !fitting.iter().any(is_free) {
            left.push(fitting);
        }
    }
    groups(left, fixed).into_iter().all(|group| {
        if group.len() == 1 {
            return true;
        }
        let first = group
            .iter()
            .flatten()
            .flat_map(|leaf| &leaf.within)
            .find(|(id, _)| !fixed.contains_key(id));
        let Some((id, _)) = first else { return true };
        let elements: BTreeSet<usize> = group
            .iter()
            .flatten()
            .flat_map(|leaf| &leaf.within)
            .filter(|(other, _)| other == id)
            .map(|(_, at)| *at)
            .collect();
        elements.into_iter().any(|at| {
            let mut fixed = fixed.clone();
            fixed.insert(*id, at);
            choose(&group, &fixed)
        })
    })
}

/// Paths that share an array, directly or over others, belong together.
fn groups<'l, 'e>(
    open: Vec<Vec<&'l Leaf<'e>>>,
    fixed: &BTreeMap<ArrayId, usize>,
) -> Vec<Vec<Vec<&'l Leaf<'e>>>> {
    let mut groups: Vec<(BTreeSet<ArrayId>, Vec<Vec<&'l Leaf<'e>>>)> = Vec::new();
    for leaves in open {
        let ids = leaves.iter().flat_map(|leaf| &leaf.within);
        let mut ids: BTreeSet<ArrayId> = ids
            .map(|(id, _)| *id)
            .filter(|id| !fixed.contains_key(id))
            .collect();
        let mut members = vec![leaves];
        let (joined, apart) = groups
            .into_iter()
            .partition(|(other, _): &(BTreeSet<ArrayId>, _)| !other.is_disjoint(&ids));
        groups = apart;
        let joined: Vec<(BTreeSet<ArrayId>, Vec<Vec<&'l Leaf<'e>>>)> = joined;
        for (other, more) in joined {
            ids.extend(other);
            members.extend(more);
        }
        groups.push((ids, members));
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pattern: Value, event: Value, expected: bool) {
        let compiled = Pattern::parse(&pattern.to_string()).unwrap();
        assert_eq!(compiled.matches(&event), expected, "{pattern} {event}");
    }

    #[test]
    fn values_of_different_elements_do_not_fit_together() {
        let event = json!({"a": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]});
        check(json!({"a": {"x": [1], "y": [2]}}), event.clone(), true);
        check(json!({"a": {"x": [3], "y": [4]}}), event.clone(), true);
        check(json!({"a": {"x": [1], "y": [4]}}), event, false);
    }

    #[test]
    fn an_inner_array_is_chosen_within_the_outer_element() {
        let event = json!({"a": [
            {"n": 1, "b": [{"x": 1, "y": 1}, {"x": 2, "y": 2}], "c": [{"z": 1}]},
            {"n": 2, "b": [{"x": 1, "y": 2}], "c": [{"z": 2}]},
        ]});
        let pattern =
            |n, x, y, z| json!({"a": {"n": [n], "b": {"x": [x], "y": [y]}, "c": {"z": [z]}}});
        check(pattern(1, 2, 2, 1), event.clone(), true);
        check(pattern(2, 1, 2, 2), event.clone(), true);
        check(pattern(1, 1, 2, 1), event.clone(), false);
        check(pattern(1, 1, 1, 2), event, false);
    }

    #[test]
    fn many_elements_cost_no_more_than_their_number_squared() {
        let items: Vec<Value> = (0..300).map(|n| json!({"v": n})).collect();
        let event = json!({"a": items, "b": items, "c": items, "d": items, "e": [{"v": 1}]});
        let any = json!([{"exists": true}]);
        let pattern = json!({
            "a": {"v": any}, "b": {"v": any}, "c": {"v": any}, "d": {"v": any}, "e": {"v": [2]},
        });
        check(pattern, event, false);
    }
}
