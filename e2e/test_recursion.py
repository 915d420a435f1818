"""Functions that call themselves.  [INV-21, CON-19]"""

import json

import pytest

from kiln import PYTHON

#: Calls itself until it is stopped or `left` is zero; gives how often it ran, and why it ended. It
#: talks to Kiln by hand, without any trace header: the chain is known by the environment's own keys.
CHAIN = """
import datetime, hashlib, hmac, json, os, urllib.error, urllib.parse, urllib.request

def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()

def invoke(name, event):
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    host = urllib.parse.urlsplit(endpoint).netloc
    path = f"/2015-03-31/functions/{name}/invocations"
    body = json.dumps(event).encode()
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp,
               "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"]}
    names = ";".join(sorted(headers))
    canonical = "\\n".join(
        ["POST", path, "", *(f"{k}:{headers[k]}" for k in sorted(headers)), "", names, digest])
    scope = f"{stamp[:8]}/{os.environ['AWS_REGION']}/lambda/aws4_request"
    text = "\\n".join(
        ["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = sign(key, part)
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}")
    request = urllib.request.Request(endpoint + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=50) as answer:
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
