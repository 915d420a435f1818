use std::collections::{BTreeSet, HashSet, VecDeque};

use crate::matcher::Piece;

/// Beginnings of a wildcard pattern that one value may fit at the same time. AWS names no figure;
/// this one parts the patterns that it was seen to take from those that it refused.
const BEGINNINGS_MAX: usize = 9;
/// Sets of beginnings looked at before a pattern counts as too complex.
const SETS_MAX: usize = 2_000;

/// Whether AWS would call the pattern too complex: how many of its beginnings, from the first star
/// on, can one value fit at once?
pub(crate) fn is_too_complex(pieces: &[Piece]) -> bool {
    if pieces.iter().filter(|p| **p == Piece::Any).count() < 2 {
        return false;
    }
    let letters: BTreeSet<char> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Letter(c) => Some(*c),
            Piece::Any => None,
        })
        .collect();
    let start = closed(pieces, BTreeSet::from([0]));
    let mut seen = HashSet::from([start.clone()]);
    let mut open = VecDeque::from([start]);
    while let Some(set) = open.pop_front() {
        if set.len() > BEGINNINGS_MAX || seen.len() > SETS_MAX {
            return true;
        }
        for letter in &letters {
            let next = step(pieces, &set, *letter);
            if !next.is_empty() && seen.insert(next.clone()) {
                open.push_back(next);
            }
        }
    }
    false
}

/// A number `n` in a set: the first `n` pieces fit all letters so far.
fn closed(pieces: &[Piece], mut set: BTreeSet<usize>) -> BTreeSet<usize> {
    let more: Vec<usize> = set
        .iter()
        .filter(|n| pieces.get(**n) == Some(&Piece::Any))
        .map(|n| n + 1)
        .collect();
    set.extend(more);
    set
}

fn step(pieces: &[Piece], set: &BTreeSet<usize>, letter: char) -> BTreeSet<usize> {
    let mut next = BTreeSet::new();
    for n in set {
        if pieces.get(*n) == Some(&Piece::Letter(letter)) {
            next.insert(n + 1);
        }
        if n.checked_sub(1).and_then(|at| pieces.get(at)) == Some(&Piece::Any) {
            next.insert(*n);
        }
    }
    closed(pieces, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::pieces;

    #[test]
    fn many_stars_with_little_between_are_too_complex() {
        for (pattern, expected) in [
            ("*:*:*:*:*:event-bus/*", true),
            ("arn:aws:events:us-east-1:*:event-bus/*", false),
            ("/Users/*/dir/dir/dir/dir/dir/doc.txt", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(
                is_too_complex(&pieces(pattern).unwrap()),
                expected,
                "{pattern}"
            );
        }
    }
}
