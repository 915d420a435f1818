"""The stock AWS CLI, nothing set but endpoint, region and dummy keys."""

import base64
import json
from pathlib import Path

import pytest

from kiln import ACCOUNT, PYTHON, REGION, ROLE, unique, zipped

CODE = "def handler(event, context):\n    print('hello log')\n    return {n}\n"


def test_a_function_lives_and_dies_through_the_cli(kiln, tmp_path):
    """API-1, API-2, FN-1, FN-8, FN-10, FN-12, FN-13, VER-2, INV-1, INV-5, INV-25."""
    name = unique("cli")
    first, second, out = tmp_path / "1.zip", tmp_path / "2.zip", tmp_path / "out.json"
    first.write_bytes(zipped({"index.py": CODE.replace("{n}", "{'got': event}")}))
    second.write_bytes(zipped({"index.py": CODE.replace("{n}", "2")}))
    on = ("--function-name", name)

    made = kiln.aws(
        "lambda", "create-function", *on, "--runtime", PYTHON, "--role", ROLE,
        "--handler", "index.handler", "--zip-file", f"fileb://{first}",
    )  # fmt: skip
    assert made["FunctionArn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    assert made["State"] == "Pending"
    kiln.aws("lambda", "wait", "function-active-v2", *on)

    got = kiln.aws("lambda", "get-function", *on)
    assert got["Configuration"]["State"] == "Active"
    assert got["Code"]["Location"].startswith(kiln.endpoint)
    listed = kiln.aws("lambda", "list-functions", "--query", "Functions[].FunctionName")
    assert name in listed

    invoked = kiln.aws(
        "lambda", "invoke", *on, "--cli-binary-format", "raw-in-base64-out",
        "--payload", '{"k": 1}', "--log-type", "Tail", out, check=False,
    )  # fmt: skip
    if invoked.returncode != 0:
        # version 1 of the CLI takes the payload as it is
        invoked = kiln.aws("lambda", "invoke", *on, "--payload", '{"k": 1}', "--log-type", "Tail", out)
    else:
        invoked = json.loads(invoked.stdout)
    assert invoked["StatusCode"] == 200
    assert invoked["ExecutedVersion"] == "$LATEST"
    assert json.loads(out.read_text()) == {"got": {"k": 1}}
    assert "hello log\n" in base64.b64decode(invoked["LogResult"]).decode()

    version = kiln.aws("lambda", "publish-version", *on)
    assert version["Version"] == "1"
    kiln.aws("lambda", "update-function-code", *on, "--zip-file", f"fileb://{second}")
    kiln.aws("lambda", "wait", "function-updated-v2", *on)
    changed = kiln.aws(
        "lambda", "update-function-configuration", *on, "--timeout", "7", "--memory-size", "192",
        "--environment", "Variables={KEY=value}",
    )  # fmt: skip
    assert (changed["Timeout"], changed["MemorySize"]) == (7, 192)
    assert changed["Environment"] == {"Variables": {"KEY": "value"}}
    kiln.settle(name)

    kiln.aws("lambda", "invoke", *on, out)
    assert out.read_text() == "2"
    kiln.aws("lambda", "invoke", *on, "--qualifier", "1", out)
    assert json.loads(out.read_text()) == {"got": {}}

    kiln.aws("lambda", "delete-function", *on)
    gone = kiln.aws("lambda", "get-function", *on, check=False)
    assert gone.returncode != 0
    assert "ResourceNotFoundException" in gone.stderr


def test_the_cli_knows_who_it_is(kiln):
    """IAM-1: sts over the query protocol."""
    who = kiln.aws("sts", "get-caller-identity")
    assert who["Account"] == ACCOUNT
    assert who["Arn"].startswith(f"arn:aws:iam::{ACCOUNT}:")


def test_a_role_is_made_and_unmade_through_the_cli(kiln):
    """IAM-1, IAM-5."""
    name = unique("role")
    on = ("--role-name", name)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made = kiln.aws(
        "iam", "create-role", *on, "--assume-role-policy-document", json.dumps(trust)
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/{name}"
    basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    kiln.aws("iam", "attach-role-policy", *on, "--policy-arn", basic)
    attached = kiln.aws("iam", "list-attached-role-policies", *on)["AttachedPolicies"]
    assert attached == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": basic}]
    got = kiln.aws("iam", "get-role", *on)["Role"]
    assert got["AssumeRolePolicyDocument"] == trust
    kept = kiln.aws("iam", "delete-role", *on, check=False)
    assert "DeleteConflict" in kept.stderr
    kiln.aws("iam", "detach-role-policy", *on, "--policy-arn", basic)
    kiln.aws("iam", "delete-role", *on)
    gone = kiln.aws("iam", "get-role", *on, check=False)
    assert "NoSuchEntity" in gone.stderr


def test_the_log_of_a_function_is_tailed(kiln, deploy):
    """OBS-15: `aws logs tail` of version 2, `filter-log-events` of both."""
    function = deploy({"index.py": CODE.replace("{n}", "1")})
    request = function({}).request_id
    group = f"/aws/lambda/{function.name}"
    tail = kiln.aws("logs", "tail", group, "--since", "5m", check=False)
    if "Invalid choice" in tail.stderr or "invalid choice" in tail.stderr:
        events = kiln.aws("logs", "filter-log-events", "--log-group-name", group)["events"]
        text = "\n".join(event["message"] for event in events)
    else:
        assert tail.returncode == 0, tail.stderr
        text = tail.stdout
    assert "hello log" in text
    assert f"START RequestId: {request}" in text
    assert f"END RequestId: {request}" in text
    assert f"REPORT RequestId: {request}" in text


@pytest.mark.parametrize("command", [("lambda", "list-layers"), ("iam", "list-groups")])
def test_an_operation_that_is_not_built_gets_an_answer(kiln, command):
    """API-4: an error with a type, never a hang or a bare 500."""
    done = kiln.aws(*command, check=False)
    assert done.returncode == 0 or "An error occurred (" in done.stderr, done.stderr


def test_an_event_of_a_gateway_is_fed_from_a_file(kiln, deploy, tmp_path):
    """INV-24: the sample of an API Gateway proxy event, and the answer that a gateway would send."""
    login = """
import json
def handler(event, context):
    body = json.loads(event["body"])
    known = event["httpMethod"] == "POST" and body["user"] == "ann"
    return {
        "statusCode": 302 if known else 403,
        "headers": {"Location": event["queryStringParameters"]["next"]},
        "body": json.dumps({"stage": event["requestContext"]["stage"]}),
    }
"""
    function = deploy({"index.py": login})
    sample = Path(__file__).resolve().parent.parent / "examples/events/api-gateway-proxy.json"
    answer = tmp_path / "output-1.json"
    on = ("lambda", "invoke", "--function-name", function.name, "--payload", f"file://{sample}")
    if kiln.aws(*on, "--cli-binary-format", "raw-in-base64-out", answer, check=False).returncode:
        kiln.aws(*on, answer)  # version 1 of the CLI takes the payload as it is
    assert json.loads(answer.read_text()) == {
        "statusCode": 302,
        "headers": {"Location": "/home"},
        "body": '{"stage": "dev"}',
    }
