use crate::harness::{ALLOW, BASIC, Iam};

#[tokio::test]
async fn what_was_answered_is_there_after_a_power_loss() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let arn = iam.policy("p").await;
    let role = ("RoleName", "r");
    iam.ok("AttachRolePolicy", &[role, ("PolicyArn", &arn)])
        .await;
    iam.ok("AttachRolePolicy", &[role, ("PolicyArn", BASIC)])
        .await;
    iam.ok(
        "PutRolePolicy",
        &[role, ("PolicyName", "in"), ("PolicyDocument", ALLOW)],
    )
    .await;
    iam.ok("DetachRolePolicy", &[role, ("PolicyArn", BASIC)])
        .await;

    let again = Iam::after(iam.crash()).await;
    let attached = again.ok("ListAttachedRolePolicies", &[role]).await;
    assert_eq!(attached.text("PolicyArn"), arn);
    let entities = again
        .ok("ListEntitiesForPolicy", &[("PolicyArn", &arn)])
        .await;
    assert_eq!(entities.texts("RoleName"), ["r"]);
    let inline = again
        .ok("GetRolePolicy", &[role, ("PolicyName", "in")])
        .await;
    assert_eq!(inline.decoded("PolicyDocument"), ALLOW);
}

#[tokio::test]
async fn operations_that_are_not_built_say_so() {
    let iam = Iam::new().await;
    let answer = iam.call("CreateGroup", &[("GroupName", "g")]).await;
    assert!(answer.status >= 400, "{}", answer.xml);
    assert!(!answer.text("Code").is_empty());
}
