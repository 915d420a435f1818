//! Patterns as AWS answered them. [recorded answers of TestEventPattern]

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod reference;

use patterns::Pattern;
use proptest::prelude::*;
use serde_json::{Value, json};

fn check(pattern: &Value, event: &Value, expected: bool) {
    let compiled = Pattern::parse(&pattern.to_string()).unwrap();
    assert_eq!(compiled.matches(event), expected, "{pattern} {event}");
}

fn field(matchers: Value) -> Value {
    json!({"detail": {"f": matchers}})
}

/// One field of the detail, whose value is `value`.
fn is(matchers: Value, value: Value, expected: bool) {
    check(&field(matchers), &json!({"detail": {"f": value}}), expected);
}

#[test]
fn values_are_equal_by_kind_and_by_number() {
    is(json!(["a"]), json!("a"), true);
    is(json!(["a", "b"]), json!("b"), true);
    is(json!(["a"]), json!("A"), false);
    is(json!([""]), json!(""), true);
    is(json!([false]), json!(false), true);
    is(json!([false]), json!(true), false);
    is(json!([null]), json!(null), true);
    is(json!([null]), json!("null"), false);
    is(json!([null]), json!([]), false);
    is(json!([300]), json!(300.0), true);
    is(json!([300]), json!("300"), false);
    is(json!(["ein 🚀 "]), json!("ein 🚀 "), true);
}

#[test]
fn arrays_hold_one_of_the_values() {
    is(json!(["b", "c"]), json!(["a", "b"]), true);
    is(json!(["c"]), json!(["a", "b"]), false);
    is(json!([{"exists": true}]), json!([]), false);
    let event = json!({"detail": {"all": [{"k": 1}, {"id": "x"}]}});
    check(
        &json!({"detail": {"all": {"id": [{"exists": true}]}}}),
        &event,
        true,
    );
}

#[test]
fn texts_are_compared_by_their_ends_and_without_case() {
    is(json!([{"prefix": "ab"}]), json!("abc"), true);
    is(json!([{"prefix": "ac"}]), json!("abc"), false);
    is(json!([{"prefix": ""}]), json!("abc"), true);
    is(json!([{"suffix": ".png"}]), json!("a.png"), true);
    is(json!([{"suffix": ".PNG"}]), json!("a.png"), false);
    is(json!([{"suffix": ""}]), json!("a"), true);
    is(
        json!([{"prefix": {"equals-ignore-case": "EventB"}}]),
        json!("EvEnTbx"),
        true,
    );
    is(
        json!([{"suffix": {"equals-ignore-case": ".png"}}]),
        json!("a.PNG"),
        true,
    );
    is(
        json!([{"suffix": {"equals-ignore-case": ".png"}}]),
        json!("a.jpg"),
        false,
    );
    is(json!([{"equals-ignore-case": "ab"}]), json!("AB"), true);
    is(json!([{"equals-ignore-case": ""}]), json!("a"), false);
    is(
        json!([{"wildcard": "/a/*/d.txt"}]),
        json!("/a/b/c/d.txt"),
        true,
    );
    is(json!([{"wildcard": ""}]), json!("x"), false);
}

#[test]
fn anything_but_needs_a_value_of_any_kind() {
    is(json!([{"anything-but": "a"}]), json!("b"), true);
    is(json!([{"anything-but": "a"}]), json!("a"), false);
    is(json!([{"anything-but": "a"}]), json!(null), true);
    is(json!([{"anything-but": [1, 2]}]), json!(2), false);
    is(json!([{"anything-but": 0}]), json!(7), true);
    is(
        json!([{"anything-but": {"prefix": "ab"}}]),
        json!("abc"),
        false,
    );
    is(
        json!([{"anything-but": {"prefix": ["x", "a"]}}]),
        json!("abc"),
        false,
    );
    is(json!([{"anything-but": {"prefix": "ab"}}]), json!(12), true);
    is(
        json!([{"anything-but": {"suffix": ".txt"}}]),
        json!("a.txt"),
        false,
    );
    is(
        json!([{"anything-but": {"wildcard": "*/x/*"}}]),
        json!("a/x/b"),
        false,
    );
    is(
        json!([{"anything-but": {"equals-ignore-case": ["a", "b"]}}]),
        json!("B"),
        false,
    );
    is(
        json!([{"anything-but": {"equals-ignore-case": "a"}}]),
        json!(null),
        true,
    );
    for matchers in [
        json!([{"anything-but": "a"}]),
        json!([{"anything-but": {"prefix": "a"}}]),
    ] {
        check(&field(matchers), &json!({"detail": {}}), false);
    }
}

#[test]
fn numbers_and_addresses_lie_in_ranges() {
    is(json!([{"numeric": [">", 100]}]), json!(101.0), true);
    is(json!([{"numeric": [">", 0, "<=", 5]}]), json!(5), true);
    is(json!([{"numeric": [">", 0, "<=", 5]}]), json!(0), false);
    is(json!([{"numeric": ["<", 10]}]), json!(10), false);
    is(json!([{"numeric": ["=", 3.018e2]}]), json!(301.8), true);
    is(json!([{"numeric": [">", 100]}]), json!("300"), false);
    is(json!([{"numeric": [">", 100]}]), json!(null), false);
    is(json!([{"cidr": "10.0.0.0/24"}]), json!("10.0.0.255"), true);
    is(json!([{"cidr": "10.0.0.0/24"}]), json!("10.0.1.1"), false);
    is(json!([{"cidr": "0.0.0.0/0"}]), json!("9.9.9.9"), true);
    is(json!([{"cidr": "10.0.0.0/24"}]), json!("no address"), false);
    is(
        json!([{"cidr": "2001:db8::/32"}]),
        json!("2001:db8::7"),
        true,
    );
    is(
        json!([{"cidr": "2001:db8::/32"}]),
        json!("2001:db9::7"),
        false,
    );
}

#[test]
fn existence_is_that_of_values_not_of_objects() {
    let absent = json!([{"anything-but": ["x"]}, {"exists": false}]);
    is(json!([{"exists": true}]), json!(null), true);
    is(json!([{"exists": true}]), json!({"in": 1}), false);
    is(json!([{"exists": false}]), json!({"in": 1}), true);
    is(absent.clone(), json!("y"), true);
    is(absent.clone(), json!("x"), false);
    check(&field(absent), &json!({}), true);
}

#[test]
fn names_are_joined_with_dots() {
    let flat = json!({"detail": {"a.b": "v"}});
    let deep = json!({"detail": {"a": {"b": "v"}}});
    let deeper = json!({"detail": {"a.b": {"b": "v"}}});
    for (pattern, event, expected) in [
        (json!({"detail": {"a": {"b": ["v"]}}}), &flat, true),
        (json!({"detail": {"a.b": ["v"]}}), &deep, true),
        (json!({"detail": {"a": {"b": ["v"]}}}), &deeper, false),
        (json!({"detail": {"a.b": {"b": ["v"]}}}), &deep, false),
        (json!({"DETAIL": {"a": {"b": ["v"]}}}), &deep, false),
    ] {
        check(&pattern, event, expected);
    }
    let text = json!({"detail": "{\"a\": \"v\"}"});
    check(&json!({"detail": {"a": ["v"]}}), &text, false);
}

#[test]
fn alternatives_are_joined_with_what_stands_beside_them() {
    let pattern = json!({"source": ["s"], "detail": {"$or": [
        {"c": [{"numeric": [">", 0, "<=", 5]}]},
        {"d": [{"numeric": ["<", 10]}]},
    ]}});
    let event =
        |source: &str, c: i32, d: i32| json!({"source": source, "detail": {"c": c, "d": d}});
    check(&pattern, &event("s", 0, 0), true);
    check(&pattern, &event("s", 1, 10), true);
    check(&pattern, &event("s", 0, 10), false);
    check(&pattern, &event("t", 1, 0), false);
    // With one object it is a name like others.
    let name = json!({"$or": ["x"]});
    check(&name, &json!({"$or": "x"}), true);
}

#[test]
fn the_last_of_two_equal_names_counts() {
    let text = r#"{"detail": {"f": [{"prefix": "us-"}], "f": [{"anything-but": "us-east"}]}}"#;
    let pattern = Pattern::parse(text).unwrap();
    assert!(pattern.matches(&json!({"detail": {"f": "eu-central-1"}})));
}

#[test]
fn a_refusal_has_the_words_and_the_place_of_aws() {
    for (pattern, reason, column) in [
        (
            r#"{"int": 42}"#,
            "\"int\" must be an object or an array",
            11,
        ),
        (
            r#"{"string": "v"}"#,
            "\"string\" must be an object or an array",
            13,
        ),
        (r#"{"resources": []}"#, "Empty arrays are not allowed", 17),
        (
            r#"{"my_key": [{"EXISTS": true}]}"#,
            "Unrecognized match type EXISTS",
            28,
        ),
        (
            r#"{"time": [{"prefix": 123}]}"#,
            "prefix match pattern must be a string",
            25,
        ),
        (
            r#"{"time": [{"prefix": ["a"]}]}"#,
            "prefix match pattern must be a string",
            23,
        ),
        (
            r#"{"a": [{"wildcard": 123}]}"#,
            "wildcard match pattern must be a string",
            24,
        ),
        (
            r#"{"a": [{"wildcard": "x**"}]}"#,
            "Consecutive wildcard characters at pos 2",
            26,
        ),
        (
            r#"{"detail": {"c-count": [{"numeric": [">", 0, ">", 0]}]}}"#,
            "Bad numeric range operator: >",
            49,
        ),
        (
            r#"{"detail": {"c-count": [{"numeric": [">", 0, "<"]}]}}"#,
            "Value of < must be numeric",
            50,
        ),
        (
            r#"{"detail": {"c-count": [{"numeric": 10}]}}"#,
            "Value of numeric must be an array.",
            39,
        ),
        (
            r#"{"detail": {"state": [{"anything-but": null}]}}"#,
            "Value of anything-but must be an array or single string/number value.",
            44,
        ),
        (
            r#"{"detail": {"FileName": [{"anything-but": {"prefix": ""}}]}}"#,
            "Null prefix/suffix not allowed",
            56,
        ),
        (r#"["not", "a", "dict"]"#, "Filter is not an object", 2),
    ] {
        let place = format!("\n at [Source: (String)\"{pattern}\"; line: 1, column: {column}]");
        let refused = Pattern::parse(pattern).unwrap_err().to_string();
        assert_eq!(refused, format!("{reason}{place}"));
    }
}

#[test]
fn a_refusal_inside_of_a_list_has_its_place_twice() {
    let pattern = r#"{"detail": {"state": [{"anything-but": ["stopped", null]}]}}"#;
    let refused = Pattern::parse(pattern).unwrap_err().to_string();
    let place = format!("\n at [Source: (String)\"{pattern}\"; line: 1, column: 56]");
    let reason = "Inside anything but list, start|null|boolean is not supported.";
    assert_eq!(refused, format!("{reason}{place}{place}"));
}

#[test]
fn a_refusal_of_a_value_has_no_place() {
    for (pattern, reason) in [
        (
            r#"{"a": [{"cidr": "x"}]}"#,
            "Malformed CIDR, one '/' required",
        ),
        (
            r#"{"a": [{"cidr": "x.1/8"}]}"#,
            "Nonstandard IP address: x.1",
        ),
        (
            r#"{"a": [{"wildcard": "*:*:*:*:*:event-bus/*"}]}"#,
            "Rule is too complex - try using fewer wildcard characters or fewer repeating \
             character sequences after a wildcard character",
        ),
    ] {
        assert_eq!(Pattern::parse(pattern).unwrap_err().to_string(), reason);
    }
}

/// The meaning of a wildcard pattern, written down in the slow and obvious way.
fn slow(pattern: &[char], value: &[char]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some(('*', rest)) => (0..=value.len()).any(|n| slow(rest, &value[n..])),
        Some((c, rest)) => value
            .split_first()
            .is_some_and(|(v, more)| v == c && slow(rest, more)),
    }
}

proptest! {
    #[test]
    fn wildcards_mean_what_the_slow_way_says(pattern in "[ab*]{0,6}", value in "[ab]{0,8}") {
        let json = json!({"f": [{"wildcard": pattern}]}).to_string();
        if let Ok(compiled) = Pattern::parse(&json) {
            let (p, v): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
            prop_assert_eq!(compiled.matches(&json!({"f": value})), slow(&p, &v));
        }
    }

    #[test]
    fn no_text_stops_the_parser(text in "[\\[\\]{}:,\"a1\\\\ nulltrue.-]{0,60}") {
        let _ = Pattern::parse(&text);
    }

    #[test]
    fn what_serde_refuses_is_refused(text in "[\\[\\]{}:,\"a1 ]{0,30}") {
        if Pattern::parse(&text).is_ok() {
            let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
            prop_assert!(values.next().unwrap().is_ok());
        }
    }
}
