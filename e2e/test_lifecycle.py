"""The life of a function through boto3: create, read, update, publish, delete."""

import base64
import hashlib
import json
import re
import urllib.request

import pytest

from kiln import ACCOUNT, PYTHON, REGION, ROLE, code_of, unique, zipped

ECHO = {"index.py": "def handler(event, context):\n    return event\n"}
DATE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$")
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


def sha(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def without_metadata(answer):
    return {k: v for k, v in answer.items() if k != "ResponseMetadata"}


def test_a_new_function_answers_with_the_members_that_aws_sends(kiln, deploy):
    """FN-1, FN-9, FN-14, FN-15, API-14 and the first row of section 2.2."""
    package = zipped(ECHO)
    name = unique()
    function = deploy(package, name=name, wait=False, Timeout=3)
    made = without_metadata(function.created)
    assert function.created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert UUID.match(made.pop("RevisionId"))
    assert DATE.match(made.pop("LastModified"))
    runtime_version = made.pop("RuntimeVersionConfig")["RuntimeVersionArn"]
    assert runtime_version.startswith(f"arn:aws:lambda:{REGION}::runtime:")
    made.pop("ConfigSha256", None)
    assert made == {
        "Architectures": ["x86_64"],
        "CodeSha256": sha(package),
        "CodeSize": len(package),
        "Description": "",
        "EphemeralStorage": {"Size": 512},
        "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}",
        "FunctionName": name,
        "Handler": "index.handler",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
        "MemorySize": 128,
        "PackageType": "Zip",
        "Role": ROLE,
        "Runtime": PYTHON,
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "Timeout": 3,
        "TracingConfig": {"Mode": "PassThrough"},
        "Version": "$LATEST",
    }
    ready = kiln.settle(name)
    assert (ready["State"], ready["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in ready and "StateReasonCode" not in ready


def test_a_function_gives_its_exact_code_back(kiln, deploy):
    """FN-8: `Code.Location` is a URL that any HTTP client downloads."""
    package = zipped(ECHO)
    function = deploy(package, Tags={"team": "a"})
    got = kiln.lambda_.get_function(FunctionName=function.name)
    assert got["Code"]["RepositoryType"] == "S3"
    assert got["Tags"] == {"team": "a"}
    with urllib.request.urlopen(got["Code"]["Location"], timeout=10) as answer:
        assert answer.read() == package


def test_a_function_is_found_by_every_form_of_its_name(kiln, deploy):
    """API-7, INV-9: name, partial ARN and full ARN, with and without a qualifier."""
    function = deploy(ECHO)
    name = function.name
    for form in (
        name,
        f"{ACCOUNT}:function:{name}",
        function.arn,
        f"{name}:$LATEST",
        f"{function.arn}:$LATEST",
    ):
        got = kiln.lambda_.get_function_configuration(FunctionName=form)
        assert got["FunctionName"] == name
        qualified = form.endswith("$LATEST")
        assert got["FunctionArn"] == function.arn + (":$LATEST" if qualified else "")
        assert function({"a": 1}, name=form).value == {"a": 1}


def test_waiters_of_the_sdk_end(kiln, deploy):
    """API-12: the waiters of boto3 see a function become active and updated."""
    function = deploy(ECHO, wait=False)
    for waiter in ("function_exists", "function_active_v2", "function_updated_v2"):
        kiln.lambda_.get_waiter(waiter).wait(
            FunctionName=function.name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )


def test_functions_are_listed_in_pages(kiln, deploy):
    """API-9: `Marker` and `MaxItems`; items carry no state."""
    names = {deploy(ECHO, wait=False).name for _ in range(3)}
    pages = list(kiln.lambda_.get_paginator("list_functions").paginate(MaxItems=2))
    assert all(len(page["Functions"]) <= 2 for page in pages)
    listed = [item for page in pages for item in page["Functions"]]
    assert names <= {item["FunctionName"] for item in listed}
    assert len({item["FunctionArn"] for item in listed}) == len(listed)
    for item in listed:
        assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & item.keys()


def test_new_code_runs_after_an_update(kiln, deploy):
    """FN-10: update-function-code replaces what runs."""
    function = deploy({"index.py": "def handler(e, c): return 1\n"})
    assert function().value == 1
    package = zipped({"index.py": "def handler(e, c): return 2\n"})
    answer = kiln.lambda_.update_function_code(FunctionName=function.name, ZipFile=package)
    assert answer["LastUpdateStatus"] == "InProgress"
    assert answer["LastUpdateStatusReasonCode"] == "Creating"
    assert answer["CodeSha256"] == sha(package)
    assert answer["RevisionId"] != function.created["RevisionId"]
    kiln.settle(function.name)
    assert function().value == 2


def test_a_dry_run_of_new_code_changes_nothing(kiln, deploy):
    """FN-10: `DryRun` validates only."""
    function = deploy({"index.py": "def handler(e, c): return 1\n"})
    package = zipped({"index.py": "def handler(e, c): return 2\n"})
    kiln.lambda_.update_function_code(FunctionName=function.name, ZipFile=package, DryRun=True)
    kiln.settle(function.name)
    assert function().value == 1
    assert kiln.settle(function.name)["CodeSha256"] == function.created["CodeSha256"]


def test_settings_that_an_update_does_not_name_stay(kiln, deploy):
    """FN-12, ENV-3: unset members keep their value; the environment is replaced whole."""
    code = "import os\ndef handler(e, c): return {k: os.environ.get(k) for k in ('AA', 'BB')}\n"
    function = deploy(
        {"index.py": code}, Description="first", Environment={"Variables": {"AA": "1"}}
    )
    assert function().value == {"AA": "1", "BB": None}
    changed = function.update(MemorySize=256, Environment={"Variables": {"BB": "2"}})
    assert changed["MemorySize"] == 256
    assert changed["Description"] == "first"
    assert changed["Environment"] == {"Variables": {"BB": "2"}}
    assert changed["Handler"] == "index.handler"
    assert function().value == {"AA": None, "BB": "2"}


def test_a_stale_revision_is_refused(kiln, deploy):
    """API-10: optimistic locking by `RevisionId`."""
    function = deploy(ECHO)
    with pytest.raises(kiln.lambda_.exceptions.PreconditionFailedException) as error:
        kiln.lambda_.update_function_configuration(
            FunctionName=function.name,
            Description="x",
            RevisionId="00000000-0000-4000-8000-000000000000",
        )
    assert code_of(error)[1] == 412


def test_a_version_keeps_its_code_and_its_settings(kiln, deploy):
    """VER-1, VER-2, VER-4, VER-5, INV-7, INV-8, ENV-2."""
    code = "import os\ndef handler(e, c): return [{n}, os.environ['WHO'], c.function_version]\n"
    function = deploy(
        {"index.py": code.replace("{n}", "1")}, Environment={"Variables": {"WHO": "one"}}
    )
    client = kiln.lambda_
    first = client.publish_version(FunctionName=function.name, Description="the first")
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (first["Version"], first["State"]) == ("1", "Active")
    assert first["FunctionArn"] == f"{function.arn}:1"
    assert first["Description"] == "the first"
    function.code({"index.py": code.replace("{n}", "2")})
    function.update(Environment={"Variables": {"WHO": "two"}})
    second = client.publish_version(FunctionName=function.name)
    assert second["Version"] == "2"
    for qualifier, value, version in (
        ("1", [1, "one", "1"], "1"),
        ("2", [2, "two", "2"], "2"),
        ("$LATEST", [2, "two", "$LATEST"], "$LATEST"),
    ):
        answer = function(Qualifier=qualifier)
        assert answer.value == value
        assert answer.version == version
    listed = client.list_versions_by_function(FunctionName=function.name)["Versions"]
    assert [item["Version"] for item in listed] == ["$LATEST", "1", "2"]


def test_nothing_new_publishes_nothing_new(kiln, deploy):
    """VER-3: a second publish without a change gives the same version."""
    function = deploy(ECHO)
    client = kiln.lambda_
    assert client.publish_version(FunctionName=function.name)["Version"] == "1"
    again = client.publish_version(FunctionName=function.name)
    assert again["Version"] == "1"
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 201


def test_version_numbers_are_never_used_again(kiln, deploy):
    """VER-2: a deleted version leaves a gap."""
    function = deploy(ECHO)
    client = kiln.lambda_
    client.publish_version(FunctionName=function.name)
    function.update(Description="changed")
    assert client.publish_version(FunctionName=function.name)["Version"] == "2"
    client.delete_function(FunctionName=function.name, Qualifier="2")
    function.update(Description="changed again")
    assert client.publish_version(FunctionName=function.name)["Version"] == "3"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName=function.name, Qualifier="2")


def test_a_deleted_function_is_gone(kiln, deploy):
    """FN-13, INV-11: 204, then 404 with the full ARN; Invoke names the version it looked for."""
    function = deploy(ECHO)
    gone = kiln.lambda_.delete_function(FunctionName=function.name)
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    for call, arn in (
        (kiln.lambda_.delete_function, function.arn),
        (kiln.lambda_.get_function, function.arn),
        (kiln.lambda_.invoke, f"{function.arn}:$LATEST"),
    ):
        with pytest.raises(kiln.lambda_.exceptions.ResourceNotFoundException) as error:
            call(FunctionName=function.name)
        assert code_of(error) == (
            "ResourceNotFoundException",
            404,
            f"Function not found: {arn}",
        )


def test_the_latest_version_alone_does_not_go(kiln, deploy):
    """FN-13: `$LATEST` is deleted with its function only."""
    function = deploy(ECHO)
    with pytest.raises(kiln.lambda_.exceptions.ClientError) as error:
        kiln.lambda_.delete_function(FunctionName=function.name, Qualifier="$LATEST")
    code, status, message = code_of(error)
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message == "$LATEST version cannot be deleted without deleting the function."


def test_a_name_is_given_once(kiln, deploy):
    """FN-22: 409 in AWS's spelling."""
    function = deploy(ECHO)
    with pytest.raises(kiln.lambda_.exceptions.ResourceConflictException) as error:
        kiln.deploy(function.name, ECHO)
    assert code_of(error) == (
        "ResourceConflictException",
        409,
        f"Function already exist: {function.name}",
    )


def test_a_version_can_be_published_while_creating_and_updating(kiln, deploy):
    """VER-2: `Publish` of create-function and update-function-code."""
    function = deploy(ECHO, Publish=True)
    assert function.created["Version"] == "1"
    kiln.settle(function.name)
    package = zipped({"index.py": "def handler(e, c): return 2\n"})
    updated = kiln.lambda_.update_function_code(
        FunctionName=function.name, ZipFile=package, Publish=True
    )
    assert updated["Version"] == "2"
    kiln.settle(function.name)
    assert function({"x": 1}, Qualifier="1").value == {"x": 1}
    assert function(Qualifier="2").value == 2


def test_accounts_and_regions_do_not_see_each_other(kiln):
    """API-13: the account comes from a twelve-digit key, the region from the scope."""
    name = unique()
    clients = [
        kiln.client("lambda"),
        kiln.client("lambda", key="111111111111"),
        kiln.client("lambda", region="eu-central-1"),
    ]
    arns = set()
    for number, client in enumerate(clients):
        code = {"index.py": f"def handler(e, c): return {number}\n"}
        arns.add(kiln.deploy(name, code, client=client).arn)
    assert arns == {
        f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}",
        f"arn:aws:lambda:us-east-1:111111111111:function:{name}",
        f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{name}",
    }
    for number, client in enumerate(clients):
        answer = client.invoke(FunctionName=name)
        assert json.loads(answer["Payload"].read()) == number
        client.delete_function(FunctionName=name)


def test_every_answer_has_a_request_id(kiln, deploy):
    """API-5: a UUID; for Invoke the function sees the same one."""
    assert UUID.match(kiln.lambda_.list_functions()["ResponseMetadata"]["RequestId"])
    function = deploy({"index.py": "def handler(e, c): return c.aws_request_id\n"})
    answer = function()
    assert UUID.match(answer.value)
    assert answer.request_id == answer.value
    assert f"START RequestId: {answer.value} Version: $LATEST\n" in answer.log
