"""Responses that the caller reads while the function writes them.  [section 4.12]"""

import base64
import json
import sys
import time

import pytest
from botocore.exceptions import ClientError

from kiln import NODE, PYTHON, code_of, eventually

STREAM = """
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  switch (event.do) {
    case 'count':
      stream.setContentType('text/plain');
      for (let n = 0; n < event.to; n += 1) stream.write(`${n}\\n`);
      stream.end();
      return;
    case 'wait':
      stream.write('first');
      await new Promise((resolve) => setTimeout(resolve, event.ms));
      console.log('about to end');
      stream.write(`${Date.now()}`);
      stream.end();
      return;
    case 'pipe': {
      const block = Buffer.alloc(65536, 'x');
      await pipeline(Readable.from((function* () {
        for (let n = 0; n < event.blocks; n += 1) yield block;
      })()), stream);
      return;
    }
    case 'http':
      stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: 'b' } });
      stream.write('body');
      stream.end();
      return;
    case 'throw late':
      stream.write('before');
      await new Promise((resolve) => setImmediate(resolve));
      throw new RangeError('after the first byte');
    case 'throw early':
      throw new TypeError('before the first byte');
    case 'exit':
      stream.write('before');
      setTimeout(() => process.exit(3), 50);
      await new Promise(() => {});
  }
});
"""

ECHO = "def handler(event, context):\n    print('hello')\n    return event\n"


@pytest.fixture(scope="module")
def stream(module_deploy):
    if NODE is None:
        pytest.skip("no Node.js on this host")
    return module_deploy({"index.js": STREAM}, runtime=NODE, MemorySize=256)


def opened(function, event, **options):
    return function.client.invoke_with_response_stream(
        FunctionName=function.name, Payload=json.dumps(event), **options
    )


def read(answer):
    """The bytes of all chunks, and the last event."""
    body, end = b"", None
    for event in answer["EventStream"]:
        assert end is None, "something after the end"
        if "PayloadChunk" in event:
            body += event["PayloadChunk"]["Payload"]
        else:
            end = event["InvokeComplete"]
    assert end is not None
    return body, end


def test_a_stream_is_chunks_and_an_end(stream):
    """INV-19, INV-7: boto3 reads the event stream."""
    answer = opened(stream, {"do": "count", "to": 500})
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    body, end = read(answer)
    assert body.decode().split() == [str(n) for n in range(500)]
    assert end == {}


def test_the_first_chunk_comes_before_the_function_ends(stream):
    """INV-19: while the caller holds the first chunk, the function has not written its line yet."""
    answer = opened(stream, {"do": "wait", "ms": 1_500}, LogType="Tail")
    events = iter(answer["EventStream"])
    assert next(events)["PayloadChunk"]["Payload"] == b"first"
    seen_ms = time.time() * 1_000
    # The function says when it wrote the last one, by the clock of this machine.
    assert seen_ms < int(next(events)["PayloadChunk"]["Payload"])
    end = next(events)["InvokeComplete"]
    log = base64.b64decode(end["LogResult"]).decode()
    assert "about to end" in log and "REPORT RequestId" in log


def test_pipeline_moves_megabytes(stream):
    """LIM-7: more than a buffered response may have."""
    body, end = read(opened(stream, {"do": "pipe", "blocks": 120}))
    assert (len(body), end) == (120 * 65_536, {})


def test_the_prelude_of_an_http_response(stream):
    """Section 4.12: JSON, eight zero bytes, the body."""
    body, _ = read(opened(stream, {"do": "http"}))
    prelude, rest = body.split(bytes(8))
    assert json.loads(prelude) == {"statusCode": 201, "headers": {"a": "b"}}
    assert rest == b"body"


@pytest.mark.parametrize(
    ("event", "chunks", "kind"),
    [
        ({"do": "throw late"}, b"before", "RangeError"),
        ({"do": "throw early"}, b"", "TypeError"),
        ({"do": "exit"}, b"before", "Runtime.ExitError"),
    ],
)
def test_errors_are_in_the_last_event(stream, event, chunks, kind):
    """INV-19: `ErrorCode` and `ErrorDetails`."""
    body, end = read(opened(stream, event))
    assert body == chunks
    assert end["ErrorCode"] == "Unhandled"
    assert json.loads(end["ErrorDetails"])["errorType"] == kind


def test_a_timeout_ends_a_stream(deploy, node_runtime):
    """Section 4.8: `Sandbox.Timedout` after the first chunk."""
    slow = deploy({"index.js": STREAM}, runtime=node_runtime, Timeout=1)
    body, end = read(opened(slow, {"do": "wait", "ms": 60_000}))
    assert body == b"first"
    assert "Task timed out after 1.00 seconds" in end["ErrorDetails"]


def test_a_buffered_function_gives_one_chunk(deploy):
    """INV-19, INV-5."""
    echo = deploy({"index.py": ECHO}, runtime=PYTHON)
    answer = opened(echo, {"a": 1}, LogType="Tail")
    chunks = [e["PayloadChunk"]["Payload"] for e in answer["EventStream"] if "PayloadChunk" in e]
    assert [json.loads(c) for c in chunks] == [{"a": 1}]


def test_a_streaming_function_is_collected_by_invoke(stream):
    """INV-1, INV-15: six megabytes and no more."""
    answer = stream({"do": "count", "to": 3})
    assert (answer.error, answer.body) == (None, b"0\n1\n2\n")
    large = stream({"do": "pipe", "blocks": 120})
    assert large.json["errorType"] == "Function.ResponseSizeTooLarge"
    assert "(6291556 bytes)" in large.json["errorMessage"]
    late = stream({"do": "throw late"})
    assert (late.error, late.json["errorType"]) == ("Unhandled", "RangeError")


def test_what_cannot_begin_is_an_ordinary_error(stream):
    """INV-3, INV-8, INV-11."""
    client = stream.client
    with pytest.raises(ClientError) as missing:
        client.invoke_with_response_stream(FunctionName="no-such-function", Payload=b"{}")
    assert code_of(missing)[:2] == ("ResourceNotFoundException", 404)
    with pytest.raises(ClientError) as bad:
        client.invoke_with_response_stream(FunctionName=stream.name, Payload=b"{")
    assert code_of(bad)[:2] == ("InvalidRequestContentException", 400)
    dry = client.invoke_with_response_stream(FunctionName=stream.name, InvocationType="DryRun")
    assert dry["StatusCode"] == 204
    version = client.publish_version(FunctionName=stream.name)["Version"]
    answer = opened(stream, {"do": "count", "to": 1}, Qualifier=version)
    assert answer["ExecutedVersion"] == version
    assert read(answer)[0] == b"0\n"


def test_a_client_that_leaves_does_not_end_the_function(stream):
    """Section 4.12: the function runs on."""
    answer = opened(stream, {"do": "wait", "ms": 500})
    request = answer["ResponseMetadata"]["RequestId"]
    assert next(iter(answer["EventStream"]))["PayloadChunk"]["Payload"] == b"first"
    answer["EventStream"].close()
    logs = stream.kiln.client("logs")

    def ended():
        found = logs.filter_log_events(
            logGroupName=f"/aws/lambda/{stream.name}", filterPattern=f'"{request}"'
        )
        lines = [e["message"] for e in found["events"]]
        return any("about to end" in l for l in lines) and any("REPORT" in l for l in lines)

    assert eventually(ended)


def test_a_stream_ends_at_its_limit(start_kiln, node_runtime):
    """LIM-7, scaled: two blocks of 64 KiB pass, a third ends the call."""
    limits = {"KILN_STREAM_BYTES_MAX": "131072"}
    kiln = start_kiln(env=limits)
    function = kiln.deploy("f", {"index.js": STREAM}, runtime=node_runtime)
    body, end = read(opened(function, {"do": "pipe", "blocks": 2}))
    assert (len(body), end) == (131_072, {})
    body, end = read(opened(function, {"do": "pipe", "blocks": 3}))
    assert len(body) == 131_072
    details = json.loads(end["ErrorDetails"])
    assert details["errorType"] == "Function.ResponseSizeTooLarge"
    assert "(131072 bytes)" in details["errorMessage"]


def test_the_javascript_sdk_reads_a_stream(kiln, stream):
    """INV-19, API-2."""
    seen = kiln.node("stream.mjs", stream.name, json.dumps({"do": "count", "to": 3}))
    assert (seen["status"], seen["version"], seen["body"]) == (200, "$LATEST", "0\n1\n2\n")
    assert "REPORT RequestId" in seen["log"]
    failed = kiln.node("stream.mjs", stream.name, json.dumps({"do": "throw late"}))
    assert (failed["body"], failed["end"]["ErrorCode"]) == ("before", "Unhandled")


def eventually_group(function):
    groups = function.kiln.client("logs").describe_log_groups(
        logGroupNamePrefix=f"/aws/lambda/{function.name}"
    )
    return groups["logGroups"]


def test_the_old_asynchronous_call(deploy):
    """INV-20."""
    echo = deploy({"index.py": ECHO}, runtime=PYTHON)
    answer = echo.client.invoke_async(FunctionName=echo.name, InvokeArgs=b'{"a": 1}')
    assert answer["Status"] == 202
    logs = echo.kiln.client("logs")

    def ran():
        if not eventually_group(echo):
            return False
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{echo.name}")
        return any("hello" in e["message"] for e in found["events"])

    assert eventually(ran)


#: A runtime that writes its requests by hand: `event` is a list of what follows the head.
RAW = """#!/bin/sh
for python in "$PYTHON_OF_THE_TEST" /usr/bin/python3 /usr/local/bin/python3; do
  [ -x "$python" ] && exec "$python" /var/task/raw.py
done
exit 90
"""

RAW_PY = """
import json, os, socket, time
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
BASE = "/2018-06-01/runtime/invocation/"

def connect():
    s = socket.create_connection((host, int(port)))
    return s, s.makefile("rb")

def answer(f):
    status = int(f.readline().split()[1])
    headers = {}
    while (line := f.readline().strip()):
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return status, headers, f.read(int(headers.get("content-length", 0)))

s, f = connect()
while True:
    s.sendall(f"GET {BASE}next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
    status, headers, event = answer(f)
    event = json.loads(event)
    head = f"POST {BASE}{headers['lambda-runtime-aws-request-id']}/response HTTP/1.1\\r\\nHost: x\\r\\n"
    s.sendall((head + event["head"] + "\\r\\n").encode())
    for part in event["parts"]:
        s.sendall(part.encode())
    if event.get("hang"):
        time.sleep(60)
    if event.get("cut"):
        s.close(); f.close()
        s, f = connect()
        continue
    status, _, body = answer(f)
    print("answered", status, body.decode().strip())
"""

STREAMING = "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"


def raw_with(deploy, **settings):
    return deploy(
        {"bootstrap*": RAW, "raw.py": RAW_PY},
        "any.thing",
        runtime="provided.al2023",
        MemorySize=256,
        Environment={"Variables": {"PYTHON_OF_THE_TEST": sys.executable}},
        **settings,
    )


@pytest.fixture(scope="module")
def raw(module_deploy):
    return raw_with(module_deploy)


def trailers(kind, body):
    text = base64.b64encode(json.dumps(body).encode()).decode()
    return (
        f"Lambda-Runtime-Function-Error-Type: {kind}\r\n"
        f"Lambda-Runtime-Function-Error-Body: {text}\r\n"
    )


def test_a_custom_runtime_streams(raw):
    """Section 4.12: any runtime may."""
    parts = ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"]
    body, end = read(opened(raw, {"head": STREAMING, "parts": parts}, LogType="Tail"))
    log = base64.b64decode(end.pop("LogResult")).decode()
    assert (body, end) == (b"onetwo", {})


def test_a_custom_runtime_names_its_error_in_trailers(raw):
    """Section 4.8: `Runtime.StreamError` and every other type a runtime names."""
    problem = {"errorType": "Runtime.StreamError", "errorMessage": "no more"}
    parts = ["3\r\none\r\n0\r\n", trailers("Runtime.StreamError", problem), "\r\n"]
    body, end = read(opened(raw, {"head": STREAMING, "parts": parts}))
    assert body == b"one"
    assert (end["ErrorCode"], json.loads(end["ErrorDetails"])) == ("Unhandled", problem)


def test_a_stream_that_breaks_off_is_truncated(raw):
    """Section 4.8: `Runtime.TruncatedResponse`."""
    body, end = read(opened(raw, {"head": STREAMING, "parts": ["5\r\none"], "cut": True}))
    assert body == b"one"
    assert json.loads(end["ErrorDetails"])["errorType"] == "Runtime.TruncatedResponse"


def test_a_stream_without_an_end_of_its_trailers_times_out(deploy):
    """Section 4.8: `Sandbox.TimeoutResponseTrailer`; without the last chunk it is `Sandbox.Timedout`."""
    raw = raw_with(deploy, Timeout=1)
    for last, kind in (
        ("0\r\n", "Sandbox.TimeoutResponseTrailer"),
        ("", "Sandbox.Timedout"),
    ):
        event = {"head": STREAMING, "parts": ["3\r\none\r\n", last], "hang": True}
        body, end = read(opened(raw, event))
        problem = json.loads(end["ErrorDetails"])
        assert (body, end["ErrorCode"], problem["errorType"]) == (b"one", "Unhandled", kind)
        assert problem["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")


def test_an_unknown_mode_is_refused(raw):
    """Section 4.8: `Runtime.InvalidResponseModeHeader`; the runtime gets 400."""
    head = "Lambda-Runtime-Function-Response-Mode: dripping\r\nContent-Length: 2\r\n"
    answer = raw({"head": head, "parts": ["{}"]})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.InvalidResponseModeHeader"
    body, end = read(opened(raw, {"head": head, "parts": ["{}"]}))
    assert (body, end["ErrorCode"]) == (b"", "Unhandled")


def test_a_slow_reader_holds_the_function_up(start_kiln, node_runtime):
    """Section 4.12: the function cannot run away from a client that does not read."""
    kiln = start_kiln(env={"KILN_STREAM_BURST_MAX": "1000000000"})
    function = kiln.deploy("f", {"index.js": STREAM}, runtime=node_runtime, MemorySize=256)
    blocks = 1_000
    answer = opened(function, {"do": "pipe", "blocks": blocks}, LogType="Tail")
    events = iter(answer["EventStream"])
    taken = len(next(events)["PayloadChunk"]["Payload"])
    report = f"REPORT RequestId: {answer['ResponseMetadata']['RequestId']}"
    # Other calls come and go beside it; it has not ended.
    for _ in range(20):
        other = function({"do": "count", "to": 1})
        assert other.body == b"0\n"
    found = kiln.client("logs").filter_log_events(logGroupName="/aws/lambda/f")
    lines = [e["message"] for e in found["events"]]
    assert sum("REPORT" in line for line in lines) >= 19
    assert not any(report in line for line in lines)
    for event in events:
        taken += len(event.get("PayloadChunk", {}).get("Payload", b""))
        end = event.get("InvokeComplete")
    assert taken == blocks * 65_536
    assert report in base64.b64decode(end["LogResult"]).decode()
