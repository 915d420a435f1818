"""Roles and policies through boto3."""

import json

import pytest

from kiln import code_of, unique

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
MANAGED = [
    "service-role/AWSLambdaBasicExecutionRole",
    "service-role/AWSLambdaKinesisExecutionRole",
    "service-role/AWSLambdaDynamoDBExecutionRole",
    "service-role/AWSLambdaSQSQueueExecutionRole",
    "service-role/AWSLambdaVPCAccessExecutionRole",
    "service-role/AWSLambdaMSKExecutionRole",
    "service-role/AWSLambdaRole",
    "service-role/AWSLambdaBasicDurableExecutionRolePolicy",
    "AWSXRayDaemonWriteAccess",
    "AWSLambda_FullAccess",
    "AWSLambda_ReadOnlyAccess",
]


@pytest.fixture
def iam(kiln):
    return kiln.client("iam")


@pytest.fixture
def role(iam):
    name = unique("role")
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "team", "Value": "a"}]
    )
    return made["Role"]


def test_the_managed_policies_have_their_documents(iam):
    """IAM-5."""
    for path in MANAGED:
        arn = f"arn:aws:iam::aws:policy/{path}"
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
        document = version["PolicyVersion"]["Document"]
        assert document["Version"] == "2012-10-17"
        assert document["Statement"]
    listed = {
        p["Arn"].removeprefix("arn:aws:iam::aws:policy/")
        for page in iam.get_paginator("list_policies").paginate(Scope="AWS")
        for p in page["Policies"]
    }
    assert set(MANAGED) <= listed


def test_a_policy_is_versioned_attached_and_removed(iam, role):
    """IAM-4, IAM-5: documents come back decoded."""
    name = role["RoleName"]
    arn = iam.create_policy(PolicyName=unique("policy"), PolicyDocument=json.dumps(ALLOW))[
        "Policy"
    ]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    deny = json.dumps(ALLOW).replace("Allow", "Deny")
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=deny, SetAsDefault=True)
    assert made["PolicyVersion"]["VersionId"] == "v2"
    got = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    assert got["Document"] == ALLOW
    assert got["IsDefaultVersion"] is False
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_policy(PolicyArn=arn)
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)
    iam.delete_role(RoleName=name)


def test_an_inline_policy_is_kept_word_for_word(iam, role):
    """IAM-4."""
    name = role["RoleName"]
    iam.put_role_policy(RoleName=name, PolicyName="in", PolicyDocument=json.dumps(ALLOW))
    assert iam.get_role_policy(RoleName=name, PolicyName="in")["PolicyDocument"] == ALLOW
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["in"]
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_role(RoleName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="in")
    iam.delete_role(RoleName=name)


def test_a_role_shows_its_tags_and_dates(iam, role):
    """IAM-1."""
    assert role["RoleId"].startswith("AROA")
    got = iam.get_role(RoleName=role["RoleName"])["Role"]
    assert got["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert got["MaxSessionDuration"] == 3600
    assert got["Tags"] == [{"Key": "team", "Value": "a"}]
    assert got["CreateDate"].tzinfo is not None
    assert got["RoleLastUsed"] == {}


def test_faults_have_the_words_of_aws(iam, role):
    """IAM-4: code, status and message."""
    name = role["RoleName"]
    for call, expected in (
        (
            lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST),
            ("EntityAlreadyExists", 409, f"Role with name {name} already exists."),
        ),
        (
            lambda: iam.get_role(RoleName="nothing"),
            ("NoSuchEntity", 404, "The role with name nothing cannot be found."),
        ),
        (
            lambda: iam.create_policy(PolicyName="x", PolicyDocument="{"),
            ("MalformedPolicyDocument", 400, "Syntax errors in policy."),
        ),
        (
            lambda: iam.create_role(RoleName="x", AssumeRolePolicyDocument="{"),
            ("MalformedPolicyDocument", 400, "This policy contains invalid Json"),
        ),
    ):
        with pytest.raises(iam.exceptions.ClientError) as error:
            call()
        assert code_of(error) == expected
        assert error.value.response["Error"]["Type"] == "Sender"
