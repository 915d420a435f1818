"""Bad input: the error that AWS gives, never a hang, never a 500 without a type."""

import http.client
import json
import socket
import time

import pytest

from kiln import PYTHON, ROLE, unique

FUNCTIONS = "/2015-03-31/functions"
CREATE = {"FunctionName": "x", "Runtime": PYTHON, "Role": ROLE, "Handler": "a.b"}


def ask(kiln, method, path, body=None, headers=None):
    """One raw request; gives status, headers and body."""
    connection = http.client.HTTPConnection(*kiln.address, timeout=20)
    try:
        scope = "20260101/us-east-1/lambda/aws4_request"
        signed = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=00",
            "X-Amz-Date": "20260101T000000Z",
        }
        connection.request(method, path, body, {**signed, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def alive(kiln):
    kiln.lambda_.list_functions(MaxItems=1)
    assert kiln.process.poll() is None
    return True


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.evil.com:4566"},
    ],
)
def test_a_web_page_of_another_host_is_refused(kiln, headers):
    """API-3: where signatures are not checked, what a browser sends for a page is no caller."""
    for method, path in [("GET", FUNCTIONS + "/"), ("POST", FUNCTIONS), ("GET", "/?Action=ListQueues")]:
        status, answered, body = ask(kiln, method, path, headers=headers)
        code = answered.get("x-amzn-errortype") or body.decode()
        assert status == 403 and "AccessDeniedException" in code
    own = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
    assert ask(kiln, "GET", FUNCTIONS + "/", headers=own)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"FunctionName": 7}',
        b'{"FunctionName": "x", "Code": {"ZipFile": "%%%"}}',
        b'{"Timeout": "soon"}',
        b'{"Environment": {"Variables": []}}',
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        json.dumps({**CREATE, "Code": {}}).encode(),
        json.dumps({**CREATE, "Timeout": 1e300, "Code": {"ZipFile": ""}}).encode(),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_makes_no_sense_is_refused(kiln, body):
    """API-4, API-6."""
    status, headers, answer = ask(kiln, "POST", FUNCTIONS, body)
    assert 400 <= status < 500
    assert headers["x-amzn-ErrorType"]
    assert headers["x-amzn-RequestId"]
    assert isinstance(json.loads(answer), dict)
    assert alive(kiln)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/2015-03-31/nothing"),
        ("PATCH", FUNCTIONS),
        ("GET", "/1999-01-01/functions"),
        ("POST", f"{FUNCTIONS}/x/invocations/more"),
        ("GET", f"{FUNCTIONS}/%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
        ("GET", f"{FUNCTIONS}/%zz"),
        ("GET", f"{FUNCTIONS}/a%00b"),
        ("GET", f"{FUNCTIONS}/%ff"),
        ("GET", f"{FUNCTIONS}/{'x' * 5_000}"),
        ("GET", f"{FUNCTIONS}?MaxItems=many"),
        ("GET", f"{FUNCTIONS}?Marker=%00"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(kiln, method, path):
    """API-1, API-4."""
    status, _, _ = ask(kiln, method, path)
    assert 400 <= status < 500
    assert alive(kiln)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X-Amz-Target": "Logs_20140328.NoSuchThing"}, b"{}"),
        ({"X-Amz-Target": "Nothing.AtAll"}, b"{}"),
        ({"X-Amz-Target": "Logs_20140328.CreateLogGroup"}, b"{"),
        ({"X-Amz-Target": "Logs_20140328.CreateLogGroup"}, b'{"logGroupName": {}}'),
    ],
)
def test_a_json_service_refuses_what_it_does_not_know(kiln, headers, body):
    """API-4: the envelope of the JSON protocol."""
    headers = {"Content-Type": "application/x-amz-json-1.1", **headers}
    status, _, answer = ask(kiln, "POST", "/", body, headers)
    assert 400 <= status < 500
    assert "__type" in json.loads(answer)


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"Action=NoSuchThing&Version=2010-05-08",
        b"Action=GetRole&Version=2010-05-08",
        b"Action=ListRoles&Version=2010-05-08&MaxItems=many",
        b"Action=TagRole&Version=2010-05-08&RoleName=r&Tags.member.999999999.Key=a",
        b"Action=GetRole&Version=2010-05-08&RoleName=%ff%fe",
        b"Action=ListRoles&Version=2010-05-08&" + b"a.1." * 500 + b"=1",
    ],
    ids=lambda form: repr(form[:40]),
)
def test_a_query_service_refuses_what_it_does_not_know(kiln, form):
    """API-4: the error document of the query protocol."""
    scope = "20260101/us-east-1/iam/aws4_request"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=00",
    }
    status, _, answer = ask(kiln, "POST", "/", form, headers)
    assert 400 <= status < 500
    assert b"<ErrorResponse" in answer and b"<Code>" in answer


def test_a_body_over_the_limit_is_refused(kiln):
    """FN-19: 70,167,211 bytes are the end of a CreateFunction request."""
    over = 70_167_212
    with socket.create_connection(kiln.address, timeout=20) as raw:
        raw.sendall(
            f"POST {FUNCTIONS} HTTP/1.1\r\nHost: kiln\r\nContent-Type: application/json\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, "
            f"SignedHeaders=host, Signature=00\r\nX-Amz-Date: 20260101T000000Z\r\n"
            f"Content-Length: {over}\r\n\r\n".encode()
        )
        piece, sent = b" " * (1 << 20), 0
        raw.settimeout(20)
        try:
            while sent < over:
                sent += raw.send(piece[: over - sent])
        except (ConnectionError, TimeoutError):
            pass
        answer = read_all(raw)
    assert b" 413 " in answer.split(b"\r\n", 1)[0]
    assert b"RequestEntityTooLargeException" in answer
    assert b"Request must be smaller than 70167211 bytes for the CreateFunction operation" in answer
    assert alive(kiln)


def read_all(raw):
    answer = b""
    try:
        while piece := raw.recv(65_536):
            answer += piece
            if b"\r\n\r\n" in answer and b"Content-Length: 0" in answer:
                break
            head, _, body = answer.partition(b"\r\n\r\n")
            length = [h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
            if length and len(body) >= int(length[0].split(b":")[1]):
                break
    except (ConnectionError, TimeoutError):
        pass
    return answer


def test_half_a_request_hurts_nobody(kiln):
    """A client that goes in the middle of its body."""
    name = unique()
    for half in (
        b"POST /2015-03-31/func",
        b"POST /2015-03-31/functions HTTP/1.1\r\nHost: k\r\nContent-Le",
        b"POST /2015-03-31/functions HTTP/1.1\r\nHost: k\r\nContent-Length: 1000\r\n\r\n"
        + json.dumps({**CREATE, "FunctionName": name}).encode()[:-1],
    ):
        raw = socket.create_connection(kiln.address, timeout=10)
        raw.sendall(half)
        raw.close()
    assert alive(kiln)
    with pytest.raises(kiln.lambda_.exceptions.ResourceNotFoundException):
        kiln.lambda_.get_function(FunctionName=name)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost" + b"\0" * 20 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: " + b"a" * 2_000_000 + b"\r\n\r\n",
    ],
    ids=["tls", "version", "header", "length", "chunk", "headers"],
)
def test_what_is_no_http_is_cut_off(kiln, junk):
    """LIM-8: an answer or an end, within seconds."""
    with socket.create_connection(kiln.address, timeout=15) as raw:
        try:
            raw.sendall(junk)
        except ConnectionError:
            pass
        answer = read_all(raw)
    assert answer == b"" or answer.startswith(b"HTTP/1.")
    assert b" 500 " not in answer.split(b"\r\n", 1)[0]
    assert alive(kiln)


def test_slow_clients_do_not_hold_up_the_others(kiln):
    """Many connections that dribble; everybody else is served at once."""
    slow = [socket.create_connection(kiln.address, timeout=10) for _ in range(50)]
    for raw in slow:
        raw.sendall(b"POST /2015-03-31/functions HTTP/1.1\r\nHost: k\r\nContent-Length: 100000\r\n\r\n{")
    began = time.monotonic()
    for _ in range(5):
        assert alive(kiln)
        for raw in slow:
            raw.sendall(b" ")
    assert time.monotonic() - began < 5
    for raw in slow:
        raw.close()
