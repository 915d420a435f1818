"""Functions that other accounts use: each step needs a statement in the function's policy."""

import json
import signal

import pytest
from botocore.exceptions import ClientError

from kiln import ACCOUNT, ROLE, code_of, unique, with_boto3

ECHO = {"index.py": "def handler(event, context):\n    return event\n"}
OTHER = "111111111111"
CALLER = """
import boto3, json
from botocore.exceptions import ClientError
def handler(event, context):
    try:
        answer = boto3.client("lambda").invoke(FunctionName=event["arn"], Payload=b"1")
        return json.load(answer["Payload"])
    except ClientError as error:
        return error.response["Error"]
"""


@pytest.fixture
def other(kiln):
    return kiln.client("lambda", key=OTHER)


def permit(function, action="lambda:InvokeFunction", **more):
    function.client.add_permission(
        FunctionName=function.name,
        StatementId=unique("s"),
        Action=action,
        Principal=more.pop("Principal", OTHER),
        **more,
    )


def denied(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    code, status, message = code_of(error)
    assert (code, status) == ("AccessDeniedException", 403), (code, status, message)
    return message


def test_a_call_from_another_account_needs_a_statement(kiln, deploy, other):
    """INV-10, IAM-8, IAM-10: without one 403 in AWS's words; a dry run asks for the same."""
    function = deploy(ECHO)
    told = denied(other.invoke, FunctionName=function.arn, Payload=b"1")
    assert told == (
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: lambda:InvokeFunction "
        f"on resource: {function.arn} because no resource-based policy allows the "
        "lambda:InvokeFunction action"
    )
    denied(other.invoke, FunctionName=function.arn, InvocationType="DryRun")
    denied(other.invoke, FunctionName=function.arn, InvocationType="Event")
    denied(other.invoke_with_response_stream, FunctionName=function.arn, Payload=b"1")
    # The function's own account needs none.
    assert function(1).value == 1
    permit(function)
    assert json.load(other.invoke(FunctionName=function.arn, Payload=b"2")["Payload"]) == 2
    assert other.invoke(FunctionName=function.arn, InvocationType="DryRun")["StatusCode"] == 204
    assert other.invoke(FunctionName=function.arn, InvocationType="Event")["StatusCode"] == 202


def test_an_organization_is_not_everyone(kiln, deploy, other):
    """IAM-10: a statement for an organization lets nobody in whose organization is not known."""
    function = deploy(ECHO)
    permit(function, Principal="*", PrincipalOrgID="o-abcdefghij")
    denied(other.invoke, FunctionName=function.arn)


def test_a_qualified_name_has_its_own_policy(kiln, deploy, other):
    """INV-10: the statement must be about the ARN as it was called."""
    function = deploy(ECHO)
    client = kiln.lambda_
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    permit(function)
    for qualifier in ("1", "live"):
        arn = f"{function.arn}:{qualifier}"
        denied(other.invoke, FunctionName=arn, InvocationType="DryRun")
        permit(function, Qualifier=qualifier)
        assert other.invoke(FunctionName=arn, InvocationType="DryRun")["StatusCode"] == 204


def test_a_function_needs_permission_to_call_another(kiln, deploy, other):
    """IAM-15: a function calls with its role; one of another account is let in by a statement."""
    target = deploy(ECHO)
    files = with_boto3({"index.py": CALLER}, "lambda")
    caller = kiln.deploy(unique(), files, client=other)
    try:
        refusal = caller({"arn": target.arn}).value
        assert refusal["Code"] == "AccessDeniedException"
        role = ROLE.rsplit("/", 1)[1]
        session = f"arn:aws:sts::{OTHER}:assumed-role/{role}/{caller.name}"
        assert session in refusal["Message"]
        permit(target, Principal=f"arn:aws:iam::{OTHER}:role/another")
        assert caller({"arn": target.arn}).value["Code"] == "AccessDeniedException"
        permit(target, Principal=f"arn:aws:iam::{OTHER}:role/{role}")
        assert caller({"arn": target.arn}).value == 1
    finally:
        caller.delete()


def test_control_operations_are_shared_one_by_one(kiln, deploy, other):
    """IAM-8: each operation has an action, and some are never shared."""
    function = deploy(ECHO)
    denied(other.get_function, FunctionName=function.arn)
    permit(function, "lambda:GetFunction")
    shown = other.get_function(FunctionName=function.arn)["Configuration"]
    assert shown["FunctionArn"] == function.arn
    denied(other.publish_version, FunctionName=function.arn)
    permit(function, "lambda:PublishVersion")
    published = other.publish_version(FunctionName=function.arn)
    assert published["FunctionArn"] == f"{function.arn}:1"
    permit(function, "lambda:*")
    denied(other.update_function_configuration, FunctionName=function.arn, Timeout=4)
    assert function.name not in {
        f["FunctionName"] for page in pages(other) for f in page["Functions"]
    }


def pages(client):
    return client.get_paginator("list_functions").paginate()


def resource_policies(kiln):
    client = kiln.lambda_
    if not hasattr(client, "put_resource_policy"):
        pytest.skip("this boto3 does not know resource policies as documents")
    return client


def test_a_policy_is_put_as_a_document(start_kiln):
    """IAM-8: a denial goes before what others allow; the document survives a crash."""
    kiln = start_kiln()
    client = resource_policies(kiln)
    other = kiln.client("lambda", key=OTHER)
    function = kiln.deploy(unique(), ECHO)

    def statement(effect, account, action):
        return {
            "Sid": effect + account,
            "Effect": effect,
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": action,
            "Resource": function.arn,
        }

    document = {
        "Version": "2012-10-17",
        "Statement": [
            statement("Allow", OTHER, "lambda:*"),
            statement("Deny", OTHER, "lambda:GetFunction"),
            statement("Deny", ACCOUNT, "lambda:DeleteFunction"),
        ],
    }
    put = client.put_resource_policy(ResourceArn=function.arn, Policy=json.dumps(document))
    assert json.loads(put["Policy"])["Statement"] == document["Statement"]
    kiln.stop(signal.SIGKILL)
    kiln.start()
    client, other = kiln.lambda_, kiln.client("lambda", key=OTHER)
    shown = client.get_resource_policy(ResourceArn=function.arn)
    assert (shown["Policy"], shown["RevisionId"]) == (put["Policy"], put["RevisionId"])
    assert other.invoke(FunctionName=function.arn, InvocationType="DryRun")["StatusCode"] == 204
    told = denied(other.get_function, FunctionName=function.arn)
    assert told.endswith("with an explicit deny in a resource-based policy")
    denied(client.delete_function, FunctionName=function.name)
    client.delete_resource_policy(ResourceArn=function.arn, RevisionId=shown["RevisionId"])
    denied(other.invoke, FunctionName=function.arn)
    client.delete_function(FunctionName=function.name)


def test_a_document_must_make_sense(kiln, deploy):
    """IAM-11: what is no policy, is about something else, or lets everyone in is refused."""
    client = resource_policies(kiln)
    function = deploy(ECHO)

    def refused(statement):
        with pytest.raises(ClientError) as error:
            client.put_resource_policy(
                ResourceArn=function.arn, Policy=json.dumps({"Statement": statement})
            )
        return code_of(error)[0]

    allow = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function.arn}
    invalid = "InvalidParameterValueException"
    assert refused({**allow}) == invalid
    assert refused({**allow, "Principal": {"AWS": OTHER}, "Resource": "*"}) == invalid
    assert refused({**allow, "Principal": {"AWS": OTHER}, "Action": "sqs:*"}) == invalid
    assert refused({**allow, "Principal": "*"}) == "PublicPolicyException"
