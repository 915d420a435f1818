"""Limits on running: throttling, retries of the client, calls while a function settles."""

import collections
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from kiln import NODE, PYTHON, code_of, eventually, unique

SLEEP = {"index.py": "import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'slept'\n"}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A server that runs one invocation at a time."""
    from kiln import Kiln

    server = Kiln(
        tmp_path_factory.mktemp("narrow") / "data",
        # These tests ask again and again: the cap on requests per second is not their subject.
        env={"KILN_CONCURRENCY_MAX": "1", "KILN_CALLS_PER_UNIT": "0"},
    ).start()
    yield server
    assert server.stop() == 0, server.log()


def patient(server, mode="standard"):
    return server.new_client("lambda", retries={"mode": mode, "total_max_attempts": 10})


@contextmanager
def occupied(server, name, seconds):
    """The only place is taken by a call that sleeps; gives the error that the next call got."""
    with ThreadPoolExecutor(1) as pool:
        sleeper = patient(server)
        running = pool.submit(sleeper.invoke, FunctionName=name, Payload=str(seconds).encode())
        throttled = None
        while throttled is None:
            assert not running.done(), "the sleeper was never in the way"
            try:
                server.lambda_.invoke(FunctionName=name, Payload=b"0")
            except ClientError as error:
                throttled = error
        yield throttled
        assert running.result()["Payload"].read() == b'"slept"'


def test_a_call_too_many_is_throttled(narrow):
    """INV-16: 429 with a reason; the running call is not disturbed."""
    narrow.deploy("one", SLEEP)(0)
    with occupied(narrow, "one", 1) as throttled:
        assert code_of(throttled) == ("TooManyRequestsException", 429, "Rate Exceeded.")
        assert throttled.response["Reason"] == "ConcurrentInvocationLimitExceeded"


@pytest.mark.parametrize("mode", ["standard", "legacy"])
def test_clients_retry_what_was_throttled(narrow, mode):
    """INV-17: the retry modes of botocore see 429 as retryable."""
    function = narrow.deploy(unique(mode), SLEEP)
    function(0)
    client = patient(narrow, mode)
    with occupied(narrow, function.name, 2):
        answer = client.invoke(FunctionName=function.name, Payload=b"0")
        assert answer["Payload"].read() == b'"slept"'
        assert answer["ResponseMetadata"]["RetryAttempts"] >= 1


def test_a_function_is_invocable_right_after_it_was_made(kiln, deploy):
    """INV-18: at most a conflict while it is pending, and that for moments."""
    function = deploy({"index.py": "def handler(e, c): return e\n"}, wait=False)
    try:
        assert function(1).value == 1
    except ClientError as error:
        code, status, message = code_of(error)
        assert (code, status) == ("ResourceConflictException", 409)
        assert "Pending" in message
        kiln.settle(function.name)
        assert function(1).value == 1


def test_updates_at_the_same_time_are_ordered_or_refused(kiln, deploy):
    """FN-11: never both at once; what is refused says so."""
    function = deploy({"index.py": "def handler(e, c): return e\n"})
    gate, refusals = threading.Barrier(6), []

    def update(number):
        client = kiln.new_client("lambda")
        gate.wait()
        try:
            client.update_function_configuration(
                FunctionName=function.name, Description=f"number {number}"
            )
            return number
        except client.exceptions.ResourceConflictException as error:
            refusals.append(code_of(error))
            return None

    with ThreadPoolExecutor(6) as pool:
        done = [n for n in pool.map(update, range(6)) if n is not None]
    assert done
    for _, status, message in refusals:
        assert status == 409
        assert message.endswith(
            f"An update is in progress for resource: {function.arn}"
        )
    settled = kiln.settle(function.name)
    assert settled["Description"] in [f"number {n}" for n in done]


def test_another_architecture_is_refused_clearly(deploy):
    """FN-17: at create or at invoke, with the architecture's name."""
    import platform

    other = "arm64" if platform.machine() == "x86_64" else "x86_64"
    try:
        function = deploy({"index.py": "def handler(e, c): return 1\n"}, Architectures=[other])
        assert function.created["Architectures"] == [other]
        function()
    except ClientError as error:
        code, status, message = code_of(error)
        assert code in ("InvalidRuntimeException", "InvalidParameterValueException")
        assert status in (400, 502)
        assert other in message
    else:
        pytest.fail(f"a function for {other} ran here")


def test_a_zip_over_fifty_megabytes_is_refused(kiln):
    """FN-19: by its own size, before it is looked into."""
    with pytest.raises(ClientError) as error:
        kiln.lambda_.create_function(
            FunctionName=unique(),
            Runtime=PYTHON,
            Role="arn:aws:iam::000000000000:role/e2e",
            Handler="index.handler",
            Code={"ZipFile": bytes(52_428_801)},
        )
    assert code_of(error) == (
        "RequestEntityTooLargeException",
        413,
        "Zipped size must be smaller than 52428800 bytes",
    )


def test_two_runtimes_side_by_side(deploy):
    """One server runs Python and Node.js functions at once."""
    functions = [deploy({"index.py": "def handler(e, c): return ['python', e]\n"})]
    if NODE:
        code = {"index.js": "exports.handler = async (e) => ['node', e];"}
        functions.append(deploy(code, runtime=NODE))
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(f, n) for n in range(6) for f in functions]
        values = [call.result().value for call in calls]
    assert {v[0] for v in values} == ({"python", "node"} if NODE else {"python"})
    assert sorted(v[1] for v in values) == sorted(list(range(6)) * len(functions))


def test_the_rate_of_control_requests(start_kiln):
    """API-11: 15 in a second when AWS's rates are kept, with their own reason; invocations are not counted."""
    kiln = start_kiln(env={"KILN_CONTROL_RATES": "true"})
    answers = collections.Counter()
    for _ in range(60):
        try:
            kiln.lambda_.list_functions()
            answers["good"] += 1
        except ClientError as error:
            assert code_of(error)[:2] == ("TooManyRequestsException", 429)
            assert error.response["Reason"] == "CallerRateLimitExceeded"
            answers["refused"] += 1
    assert answers["good"] >= 15 and answers["refused"] >= 1, answers
    for _ in range(30):
        with pytest.raises(kiln.lambda_.exceptions.ResourceNotFoundException):
            kiln.lambda_.invoke(FunctionName="missing", Payload=b"{}")


def test_a_function_that_nobody_calls_falls_asleep(start_kiln):
    """FN-24: `Inactive` after a long time; the next call fails and wakes it."""
    kiln = start_kiln(env={"KILN_FUNCTION_IDLE_SECS": "2"})
    kiln.deploy("sleepy", {"index.py": "def handler(e, c):\n    return e\n"})
    read = kiln.lambda_.get_function_configuration
    asleep = eventually(lambda: (c := read(FunctionName="sleepy"))["State"] == "Inactive" and c, 30)
    assert (asleep["StateReasonCode"], asleep["LastUpdateStatus"]) == ("Idle", "Successful")
    with pytest.raises(ClientError) as refused:
        kiln.lambda_.invoke(FunctionName="sleepy", Payload=b"1")
    assert code_of(refused.value) == (
        "ResourceConflictException",
        409,
        "The operation cannot be performed at this time. The function is currently in the following state: Inactive",
    )
    # It is awake for two seconds: on a busy machine it may fall asleep before it is called again.
    assert eventually(lambda: answered(kiln, "sleepy"), 30)


def answered(kiln, name):
    try:
        return kiln.lambda_.invoke(FunctionName=name, Payload=b"1")["Payload"].read() == b"1"
    except ClientError:
        return False
