"""Function URLs: an HTTP client talks to the function, found by the host of the request."""

import http.client
import json
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from kiln import ACCOUNT, NODE, REGION

ECHO = """
import json
def handler(event, context):
    if event["rawPath"] == "/plain":
        return {"hello": event["queryStringParameters"]}
    if event["rawPath"] == "/fail":
        raise ValueError("no")
    return {
        "statusCode": 201,
        "headers": {"X-Made-By": "kiln"},
        "cookies": ["a=1", "b=2"],
        "body": json.dumps(event),
    }
"""


def permit(kiln, function, auth="NONE", principal="*"):
    """Both statements that a URL needs since October 2025."""
    of = {"FunctionName": function.name, "Principal": principal}
    kiln.lambda_.add_permission(
        **of, StatementId="url", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType=auth
    )
    kiln.lambda_.add_permission(
        **of, StatementId="through", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True
    )


def ask(kiln, url, path="/", method="GET", body=None, headers=None, sign=None):
    """The URL's host may not resolve here: the request goes to the server with that Host header."""
    host = urlsplit(url).netloc
    sent = {"Host": host, **(headers or {})}
    if sign:
        request = AWSRequest(method, f"http://{host}{path}", headers=sent, data=body)
        SigV4Auth(Credentials(*sign), "lambda", REGION).add_auth(request)
        sent = dict(request.headers.items())
    connection = http.client.HTTPConnection(*kiln.address, timeout=30)
    try:
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_a_url_answers_http(kiln, deploy):
    """SRC-20: event format 2.0, status, headers and cookies of the answer; a bare value is 200 and JSON."""
    function = deploy({"index.py": ECHO})
    url = kiln.lambda_.create_function_url_config(FunctionName=function.name, AuthType="NONE")
    url = url["FunctionUrl"]
    status, body, _ = ask(kiln, url)
    assert status == 403 and json.loads(body)["Message"].startswith("Forbidden.")
    permit(kiln, function)
    status, body, headers = ask(
        kiln, url, "/a/b?x=1&x=2&y=", "POST", b"text", {"X-One": "1", "Cookie": "c=3"}
    )
    assert (status, headers["X-Made-By"]) == (201, "kiln")
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    event = json.loads(body)
    assert (event["version"], event["routeKey"]) == ("2.0", "$default")
    assert (event["rawPath"], event["rawQueryString"]) == ("/a/b", "x=1&x=2&y=")
    assert event["queryStringParameters"] == {"x": "1,2", "y": ""}
    assert (event["cookies"], event["headers"]["x-one"]) == (["c=3"], "1")
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["requestContext"]["domainName"] == urlsplit(url).hostname
    status, body, headers = ask(kiln, url, "/plain?a=1")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {"hello": {"a": "1"}}
    assert ask(kiln, url, "/fail")[:2] == (502, b"Internal Server Error")


def test_a_url_of_an_alias_follows_it(kiln, deploy):
    """SRC-20, VER-9: the URL stays when the alias moves."""
    function = deploy({"index.py": "def handler(e, c):\n    return 'one'\n"})
    kiln.lambda_.publish_version(FunctionName=function.name)
    kiln.lambda_.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    of = {"FunctionName": function.name, "Qualifier": "live"}
    url = kiln.lambda_.create_function_url_config(**of, AuthType="NONE")["FunctionUrl"]
    for number, (action, more) in enumerate(
        (
            ("lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
            ("lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
        )
    ):
        kiln.lambda_.add_permission(
            **of, StatementId=f"s{number}", Action=action, Principal="*", **more
        )
    assert ask(kiln, url)[1] == b"one"
    function.code({"index.py": "def handler(e, c):\n    return 'two'\n"})
    version = kiln.lambda_.publish_version(FunctionName=function.name)["Version"]
    kiln.lambda_.update_alias(FunctionName=function.name, Name="live", FunctionVersion=version)
    assert ask(kiln, url)[1] == b"two"
    kiln.lambda_.delete_function_url_config(**of)
    assert ask(kiln, url)[0] == 403


def test_a_url_may_want_a_signature(kiln, deploy):
    """IAM-13: who does not sign is refused; another account needs both statements, its own does not."""
    function = deploy({"index.py": ECHO})
    made = kiln.lambda_.create_function_url_config(FunctionName=function.name, AuthType="AWS_IAM")
    url = made["FunctionUrl"]
    assert ask(kiln, url)[0] == 403
    status, body, _ = ask(kiln, url, sign=("test", "test"))
    assert status == 201
    assert json.loads(body)["requestContext"]["authorizer"]["iam"]["accountId"] == ACCOUNT
    other = ("123456789012", "test")
    assert ask(kiln, url, sign=other)[0] == 403
    kiln.lambda_.add_permission(
        FunctionName=function.name,
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        Principal="123456789012",
        FunctionUrlAuthType="AWS_IAM",
    )
    assert ask(kiln, url, sign=other)[0] == 403, "the second permission is missing"
    kiln.lambda_.add_permission(
        FunctionName=function.name,
        StatementId="through",
        Action="lambda:InvokeFunction",
        Principal="123456789012",
        InvokedViaFunctionUrl=True,
    )
    assert ask(kiln, url, sign=other)[0] == 201


@pytest.mark.skipif(NODE is None, reason="needs Node.js")
def test_a_url_streams(kiln, deploy):
    """SRC-20, INV-19: InvokeMode RESPONSE_STREAM with status and headers in the prelude."""
    code = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream = awslambda.HttpResponseStream.from(stream, {statusCode: 202, headers: {"x-a": "b"}});
  stream.write("one ");
  stream.write("two");
  stream.end();
});
"""
    function = deploy({"index.js": code}, runtime=NODE)
    made = kiln.lambda_.create_function_url_config(
        FunctionName=function.name, AuthType="NONE", InvokeMode="RESPONSE_STREAM"
    )
    permit(kiln, function)
    status, body, headers = ask(kiln, made["FunctionUrl"])
    assert (status, body, headers["x-a"]) == (202, b"one two", "b")


def test_a_url_survives_a_crash(start_kiln):
    """SRC-20: the same URL answers after kill -9."""
    kiln = start_kiln()
    function = kiln.deploy("f", {"index.py": ECHO})
    made = kiln.lambda_.create_function_url_config(
        FunctionName="f", AuthType="NONE", Cors={"AllowOrigins": ["*"]}
    )
    permit(kiln, function)
    kiln.stop(9)
    kiln.start()
    shown = kiln.lambda_.get_function_url_config(FunctionName="f")
    assert shown["Cors"] == {"AllowOrigins": ["*"]}
    assert urlsplit(shown["FunctionUrl"]).hostname == urlsplit(made["FunctionUrl"]).hostname
    status, _, headers = ask(kiln, shown["FunctionUrl"], "/plain?a=1", headers={"Origin": "http://x"})
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
