use crate::harness::{ALLOW, BASIC, Iam, TRUST};

#[tokio::test]
async fn a_role_is_created_read_listed_and_deleted() {
    let iam = Iam::new().await;
    let created = iam
        .ok(
            "CreateRole",
            &[
                ("RoleName", "r"),
                ("Path", "/service-role/"),
                ("Description", "what it is for"),
                ("AssumeRolePolicyDocument", TRUST),
                ("Tags.member.1.Key", "team"),
                ("Tags.member.1.Value", "a"),
            ],
        )
        .await;
    assert_eq!(
        created.text("Arn"),
        "arn:aws:iam::000000000000:role/service-role/r"
    );
    let id = created.text("RoleId");
    assert!(id.starts_with("AROA") && id.len() == 21, "{id}");
    assert_eq!(created.text("CreateDate"), "2023-11-14T22:13:20Z");
    assert_eq!(created.decoded("AssumeRolePolicyDocument"), TRUST);
    assert!(!created.has("MaxSessionDuration") && !created.has("RoleLastUsed"));

    let got = iam.ok("GetRole", &[("RoleName", "r")]).await;
    assert_eq!(got.text("RoleId"), id);
    assert_eq!(got.text("MaxSessionDuration"), "3600");
    assert_eq!(got.text("Key"), "team");
    assert!(got.has("RoleLastUsed"));

    let listed = iam.ok("ListRoles", &[]).await;
    assert_eq!(listed.texts("RoleName"), ["r"]);
    assert_eq!(listed.text("IsTruncated"), "false");
    assert!(!listed.has("Tags") && !listed.has("RoleLastUsed"));

    iam.ok("DeleteRole", &[("RoleName", "r")]).await;
    iam.refused(
        "GetRole",
        &[("RoleName", "r")],
        (404, "NoSuchEntity", "The role with name r cannot be found."),
    )
    .await;
}

#[tokio::test]
async fn a_name_is_taken_whatever_its_case() {
    let iam = Iam::new().await;
    iam.role("Role").await;
    iam.refused(
        "CreateRole",
        &[("RoleName", "ROLE"), ("AssumeRolePolicyDocument", TRUST)],
        (
            409,
            "EntityAlreadyExists",
            "Role with name ROLE already exists.",
        ),
    )
    .await;
}

#[tokio::test]
async fn what_breaks_a_constraint_is_refused_and_nothing_is_stored() {
    let iam = Iam::new().await;
    for (members, status, code, message) in [
        (
            vec![("RoleName", "a b")],
            400,
            "ValidationError",
            "The specified value for roleName is invalid. It must contain only alphanumeric \
             characters and/or the following: +=,.@_-",
        ),
        (
            vec![("RoleName", "r"), ("Path", "no-slash")],
            400,
            "ValidationError",
            "The specified value for path is invalid. It must begin and end with / and contain \
             only alphanumeric characters and/or / characters.",
        ),
        (
            vec![("RoleName", "r"), ("MaxSessionDuration", "60")],
            400,
            "ValidationError",
            "1 validation error detected: Value '60' at 'maxSessionDuration' failed to satisfy \
             constraint: Member must have value greater than or equal to 3600",
        ),
        (
            vec![
                ("RoleName", "r"),
                ("PermissionsBoundary", "arn:aws:iam::aws:policy/Nothing"),
            ],
            404,
            "NoSuchEntity",
            "Policy arn:aws:iam::aws:policy/Nothing does not exist or is not attachable.",
        ),
    ] {
        let all: Vec<_> = members
            .into_iter()
            .chain([("AssumeRolePolicyDocument", TRUST)])
            .collect();
        iam.refused("CreateRole", &all, (status, code, message))
            .await;
    }
    assert!(iam.ok("ListRoles", &[]).await.texts("RoleName").is_empty());
}

#[tokio::test]
async fn roles_are_listed_page_by_page_under_a_path() {
    let iam = Iam::new().await;
    for (name, path) in [("c", "/x/"), ("a", "/x/"), ("b", "/y/"), ("d", "/x/z/")] {
        iam.ok(
            "CreateRole",
            &[
                ("RoleName", name),
                ("Path", path),
                ("AssumeRolePolicyDocument", TRUST),
            ],
        )
        .await;
    }
    let first = iam
        .ok("ListRoles", &[("PathPrefix", "/x/"), ("MaxItems", "2")])
        .await;
    assert_eq!(first.texts("RoleName"), ["a", "c"]);
    assert_eq!(first.text("IsTruncated"), "true");
    let rest = iam
        .ok(
            "ListRoles",
            &[("PathPrefix", "/x/"), ("Marker", &first.text("Marker"))],
        )
        .await;
    assert_eq!(rest.texts("RoleName"), ["d"]);
    assert_eq!(rest.text("IsTruncated"), "false");
    assert!(!rest.has("Marker"));
}

#[tokio::test]
async fn a_role_with_policies_does_not_go() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let role = ("RoleName", "r");
    iam.ok("AttachRolePolicy", &[role, ("PolicyArn", BASIC)])
        .await;
    let conflict = |message| (409, "DeleteConflict", message);
    let attached = conflict("Cannot delete entity, must detach all policies first.");
    iam.refused("DeleteRole", &[role], attached).await;
    iam.ok("DetachRolePolicy", &[role, ("PolicyArn", BASIC)])
        .await;
    iam.ok(
        "PutRolePolicy",
        &[role, ("PolicyName", "p"), ("PolicyDocument", ALLOW)],
    )
    .await;
    let inline = conflict("Cannot delete entity, must delete policies first.");
    iam.refused("DeleteRole", &[role], inline).await;
    iam.ok("DeleteRolePolicy", &[role, ("PolicyName", "p")])
        .await;
    iam.ok("DeleteRole", &[role]).await;
}

#[tokio::test]
async fn updates_change_what_they_name_and_nothing_else() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let role = ("RoleName", "r");
    iam.ok("UpdateRole", &[role, ("MaxSessionDuration", "7200")])
        .await;
    iam.ok("UpdateRoleDescription", &[role, ("Description", "new")])
        .await;
    let other = TRUST.replace("lambda.amazonaws.com", "events.amazonaws.com");
    iam.ok(
        "UpdateAssumeRolePolicy",
        &[role, ("PolicyDocument", &other)],
    )
    .await;
    let got = iam.ok("GetRole", &[role]).await;
    assert_eq!(got.text("MaxSessionDuration"), "7200");
    assert_eq!(got.text("Description"), "new");
    assert_eq!(got.decoded("AssumeRolePolicyDocument"), other);
}

#[tokio::test]
async fn inline_policies_come_back_as_they_were_written() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let role = ("RoleName", "r");
    for name in ["b", "a"] {
        iam.ok(
            "PutRolePolicy",
            &[role, ("PolicyName", name), ("PolicyDocument", ALLOW)],
        )
        .await;
    }
    let listed = iam.ok("ListRolePolicies", &[role]).await;
    assert_eq!(listed.texts("member"), ["a", "b"]);
    let got = iam.ok("GetRolePolicy", &[role, ("PolicyName", "a")]).await;
    assert_eq!(got.decoded("PolicyDocument"), ALLOW);
    assert!(!got.text("PolicyDocument").contains('{'));
    iam.refused(
        "GetRolePolicy",
        &[role, ("PolicyName", "c")],
        (
            404,
            "NoSuchEntity",
            "The role policy with name c cannot be found.",
        ),
    )
    .await;
}

#[tokio::test]
async fn a_boundary_is_set_shown_and_taken_away() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let role = ("RoleName", "r");
    let arn = iam.policy("limit").await;
    iam.ok(
        "PutRolePermissionsBoundary",
        &[role, ("PermissionsBoundary", &arn)],
    )
    .await;
    let got = iam.ok("GetRole", &[role]).await;
    assert_eq!(got.text("PermissionsBoundaryArn"), arn);
    assert_eq!(got.text("PermissionsBoundaryType"), "Policy");
    let policy = iam.ok("GetPolicy", &[("PolicyArn", &arn)]).await;
    assert_eq!(policy.text("PermissionsBoundaryUsageCount"), "1");
    assert_eq!(policy.text("AttachmentCount"), "0");
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
    iam.ok("DeleteRolePermissionsBoundary", &[role]).await;
    assert!(!iam.ok("GetRole", &[role]).await.has("PermissionsBoundary"));
    iam.ok("DeletePolicy", &[("PolicyArn", &arn)]).await;
}

#[tokio::test]
async fn a_role_has_no_instance_profiles() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let listed = iam
        .ok("ListInstanceProfilesForRole", &[("RoleName", "r")])
        .await;
    assert!(listed.has("InstanceProfiles") && listed.texts("member").is_empty());
}

#[tokio::test]
async fn parallel_changes_of_one_role_all_arrive() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let names: Vec<String> = (0..10).map(|i| format!("p{i}")).collect();
    let calls = names.iter().map(|name| {
        let iam = &iam;
        async move {
            iam.ok(
                "PutRolePolicy",
                &[
                    ("RoleName", "r"),
                    ("PolicyName", name),
                    ("PolicyDocument", ALLOW),
                ],
            )
            .await
        }
    });
    futures_util::future::join_all(calls).await;
    let listed = iam.ok("ListRolePolicies", &[("RoleName", "r")]).await;
    assert_eq!(listed.texts("member"), names);
}
