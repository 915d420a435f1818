use crate::harness::{ALLOW, BASIC, Iam};

const DENY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

#[tokio::test]
async fn a_policy_is_created_read_and_deleted() {
    let iam = Iam::new().await;
    let created = iam
        .ok(
            "CreatePolicy",
            &[
                ("PolicyName", "p"),
                ("Path", "/team/"),
                ("Description", "d"),
                ("PolicyDocument", ALLOW),
            ],
        )
        .await;
    let arn = created.text("Arn");
    assert_eq!(arn, "arn:aws:iam::000000000000:policy/team/p");
    assert_eq!(created.text("DefaultVersionId"), "v1");
    assert!(created.text("PolicyId").starts_with("ANPA"));
    assert!(!created.has("Description"));
    let got = iam.ok("GetPolicy", &[("PolicyArn", &arn)]).await;
    assert_eq!(got.text("Description"), "d");
    assert_eq!(got.text("AttachmentCount"), "0");
    assert_eq!(got.text("IsAttachable"), "true");
    iam.refused(
        "CreatePolicy",
        &[("PolicyName", "p"), ("PolicyDocument", ALLOW)],
        (
            409,
            "EntityAlreadyExists",
            "A policy called p already exists. Duplicate names are not allowed.",
        ),
    )
    .await;
    iam.ok("DeletePolicy", &[("PolicyArn", &arn)]).await;
    let gone = format!("Policy {arn} was not found.");
    let absent = (404, "NoSuchEntity", gone.as_str());
    iam.refused("GetPolicy", &[("PolicyArn", &arn)], absent)
        .await;
    iam.refused("DeletePolicy", &[("PolicyArn", &arn)], absent)
        .await;
}

#[tokio::test]
async fn five_versions_are_kept_and_the_default_one_stays() {
    let iam = Iam::new().await;
    let arn = iam.policy("p").await;
    let policy = ("PolicyArn", arn.as_str());
    for n in 2..=5 {
        let made = iam
            .ok("CreatePolicyVersion", &[policy, ("PolicyDocument", DENY)])
            .await;
        assert_eq!(made.text("VersionId"), format!("v{n}"));
        assert_eq!(made.text("IsDefaultVersion"), "false");
    }
    iam.refused(
        "CreatePolicyVersion",
        &[policy, ("PolicyDocument", DENY)],
        (
            409,
            "LimitExceeded",
            "A managed policy can have up to 5 versions. Before you create a new version, you must \
             delete an existing version.",
        ),
    )
    .await;
    iam.ok("SetDefaultPolicyVersion", &[policy, ("VersionId", "v3")])
        .await;
    iam.refused(
        "DeletePolicyVersion",
        &[policy, ("VersionId", "v3")],
        (
            409,
            "DeleteConflict",
            "Cannot delete the default version of a policy.",
        ),
    )
    .await;
    iam.ok("DeletePolicyVersion", &[policy, ("VersionId", "v5")])
        .await;
    let made = iam
        .ok(
            "CreatePolicyVersion",
            &[policy, ("PolicyDocument", ALLOW), ("SetAsDefault", "true")],
        )
        .await;
    assert_eq!(made.text("VersionId"), "v6", "numbers are not used again");
    let listed = iam.ok("ListPolicyVersions", &[policy]).await;
    assert_eq!(listed.texts("VersionId"), ["v6", "v4", "v3", "v2", "v1"]);
    assert_eq!(
        listed.texts("IsDefaultVersion"),
        ["true", "false", "false", "false", "false"]
    );
    let got = iam
        .ok("GetPolicyVersion", &[policy, ("VersionId", "v2")])
        .await;
    assert_eq!(got.decoded("Document"), DENY);
    let missing = format!("Policy {arn} version v5 does not exist or is not attachable.");
    iam.refused(
        "GetPolicyVersion",
        &[policy, ("VersionId", "v5")],
        (404, "NoSuchEntity", &missing),
    )
    .await;
    iam.refused(
        "DeletePolicy",
        &[policy],
        (
            409,
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete \
             the policy's versions. The default version is deleted with the policy.",
        ),
    )
    .await;
}

#[tokio::test]
async fn attachments_are_seen_from_both_sides() {
    let iam = Iam::new().await;
    let arn = iam.policy("p").await;
    for role in ["r1", "r2"] {
        iam.role(role).await;
        for policy in [arn.as_str(), BASIC, BASIC] {
            iam.ok(
                "AttachRolePolicy",
                &[("RoleName", role), ("PolicyArn", policy)],
            )
            .await;
        }
    }
    let of_role = iam
        .ok("ListAttachedRolePolicies", &[("RoleName", "r1")])
        .await;
    assert_eq!(
        of_role.texts("PolicyName"),
        ["p", "AWSLambdaBasicExecutionRole"]
    );
    let service = iam
        .ok(
            "ListAttachedRolePolicies",
            &[("RoleName", "r1"), ("PathPrefix", "/service-role/")],
        )
        .await;
    assert_eq!(service.texts("PolicyArn"), [BASIC]);
    let of_policy = iam
        .ok("ListEntitiesForPolicy", &[("PolicyArn", BASIC)])
        .await;
    assert_eq!(of_policy.texts("RoleName"), ["r1", "r2"]);
    let got = iam.ok("GetPolicy", &[("PolicyArn", &arn)]).await;
    assert_eq!(got.text("AttachmentCount"), "2");

    let detach = [("RoleName", "r1"), ("PolicyArn", arn.as_str())];
    iam.ok("DetachRolePolicy", &detach).await;
    let gone = format!("Policy {arn} was not found.");
    iam.refused("DetachRolePolicy", &detach, (404, "NoSuchEntity", &gone))
        .await;
    let got = iam.ok("GetPolicy", &[("PolicyArn", &arn)]).await;
    assert_eq!(got.text("AttachmentCount"), "1");
    iam.refused(
        "DeletePolicy",
        &[("PolicyArn", &arn)],
        (
            409,
            "DeleteConflict",
            "Cannot delete a policy attached to entities.",
        ),
    )
    .await;
}

#[tokio::test]
async fn only_policies_that_exist_are_attached_and_ten_at_most() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let role = ("RoleName", "r");
    iam.refused(
        "AttachRolePolicy",
        &[role, ("PolicyArn", "not-an-arn-but-long-enough")],
        (400, "ValidationError", "Invalid ARN:  Could not be parsed!"),
    )
    .await;
    iam.refused(
        "AttachRolePolicy",
        &[role, ("PolicyArn", "arn:aws:iam::000000000000:policy/none")],
        (
            404,
            "NoSuchEntity",
            "Policy arn:aws:iam::000000000000:policy/none does not exist or is not attachable.",
        ),
    )
    .await;
    for n in 0..10 {
        let arn = iam.policy(&format!("p{n}")).await;
        iam.ok("AttachRolePolicy", &[role, ("PolicyArn", &arn)])
            .await;
    }
    iam.refused(
        "AttachRolePolicy",
        &[role, ("PolicyArn", BASIC)],
        (
            409,
            "LimitExceeded",
            "Cannot exceed quota for PoliciesPerRole: 10",
        ),
    )
    .await;
}

#[tokio::test]
async fn the_policies_of_aws_are_there_and_stay_as_they_are() {
    let iam = Iam::new().await;
    let listed = iam.ok("ListPolicies", &[("Scope", "AWS")]).await;
    let names = listed.texts("PolicyName");
    for name in [
        "AWSLambdaBasicExecutionRole",
        "AWSLambdaKinesisExecutionRole",
        "AWSLambdaDynamoDBExecutionRole",
        "AWSLambdaSQSQueueExecutionRole",
        "AWSLambdaVPCAccessExecutionRole",
        "AWSXRayDaemonWriteAccess",
        "AWSLambdaMSKExecutionRole",
        "AWSLambdaRole",
        "AWSLambda_FullAccess",
        "AWSLambda_ReadOnlyAccess",
        "AWSLambdaBasicDurableExecutionRolePolicy",
    ] {
        assert!(names.iter().any(|n| n == name), "{name}");
    }
    let got = iam.ok("GetPolicy", &[("PolicyArn", BASIC)]).await;
    assert_eq!(got.text("PolicyId"), "ANPAJNCQGXC42545SKXIK");
    assert_eq!(got.text("CreateDate"), "2015-04-09T15:03:43Z");
    let version = iam
        .ok(
            "GetPolicyVersion",
            &[("PolicyArn", BASIC), ("VersionId", "v1")],
        )
        .await;
    assert!(version.decoded("Document").contains("logs:PutLogEvents"));
    for (action, more) in [
        ("DeletePolicy", ("Unused", "x")),
        ("CreatePolicyVersion", ("PolicyDocument", ALLOW)),
        ("SetDefaultPolicyVersion", ("VersionId", "v1")),
    ] {
        iam.refused(
            action,
            &[("PolicyArn", BASIC), more],
            (403, "AccessDenied", "Policy is outside your own account."),
        )
        .await;
    }
}

#[tokio::test]
async fn the_list_of_policies_keeps_to_its_filters() {
    let iam = Iam::new().await;
    let arn = iam.policy("mine").await;
    iam.role("r").await;
    iam.ok(
        "AttachRolePolicy",
        &[("RoleName", "r"), ("PolicyArn", BASIC)],
    )
    .await;
    let local = iam.ok("ListPolicies", &[("Scope", "Local")]).await;
    assert_eq!(local.texts("Arn"), [arn]);
    let used = iam.ok("ListPolicies", &[("OnlyAttached", "true")]).await;
    assert_eq!(used.texts("Arn"), [BASIC]);
    assert_eq!(used.text("AttachmentCount"), "1");
    let first = iam.ok("ListPolicies", &[("MaxItems", "5")]).await;
    assert_eq!(first.texts("Arn").len(), 5);
    let marker = first.text("Marker");
    let rest = iam.ok("ListPolicies", &[("Marker", &marker)]).await;
    assert_eq!(rest.texts("Arn").len(), 9);
    iam.refused(
        "ListPolicies",
        &[("Scope", "Mine")],
        (
            400,
            "ValidationError",
            "1 validation error detected: Value 'Mine' at 'scope' failed to satisfy constraint: \
             Member must satisfy enum value set: [All, AWS, Local]",
        ),
    )
    .await;
}
