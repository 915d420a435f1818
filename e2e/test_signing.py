"""Code signing configurations as records: made, bound to functions, kept."""

import signal

import pytest
from botocore.exceptions import ClientError

from kiln import ACCOUNT, REGION, code_of, unique

ECHO = {"index.py": "def handler(event, context):\n    return event\n"}
PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/test/aBcDeFgHiJ"


def made(client, **more):
    return client.create_code_signing_config(
        AllowedPublishers={"SigningProfileVersionArns": [PROFILE]}, **more
    )["CodeSigningConfig"]


def test_a_configuration_is_made_by_the_command_line(kiln):
    """SIG-3: the call of the guide gives an ARN with `csc-` and 17 letters and digits."""
    answer = kiln.aws(
        "lambda", "create-code-signing-config",
        "--allowed-publishers", f"SigningProfileVersionArns={PROFILE}",
        "--code-signing-policies", "UntrustedArtifactOnDeployment=Enforce",
    )  # fmt: skip
    config = answer["CodeSigningConfig"]
    kind, name = config["CodeSigningConfigArn"].rsplit(":", 2)[1:]
    assert kind == "code-signing-config" and name == config["CodeSigningConfigId"]
    assert name.startswith("csc-") and len(name) == len("csc-") + 17
    assert config["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Enforce"}
    assert config["AllowedPublishers"] == {"SigningProfileVersionArns": [PROFILE]}


def test_a_function_is_bound_to_a_configuration(kiln, deploy):
    """SIG-3: at its birth or later; a configuration in use stays."""
    client = kiln.lambda_
    arn = made(client, Tags={"team": "a"})["CodeSigningConfigArn"]
    assert client.list_tags(Resource=arn)["Tags"] == {"team": "a"}
    born = deploy(ECHO, CodeSigningConfigArn=arn)
    later = deploy(ECHO)
    read = client.get_function_code_signing_config
    assert read(FunctionName=born.name)["CodeSigningConfigArn"] == arn
    assert "CodeSigningConfigArn" not in read(FunctionName=later.name)
    client.put_function_code_signing_config(FunctionName=later.name, CodeSigningConfigArn=arn)
    users = client.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)
    assert set(users["FunctionArns"]) == {born.arn, later.arn}
    with pytest.raises(ClientError) as error:
        client.delete_code_signing_config(CodeSigningConfigArn=arn)
    assert code_of(error)[:2] == ("ResourceConflictException", 409)
    for function in (born, later):
        client.delete_function_code_signing_config(FunctionName=function.name)
    client.delete_code_signing_config(CodeSigningConfigArn=arn)
    with pytest.raises(ClientError) as error:
        client.get_code_signing_config(CodeSigningConfigArn=arn)
    assert code_of(error)[:2] == ("ResourceNotFoundException", 404)
    with pytest.raises(ClientError) as error:
        kiln.deploy(unique(), ECHO, CodeSigningConfigArn=arn)
    assert code_of(error)[0] == "CodeSigningConfigNotFoundException"


def test_configurations_survive_a_crash(start_kiln):
    """SIG-3: what was answered is there after `kill -9`, and the binding of a new function."""
    kiln = start_kiln()
    client = kiln.lambda_
    config = made(client, Description="kept")
    function = kiln.deploy(unique(), ECHO, CodeSigningConfigArn=config["CodeSigningConfigArn"])
    kiln.stop(signal.SIGKILL)
    kiln.start()
    client = kiln.lambda_
    arn = config["CodeSigningConfigArn"]
    shown = client.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"]
    assert shown == config
    bound = client.get_function_code_signing_config(FunctionName=function.name)
    assert bound["CodeSigningConfigArn"] == arn
