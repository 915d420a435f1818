"""Reserved and provisioned concurrency, the scaling rule and the answers of AWS to what is too much."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from kiln import code_of, eventually, unique

WHO = """
import os, time, uuid
me = uuid.uuid4().hex
count = 0
def handler(event, context):
    global count
    count += 1
    time.sleep(event.get("seconds", 0))
    return [me, count, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]]
"""


def at_once(function, calls, seconds, **options):
    """The values of calls that overlap, and the reasons of those that were refused."""
    client = function.kiln.new_client("lambda", max_pool_connections=calls)

    def call(_):
        try:
            answer = client.invoke(
                FunctionName=function.name, Payload=f'{{"seconds": {seconds}}}', **options
            )
            return answer["Payload"].read(), None
        except ClientError as error:
            assert code_of(error)[:2] == ("TooManyRequestsException", 429)
            assert error.response["message"] == "Rate Exceeded."
            return None, error.response["Reason"]

    with ThreadPoolExecutor(calls) as pool:
        done = list(pool.map(call, range(calls)))
    return [v for v, _ in done if v is not None], [r for _, r in done if r is not None]


def provisioned(kiln, name, qualifier, wanted="READY"):
    def look():
        now = kiln.lambda_.get_provisioned_concurrency_config(
            FunctionName=name, Qualifier=qualifier
        )
        return now if now["Status"] == wanted else None

    return eventually(look, 30)


def publish(kiln, function, alias=None):
    version = kiln.lambda_.publish_version(FunctionName=function.name)["Version"]
    if alias:
        kiln.lambda_.create_alias(
            FunctionName=function.name, Name=alias, FunctionVersion=version
        )
    return version


def test_a_reservation_is_a_cap(kiln, deploy):
    """CON-5, CON-6, CON-10: the third of three calls at once is refused."""
    function = deploy({"index.py": WHO})
    client = kiln.lambda_
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(
        FunctionName=function.name
    )
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)
    shown = client.get_function(FunctionName=function.name)["Concurrency"]
    assert shown == {"ReservedConcurrentExecutions": 2}
    values, reasons = at_once(function, 3, 2)
    assert len(values) == 2
    assert reasons == ["ReservedFunctionConcurrentInvocationLimitExceeded"]
    assert function({}).error is None


def test_a_reservation_of_none_is_an_off_switch(kiln, deploy):
    """CON-8."""
    function = deploy({"index.py": WHO})
    client = kiln.lambda_
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    for _ in range(3):
        with pytest.raises(client.exceptions.TooManyRequestsException) as refused:
            function({})
        reason = refused.value.response["Reason"]
        assert reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    client.delete_function_concurrency(FunctionName=function.name)
    assert function({}).error is None


def test_others_cannot_use_what_is_reserved(start_kiln):
    """CON-1, CON-6, CON-7, CON-18: an account of four, of which one is reserved."""
    kiln = start_kiln(env={"KILN_CONCURRENCY_MAX": "4", "KILN_UNRESERVED_MIN": "3"})
    client = kiln.lambda_
    other = kiln.deploy("other", {"index.py": WHO})
    own = kiln.deploy("own", {"index.py": WHO})
    with pytest.raises(client.exceptions.InvalidParameterValueException) as refused:
        client.put_function_concurrency(FunctionName="own", ReservedConcurrentExecutions=2)
    assert code_of(refused)[2] == (
        "Specified ReservedConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [3]."
    )
    client.put_function_concurrency(FunctionName="own", ReservedConcurrentExecutions=1)
    limit = client.get_account_settings()["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (4, 3)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(at_once, other, 5, 3)
        time.sleep(1.5)
        assert own({}).error is None, "it has its own"
        values, reasons = busy.result()
    assert len(values) == 3
    assert reasons == ["ConcurrentInvocationLimitExceeded"] * 2


def test_provisioned_environments_are_ready_before_they_are_called(kiln, deploy):
    """CON-11, CON-12, CON-13, CON-14."""
    function = deploy({"index.py": WHO})
    version = publish(kiln, function, "live")
    put = kiln.lambda_.put_provisioned_concurrency_config(
        FunctionName=function.name, Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert put["Status"] == "IN_PROGRESS"
    assert put["AllocatedProvisionedConcurrentExecutions"] == 0
    ready = provisioned(kiln, function.name, "live")
    assert ready["RequestedProvisionedConcurrentExecutions"] == 2
    assert ready["AllocatedProvisionedConcurrentExecutions"] == 2
    assert ready["AvailableProvisionedConcurrentExecutions"] == 2
    first = function({}, Qualifier="live")
    assert first.value[1:] == [1, "provisioned-concurrency"], "no call came before"
    assert "Init Duration" not in first.log
    by_version = function({}, Qualifier=version)
    assert by_version.value[2] == "provisioned-concurrency", "the environments are the version's"
    values, reasons = at_once(function, 3, 2, Qualifier="live")
    kinds = sorted(b"on-demand" in v for v in values)
    assert (kinds, reasons) == ([False, False, True], [])
    assert function({}).value[2] == "on-demand", "$LATEST has none"


def test_a_failed_init_is_told(kiln, deploy):
    """CON-11."""
    function = deploy({"index.py": "raise RuntimeError('no')\n"})
    version = publish(kiln, function)
    kiln.lambda_.put_provisioned_concurrency_config(
        FunctionName=function.name, Qualifier=version, ProvisionedConcurrentExecutions=1
    )
    failed = provisioned(kiln, function.name, version, "FAILED")
    assert failed["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    assert failed["AllocatedProvisionedConcurrentExecutions"] == 0


def test_provisioned_concurrency_survives_a_restart(start_kiln):
    """CON-11."""
    kiln = start_kiln()
    function = kiln.deploy("f", {"index.py": WHO})
    version = publish(kiln, function)
    kiln.lambda_.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier=version, ProvisionedConcurrentExecutions=1
    )
    assert provisioned(kiln, "f", version)
    assert kiln.stop() == 0, kiln.log()
    kiln.start()
    function.client = kiln.lambda_
    assert provisioned(kiln, "f", version)
    assert function({}, Qualifier=version).value[2] == "provisioned-concurrency"


def test_an_alias_and_its_version_do_not_both_have_it(kiln, deploy):
    """CON-16."""
    function = deploy({"index.py": WHO})
    version = publish(kiln, function, "live")
    client = kiln.lambda_
    client.put_provisioned_concurrency_config(
        FunctionName=function.name, Qualifier=version, ProvisionedConcurrentExecutions=1
    )
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.put_provisioned_concurrency_config(
            FunctionName=function.name, Qualifier="live", ProvisionedConcurrentExecutions=1
        )
    listed = client.list_provisioned_concurrency_configs(FunctionName=function.name)
    arns = [c["FunctionArn"] for c in listed["ProvisionedConcurrencyConfigs"]]
    assert arns == [f"{function.arn}:{version}"]
    client.delete_provisioned_concurrency_config(FunctionName=function.name, Qualifier=version)
    missing = client.exceptions.ProvisionedConcurrencyConfigNotFoundException
    with pytest.raises(missing):
        client.get_provisioned_concurrency_config(FunctionName=function.name, Qualifier=version)
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.put_provisioned_concurrency_config(
            FunctionName=function.name, Qualifier="$LATEST", ProvisionedConcurrentExecutions=1
        )


def test_a_function_scales_as_fast_as_the_rule_says(start_kiln):
    """CON-4: two environments in ten seconds, the third call is refused."""
    kiln = start_kiln(env={"KILN_SCALING_PER_10S": "2"})
    function = kiln.deploy(unique(), {"index.py": WHO})
    values, reasons = at_once(function, 3, 2)
    assert len(values) == 2
    assert reasons == ["FunctionInvocationRateLimitExceeded"]


def test_provisioned_environments_come_as_fast_as_the_rule_says(start_kiln):
    """CON-15: four at once, the fifth when its turn has come, after two and a half seconds."""
    kiln = start_kiln(env={"KILN_SCALING_PER_10S": "4"})
    function = kiln.deploy(unique(), {"index.py": WHO})
    version = publish(kiln, function)
    begun = time.monotonic()
    kiln.lambda_.put_provisioned_concurrency_config(
        FunctionName=function.name, Qualifier=version, ProvisionedConcurrentExecutions=5
    )
    ready = provisioned(kiln, function.name, version)
    assert ready["AllocatedProvisionedConcurrentExecutions"] == 5
    assert time.monotonic() - begun >= 2


def test_calls_are_counted_by_the_second(start_kiln):
    """CON-21: with one call a second for each that may run at once."""
    kiln = start_kiln(env={"KILN_CALLS_PER_UNIT": "1"})
    function = kiln.deploy(unique(), {"index.py": WHO})
    kiln.lambda_.put_function_concurrency(
        FunctionName=function.name, ReservedConcurrentExecutions=1
    )
    function({})
    with pytest.raises(kiln.lambda_.exceptions.TooManyRequestsException) as refused:
        for _ in range(50):
            function({})
    reason = refused.value.response["Reason"]
    assert reason == "ReservedFunctionInvocationRateLimitExceeded"
