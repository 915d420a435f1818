"""Aliases: names that move between versions, alone or with weights."""

import collections

import pytest
from botocore.exceptions import ClientError

from kiln import ACCOUNT, REGION, code_of, unique, with_boto3

CALLER = """
import boto3, json
def handler(event, context):
    client = boto3.client("lambda")
    sync = client.invoke(FunctionName=event["name"], Payload=json.dumps({}))
    later = client.invoke(FunctionName=event["name"], InvocationType="Event")
    return {
        "sync": json.load(sync["Payload"]),
        "version": sync["ExecutedVersion"],
        "later": [later["StatusCode"], later["Payload"].read().decode()],
    }
"""
SAYS = "def handler(event, context):\n    return {!r}\n"


@pytest.fixture
def versions(kiln, deploy):
    """A function whose versions 1 and 2 answer "one" and "two"."""
    function = deploy({"index.py": SAYS.format("one")})
    kiln.lambda_.publish_version(FunctionName=function.name)
    function.code({"index.py": SAYS.format("two")})
    kiln.lambda_.publish_version(FunctionName=function.name)
    for version in ("1", "2"):
        kiln.lambda_.get_waiter("published_version_active").wait(
            FunctionName=function.name,
            Qualifier=version,
            WaiterConfig={"Delay": 1, "MaxAttempts": 20},
        )
    return function


def alias(kiln, function, name, version, **more):
    return kiln.lambda_.create_alias(
        FunctionName=function.name, Name=name, FunctionVersion=version, **more
    )


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return code_of(error.value)


def test_an_alias_lives_and_dies(kiln, versions):
    """VER-7: every member, and the answers to what is there and what is not."""
    of = {"FunctionName": versions.name, "Name": "live"}
    made = alias(kiln, versions, "live", "1", Description="what customers see")
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{versions.name}:live"
    assert made.pop("ResponseMetadata")["HTTPStatusCode"] == 201
    assert made.pop("RevisionId")
    assert made == {
        "AliasArn": arn,
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "what customers see",
    }
    again = refused(kiln.lambda_.create_alias, **of, FunctionVersion="1")
    assert again == ("ResourceConflictException", 409, f"Alias already exists: {arn}")
    assert kiln.lambda_.get_alias(**of)["FunctionVersion"] == "1"
    kiln.lambda_.delete_alias(**of)
    gone = refused(kiln.lambda_.get_alias, **of)
    assert gone == ("ResourceNotFoundException", 404, f"Cannot find alias arn: {arn}")


def test_a_number_is_no_name(kiln, versions):
    """VER-7: else an alias could hide a version."""
    code, status, _ = refused(
        kiln.lambda_.create_alias, FunctionName=versions.name, Name="7", FunctionVersion="1"
    )
    assert (code, status) == ("ValidationException", 400)


def test_the_command_line_moves_an_alias(kiln, versions):
    """VER-8, VER-9, VER-12: forward, and back to what was there before."""
    of = ("--function-name", versions.name, "--name", "live", "--function-version")
    kiln.aws("lambda", "create-alias", *of, "1")
    assert versions(name=f"{versions.name}:live").value == "one"
    moved = kiln.aws("lambda", "update-alias", *of, "2")
    assert moved["FunctionVersion"] == "2"
    assert versions(name=f"{versions.name}:live").value == "two"
    kiln.aws("lambda", "update-alias", *of, "1")
    assert versions(name=f"{versions.name}:live").value == "one"


def test_several_aliases_of_one_version(kiln, versions):
    """VER-10, VER-15: filtered by version, in pages; an alias never points to an alias."""
    for name, version in (("blue", "1"), ("green", "2"), ("prod", "1")):
        alias(kiln, versions, name, version)
    pages = kiln.lambda_.get_paginator("list_aliases").paginate(
        FunctionName=versions.name, FunctionVersion="1", PaginationConfig={"PageSize": 1}
    )
    assert [a["Name"] for page in pages for a in page["Aliases"]] == ["blue", "prod"]
    code, status, _ = refused(
        kiln.lambda_.create_alias,
        FunctionName=versions.name,
        Name="other",
        FunctionVersion="prod",
    )
    assert (code, status) == ("ValidationException", 400)


def test_a_canary_gets_its_share(kiln, versions):
    """VER-11, INV-7: a tenth of a thousand calls, and every answer says which version ran."""
    alias(
        kiln, versions, "live", "1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}}
    )
    ran = collections.Counter()
    for _ in range(1_000):
        answer = versions(Qualifier="live", LogType="None")
        assert answer.value == {"1": "one", "2": "two"}[answer.version]
        ran[answer.version] += 1
    # Three per cent are more than three standard deviations.
    assert 70 <= ran["2"] <= 130, ran
    kiln.lambda_.update_alias(
        FunctionName=versions.name, Name="live", RoutingConfig={"AdditionalVersionWeights": {}}
    )
    assert "RoutingConfig" not in kiln.lambda_.get_alias(FunctionName=versions.name, Name="live")


@pytest.mark.parametrize(
    ("version", "weights", "says"),
    [
        ("1", {"2": 0.1, "3": 0.1}, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
        ("$LATEST", {"1": 0.1}, "$LATEST is not supported for an alias pointing to more than 1 version"),
        ("1", {"1": 0.1}, "Invalid function version 1. Function version 1 is already included in routing configuration."),
    ],
)
def test_weights_that_make_no_sense(kiln, versions, version, weights, says):
    """VER-11."""
    code, status, message = refused(
        kiln.lambda_.create_alias,
        FunctionName=versions.name,
        Name="live",
        FunctionVersion=version,
        RoutingConfig={"AdditionalVersionWeights": weights},
    )
    assert (code, status, message) == ("InvalidParameterValueException", 400, says)


def test_a_version_in_use_stays(kiln, versions):
    """VER-14: until no alias names it, not even with a weight."""
    made = alias(
        kiln, versions, "live", "1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    for version in ("1", "2"):
        code, status, message = refused(
            kiln.lambda_.delete_function, FunctionName=versions.name, Qualifier=version
        )
        assert (code, status) == ("ResourceConflictException", 409)
        assert made["AliasArn"] in message
    kiln.lambda_.delete_alias(FunctionName=versions.name, Name="live")
    kiln.lambda_.delete_function(FunctionName=versions.name, Qualifier="2")
    listed = kiln.lambda_.list_versions_by_function(FunctionName=versions.name)["Versions"]
    assert [v["Version"] for v in listed] == ["$LATEST", "1"]


def test_qualified_arns_name_what_they_name(kiln, versions):
    """VER-16, VER-15: in every call that takes a function."""
    alias(kiln, versions, "live", "1")
    for qualifier, version in (("live", "1"), ("2", "2"), ("$LATEST", "$LATEST")):
        arn = f"{versions.arn}:{qualifier}"
        assert kiln.lambda_.get_function(FunctionName=arn)["Configuration"]["Version"] == version
        assert kiln.lambda_.get_function_configuration(FunctionName=arn)["FunctionArn"] == arn
        assert versions(name=arn).version == version
    pages = kiln.lambda_.get_paginator("list_versions_by_function").paginate(
        FunctionName=versions.arn, PaginationConfig={"PageSize": 2}
    )
    assert [v["Version"] for page in pages for v in page["Versions"]] == ["$LATEST", "1", "2"]


def test_a_stale_revision_of_an_alias(kiln, versions):
    """API-10: whoever read it before the last change has to read it again."""
    stale = alias(kiln, versions, "live", "1")["RevisionId"]
    of = {"FunctionName": versions.name, "Name": "live"}
    fresh = kiln.lambda_.update_alias(**of, FunctionVersion="2", RevisionId=stale)["RevisionId"]
    assert fresh != stale
    code, status, message = refused(
        kiln.lambda_.update_alias, **of, FunctionVersion="1", RevisionId=stale
    )
    assert (code, status) == ("PreconditionFailedException", 412)
    assert "GetAlias" in message
    assert kiln.lambda_.get_alias(**of)["FunctionVersion"] == "2"


def test_reservations_are_for_functions_only(kiln, versions):
    """CON-9."""
    alias(kiln, versions, "live", "1")
    answer = refused(
        kiln.lambda_.put_function_concurrency,
        FunctionName=f"{versions.arn}:live",
        ReservedConcurrentExecutions=1,
    )
    assert answer == (
        "InvalidParameterValueException",
        400,
        "This operation is permitted on Lambda functions only. Aliases and versions do not support "
        "this operation. Please specify either a function name or an unqualified function ARN.",
    )


def test_tags_are_for_functions_only(kiln, versions):
    """FN-18: at most fifty, on the function alone."""
    alias(kiln, versions, "live", "1")
    kiln.lambda_.tag_resource(Resource=versions.arn, Tags={"team": "a", "stage": "dev"})
    kiln.lambda_.untag_resource(Resource=versions.arn, TagKeys=["stage"])
    assert kiln.lambda_.list_tags(Resource=versions.arn)["Tags"] == {"team": "a"}
    for qualifier in ("1", "live"):
        answer = refused(
            kiln.lambda_.tag_resource, Resource=f"{versions.arn}:{qualifier}", Tags={"a": "b"}
        )
        assert answer == (
            "InvalidParameterValueException",
            400,
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        )
    many = {f"key{n}": "" for n in range(50)}
    code, status, _ = refused(kiln.lambda_.tag_resource, Resource=versions.arn, Tags=many)
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert kiln.lambda_.list_tags(Resource=versions.arn)["Tags"] == {"team": "a"}


def test_a_function_calls_another_through_an_alias(kiln, versions, deploy):
    """INV-4, INV-21: boto3 inside a function, with what its environment gives it."""
    alias(kiln, versions, "live", "2")
    caller = deploy(
        with_boto3({"index.py": CALLER}, "lambda"), Timeout=30, MemorySize=512, name=unique("caller")
    )
    assert caller({"name": f"{versions.arn}:live"}).value == {
        "sync": "two",
        "version": "2",
        "later": [202, ""],
    }
