"""Asynchronous events on a server whose time can be moved: retries, ages, destinations."""

import json
import subprocess
import time
from datetime import datetime

import pytest

from kiln import PYTHON, Kiln, code_of, eventually, unique, zipped

#: Fails while it is asked to; its log tells every attempt.
FAILS = """
import json

def handler(event, context):
    print("ATTEMPT " + json.dumps({"id": context.aws_request_id, "event": event}))
    if event.get("fail"):
        raise Exception("intentional failure")
    return {"well": True}
"""

#: Runs for longer than any client here waits for an answer.
LINGERS = """
import json, time

def handler(event, context):
    print("ATTEMPT " + json.dumps({"id": context.aws_request_id, "event": event}), flush=True)
    time.sleep(300)
"""

#: Events of one function that may wait.
EVENTS_MAX = 40

#: Tells in its log what it gets.
HEARS = """
import json

def handler(event, context):
    print("RECORD " + json.dumps(event))
"""


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    env = {"KILN_MOVABLE_CLOCK": "true", "KILN_FUNCTION_EVENTS_MAX": str(EVENTS_MAX)}
    server = Kiln(tmp_path_factory.mktemp("async") / "data", env=env)
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


def tried(server, request):
    """How often the event was tried, and what came of it was decided."""
    done = run(server, "trace", request, check=False)
    nodes = json.loads(done.stdout)["nodes"] if done.returncode == 0 else []
    steps = [step for node in nodes if node["id"] == request for step in node["steps"]]
    return [step for step in steps if step["text"].startswith("attempt")]


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
        assert eventually(lambda: len(tried(moved, request)) == count)
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
    request = send(fails, {"fail": True})
    for count in range(1, retries + 1):
        assert eventually(lambda: len(tried(moved, request)) == count)
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
    request = send(fails, {"fail": True})
    assert eventually(lambda: len(tried(moved, request)) == 1)
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
    request = send(fails, {"fail": True})
    assert eventually(lambda: len(tried(moved, request)) == 1)
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


def test_a_queue_that_keeps_an_order_is_no_dead_letter_queue(moved):
    """[ASY-10, ASY-13] What is sent there fails, and is counted."""
    sqs = moved.client("sqs")
    url = sqs.create_queue(QueueName=unique("q") + ".fifo", Attributes={"FifoQueue": "true"})
    asked = {"QueueUrl": url["QueueUrl"], "AttributeNames": ["All"]}
    arn = sqs.get_queue_attributes(**asked)["Attributes"]["QueueArn"]
    fails = moved.deploy(unique("fails"), {"index.py": FAILS}, DeadLetterConfig={"TargetArn": arn})
    moved.lambda_.put_function_event_invoke_config(FunctionName=fails.name, MaximumRetryAttempts=0)
    send(fails, {"fail": True})
    counts = lambda: moved.counters(fails.arn)
    assert eventually(lambda: counts().get("DeadLetterErrors") == 1), counts()
    assert sqs.get_queue_attributes(**asked)["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_a_bucket_is_told_of_and_not_reached(moved):
    """[ASY-16] There is no S3 here: the failure is counted, and says why."""
    fails = moved.deploy(unique("fails"), {"index.py": FAILS})
    bucket = "arn:aws:s3:::results"
    with pytest.raises(moved.lambda_.exceptions.InvalidParameterValueException) as error:
        moved.lambda_.put_function_event_invoke_config(
            FunctionName=fails.name, DestinationConfig={"OnSuccess": {"Destination": bucket}}
        )
    assert "is invalid." in code_of(error)[2]
    put = moved.lambda_.put_function_event_invoke_config(
        FunctionName=fails.name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": bucket}},
    )
    assert put["DestinationConfig"]["OnFailure"] == {"Destination": bucket}
    request = send(fails, {"fail": True})
    counts = lambda: moved.counters(fails.arn)
    assert eventually(lambda: counts().get("DestinationDeliveryFailures") == 1), counts()
    (event,) = run(moved, "trace", request)["nodes"]
    (delivery,) = event["next"]
    assert delivery["to"] == bucket
    assert "InvalidTarget: Kiln delivers nothing to" in delivery["steps"][-1]["text"]


def test_a_bus_hears_of_both_ends(moved):
    """[ASY-16, ASY-22]"""
    events, bus = moved.client("events"), unique("bus")
    bus_arn = events.create_event_bus(Name=bus)["EventBusArn"]
    url, arn = queue(moved)
    pattern = json.dumps({"source": ["lambda"]})
    events.put_rule(Name="all", EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "q", "Arn": arn}])
    fails = moved.deploy(unique("fails"), {"index.py": FAILS})
    both = {"OnSuccess": {"Destination": bus_arn}, "OnFailure": {"Destination": bus_arn}}
    moved.lambda_.put_function_event_invoke_config(
        FunctionName=fails.name, MaximumRetryAttempts=0, DestinationConfig=both
    )
    for fail, outcome in [(False, "Success"), (True, "Failure")]:
        request = send(fails, {"fail": fail})
        message = receive(moved, url)
        moved.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        event = json.loads(message["Body"])
        assert event["source"] == "lambda"
        assert event["detail-type"] == f"Lambda Function Invocation Result - {outcome}"
        assert event["resources"] == [bus_arn, f"{fails.arn}:$LATEST"]
        assert event["detail"]["requestContext"]["requestId"] == request


def test_what_is_no_destination_is_refused(moved):
    """[ASY-21, ASY-24]"""
    fails = moved.deploy(unique("fails"), {"index.py": FAILS})
    put = moved.lambda_.put_function_event_invoke_config
    nobody = fails.arn.replace(fails.name, "nobody")
    for arn, text in [
        (fails.arn, "You can't specify the function as a destination for itself."),
        (nobody, f"The destination ARN {nobody} is invalid."),
    ]:
        with pytest.raises(moved.lambda_.exceptions.InvalidParameterValueException) as error:
            put(FunctionName=fails.name, DestinationConfig={"OnFailure": {"Destination": arn}})
        assert code_of(error)[2] == text
    done = moved.aws(
        *("lambda", "put-function-event-invoke-config", "--function-name", fails.name), check=False
    )
    text = "You must specify at least one of error handling or destination setting."
    assert done.returncode != 0 and text in done.stderr


def test_what_is_dead_is_fed_to_another_function_by_hand(moved, tmp_path):
    """[ASY-9, ASY-14, INV-2] The dead-letter queue of one is what another is started with."""
    url, arn = queue(moved)
    fails = moved.deploy(unique("fails"), {"index.py": FAILS}, DeadLetterConfig={"TargetArn": arn})
    moved.lambda_.put_function_event_invoke_config(FunctionName=fails.name, MaximumRetryAttempts=0)
    mends = moved.deploy(unique("mends"), {"index.py": HEARS})
    for n in range(2):
        send(fails, {"fail": True, "n": n})
    for _ in range(2):
        letter = receive(moved, url)
        moved.aws(
            *("lambda", "invoke", "--function-name", mends.name, "--invocation-type", "Event"),
            *("--payload", letter["Body"]),
            tmp_path / "out.json",
        )
        moved.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
    fed = lambda: sorted(record["n"] for record in records(moved, mends))
    assert eventually(lambda: fed() == [0, 1]), fed()


def test_an_event_may_come_twice(moved):
    """[ASY-2] `kiln replay --duplicate`: what functions must be ready for, with the same request id."""
    fails, _hears = pair(moved)
    request = send(fails, {"n": 1})
    assert eventually(lambda: len(tried(moved, request)) == 1)
    assert run(moved, "replay", request, "--duplicate")["requestId"] == request
    once = {"id": request, "event": {"n": 1}}
    assert eventually(lambda: attempts(moved, fails) == [once, once]), attempts(moved, fails)


def test_what_is_throttled_waits_longer_and_longer(moved):
    """[ASY-5, ASY-7, ASY-27, CON-5] Twice as long each time, up to five minutes, until it is too old; no
    attempt counts. All that the function reserves is provisioned for a version: `$LATEST` has nothing.
    """
    fails, hears = pair(moved)
    moved.lambda_.update_function_event_invoke_config(
        FunctionName=fails.name, MaximumEventAgeInSeconds=900
    )
    version = moved.lambda_.publish_version(FunctionName=fails.name)["Version"]
    moved.settle(f"{fails.name}:{version}")
    moved.lambda_.put_function_concurrency(
        FunctionName=fails.name, ReservedConcurrentExecutions=1
    )
    moved.lambda_.put_provisioned_concurrency_config(
        FunctionName=fails.name, Qualifier=version, ProvisionedConcurrentExecutions=1
    )
    request = send(fails, {"n": 1})
    for count, step in enumerate([2, 3, 6, 12, 25, 50, 100, 200, 310, 310], start=1):
        assert eventually(lambda: len(tried(moved, request)) >= count), tried(moved, request)
        run(moved, "clock", "step", step)
    record = eventually(lambda: records(moved, hears))[0]
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in record and "responsePayload" not in record
    assert attempts(moved, fails) == []
    steps = tried(moved, request)
    assert all(step["text"].startswith("attempt: Rate Exceeded.") for step in steps), steps
    times = [datetime.fromisoformat(step["at"]).timestamp() for step in steps]
    for before, after in zip(times, times[1:]):
        age = before - times[0]
        due = min(max(age, 1), 300)
        # The last attempt comes at the end of its age, whatever that leaves.
        if age + due < 890:
            assert after - before >= due - 0.5, (age, times)
    counts = moved.counters(fails.arn)
    assert (counts["AsyncEventsReceived"], counts["AsyncEventsDropped"]) == (1, 1)
    assert counts["AsyncEventAgeMaxMilliseconds"] >= 900_000


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def test_a_strict_server_asks_what_the_role_may_do(start_kiln):
    """[ASY-12, ASY-23]"""
    key, secret = "AKIAOPERATOR0000000A", "s3cret"
    auth = {"KILN_AUTH": "strict", "KILN_ACCESS_KEY": key, "KILN_SECRET_KEY": secret}
    server = start_kiln(env=auth, key=key, secret=secret)
    _url, dead = queue(server)
    topic = server.client("sns").create_topic(Name="results")["TopicArn"]
    iam, lambda_ = server.client("iam"), server.lambda_
    role = iam.create_role(RoleName="events", AssumeRolePolicyDocument=json.dumps(TRUST))

    def allow(*actions):
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName="events", PolicyName="send", PolicyDocument=document)

    def create():
        return lambda_.create_function(
            FunctionName="f",
            Runtime=PYTHON,
            Role=role["Role"]["Arn"],
            Handler="index.handler",
            Code={"ZipFile": zipped({"index.py": FAILS})},
            DeadLetterConfig={"TargetArn": dead},
        )

    def tell(arn):
        return lambda_.put_function_event_invoke_config(
            FunctionName="f", DestinationConfig={"OnFailure": {"Destination": arn}}
        )

    refused = lambda_.exceptions.InvalidParameterValueException
    with pytest.raises(refused) as error:
        create()
    text = "The provided execution role does not have permissions to call SendMessage on SQS"
    assert code_of(error) == ("InvalidParameterValueException", 400, text)
    allow("sqs:SendMessage")
    create()
    server.settle("f")
    with pytest.raises(refused) as error:
        lambda_.update_function_configuration(
            FunctionName="f", DeadLetterConfig={"TargetArn": topic}
        )
    text = "The provided execution role does not have permissions to call Publish on SNS"
    assert code_of(error)[2] == text
    assert tell(dead)["DestinationConfig"]["OnFailure"] == {"Destination": dead}
    with pytest.raises(refused) as error:
        tell(topic)
    assert f"does not have permissions to call Publish on {topic}" in code_of(error)[2]
    allow("sns:Publish")
    assert tell(topic)["DestinationConfig"]["OnFailure"] == {"Destination": topic}


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
    assert time.monotonic() - begun > 55


def test_nobody_waits_for_the_handler(kiln, deploy):
    """[ASY-3] A client gives up after a minute; each handler runs for five."""
    lingers = deploy({"index.py": LINGERS}, Timeout=900)
    first, second = send(lingers, {"n": 1}), send(lingers, {"n": 2})
    assert eventually(lambda: len(attempts(kiln, lingers)) == 2)
    assert {attempt["id"] for attempt in attempts(kiln, lingers)} == {first, second}


def test_more_events_than_may_wait_are_refused(moved):
    """[ASY-27] What waits for its retry waits in the queue."""
    fails = moved.deploy(unique("full"), {"index.py": FAILS})
    for _ in range(EVENTS_MAX):
        send(fails, {"fail": True})
    with pytest.raises(moved.lambda_.exceptions.TooManyRequestsException) as refused:
        send(fails, {"fail": True})
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Reason"] == "FunctionInvocationRateLimitExceeded"
    assert answer["Error"]["Message"] == "Rate Exceeded."
    other = moved.deploy(unique("other"), {"index.py": FAILS})
    send(other, {})
    # Switched off, it gives its events up as soon as they come again: there is room then.
    moved.lambda_.put_function_concurrency(
        FunctionName=fails.name, ReservedConcurrentExecutions=0
    )
    run(moved, "clock", "step", 61)

    def is_taken():
        try:
            return send(fails, {})
        except moved.lambda_.exceptions.TooManyRequestsException:
            return None

    assert eventually(is_taken)


def test_the_sample_commands_answer_as_on_aws(moved, tmp_path):
    """[INV-2, ASY-6, ASY-7, ASY-8, ASY-9, ASY-17, ASY-18, ASY-20] Each member of each answer and record."""
    (dead_url, dead), (url, arn) = queue(moved), queue(moved)
    fails = moved.deploy(unique("samples"), {"index.py": FAILS})
    aws = lambda *words: moved.aws("lambda", *words, "--function-name", fails.name)
    missing = moved.aws(
        *("lambda", "get-function-event-invoke-config", "--function-name", fails.name), check=False
    )
    assert f"The function {fails.arn}:$LATEST doesn't have an EventInvokeConfig" in missing.stderr
    made = aws("update-function-configuration", "--dead-letter-config", f"TargetArn={dead}")
    assert made["DeadLetterConfig"] == {"TargetArn": dead}
    both = {"OnSuccess": {"Destination": arn}, "OnFailure": {"Destination": arn}}
    made = aws(
        *("put-function-event-invoke-config", "--maximum-retry-attempts", 0),
        *("--maximum-event-age-in-seconds", 3_600, "--destination-config", json.dumps(both)),
    )
    assert float(made.pop("LastModified")) > 0
    assert made == {
        "FunctionArn": f"{fails.arn}:$LATEST",
        "MaximumRetryAttempts": 0,
        "MaximumEventAgeInSeconds": 3_600,
        "DestinationConfig": both,
    }
    for event in ({"n": 1}, {"fail": True}):
        out = tmp_path / "out.json"
        answer = moved.aws(
            *("lambda", "invoke", "--function-name", fails.name, "--invocation-type", "Event"),
            *("--payload", json.dumps(event), out),
        )
        assert answer == {"StatusCode": 202}
        assert out.read_bytes() == b""
        told = receive(moved, url)
        assert set(told["Attributes"]) >= {"AWSTraceHeader"} and "MessageAttributes" not in told
        record = json.loads(told["Body"])
        request = record["requestContext"].pop("requestId")
        taken = record.pop("timestamp")
        assert datetime.strptime(taken, "%Y-%m-%dT%H:%M:%S.%fZ")
        failed = "fail" in event
        payload = record.pop("responsePayload")
        if failed:
            assert set(payload) == {"errorMessage", "errorType", "requestId", "stackTrace"}
            assert payload["requestId"] == request
        else:
            assert payload == {"well": True}
        context = {"statusCode": 200, "executedVersion": "$LATEST"}
        assert record == {
            "version": "1.0",
            "requestContext": {
                "functionArn": f"{fails.arn}:$LATEST",
                "condition": "RetriesExhausted" if failed else "Success",
                "approximateInvokeCount": 1,
            },
            "requestPayload": event,
            "responseContext": context | ({"functionError": "Unhandled"} if failed else {}),
        }
        moved.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=told["ReceiptHandle"])
    assert json.loads(receive(moved, dead_url)["Body"]) == {"fail": True}
