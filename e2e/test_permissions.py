"""Policies of functions, versions and aliases as records: what is added is shown, word for word."""

import json

import pytest
from botocore.exceptions import ClientError

from kiln import ACCOUNT, code_of

ECHO = {"index.py": "def handler(event, context):\n    return event\n"}


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return code_of(error.value)


def statement_of(kiln, arn, **qualifier):
    return json.loads(kiln.lambda_.get_policy(FunctionName=arn, **qualifier)["Policy"])


def test_the_command_line_lets_a_bucket_in(kiln, deploy):
    """IAM-7: the example of the guide, and the condition keys as AWS stores them."""
    function = deploy(ECHO)
    answer = kiln.aws(
        "lambda", "add-permission", "--function-name", function.name, "--statement-id", "s3",
        "--action", "lambda:InvokeFunction", "--principal", "s3.amazonaws.com",
        "--source-arn", "arn:aws:s3:::b", "--source-account", ACCOUNT,
    )  # fmt: skip
    statement = {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": function.arn,
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": ACCOUNT},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
        },
    }
    assert json.loads(answer["Statement"]) == statement
    shown = statement_of(kiln, function.name)
    assert shown == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
    kiln.lambda_.remove_permission(FunctionName=function.name, StatementId="s3")
    code, status, _ = refused(kiln.lambda_.get_policy, FunctionName=function.name)
    assert (code, status) == ("ResourceNotFoundException", 404)


def test_an_alias_has_a_policy_of_its_own(kiln, deploy):
    """IAM-7: so have versions; the function's is another one."""
    function = deploy(ECHO)
    kiln.lambda_.publish_version(FunctionName=function.name)
    kiln.lambda_.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    for qualifier in ("1", "live"):
        kiln.lambda_.add_permission(
            FunctionName=function.name,
            Qualifier=qualifier,
            StatementId="sns",
            Action="lambda:InvokeFunction",
            Principal="sns.amazonaws.com",
        )
        shown = statement_of(kiln, function.name, Qualifier=qualifier)
        assert shown["Statement"][0]["Resource"] == f"{function.arn}:{qualifier}"
    code, _, _ = refused(kiln.lambda_.get_policy, FunctionName=function.name)
    assert code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("principal", "shown"),
    [
        ("123456789012", {"AWS": "arn:aws:iam::123456789012:root"}),
        ("arn:aws:iam::123456789012:user/ann", {"AWS": "arn:aws:iam::123456789012:user/ann"}),
        ("events.amazonaws.com", {"Service": "events.amazonaws.com"}),
        ("*", "*"),
    ],
)
def test_principals_are_shown_as_aws_shows_them(kiln, deploy, principal, shown):
    """IAM-10: accounts by their root, services by name; an organisation by a condition."""
    function = deploy(ECHO)
    kiln.lambda_.add_permission(
        FunctionName=function.name,
        StatementId="who",
        Action="lambda:InvokeFunction",
        Principal=principal,
        PrincipalOrgID="o-1234567890",
    )
    [statement] = statement_of(kiln, function.name)["Statement"]
    assert statement["Principal"] == shown
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}


def test_what_cannot_be_added(kiln, deploy):
    """IAM-11, API-10."""
    function = deploy(ECHO)
    base = {
        "FunctionName": function.name,
        "StatementId": "s",
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
    }
    add = kiln.lambda_.add_permission
    assert refused(add, **base, Qualifier="$LATEST") == (
        "InvalidParameterValueException",
        400,
        "We currently do not support adding policies for $LATEST.",
    )
    code, status, _ = refused(add, **{**base, "Principal": "nobody.at.all"})
    assert (code, status) == ("InvalidParameterValueException", 400)
    add(**base)
    assert refused(add, **base) == (
        "ResourceConflictException",
        409,
        "The statement id (s) provided already exists. Please provide a new statement id, or "
        "remove the existing statement.",
    )
    stale = kiln.lambda_.get_policy(FunctionName=function.name)["RevisionId"]
    add(**{**base, "StatementId": "t"}, RevisionId=stale)
    code, status, message = refused(add, **{**base, "StatementId": "u"}, RevisionId=stale)
    assert (code, status) == ("PreconditionFailedException", 412)
    assert "GetPolicy" in message


def test_a_policy_has_an_end(kiln, deploy):
    """IAM-11: 20 KB of statements, and not one more."""
    function = deploy(ECHO)
    added = 0
    with pytest.raises(ClientError) as error:
        for number in range(200):
            kiln.lambda_.add_permission(
                FunctionName=function.name,
                StatementId=f"{number}-{'x' * 90}",
                Action="lambda:InvokeFunction",
                Principal="sns.amazonaws.com",
                SourceArn=f"arn:aws:sns:us-east-1:{ACCOUNT}:topic-{number}",
            )
            added += 1
    assert code_of(error.value)[:2] == ("PolicyLengthExceededException", 400)
    shown = kiln.lambda_.get_policy(FunctionName=function.name)["Policy"]
    assert len(json.loads(shown)["Statement"]) == added and len(shown) <= 20_480
