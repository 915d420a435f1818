use super::*;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

fn user(account: &str) -> Caller {
    Caller::Identity {
        account: account.to_owned(),
        arn: format!("arn:aws:iam::{account}:user/u"),
    }
}

fn decide(statements: &str, caller: &Caller, action: &str, keys: &Keys) -> Verdict {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    Policy::parse(&text).unwrap().decide(&Request {
        caller,
        action,
        resource: FUNCTION,
        keys,
    })
}

const ALLOW: &str =
    r#"{"Effect":"Allow","Principal":"*","Action":"lambda:Invoke*","Resource":"*"}"#;

#[test]
fn a_denial_wins_wherever_it_stands() {
    let deny = r#"{"Effect":"Deny","Principal":{"AWS":"111111111111"},"NotAction":"lambda:Get*","Resource":"*"}"#;
    let (them, us) = (user("111111111111"), user("000000000000"));
    let keys = Keys::new();
    for both in [format!("{ALLOW},{deny}"), format!("{deny},{ALLOW}")] {
        for (caller, action, expected) in [
            (&them, "lambda:InvokeFunction", Verdict::Deny),
            (&us, "lambda:InvokeFunction", Verdict::Allow),
            (&us, "LAMBDA:invokefunction", Verdict::Allow),
            (&them, "lambda:GetFunction", Verdict::Silent),
            (&us, "lambda:DeleteFunction", Verdict::Silent),
        ] {
            assert_eq!(
                decide(&both, caller, action, &keys),
                expected,
                "{caller:?} {action}"
            );
        }
    }
}

#[test]
fn a_statement_is_about_its_resources_only() {
    let other = r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:lambda:us-east-1:000000000000:function:g"}"#;
    let all_but = other.replace("\"Resource\"", "\"NotResource\"");
    let unsaid = r#"{"Effect":"Allow","Principal":"*","Action":"*"}"#;
    let (me, keys) = (user("000000000000"), Keys::new());
    for (statement, expected) in [
        (other, Verdict::Silent),
        (all_but.as_str(), Verdict::Allow),
        (unsaid, Verdict::Allow),
        (
            &ALLOW.replace("\"*\"}", "\"arn:aws:lambda:*:*:function:?\"}"),
            Verdict::Allow,
        ),
    ] {
        assert_eq!(
            decide(statement, &me, "lambda:InvokeFunction", &keys),
            expected,
            "{statement}"
        );
    }
}

#[test]
fn every_operator_compares_as_aws_says() {
    let keys = Keys::new()
        .with("aws:SourceArn", "arn:aws:s3:::bucket")
        .with("aws:SourceAccount", "000000000000")
        .with("aws:PrincipalOrgID", "o-abc")
        .with("lambda:FunctionUrlAuthType", "NONE")
        .with("lambda:InvokedViaFunctionUrl", "true")
        .with("s3:max-keys", "10")
        .with("aws:CurrentTime", "2026-11-21T04:48:08Z")
        .with("aws:SourceIp", "10.1.2.3")
        .with("aws:TagKeys", "a")
        .with("aws:TagKeys", "b");
    let cases = [
        (
            r#""StringEquals":{"aws:SourceAccount":"000000000000"}"#,
            true,
        ),
        (
            r#""StringEquals":{"AWS:SourceAccount":["1","000000000000"]}"#,
            true,
        ),
        (r#""StringEquals":{"aws:PrincipalOrgID":"o-*"}"#, false),
        (r#""StringEquals":{"aws:PrincipalOrgID":"O-ABC"}"#, false),
        (
            r#""StringEqualsIgnoreCase":{"aws:PrincipalOrgID":"O-ABC"}"#,
            true,
        ),
        (
            r#""StringNotEquals":{"aws:PrincipalOrgID":["x","o-abc"]}"#,
            false,
        ),
        (
            r#""StringNotEquals":{"aws:PrincipalOrgID":["x","y"]}"#,
            true,
        ),
        (r#""StringLike":{"aws:PrincipalOrgID":"o-?b*"}"#, true),
        (r#""StringNotLike":{"aws:PrincipalOrgID":"o-*"}"#, false),
        (r#""ArnLike":{"aws:SourceArn":"arn:aws:s3:::buck*"}"#, true),
        (
            r#""ArnEquals":{"aws:SourceArn":"arn:*:s3:*:*:bucket"}"#,
            true,
        ),
        (
            r#""ArnNotLike":{"aws:SourceArn":"arn:aws:s3:::buck*"}"#,
            false,
        ),
        (r#""ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:*"}"#, false),
        (r#""Bool":{"lambda:InvokedViaFunctionUrl":true}"#, true),
        (r#""Bool":{"lambda:InvokedViaFunctionUrl":"false"}"#, false),
        (r#""NumericLessThanEquals":{"s3:max-keys":10}"#, true),
        (r#""NumericLessThan":{"s3:max-keys":"10"}"#, false),
        (r#""NumericGreaterThan":{"s3:max-keys":"9.5"}"#, true),
        (r#""NumericNotEquals":{"s3:max-keys":"10.0"}"#, false),
        (
            r#""DateGreaterThan":{"aws:CurrentTime":"2026-11-20T00:00:00Z"}"#,
            true,
        ),
        (r#""DateLessThan":{"aws:CurrentTime":"2026-11-21"}"#, false),
        (
            r#""IpAddress":{"aws:SourceIp":["192.168.0.0/16","10.0.0.0/8"]}"#,
            true,
        ),
        (r#""NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, false),
        (r#""Null":{"aws:SourceArn":"false"}"#, true),
        (r#""Null":{"aws:Gone":true}"#, true),
        (r#""Null":{"aws:SourceArn":"true"}"#, false),
        // A key that is not there.
        (r#""StringEquals":{"aws:Gone":"x"}"#, false),
        (r#""StringEqualsIfExists":{"aws:Gone":"x"}"#, true),
        (
            r#""StringEqualsIfExists":{"aws:PrincipalOrgID":"x"}"#,
            false,
        ),
        (r#""StringNotEquals":{"aws:Gone":"x"}"#, true),
        (r#""NotIpAddress":{"aws:Gone":"10.0.0.0/8"}"#, true),
        (r#""NumericLessThan":{"aws:Gone":"10"}"#, false),
        // Keys with several values.
        (
            r#""ForAnyValue:StringEquals":{"aws:TagKeys":["b","c"]}"#,
            true,
        ),
        (r#""ForAnyValue:StringEquals":{"aws:TagKeys":"c"}"#, false),
        (r#""ForAnyValue:StringEquals":{"aws:Gone":"c"}"#, false),
        (
            r#""ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}"#,
            true,
        ),
        (
            r#""ForAllValues:StringEquals":{"aws:TagKeys":["a"]}"#,
            false,
        ),
        (r#""ForAllValues:StringEquals":{"aws:Gone":["a"]}"#, true),
        (
            r#""ForAllValues:StringNotEquals":{"aws:TagKeys":["c"]}"#,
            true,
        ),
        // Several operators and keys: all must hold.
        (
            r#""StringEquals":{"aws:SourceAccount":"000000000000","aws:PrincipalOrgID":"o-abc"}"#,
            true,
        ),
        (
            r#""StringEquals":{"aws:SourceAccount":"000000000000","aws:PrincipalOrgID":"o-x"}"#,
            false,
        ),
        (
            r#""Bool":{"lambda:InvokedViaFunctionUrl":"true"},"Null":{"aws:SourceArn":"true"}"#,
            false,
        ),
        (
            r#""StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}"#,
            true,
        ),
        (
            r#""StringEquals":{"aws:SourceAccount":"${aws:SourceAccount}"}"#,
            true,
        ),
    ];
    for (condition, expected) in cases {
        let statement = ALLOW.replace("\"*\"}", &format!("\"*\",\"Condition\":{{{condition}}}}}"));
        let found = decide(
            &statement,
            &Caller::Anonymous,
            "lambda:InvokeFunctionUrl",
            &keys,
        );
        assert_eq!(found == Verdict::Allow, expected, "{condition}");
    }
}

#[test]
fn what_cannot_be_understood_is_no_policy() {
    for bad in [
        "",
        "[]",
        r#"{"Statement":[{"Effect":"Maybe","Action":"*"}]}"#,
        r#"{"Statement":[{"Effect":"Allow"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Action":"*","Principal":"x"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Action":"*","NotAction":"*"}]}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Condition":{"StringIs":{"a":"b"}}}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Condition":{"Bool":"b"}}}"#,
    ] {
        assert!(Policy::parse(bad).is_err(), "{bad}");
    }
}
