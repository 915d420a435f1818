use crate::harness::{ALLOW, Iam, TRUST};

#[tokio::test]
async fn a_document_that_breaks_the_grammar_is_refused_everywhere() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let arn = iam.policy("p").await;
    let role = ("RoleName", "r");
    let syntax = (400, "MalformedPolicyDocument", "Syntax errors in policy.");
    let bad = ("PolicyDocument", "{");
    iam.refused("PutRolePolicy", &[role, ("PolicyName", "x"), bad], syntax)
        .await;
    iam.refused("CreatePolicy", &[("PolicyName", "x"), bad], syntax)
        .await;
    iam.refused("CreatePolicyVersion", &[("PolicyArn", &arn), bad], syntax)
        .await;
    let json = (
        400,
        "MalformedPolicyDocument",
        "This policy contains invalid Json",
    );
    iam.refused("UpdateAssumeRolePolicy", &[role, bad], json)
        .await;
    iam.refused(
        "CreateRole",
        &[("RoleName", "x"), ("AssumeRolePolicyDocument", "{")],
        json,
    )
    .await;
    let resource = TRUST.replace("\"Action\"", "\"Resource\":\"*\",\"Action\"");
    iam.refused(
        "UpdateAssumeRolePolicy",
        &[role, ("PolicyDocument", &resource)],
        (
            400,
            "MalformedPolicyDocument",
            "Has prohibited field Resource",
        ),
    )
    .await;
}

#[tokio::test]
async fn documents_have_their_quotas() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let long = |chars: usize| ALLOW.replace("s3:GetObject", &format!("s3:{}", "x".repeat(chars)));
    iam.refused(
        "CreatePolicy",
        &[("PolicyName", "p"), ("PolicyDocument", &long(6_144))],
        (
            409,
            "LimitExceeded",
            "Cannot exceed quota for PolicySize: 6144",
        ),
    )
    .await;
    for (name, ok) in [("a", true), ("b", false)] {
        let members = [
            ("RoleName", "r"),
            ("PolicyName", name),
            ("PolicyDocument", &long(6_000)),
        ];
        let answer = iam.call("PutRolePolicy", &members).await;
        assert_eq!(answer.status == 200, ok, "{}", answer.xml);
    }
    let listed = iam.ok("ListRolePolicies", &[("RoleName", "r")]).await;
    assert_eq!(listed.texts("member"), ["a"]);
}
