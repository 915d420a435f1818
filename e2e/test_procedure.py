"""How a change goes from a developer to everyone: versions, environments, gradual shifts."""

import json

import pytest
from botocore.exceptions import ClientError

from kiln import code_of, unique

SAYS = "def handler(event, context):\n    return {!r}\n"


def call(kiln, name, qualifier):
    out = kiln.data.parent / unique("out")
    kiln.aws(
        "lambda", "invoke", "--function-name", name, "--qualifier", qualifier, str(out)
    )  # fmt: skip
    return json.loads(out.read_text())



def test_a_change_goes_through_its_environments(kiln, deploy, tmp_path):
    """VER-13: publish, name the version, deploy to dev, test there, promote to prod."""
    function = deploy({"index.py": SAYS.format("old")})
    name = function.name
    # What runs in production: version 1, called through a door that names the environment.
    kiln.aws("lambda", "publish-version", "--function-name", name)
    for environment in ("dev", "prod"):
        kiln.aws(
            "lambda", "create-alias", "--function-name", name, "--name", environment,
            "--function-version", "1",
        )  # fmt: skip
    # 1. A new version is published.
    function.code({"index.py": SAYS.format("new")})
    version = kiln.aws("lambda", "publish-version", "--function-name", name)["Version"]
    assert version == "2"
    # 2. It is called by its number before any environment has it.
    assert call(kiln, f"{function.arn}", "2") == "new"
    # 3. It is deployed to dev.
    kiln.aws(
        "lambda", "update-alias", "--function-name", name, "--name", "dev",
        "--function-version", version,
    )  # fmt: skip
    # 4. It is tested there, and production does not notice.
    assert call(kiln, name, "dev") == "new"
    assert call(kiln, name, "prod") == "old"
    # 5. It is promoted, and can be taken back at once.
    for target, says in [("2", "new"), ("1", "old"), ("2", "new")]:
        kiln.aws(
            "lambda", "update-alias", "--function-name", name, "--name", "prod",
            "--function-version", target,
        )  # fmt: skip
        assert call(kiln, name, "prod") == says


def test_an_alias_is_shifted_step_by_step(kiln, deploy):
    """VER-18: the calls that a gradual deployment makes: a part, more of it, everything, and back.

    What makes them (CodeDeploy, its hooks and alarms) is not built.
    """
    function = deploy({"index.py": SAYS.format("old")})
    client = kiln.lambda_
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    function.code({"index.py": SAYS.format("new")})
    client.publish_version(FunctionName=function.name)

    def shift(version, **weights):
        return client.update_alias(
            FunctionName=function.name,
            Name="live",
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
        )

    def says():
        return {function(None, Qualifier="live").value for _ in range(40)}

    assert says() == {"old"}
    assert shift("1", **{"2": 0.5})["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    # Forty calls that all go one way are less likely than one in 10^11.
    assert says() == {"old", "new"}
    shift("1", **{"2": 1.0})
    assert says() == {"new"}
    shift("1")
    assert says() == {"old"}
    assert "RoutingConfig" not in shift("2")
    assert says() == {"new"}


def not_built(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return code_of(error)[:2]


TYPED = ("NotImplementedException", 501)


def test_what_is_not_built_says_so(kiln, deploy):
    """INV-23, VER-17: durable executions and managed instances are refused, not passed over."""
    function = deploy({"index.py": SAYS.format("x")})
    client = kiln.lambda_
    named = {"FunctionName": function.name}
    assert not_built(client.invoke, **named, DurableExecutionName="run") == TYPED
    assert not_built(client.publish_version, **named, PublishTo="LATEST_PUBLISHED") == TYPED
    code = {"index.py": SAYS.format("x")}
    durable = {"ExecutionTimeout": 60, "RetentionPeriodInDays": 1}
    assert not_built(kiln.deploy, name=unique(), files=code, DurableConfig=durable) == TYPED
    arn = f"arn:aws:lambda:us-east-1:{'0' * 12}:capacity-provider:p"
    provider = {"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": arn}}
    refusal = not_built(
        kiln.deploy, name=unique(), files=code, CapacityProviderConfig=provider
    )
    assert refusal == TYPED
    assert not_built(client.list_capacity_providers) == TYPED
    assert not_built(client.list_durable_executions_by_function, **named) == TYPED
    refusal = not_built(client.get_function_scaling_config, **named, Qualifier="1")
    assert refusal == ("ResourceNotFoundException", 404)
    client.publish_version(**named)
    refusal = not_built(client.get_function_scaling_config, **named, Qualifier="1")
    assert refusal == ("InvalidParameterValueException", 400)


def test_a_public_layer_of_elsewhere_is_not_here(kiln):
    """LAY-7: layers are not fetched from AWS: one that is not here is refused as one not shared."""
    layer = "arn:aws:lambda:us-east-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python312:1"
    with pytest.raises(ClientError) as error:
        kiln.deploy(unique(), {"index.py": SAYS.format("x")}, Layers=[layer])
    assert code_of(error)[:2] == ("AccessDeniedException", 403)
