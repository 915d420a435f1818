"""What a function may not be: names, limits, zips, variables."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

from kiln import PYTHON, ROLE, code_of, unique, zipped

ECHO = {"index.py": "def handler(event, context):\n    return event\n"}


def refused(kiln, **changes):
    """Tries to create a function with these changes; gives code, status and message."""
    request = {
        "FunctionName": unique(),
        "Runtime": PYTHON,
        "Role": ROLE,
        "Handler": "index.handler",
        "Code": {"ZipFile": zipped(ECHO)},
        **changes,
    }
    request = {k: v for k, v in request.items() if v is not None}
    with pytest.raises(ClientError) as error:
        kiln.client("lambda", parameter_validation=False).create_function(**request)
    with pytest.raises(ClientError) as absent:
        kiln.lambda_.get_function(FunctionName=unique())
    assert code_of(absent)[1] == 404
    return code_of(error)


@pytest.mark.parametrize(
    ("changes", "field", "constraint"),
    [
        ({"Timeout": 901}, "timeout", "Member must have value less than or equal to 900"),
        ({"Timeout": 0}, "timeout", "Member must have value greater than or equal to 1"),
        ({"MemorySize": 64}, "memorySize", "Member must have value greater than or equal to 128"),
        ({"FunctionName": "a b"}, "functionName", "Member must satisfy regular expression"),
        ({"Handler": "a b"}, "handler", "Member must satisfy regular expression"),
        ({"Handler": "x" * 129}, "handler", "Member must have length less than or equal to 128"),
        ({"Description": "x" * 257}, "description", "Member must have length less than or equal"),
        ({"Role": "admin"}, "role", "Member must satisfy regular expression"),
        ({"Runtime": "cobol85"}, "runtime", "Member must satisfy enum value set"),
    ],
)
def test_a_broken_constraint_is_named(kiln, changes, field, constraint):
    """API-6, FN-3, FN-14, FN-15, FN-21, FN-23, LIM-1, LIM-2, LIM-20."""
    code, status, message = refused(kiln, **changes)
    assert status == 400
    assert code in ("ValidationException", "InvalidParameterValueException")
    assert f"at '{field}' failed to satisfy constraint: {constraint}" in message, message


def test_several_broken_constraints_are_counted(kiln):
    """API-6: joined with `; `."""
    code, status, message = refused(kiln, Timeout=0, MemorySize=1)
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith("2 validation errors detected: ")
    assert "; Value" in message


def test_a_runtime_of_the_past_is_refused_with_advice(kiln):
    """FN-21."""
    code, status, message = refused(kiln, Runtime="python3.7")
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message == (
        "The runtime parameter of python3.7 is no longer supported for creating or updating AWS "
        "Lambda functions. We recommend you use a supported runtime while creating or updating "
        "functions."
    )


@pytest.mark.parametrize("junk", [b"not a zip", b"PK\x03\x04" + b"\0" * 100, zipped(ECHO)[:-30]])
def test_what_is_no_zip_is_refused(kiln, junk):
    """FN-20."""
    code, status, message = refused(kiln, Code={"ZipFile": junk})
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message == (
        "Could not unzip uploaded file. Please check your file, then try to upload again."
    )


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "a/../../evil.py"])
def test_a_zip_does_not_reach_out_of_its_folder(kiln, name):
    """FN-20: traversal is refused as a bad zip."""
    code, status, _ = refused(kiln, Code={"ZipFile": zipped({**ECHO, name: "x"})})
    assert (code, status) == ("InvalidParameterValueException", 400)


def test_a_zip_that_unfolds_too_far_is_refused(kiln):
    """FN-19, LIM-9: 250 MB unzipped, whatever the zip's own size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("index.py", ECHO["index.py"])
        with archive.open("big", "w") as big:
            for _ in range(251):
                big.write(bytes(1 << 20))
    code, status, message = refused(kiln, Code={"ZipFile": buffer.getvalue()})
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message == "Unzipped size must be smaller than 262144000 bytes"


def test_variables_have_a_budget_of_four_kilobytes(kiln, deploy):
    """ENV-8, LIM-4."""
    code, status, message = refused(
        kiln, Environment={"Variables": {"LARGE": "x" * 4_100}}
    )
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message.startswith(
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided exceeded the 4KB limit. String measured: "
    )
    deploy(ECHO, Environment={"Variables": {"LARGE": "x" * 4_000}}, wait=False)


@pytest.mark.parametrize(
    "name", ["AWS_REGION", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT"]
)
def test_reserved_variables_are_refused(kiln, name):
    """ENV-9."""
    code, status, message = refused(kiln, Environment={"Variables": {name: "x"}})
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message.endswith(f"Reserved keys used in this request: {name}")


@pytest.mark.parametrize("name", ["1a", "a", "_HANDLER", "a-b"])
def test_a_variable_needs_a_proper_name(kiln, name):
    """ENV-9."""
    code, status, _ = refused(kiln, Environment={"Variables": {name: "x"}})
    assert (code, status) == ("ValidationException", 400)


def test_the_error_envelope_is_that_of_aws(kiln):
    """API-4: header and body of an error."""
    with pytest.raises(ClientError) as error:
        kiln.lambda_.get_function(FunctionName="nothing-here")
    answer = error.value.response
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-errortype"] == "ResourceNotFoundException"
    assert headers["content-type"] == "application/json"
    assert answer["Type"] == "User"
    assert answer["Message"].startswith("Function not found: arn:aws:lambda:")


def test_another_region_and_another_account_are_out_of_reach(kiln):
    """API-8."""
    for arn, code, status in (
        ("arn:aws:lambda:eu-west-1:000000000000:function:f", "ResourceNotFoundException", 404),
        ("arn:aws:lambda:us-east-1:222222222222:function:f", "AccessDeniedException", 403),
    ):
        with pytest.raises(ClientError) as error:
            kiln.lambda_.get_function(FunctionName=arn)
        assert code_of(error)[:2] == (code, status)


def test_two_qualifiers_must_be_the_same(kiln, deploy):
    """API-7."""
    function = deploy(ECHO)
    with pytest.raises(ClientError) as error:
        kiln.lambda_.get_function(FunctionName=f"{function.name}:1", Qualifier="2")
    code, status, message = code_of(error)
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message == (
        "The derived qualifier from the function name does not match the specified qualifier."
    )


def test_an_event_that_is_no_json_is_refused(kiln, deploy):
    """HC-1."""
    function = deploy(ECHO)
    with pytest.raises(kiln.lambda_.exceptions.InvalidRequestContentException) as error:
        kiln.lambda_.invoke(FunctionName=function.name, Payload=b"{nope")
    code, status, message = code_of(error)
    assert status == 400
    assert message.startswith("Could not parse request body into json: ")


def test_every_kind_of_json_is_an_event(deploy):
    """HC-1, INV-13."""
    function = deploy(ECHO)
    for event in (None, 0, -1.5, "text", "grüße ☃", [], [1, {"a": None}], {}, {"k": {"n": [1]}}):
        assert function(event).value == event
    raw = function.client.invoke(FunctionName=function.name)
    assert json.loads(raw["Payload"].read()) == {}
