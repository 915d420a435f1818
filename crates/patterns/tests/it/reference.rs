//! Random patterns and events against a second reading of the rules, which knows no paths: it takes one element of each
//! array of objects, and then looks at plain trees.
//!
//! The same cases were put before the matcher of another project, 20,000 of them: it differed in arrays of objects only.

use patterns::Pattern;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const NAMES: [&str; 3] = ["a", "b", "c"];
const TEXTS: [&str; 7] = ["", "x", "xy", "xyz", "yx", "XY", "x*y"];
const NUMBERS: [f64; 6] = [0.0, 1.0, -1.0, 1.5, 2.0, 10.0];
/// Levels of objects below the first.
const DEPTH: u32 = 2;

fn number() -> impl Strategy<Value = Value> {
    prop::sample::select(&NUMBERS[..]).prop_map(Value::from)
}

fn text() -> impl Strategy<Value = Value> {
    prop::sample::select(&TEXTS[..]).prop_map(Value::from)
}

fn part() -> impl Strategy<Value = Value> {
    prop::sample::select(&TEXTS[1..]).prop_map(Value::from)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![4 => text(), 3 => number(), 1 => any::<bool>().prop_map(Value::from), 1 => Just(Value::Null)]
}

fn object(value: BoxedStrategy<Value>, least: usize) -> BoxedStrategy<Value> {
    prop::collection::btree_map(prop::sample::select(&NAMES[..]), value, least..4)
        .prop_map(|members| {
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            )
        })
        .boxed()
}

fn event(depth: u32) -> BoxedStrategy<Value> {
    let scalars = prop::collection::vec(scalar(), 1..3).prop_map(Value::from);
    let value = match depth {
        0 => prop_oneof![4 => scalar(), 1 => scalars].boxed(),
        _ => {
            let objects = prop::collection::vec(event(depth - 1), 1..3).prop_map(Value::from);
            prop_oneof![4 => scalar(), 1 => scalars, 2 => event(depth - 1), 1 => objects].boxed()
        }
    };
    object(value, 0)
}

fn matcher() -> impl Strategy<Value = Value> {
    let range = (number(), number(), any::<bool>(), any::<bool>());
    let range = range.prop_filter_map("an interval", |(a, b, low, high)| {
        let (bottom, top) = (if low { ">=" } else { ">" }, if high { "<=" } else { "<" });
        (a.as_f64() < b.as_f64()).then(|| json!({"numeric": [bottom, a, top, b]}))
    });
    prop_oneof![
        4 => scalar(),
        1 => part().prop_map(|t| json!({"prefix": t})),
        1 => part().prop_map(|t| json!({"suffix": t})),
        1 => part().prop_map(|t| json!({"equals-ignore-case": t})),
        1 => part().prop_map(|t| json!({"prefix": {"equals-ignore-case": t}})),
        1 => any::<bool>().prop_map(|is| json!({"exists": is})),
        1 => part().prop_map(|t| json!({"anything-but": t})),
        1 => (part(), part()).prop_map(|(t, u)| json!({"anything-but": [t, u]})),
        1 => number().prop_map(|n| json!({"anything-but": n})),
        1 => part().prop_map(|t| json!({"anything-but": {"prefix": t}})),
        1 => range,
    ]
}

fn pattern(depth: u32) -> BoxedStrategy<Value> {
    let field = prop::collection::vec(matcher(), 1..3).prop_map(Value::from);
    match depth {
        0 => object(field.boxed(), 1),
        _ => object(prop_oneof![3 => field, 1 => pattern(depth - 1)].boxed(), 1),
    }
}

/// Every way to take one element of each array of objects. Arrays of other values stay.
fn views(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let mut all = vec![Map::new()];
            for (name, value) in members {
                let ways = views(value);
                all = all
                    .iter()
                    .flat_map(|made| {
                        ways.iter().map(move |way| {
                            let mut more = made.clone();
                            more.insert(name.clone(), way.clone());
                            more
                        })
                    })
                    .collect();
            }
            all.into_iter().map(Value::Object).collect()
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            items.iter().flat_map(views).collect()
        }
        other => vec![other.clone()],
    }
}

/// Whether some way to this path ends at a value.
fn is_there(event: &Value, path: &[&str]) -> bool {
    match (event, path) {
        (Value::Array(items), _) => items.iter().any(|item| is_there(item, path)),
        (Value::Object(members), [name, rest @ ..]) => members
            .get(*name)
            .is_some_and(|value| is_there(value, rest)),
        (Value::Object(_), []) => false,
        (_, rest) => rest.is_empty(),
    }
}

fn lower(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_lowercase()
}

fn takes(matcher: &Value, value: &Value) -> bool {
    let Value::Object(matcher) = matcher else {
        return matcher == value;
    };
    let (kind, wanted) = matcher.iter().next().unwrap();
    let begins = |with: &Value| {
        value
            .as_str()
            .is_some_and(|text| text.starts_with(with.as_str().unwrap()))
    };
    match (kind.as_str(), wanted) {
        ("prefix", Value::Object(inner)) => {
            value.is_string() && lower(value).starts_with(&lower(&inner["equals-ignore-case"]))
        }
        ("prefix", wanted) => begins(wanted),
        ("suffix", wanted) => value
            .as_str()
            .is_some_and(|text| text.ends_with(wanted.as_str().unwrap())),
        ("equals-ignore-case", wanted) => value.is_string() && lower(value) == lower(wanted),
        ("exists", is) => is.as_bool().unwrap(),
        ("anything-but", Value::Object(inner)) => !begins(&inner["prefix"]),
        ("anything-but", Value::Array(list)) => !list.contains(value),
        ("anything-but", one) => one != value,
        ("numeric", range) => {
            let bound = |at: usize| range[at].as_f64().unwrap();
            value.as_f64().is_some_and(|n| {
                let is_over = if range[0] == ">" {
                    n > bound(1)
                } else {
                    n >= bound(1)
                };
                is_over
                    && if range[2] == "<" {
                        n < bound(3)
                    } else {
                        n <= bound(3)
                    }
            })
        }
        other => panic!("{other:?}"),
    }
}

/// `view`: what is at the path in one view; `event`: all of it.
fn fits<'p>(
    pattern: &'p Value,
    view: Option<&Value>,
    path: &mut Vec<&'p str>,
    event: &Value,
) -> bool {
    match pattern {
        Value::Object(fields) => fields.iter().all(|(name, pattern)| {
            path.push(name);
            let below = view.and_then(|view| view.get(name));
            let is_good = fits(pattern, below, path, event);
            path.pop();
            is_good
        }),
        Value::Array(matchers) => matchers.iter().any(|matcher| {
            if *matcher == json!({"exists": false}) {
                return !is_there(event, path);
            }
            match view {
                Some(Value::Array(items)) => items.iter().any(|item| takes(matcher, item)),
                Some(Value::Object(_)) | None => false,
                Some(value) => takes(matcher, value),
            }
        }),
        other => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_patterns_mean_what_the_rules_say(pattern in pattern(DEPTH), event in event(DEPTH)) {
        let compiled = Pattern::parse(&pattern.to_string()).unwrap();
        let expected = views(&event)
            .iter()
            .any(|view| fits(&pattern, Some(view), &mut Vec::new(), &event));
        prop_assert_eq!(compiled.matches(&event), expected, "{} {}", pattern, event);
    }
}
