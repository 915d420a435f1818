"""Functions with tenant isolation: an environment serves one tenant and no other."""

import pytest
from botocore.exceptions import ClientError

from kiln import code_of, eventually, unique

WHO = """
import uuid
environment, seen = uuid.uuid4().hex, []
def handler(event, context):
    seen.append(context.tenant_id)
    return {"environment": environment, "seen": seen, "tenant": context.tenant_id}
"""
PER_TENANT = {"TenantIsolationMode": "PER_TENANT"}


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return code_of(error)[:2]


def test_environments_are_never_shared_between_tenants(kiln, deploy):
    """INV-22: each tenant has environments of its own, and they are used again."""
    function = deploy({"index.py": WHO}, TenancyConfig=PER_TENANT)
    assert kiln.lambda_.get_function_configuration(FunctionName=function.name)[
        "TenancyConfig"
    ] == (PER_TENANT)
    of = {}
    for tenant in ["blue", "green", "blue", "green", "red", "blue"]:
        value = function({}, TenantId=tenant).value
        assert value["tenant"] == tenant
        assert set(value["seen"]) == {tenant}
        assert of.setdefault(tenant, value["environment"]) == value["environment"]
    assert len(set(of.values())) == 3


def test_a_tenant_is_required_or_refused(kiln, deploy):
    """INV-22: a function with isolation needs a tenant, another one takes none."""
    invalid = ("InvalidParameterValueException", 400)
    isolated = deploy({"index.py": WHO}, TenancyConfig=PER_TENANT)
    plain = deploy({"index.py": WHO})
    invoke = kiln.lambda_.invoke
    for kind in ["RequestResponse", "Event", "DryRun"]:
        named = {"InvocationType": kind, "FunctionName": isolated.name}
        assert refused(invoke, **named) == invalid
        named["FunctionName"] = plain.name
        assert refused(invoke, **named, TenantId="blue") == invalid
    code = refused(invoke, FunctionName=isolated.name, TenantId="a/b!")
    assert code == ("ValidationException", 400)
    assert plain({}).value["tenant"] is None


def test_isolation_is_chosen_at_birth(kiln, deploy):
    """INV-22: versions keep it; provisioned concurrency and URLs do not go with it."""
    client = kiln.lambda_
    isolated = deploy({"index.py": WHO}, TenancyConfig=PER_TENANT)
    version = client.publish_version(FunctionName=isolated.name)["Version"]
    assert isolated({}, Qualifier=version, TenantId="blue").value["tenant"] == "blue"
    invalid = ("InvalidParameterValueException", 400)
    named = {"FunctionName": isolated.name}
    assert (
        refused(
            client.put_provisioned_concurrency_config,
            **named,
            Qualifier=version,
            ProvisionedConcurrentExecutions=1,
        )
        == invalid
    )
    assert refused(client.create_function_url_config, **named, AuthType="NONE") == invalid
    assert (
        refused(
            kiln.deploy,
            name=unique(),
            files={"index.py": WHO},
            TenancyConfig=PER_TENANT,
            SnapStart={"ApplyOn": "PublishedVersions"},
        )
        == invalid
    )


def test_an_event_keeps_its_tenant(kiln, deploy):
    """INV-22: an asynchronous call runs for the tenant that it was made for."""
    source = "def handler(event, context):\n    print('ran for', context.tenant_id)\n"
    function = deploy({"index.py": source}, TenancyConfig=PER_TENANT)
    named = {"FunctionName": function.name, "InvocationType": "Event"}
    assert kiln.lambda_.invoke(**named, TenantId="violet")["StatusCode"] == 202
    logs = kiln.client("logs")

    def told():
        try:
            group = f"/aws/lambda/{function.name}"
            events = logs.filter_log_events(logGroupName=group)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return False
        return any("ran for violet" in e["message"] for e in events)

    assert eventually(told)
