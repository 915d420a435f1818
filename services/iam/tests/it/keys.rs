use wire::access::Credentials;

use crate::harness::Iam;

#[tokio::test]
async fn an_access_key_is_a_credential_as_long_as_it_is_active() {
    let iam = Iam::new().await;
    iam.ok("CreateUser", &[("UserName", "u")]).await;
    let user = ("UserName", "u");
    let made = iam.ok("CreateAccessKey", &[user]).await;
    let (id, secret) = (made.text("AccessKeyId"), made.text("SecretAccessKey"));
    assert!(id.starts_with("AKIA") && id.len() == 20, "{id}");
    assert_eq!(secret.len(), 40);
    let known = iam.engine.secret_of(&id);
    assert_eq!(known, Some(("000000000000".to_owned(), secret.clone())));
    let credential = iam.engine.find(&id).unwrap();
    assert_eq!(
        credential.principal.unwrap().arn,
        "arn:aws:iam::000000000000:user/u"
    );

    let key = ("AccessKeyId", id.as_str());
    iam.ok("UpdateAccessKey", &[user, key, ("Status", "Inactive")])
        .await;
    assert_eq!(iam.engine.secret_of(&id), None);
    let listed = iam.ok("ListAccessKeys", &[user]).await;
    assert_eq!(listed.texts("Status"), ["Inactive"]);
    assert!(!listed.has("SecretAccessKey"));
    iam.ok("UpdateAccessKey", &[user, key, ("Status", "Active")])
        .await;
    assert!(iam.engine.secret_of(&id).is_some());
    iam.ok("DeleteAccessKey", &[user, key]).await;
    assert_eq!(iam.engine.secret_of(&id), None);
}

#[tokio::test]
async fn a_user_with_keys_does_not_go_and_has_two_at_most() {
    let iam = Iam::new().await;
    iam.ok("CreateUser", &[("UserName", "u")]).await;
    let user = ("UserName", "u");
    iam.refused(
        "CreateUser",
        &[("UserName", "U")],
        (
            409,
            "EntityAlreadyExists",
            "User with name U already exists.",
        ),
    )
    .await;
    let ids = [
        iam.ok("CreateAccessKey", &[user]).await.text("AccessKeyId"),
        iam.ok("CreateAccessKey", &[user]).await.text("AccessKeyId"),
    ];
    iam.refused(
        "CreateAccessKey",
        &[user],
        (
            409,
            "LimitExceeded",
            "Cannot exceed quota for AccessKeysPerUser: 2",
        ),
    )
    .await;
    iam.refused(
        "DeleteUser",
        &[user],
        (
            409,
            "DeleteConflict",
            "Cannot delete entity, must delete access keys first.",
        ),
    )
    .await;
    for id in &ids {
        iam.ok("DeleteAccessKey", &[user, ("AccessKeyId", id)])
            .await;
    }
    iam.ok("DeleteUser", &[user]).await;
    iam.refused(
        "GetUser",
        &[user],
        (404, "NoSuchEntity", "The user with name u cannot be found."),
    )
    .await;
}

#[tokio::test]
async fn without_a_name_the_caller_is_meant() {
    let iam = Iam::new().await;
    let got = iam.ok("GetUser", &[]).await;
    assert_eq!(got.text("Arn"), "arn:aws:iam::000000000000:root");
}

#[tokio::test]
async fn keys_are_known_again_after_a_restart() {
    let iam = Iam::new().await;
    iam.ok("CreateUser", &[("UserName", "u")]).await;
    let made = iam.ok("CreateAccessKey", &[("UserName", "u")]).await;
    let again = Iam::after(iam.crash()).await;
    let (_, secret) = again.engine.secret_of(&made.text("AccessKeyId")).unwrap();
    assert_eq!(secret, made.text("SecretAccessKey"));
}
