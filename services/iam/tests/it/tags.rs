use crate::harness::Iam;

#[tokio::test]
async fn tags_of_roles_and_policies_are_set_listed_and_removed() {
    let iam = Iam::new().await;
    iam.role("r").await;
    let arn = iam.policy("p").await;
    for (noun, subject) in [
        ("Role", ("RoleName", "r")),
        ("Policy", ("PolicyArn", arn.as_str())),
    ] {
        let (tag, untag, list) = (
            format!("Tag{noun}"),
            format!("Untag{noun}"),
            format!("List{noun}Tags"),
        );
        iam.ok(
            &tag,
            &[
                subject,
                ("Tags.member.1.Key", "b"),
                ("Tags.member.1.Value", "2"),
                ("Tags.member.2.Key", "a"),
                ("Tags.member.2.Value", ""),
            ],
        )
        .await;
        iam.ok(
            &tag,
            &[
                subject,
                ("Tags.member.1.Key", "b"),
                ("Tags.member.1.Value", "3"),
            ],
        )
        .await;
        let listed = iam.ok(&list, &[subject]).await;
        assert_eq!(listed.texts("Key"), ["a", "b"]);
        assert!(listed.xml.contains("<Value>3</Value>"));
        iam.ok(&untag, &[subject, ("TagKeys.member.1", "b")]).await;
        let listed = iam.ok(&list, &[subject]).await;
        assert_eq!(listed.texts("Key"), ["a"]);
    }
}

#[tokio::test]
async fn one_key_comes_once() {
    let iam = Iam::new().await;
    iam.role("r").await;
    iam.refused(
        "TagRole",
        &[
            ("RoleName", "r"),
            ("Tags.member.1.Key", "a"),
            ("Tags.member.1.Value", "1"),
            ("Tags.member.2.Key", "A"),
            ("Tags.member.2.Value", "2"),
        ],
        (
            400,
            "InvalidInput",
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
        ),
    )
    .await;
}
