use model::ports::{Attribute, AttributeValue};
use serde_json::{Value, json};

use super::*;

fn text_of(wrong: Wrong) -> String {
    Fault::from(wrong).to_string()
}

/// The refusal without `Invalid parameter: FilterPolicy: ` and without the place.
fn refusal(policy: &str, scope: Scope) -> (String, usize) {
    let text = text_of(Policy::compile(policy, scope).unwrap_err());
    let text = text
        .strip_prefix("Invalid parameter: FilterPolicy: ")
        .unwrap_or(&text)
        .to_owned();
    let (message, place) = text.split_once("\n at ").unwrap_or((&text, ""));
    let column = place.rsplit_once("column: ").map_or(0, |(_, column)| {
        column.trim_end_matches(']').parse().unwrap()
    });
    (message.to_owned(), column)
}

/// Texts and columns that AWS answered.
#[test]
fn wrong_policies_are_refused_in_the_words_of_aws() {
    for (policy, message, column) in [
        (
            r#"{"key":[["value"]]}"#,
            "Match value must be String, number, true, false, or null",
            10,
        ),
        (
            r#"{"key":[{"wrong-operator":true}]}"#,
            "Unrecognized match type wrong-operator",
            31,
        ),
        (
            r#"{"key":[{"suffix":"value","prefix":"value2"}]}"#,
            "Only one key allowed in match expression",
            37,
        ),
        (r#"{"key":[]}"#, "Empty arrays are not allowed", 10),
        (
            r#"{"key":[{"suffix":100}]}"#,
            "suffix match pattern must be a string",
            22,
        ),
        (
            r#"{"key":[{"suffix":null}]}"#,
            "suffix match pattern must be a string",
            23,
        ),
        (
            r#"{"key":{"suffix":"value"}}"#,
            "\"suffix\" must be an object or an array",
            19,
        ),
        (
            r#"{"key":[{"suffix":[]}]}"#,
            "suffix match pattern must be a string",
            20,
        ),
        (
            r#"{"key":[{"suffix":["test","test2"]}]}"#,
            "suffix match pattern must be a string",
            20,
        ),
        (
            r#"{"key":{"not-an-operator":"value"}}"#,
            "\"not-an-operator\" must be an object or an array",
            28,
        ),
        (
            r#"{"key_a":"value_one"}"#,
            "\"key_a\" must be an object or an array",
            11,
        ),
        (
            r#"{"key":[{"cidr":["bad-filter"]}]}"#,
            "prefix match pattern must be a string",
            18,
        ),
        (
            r#"{"key":[{"cidr":"bad-filter"}]}"#,
            "Malformed CIDR, one '/' required",
            0,
        ),
        (
            r#"{"key":[{"cidr":"bad-filter/64"}]}"#,
            "Nonstandard IP address: bad-filter",
            0,
        ),
        (
            r#"{"key":[{"cidr":"bad-/64filter"}]}"#,
            "Malformed CIDR, mask bits must be an integer",
            0,
        ),
        (
            r#"{"key":[{"cidr":"xx.11.xx/8"}]}"#,
            "Nonstandard IP address: xx.11.xx",
            0,
        ),
        (
            r#"{"key":[{"cidr":"xxxx:db8:1234:1a00::/64"}]}"#,
            "Nonstandard IP address: xxxx:db8:1234:1a00::",
            0,
        ),
        (
            r#"{"key":[{"numeric":[]}]}"#,
            "Invalid member in numeric match: ]",
            22,
        ),
        (
            r#"{"key":[{"numeric":["operator"]}]}"#,
            "Unrecognized numeric range operator: operator",
            32,
        ),
        (
            r#"{"key":[{"numeric":[1,"<="]}]}"#,
            "Invalid member in numeric match: 1",
            22,
        ),
        (
            r#"{"key":[{"numeric":["=","000"]}]}"#,
            "Value of equals must be numeric",
            26,
        ),
        (
            r#"{"key":[{"numeric":[">="]}]}"#,
            "Value of >= must be numeric",
            26,
        ),
        (
            r#"{"key":[{"numeric":["<",100,">",10]}]}"#,
            "Too many elements in numeric expression",
            30,
        ),
        (
            r#"{"key":[{"numeric":[">=",1,">",2]}]}"#,
            "Bad numeric range operator: >",
            31,
        ),
        (
            r#"{"key":[{"numeric":[">",3,"<",1]}]}"#,
            "Bottom must be less than top",
            33,
        ),
        (
            r#"{"key":[{"numeric":[">",20,"<="]}]}"#,
            "Value of <= must be numeric",
            33,
        ),
        (
            r#"{"key":[{"numeric":[">",20,30]}]}"#,
            "Bad value in numeric range: 30",
            30,
        ),
        (
            r#"{"key":[{"numeric":[">",20,"test"]}]}"#,
            "Bad numeric range operator: test",
            34,
        ),
        (
            r#"{"key":[{"numeric":[">","20","<","30"]}]}"#,
            "Value of > must be numeric",
            26,
        ),
        (
            r#"{"key":[{"numeric":[">",20,"<","30"]}]}"#,
            "Value of < must be numeric",
            33,
        ),
        (
            r#"{"key":[{"numeric":[">",20,"<",30,"<",50]}]}"#,
            "Too many terms in numeric range expression",
            36,
        ),
        (
            r#"{"key":[{"exists":null}]}"#,
            "exists match pattern must be either true or false.",
            23,
        ),
        (
            r#"{"key":[{"exists":"no"}]}"#,
            "exists match pattern must be either true or false.",
            20,
        ),
        (
            r#"{"key":[{"anything-but":{"wrong-operator":null}}]}"#,
            "Unsupported anything-but pattern: wrong-operator",
            47,
        ),
        (
            r#"{"key":[{"anything-but":{"suffix":"test"}}]}"#,
            "Unsupported anything-but pattern: suffix",
            36,
        ),
        (
            r#"{"key":[{"anything-but":{"exists":false}}]}"#,
            "Unsupported anything-but pattern: exists",
            40,
        ),
        (
            r#"{"key":[{"anything-but":{"prefix":false}}]}"#,
            "prefix match pattern must be a string",
            40,
        ),
        (
            "{invalidjson}",
            "failed to parse JSON. Unexpected character ('i' (code 105)): was expecting double-quote to start field name",
            2,
        ),
        (
            "invalid-json",
            "failed to parse JSON. Unrecognized token 'invalid': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            8,
        ),
    ] {
        assert_eq!(
            refusal(policy, Scope::Attributes),
            (message.to_owned(), column),
            "{policy}"
        );
    }
}

#[test]
fn a_place_is_told_with_the_policy() {
    let wrong = Policy::compile(r#"{"key":[]}"#, Scope::Body).unwrap_err();
    assert_eq!(
        text_of(wrong),
        "Invalid parameter: FilterPolicy: Empty arrays are not allowed\n at [Source: (String)\"{\"key\":[]}\"; line: 1, column: 10]"
    );
}

#[test]
fn text_that_ends_too_soon_is_refused() {
    for policy in [
        "",
        "{",
        r#"{"a""#,
        r#"{"a":["#,
        r#"{"a":["x"#,
        r#"{"a":[1"#,
        "[]",
        "5",
        r#"{"a":[01]}"#,
        "{}",
        r#"{"a":{}}"#,
    ] {
        assert!(Policy::compile(policy, Scope::Body).is_err(), "{policy}");
    }
    let deep = "{\"a\":".repeat(100);
    assert!(Policy::compile(&deep, Scope::Body).is_err());
}

#[test]
fn complexity_has_a_limit() {
    let values = |n: usize| (0..n).map(|i| format!("v{i}")).collect::<Vec<_>>();
    let complex = "Filter policy is too complex";
    let keys = "Filter policy can not have more than 5 keys";
    for (policy, scope, wanted) in [
        (json!({"k": values(150)}), Scope::Attributes, None),
        (json!({"k": values(151)}), Scope::Attributes, Some(complex)),
        (
            json!({"a": values(100), "b": values(51)}),
            Scope::Attributes,
            Some(complex),
        ),
        (
            json!({"a": ["1"], "b": ["1"], "c": ["1"], "d": ["1"], "e": ["1"], "f": ["1"]}),
            Scope::Attributes,
            Some(keys),
        ),
        // 3 x 4 x 2 x 3 x 1 x 3 = 216
        (
            json!({"a": {"b": {"c": values(4)}}, "d": {"e": values(3)}, "f": values(3)}),
            Scope::Body,
            Some(complex),
        ),
        // 4 x 6 + 4 x 4 x 4 + 4 x 4 x 4 = 152
        (
            json!({"s": values(4), "$or": [{"m": values(6)}, {"t": values(4), "$or": [{"i": values(4)}, {"p": values(4)}]}]}),
            Scope::Attributes,
            Some(complex),
        ),
        // 3 x 6 + 3 x 4 x 4 + 3 x 4 x 7 = 150
        (
            json!({"s": values(3), "$or": [{"m": values(6)}, {"t": values(4), "$or": [{"i": values(4)}, {"p": values(7)}]}]}),
            Scope::Attributes,
            None,
        ),
        // 3 x 4 x 2 + 3 x 4 x 6 + 2 x 4 x 2 + 2 x 4 x 6 = 160
        (
            json!({"$or": [{"m": values(3)}, {"n": values(2)}], "d": {"s": values(2), "$or": [{"u": values(1)}, {"t": values(3)}]}}),
            Scope::Body,
            Some(complex),
        ),
    ] {
        let got = Policy::compile(&policy.to_string(), scope)
            .err()
            .map(text_of);
        let wanted = wanted.map(|text| format!("Invalid parameter: FilterPolicy: {text}"));
        assert_eq!(got, wanted, "{policy}");
    }
}

#[test]
fn nested_policies_are_for_bodies() {
    let policy = r#"{"object":{"key":[{"prefix":"auto-"}]}}"#;
    assert_eq!(
        text_of(Policy::compile(policy, Scope::Attributes).unwrap_err()),
        "Invalid parameter: Filter policy scope MessageAttributes does not support nested filter policy"
    );
    assert!(Policy::compile(policy, Scope::Body).is_ok());
}

fn body_matches(policy: &Value, body: &Value) -> bool {
    let policy = Policy::compile(&policy.to_string(), Scope::Body).unwrap();
    Fields::of_body(&body.to_string()).is_some_and(|fields| policy.matches(&fields))
}

#[test]
fn operators_match_bodies() {
    for (condition, good, bad) in [
        (
            json!("rugby"),
            vec![json!("rugby"), json!(["x", "rugby"])],
            vec![json!("Rugby"), json!(null), json!([])],
        ),
        (
            json!(null),
            vec![json!(null)],
            vec![json!("null"), json!(0)],
        ),
        (
            json!(true),
            vec![json!(true)],
            vec![json!(false), json!("true")],
        ),
        (
            json!(301.5),
            vec![json!(301.5)],
            vec![json!(301), json!("301.5")],
        ),
        (
            json!({"prefix": "bas"}),
            vec![json!("baseball")],
            vec![json!("rugby"), json!(1)],
        ),
        (
            json!({"suffix": "ball"}),
            vec![json!("baseball")],
            vec![json!("balls")],
        ),
        (
            json!({"equals-ignore-case": "tennis"}),
            vec![json!("TENnis")],
            vec![json!("tennis ")],
        ),
        (
            json!({"anything-but": ["rugby", "tennis"]}),
            vec![json!("baseball"), json!(["rugby", "baseball"])],
            vec![json!("rugby"), json!(["tennis", "rugby"])],
        ),
        (
            json!({"anything-but": 100}),
            vec![json!(101), json!("100")],
            vec![json!(100)],
        ),
        (
            json!({"anything-but": {"prefix": "order-"}}),
            vec![json!("data")],
            vec![json!("order-1"), json!(1)],
        ),
        (
            json!({"numeric": ["=", 3.015e2]}),
            vec![json!(301.5)],
            vec![json!(301), json!("301.5")],
        ),
        (
            json!({"numeric": [">", 0, "<=", 100]}),
            vec![json!(0.1), json!(100)],
            vec![json!(0), json!(100.1)],
        ),
        (
            json!({"numeric": ["<", 0]}),
            vec![json!(-1)],
            vec![json!(0)],
        ),
        (
            json!({"cidr": "10.0.0.0/24"}),
            vec![json!("10.0.0.255")],
            vec![json!("10.0.1.0"), json!("10.0.0.256"), json!("::1")],
        ),
        (
            json!({"cidr": "2001:db8:1234:1a00::/64"}),
            vec![json!("2001:0db8:1234:1a00::7")],
            vec![json!("2001:db8:123f:1a01::")],
        ),
        (
            json!({"cidr": "0.0.0.0/0"}),
            vec![json!("1.2.3.4")],
            vec![json!("::1")],
        ),
        (
            json!({"exists": true}),
            vec![json!("x"), json!(null)],
            vec![json!([]), json!({"deeper": 1})],
        ),
    ] {
        let policy = json!({"k": [condition]});
        for value in good {
            assert!(
                body_matches(&policy, &json!({"k": value})),
                "{policy} {value}"
            );
        }
        for value in bad {
            assert!(
                !body_matches(&policy, &json!({"k": value})),
                "{policy} {value}"
            );
        }
        assert!(!body_matches(&policy, &json!({"other": 1})), "{policy}");
    }
    let absent = json!({"k": [{"exists": false}], "j": ["x"]});
    assert!(body_matches(&absent, &json!({"j": "x"})));
    assert!(body_matches(&absent, &json!({"j": "x", "k": []})));
    assert!(!body_matches(&absent, &json!({"j": "x", "k": 1})));
}

#[test]
fn keys_are_joined_by_and_nesting_and_dots_are_the_same() {
    let policy = json!({
        "object": {"key": [{"prefix": "auto-"}, "hard"], "nested_key": [{"exists": false}]},
        "test": [{"exists": false}],
    });
    for (body, is_match) in [
        (json!({"object": {"key": "auto-test"}}), true),
        (json!({"object": {"key": "hard"}}), true),
        (json!({"object": {"key": "test-auto"}}), false),
        (json!({"object": {"key": "auto-test"}, "test": "x"}), false),
        (
            json!({"object": {"key": "auto-test", "nested_key": "x"}}),
            false,
        ),
        (json!({"object": {"test": "auto-test"}}), false),
        (json!("a text"), false),
    ] {
        assert_eq!(body_matches(&policy, &body), is_match, "{body}");
    }
    let dotted = json!({"object.nested.test": ["v"]});
    for body in [
        json!({"object": {"nested": {"test": "v"}}}),
        json!({"object.nested.test": "v"}),
        json!({"object.nested": {"test": "v"}}),
        json!({"object": {"nested.test": "v"}}),
    ] {
        assert!(body_matches(&dotted, &body), "{body}");
    }
}

#[test]
fn values_of_different_elements_do_not_add_up() {
    let policy = json!({"Records": {
        "s3": {"object": {"key": [{"prefix": "auto-"}]}},
        "eventName": [{"prefix": "ObjectCreated:"}],
    }});
    let record =
        |event: &str, key: &str| json!({"eventName": event, "s3": {"object": [[{"key": key}]]}});
    let good = record("ObjectCreated:Put", "auto-1");
    let other = record("ObjectRemoved:Delete", "home-1");
    assert!(body_matches(&policy, &json!({"Records": [good, other]})));
    let halves = [
        record("ObjectCreated:Put", "home-1"),
        record("ObjectRemoved:Delete", "auto-1"),
    ];
    assert!(!body_matches(&policy, &json!({"Records": halves})));
}

#[test]
fn or_takes_one_of_its_alternatives() {
    let policy = json!({
        "$or": [{"metricName": ["CPUUtilization", "ReadLatency"]}, {"namespace": ["AWS/EC2"]}],
        "detail": {"scope": ["Service"], "$or": [{"source": ["aws.cloudwatch"]}, {"type": ["Change"]}]},
    });
    for (body, is_match) in [
        (
            json!({"metricName": "CPUUtilization", "detail": {"scope": "Service", "source": "aws.cloudwatch"}}),
            true,
        ),
        (
            json!({"namespace": "AWS/EC2", "detail": {"scope": "Service", "type": "Change"}}),
            true,
        ),
        (
            json!({"metricName": "CPUUtilization", "detail": {"scope": "Service"}}),
            false,
        ),
        (
            json!({"detail": {"scope": "Service", "source": "aws.cloudwatch"}}),
            false,
        ),
    ] {
        assert_eq!(body_matches(&policy, &body), is_match, "{body}");
    }
}

#[test]
fn attributes_match_by_their_type() {
    let attribute = |kind: &str, text: &str| Attribute {
        kind: kind.to_owned(),
        value: AttributeValue::Text(text.to_owned()),
    };
    let numeric = json!([{"numeric": [">", 0, "<=", 100]}]);
    for (conditions, attribute, is_match) in [
        (numeric.clone(), attribute("Number", "99.12"), true),
        (numeric.clone(), attribute("Number", "111"), false),
        (numeric, attribute("String", "99"), false),
        (json!(["value1"]), attribute("String", "value1"), true),
        (
            json!(["value1"]),
            attribute("String.Array", r#"["value1"]"#),
            true,
        ),
        (
            json!(["value1"]),
            attribute("String.Array", r#"["value2"]"#),
            false,
        ),
        (
            json!([{"anything-but": ["rugby"]}]),
            attribute("String.Array", r#"["rugby","x"]"#),
            true,
        ),
        (
            json!([null, {"anything-but": "whatever"}]),
            attribute("String", "whatever"),
            false,
        ),
        (json!([{"exists": true}]), attribute("Number", "99"), true),
        (json!([{"exists": false}]), attribute("Number", "99"), false),
    ] {
        let policy = json!({"a": conditions}).to_string();
        let policy = Policy::compile(&policy, Scope::Attributes).unwrap();
        let all = [("a".to_owned(), attribute)];
        assert_eq!(
            policy.matches(&Fields::of_attributes(&all)),
            is_match,
            "{all:?}"
        );
    }
    let absent =
        Policy::compile(r#"{"a":[null,{"anything-but":"x"}]}"#, Scope::Attributes).unwrap();
    assert!(!absent.matches(&Fields::of_attributes(&[])));
}
