"""Functions that call themselves, at once or over what they send to.  [INV-21, CON-19]"""

import json

import pytest

from kiln import PYTHON, eventually, unique

#: Talks to Kiln by hand, without any trace header: the chain is known by the environment's own keys.
SENDS = """
import datetime, hashlib, hmac, json, os, urllib.error, urllib.parse, urllib.request

def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()

def post(service, path, body, **more):
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    host = urllib.parse.urlsplit(endpoint).netloc
    body = body.encode()
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp,
               "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"]}
    names = ";".join(sorted(headers))
    canonical = "\\n".join(
        ["POST", path, "", *(f"{k}:{headers[k]}" for k in sorted(headers)), "", names, digest])
    scope = f"{stamp[:8]}/{os.environ['AWS_REGION']}/{service}/aws4_request"
    text = "\\n".join(
        ["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = sign(key, part)
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}")
    more = {name.replace("_", "-"): value for name, value in more.items()}
    request = urllib.request.Request(endpoint + path, body, {**headers, **more})
    return urllib.request.urlopen(request, timeout=50)
"""

#: Calls itself until it is stopped or `left` is zero; gives how often it ran, and why it ended.
CHAIN = SENDS + """
def invoke(name, event):
    try:
        with post("lambda", f"/2015-03-31/functions/{name}/invocations", json.dumps(event)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return {"runs": 0, "status": error.code,
                "end": error.headers["x-amzn-ErrorType"], "text": error.read().decode()}

def handler(event, context):
    if event["left"] == 0:
        return {"runs": 1, "end": "done"}
    below = invoke(context.function_name, {"left": event["left"] - 1})
    return {**below, "runs": below["runs"] + 1}
"""

#: Whatever it gets, it sends something to `TO`, and the log tells that it ran.
LOOPS = SENDS + """
JSON = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded"

def handler(event, context):
    print("RUN")
    way, to = os.environ["WAY"], os.environ["TO"]
    if way == "self":
        post("lambda", f"/2015-03-31/functions/{to}/invocations", "{}", x_amz_invocation_type="Event")
    elif way == "bus":
        entry = {"Source": "loop", "DetailType": "again", "Detail": "{}", "EventBusName": to}
        post("events", "/", json.dumps({"Entries": [entry]}), content_type=JSON,
             x_amz_target="AWSEvents.PutEvents")
    elif way == "topic":
        form = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": to, "Message": "again"}
        post("sns", "/", urllib.parse.urlencode(form), content_type=FORM)
    elif way == "queue":
        post("sqs", "/", json.dumps({"QueueUrl": to, "MessageBody": "{}"}),
             content_type="application/x-amz-json-1.0", x_amz_target="AmazonSQS.SendMessage")
"""


@pytest.fixture(scope="module")
def chain(module_deploy):
    return module_deploy({"index.py": CHAIN}, runtime=PYTHON, Timeout=60)


def test_fifteen_calls_deep_is_fine(chain):
    """INV-21."""
    assert chain({"left": 15}).value == {"runs": 16, "end": "done"}


def test_a_loop_is_stopped_and_may_be_allowed(chain):
    """CON-19: `RecursiveInvocationException` at the sixteenth nested call, unless allowed."""
    stopped = chain({"left": 40}).value
    assert (stopped["runs"], stopped["status"]) == (16, 400), stopped
    assert stopped["end"] == "RecursiveInvocationException"
    assert "recursive loop" in json.loads(stopped["text"])["Message"]
    put = chain.client.put_function_recursion_config
    put(FunctionName=chain.name, RecursiveLoop="Allow")
    try:
        assert chain({"left": 20}).value == {"runs": 21, "end": "done"}
    finally:
        put(FunctionName=chain.name, RecursiveLoop="Terminate")


def queue(kiln):
    sqs = kiln.client("sqs")
    url = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, answer["Attributes"]["QueueArn"]


def receive(kiln, url):
    """The next message, which is deleted."""
    sqs = kiln.client("sqs")

    def ask():
        answer = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], WaitTimeSeconds=1)
        return answer.get("Messages")

    (message,) = eventually(ask, seconds=60) or [None]
    assert message, "no message"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return message


def runs(kiln, function):
    """How often the log says that it ran."""
    logs = kiln.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{function.name}", filterPattern='"RUN"'
    )
    return sum(len(page["events"]) for page in pages)


def looping(kiln, deploy, way, **settings):
    """A function that sends to where it hears from, what it is told of its end, and how to begin."""
    dead_url, dead_arn = queue(kiln)
    function = deploy(
        {"index.py": LOOPS}, runtime=PYTHON, DeadLetterConfig={"TargetArn": dead_arn}, **settings
    )
    may = {"FunctionName": function.name, "StatementId": way, "Action": "lambda:InvokeFunction"}
    if way == "bus":
        events, bus, rule = kiln.client("events"), unique("bus"), unique("rule")
        events.create_event_bus(Name=bus)
        arn = events.put_rule(
            Name=rule, EventBusName=bus, EventPattern=json.dumps({"source": ["loop"]})
        )["RuleArn"]
        kiln.lambda_.add_permission(**may, Principal="events.amazonaws.com", SourceArn=arn)
        target = {"Id": "f", "Arn": function.arn}
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[target])
        to = bus
    elif way == "topic":
        sns = kiln.client("sns")
        to = sns.create_topic(Name=unique("topic"))["TopicArn"]
        kiln.lambda_.add_permission(**may, Principal="sns.amazonaws.com", SourceArn=to)
        sns.subscribe(TopicArn=to, Protocol="lambda", Endpoint=function.arn)
    else:
        to = function.name
    function.update(Environment={"Variables": {"WAY": way, "TO": to}})
    return function, dead_url


def begin(function):
    function.client.invoke(FunctionName=function.name, InvocationType="Event", Payload="{}")


@pytest.mark.parametrize("way", ["self", "bus", "topic"])
def test_a_loop_over_what_a_function_sends_is_cut(kiln, deploy, way):
    """CON-19, R8: after sixteen runs the event is in the dead-letter queue, and is counted."""
    function, dead = looping(kiln, deploy, way)
    begin(function)
    assert receive(kiln, dead)["Body"]
    assert eventually(lambda: kiln.counters(function.arn).get("RecursiveInvocationsDropped") == 1)
    assert eventually(lambda: runs(kiln, function) == 16), runs(kiln, function)
    assert kiln.counters(function.arn)["AsyncEventsReceived"] == 17


def test_a_loop_over_a_queue_is_cut(kiln, deploy):
    """CON-19, R8: what a function sends to a queue bears the chain, for whoever hands it on."""
    url, _ = queue(kiln)
    function, dead = looping(kiln, deploy, "self")
    function.update(Environment={"Variables": {"WAY": "queue", "TO": url}})
    # Starts the function as a client does that passes a trace on.
    client, traces = kiln.new_client("lambda"), []
    add = lambda request, **_: request.headers.add_header("X-Amzn-Trace-Id", traces[-1])
    client.meta.events.register("before-sign.lambda.Invoke", add)
    begin(function)
    for _ in range(16):
        message = receive(kiln, url)
        traces.append(message["Attributes"]["AWSTraceHeader"])
        client.invoke(
            FunctionName=function.name, InvocationType="Event", Payload=message["Body"]
        )
    assert all(trace.startswith("Root=1-") for trace in traces), traces
    assert receive(kiln, dead)["Body"] == "{}"
    assert kiln.counters(function.arn)["RecursiveInvocationsDropped"] == 1


def test_a_ring_of_destinations_is_cut(kiln, deploy):
    """CON-19, R8: five functions, each the destination of the one before."""
    dead_url, dead_arn = queue(kiln)
    ring = [
        deploy(
            {"index.py": "def handler(event, context):\n    print('RUN')\n"},
            DeadLetterConfig={"TargetArn": dead_arn},
        )
        for _ in range(5)
    ]
    for function, then in zip(ring, ring[1:] + ring[:1]):
        kiln.lambda_.put_function_event_invoke_config(
            FunctionName=function.name,
            DestinationConfig={"OnSuccess": {"Destination": then.arn}},
        )
    begin(ring[0])
    assert receive(kiln, dead_url)
    assert eventually(lambda: [runs(kiln, f) for f in ring] == [16] * 5)
    dropped = [kiln.counters(f.arn).get("RecursiveInvocationsDropped", 0) for f in ring]
    assert dropped == [1, 0, 0, 0, 0]
