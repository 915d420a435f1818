"""Asynchronous events on a server whose time can be moved: retries, ages, destinations."""

import json
import subprocess
import time

import pytest

from kiln import Kiln, eventually, unique

#: Fails while it is asked to; its log tells every attempt.
FAILS = """
import json

def handler(event, context):
    print("ATTEMPT " + json.dumps({"id": context.aws_request_id, "event": event}))
    if event.get("fail"):
        raise Exception("intentional failure")
    return {"well": True}
"""

#: Tells in its log what it gets.
HEARS = """
import json

def handler(event, context):
    print("RECORD " + json.dumps(event))
"""


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    server = Kiln(tmp_path_factory.mktemp("async") / "data", env={"KILN_MOVABLE_CLOCK": "true"})
    yield server.start()
    assert server.stop() == 0, server.log()


def run(server, *arguments, check=True):
    """One command of the program, with its JSON."""
    done = subprocess.run(
        [str(server.binary), *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        env=server.environment(),
        timeout=60,
    )
    if not check:
        return done
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told(server, function, word):
    """What a function told in its log."""
    logs = server.client("logs")
    try:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{function.name}"
        )
        lines = [event["message"] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [json.loads(line.removeprefix(word)) for line in lines if line.startswith(word)]


def attempts(server, function):
    return told(server, function, "ATTEMPT ")


def records(server, function):
    return told(server, function, "RECORD ")


def send(function, event, **options):
    answer = function.client.invoke(
        FunctionName=function.name,
        InvocationType="Event",
        Payload=json.dumps(event),
        **options,
    )
    assert answer["StatusCode"] == 202
    return answer["ResponseMetadata"]["RequestId"]


def pair(server, **settings):
    """A function that may fail, and one that hears of its events."""
    fails = server.deploy(unique("fails"), {"index.py": FAILS}, **settings)
    hears = server.deploy(unique("hears"), {"index.py": HEARS})
    both = {"OnSuccess": {"Destination": hears.arn}, "OnFailure": {"Destination": hears.arn}}
    server.lambda_.put_function_event_invoke_config(
        FunctionName=fails.name, DestinationConfig=both
    )
    return fails, hears


def stays(ask, seconds=0.5):
    """Whether it stays so for a while of real time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not ask():
            return False
        time.sleep(0.05)
    return True


def test_a_success_is_told_to_its_destination(moved):
    """[ASY-15, ASY-17, ASY-19, ASY-21]"""
    fails, hears = pair(moved)
    request = send(fails, {"n": 1})
    record = eventually(lambda: records(moved, hears))[0]
    assert record["version"] == "1.0"
    assert record["requestContext"] == {
        "requestId": request,
        "functionArn": f"{fails.arn}:$LATEST",
        "condition": "Success",
        "approximateInvokeCount": 1,
    }
    assert record["requestPayload"] == {"n": 1}
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert record["responsePayload"] == {"well": True}


def test_a_failure_is_tried_after_one_and_two_minutes(moved):
    """[ASY-4, ASY-18] By moved time; each attempt has the same request id."""
    fails, hears = pair(moved)
    request = send(fails, {"fail": True})
    for count, wait in [(1, 60), (2, 120)]:
        assert eventually(lambda: len(attempts(moved, fails)) == count)
        # The worker writes the retry down after the function has ended.
        time.sleep(0.3)
        run(moved, "clock", "step", wait - 20)
        assert stays(lambda: len(attempts(moved, fails)) == count), "too early"
        run(moved, "clock", "step", 21)
    assert eventually(lambda: len(attempts(moved, fails)) == 3)
    assert {a["id"] for a in attempts(moved, fails)} == {request}
    record = eventually(lambda: records(moved, hears))[0]
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorMessage"] == "intentional failure"
    assert record["responsePayload"]["requestId"] == request


@pytest.mark.parametrize("retries", [0, 1])
def test_the_number_of_retries_is_configured(moved, retries):
    """[ASY-6]"""
    fails, hears = pair(moved)
    moved.lambda_.update_function_event_invoke_config(
        FunctionName=fails.name, MaximumRetryAttempts=retries
    )
    send(fails, {"fail": True})
    for count in range(1, retries + 1):
        assert eventually(lambda: len(attempts(moved, fails)) == count)
        time.sleep(0.3)
        run(moved, "clock", "step", "61s")
    record = eventually(lambda: records(moved, hears))[0]
    assert record["requestContext"]["approximateInvokeCount"] == retries + 1
    assert len(attempts(moved, fails)) == retries + 1


def test_a_retry_that_would_come_too_late_is_not_waited_for(moved):
    """[ASY-7]"""
    fails, hears = pair(moved)
    moved.lambda_.update_function_event_invoke_config(
        FunctionName=fails.name, MaximumEventAgeInSeconds=90
    )
    send(fails, {"fail": True})
    assert eventually(lambda: len(attempts(moved, fails)) == 1)
    time.sleep(0.3)
    run(moved, "clock", "step", "61s")
    record = eventually(lambda: records(moved, hears))[0]
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 2


def test_a_function_that_is_switched_off_tells_at_once(moved):
    """[ASY-26, CON-8]"""
    fails, hears = pair(moved)
    moved.lambda_.put_function_concurrency(
        FunctionName=fails.name, ReservedConcurrentExecutions=0
    )
    send(fails, {"n": 1})
    record = eventually(lambda: records(moved, hears))[0]
    assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in record and "responsePayload" not in record
    assert attempts(moved, fails) == []


def test_an_event_that_waits_runs_on_the_new_code(moved):
    """[ASY-28]"""
    fails, hears = pair(moved)
    send(fails, {"fail": True})
    assert eventually(lambda: len(attempts(moved, fails)) == 1)
    fails.code({"index.py": FAILS.replace('event.get("fail")', "False")})
    run(moved, "clock", "step", "61s")
    record = eventually(lambda: records(moved, hears))[0]
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["approximateInvokeCount"] == 2


def test_hours_of_retries_pass_in_seconds(moved):
    """[ASY-4] `kiln clock speed`"""
    fails, hears = pair(moved)
    run(moved, "clock", "speed", 60)
    try:
        send(fails, {"fail": True})
        record = eventually(lambda: records(moved, hears), seconds=20)[0]
    finally:
        assert run(moved, "clock", "speed", 1)["speed"] == 1
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert len(attempts(moved, fails)) == 3


def queue(server):
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, answer["Attributes"]["QueueArn"]


def receive(server, url):
    """The next message, with everything that it carries."""

    def ask():
        return server.client("sqs").receive_message(
            QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"]
        ).get("Messages")

    (message,) = eventually(ask) or [None]
    return message


def test_a_dead_letter_queue_gets_the_event_as_it_was_sent(moved):
    """[ASY-9, ASY-11, ASY-15, ASY-18, ASY-20] Beside a destination."""
    (dead_url, dead_arn), (url, arn) = queue(moved), queue(moved)
    fails = moved.deploy(
        unique("fails"), {"index.py": FAILS}, DeadLetterConfig={"TargetArn": dead_arn}
    )
    moved.lambda_.put_function_event_invoke_config(
        FunctionName=fails.name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    body = '{"fail":  true, "text": "as it was"}'
    answer = moved.lambda_.invoke(
        FunctionName=fails.name, InvocationType="Event", Payload=body
    )
    request = answer["ResponseMetadata"]["RequestId"]
    letter = receive(moved, dead_url)
    assert letter["Body"] == body
    assert letter["MessageAttributes"] == {
        "RequestID": {"StringValue": request, "DataType": "String"},
        "ErrorCode": {"StringValue": "200", "DataType": "Number"},
        "ErrorMessage": {"StringValue": "intentional failure", "DataType": "String"},
    }
    told = receive(moved, url)
    record = json.loads(told["Body"])
    assert record["requestContext"]["requestId"] == request
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert "MessageAttributes" not in told
    assert told["Attributes"]["AWSTraceHeader"].startswith("Root=1-")


def test_a_dead_letter_queue_that_is_gone_is_counted(moved):
    """[ASY-13, ASY-25]"""
    (gone, arn) = queue(moved)
    fails = moved.deploy(
        unique("fails"), {"index.py": FAILS}, DeadLetterConfig={"TargetArn": arn}
    )
    moved.lambda_.put_function_event_invoke_config(
        FunctionName=fails.name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    moved.client("sqs").delete_queue(QueueUrl=gone)
    send(fails, {"fail": True})

    counts = lambda: moved.counters(fails.arn)
    lost = ("DeadLetterErrors", "DestinationDeliveryFailures", "AsyncEventsDropped")
    assert eventually(lambda: [counts().get(name) for name in lost] == [1, 1, 1]), counts()
    assert counts()["AsyncEventsReceived"] == 1


def test_the_way_of_an_event_is_told_as_a_tree(moved):
    """[ASY-19] `kiln trace`: attempts, the delivery, and the event that it became."""
    fails, hears = pair(moved)
    moved.lambda_.update_function_event_invoke_config(
        FunctionName=fails.name, MaximumRetryAttempts=0
    )
    request = send(fails, {"fail": True})
    heard = eventually(lambda: attempts_of(moved, request) == 3)
    assert heard, run(moved, "trace", request)
    (event,) = run(moved, "trace", request)["nodes"]
    assert (event["kind"], event["id"], event["to"]) == ("event", request, fails.arn)
    assert [step["text"] for step in event["steps"]] == [
        "accepted",
        "attempt: Unhandled",
        "ended: RetriesExhausted",
    ]
    (delivery,) = event["next"]
    assert (delivery["kind"], delivery["to"]) == ("delivery", hears.arn)
    (told,) = delivery["next"]
    assert told["to"] == hears.arn
    assert told["steps"][-1]["text"] == "ended: Success"


def attempts_of(server, request):
    """How deep the tree of an event is whose leaf has ended."""
    done = run(server, "trace", request, check=False)
    if done.returncode != 0:
        return 0
    depth, nodes = 0, json.loads(done.stdout)["nodes"]
    while nodes:
        depth, last, nodes = depth + 1, nodes[0], nodes[0]["next"]
    return depth if last["steps"][-1]["text"].startswith("ended") else 0


def test_an_event_is_run_once_more_against_a_version(moved):
    """`kiln replay`"""
    fails, hears = pair(moved)
    moved.lambda_.update_function_event_invoke_config(
        FunctionName=fails.name, MaximumRetryAttempts=0
    )
    request = send(fails, {"fail": True, "n": 7})
    assert eventually(lambda: records(moved, hears))
    fails.code({"index.py": FAILS.replace('event.get("fail")', "False")})
    version = moved.lambda_.publish_version(FunctionName=fails.name)["Version"]
    moved.settle(f"{fails.name}:{version}")
    again = run(moved, "replay", request, "--qualifier", version)["requestId"]
    assert again != request
    ended = "ended: Success"
    ask = lambda: run(moved, "trace", again)["nodes"][0]["next"][-1]["steps"][-1]["text"] == ended
    assert eventually(ask), run(moved, "trace", again)
    assert attempts(moved, fails)[-1]["event"] == {"fail": True, "n": 7}
    missing = run(moved, "replay", "no-such-id", check=False)
    assert missing.returncode != 0 and "Nothing is known" in missing.stderr


def test_the_time_stands_still_and_goes_on_after_a_restart(start_kiln):
    server = start_kiln(env={"KILN_MOVABLE_CLOCK": "true"})
    still = run(server, "clock", "pause")
    assert still["speed"] == 0
    assert run(server, "clock", "show")["now"] == still["now"]
    assert run(server, "clock", "step", "6h")["aheadSeconds"] > 21_500
    time.sleep(1.5)
    server.stop()
    assert run(server.start(), "clock", "show")["aheadSeconds"] > 21_500


def test_a_server_without_it_refuses(kiln):
    done = run(kiln, "clock", "step", "1m", check=False)
    assert done.returncode != 0
    assert "movable_clock" in done.stderr


def test_the_first_retry_comes_after_a_minute_of_real_time(kiln):
    """[ASY-1, ASY-4] The one test that waits: the others move the time."""
    fails, hears = pair(kiln)
    send(fails, {"fail": True})
    assert eventually(lambda: len(attempts(kiln, fails)) == 1)
    begun = time.monotonic()
    assert eventually(lambda: len(attempts(kiln, fails)) == 2, seconds=75)
    assert 55 < time.monotonic() - begun < 70
