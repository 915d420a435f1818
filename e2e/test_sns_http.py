"""SNS to HTTP endpoints: the handshake, headers, signatures, retries in phases, and the addresses that are kept away."""

import base64
import functools
import hashlib
import json
import queue
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError

from kiln import ACCOUNT, REGION, Kiln, code_of, eventually, unique
from test_async import run

#: Longest wait for one request of the server.
REQUEST_SECONDS = 30


class Endpoint:
    """An HTTP server on this machine that answers what it is told to."""

    def __init__(self):
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                endpoint.requests.put((dict(self.headers), body))
                self.send_response(endpoint.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.status = 200
        self.requests = queue.Queue()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?a=b"
        serve = functools.partial(self.server.serve_forever, poll_interval=0.05)
        threading.Thread(target=serve, daemon=True).start()

    def next(self):
        """Headers in lower case and body of the next request."""
        headers, body = self.requests.get(timeout=REQUEST_SECONDS)
        return {name.lower(): value for name, value in headers.items()}, body

    def confirm(self, **members):
        """Takes the handshake and confirms by its URL; gives the handshake."""
        _, body = self.next()
        handshake = json.loads(body)
        extra = "".join(f"&{name}={value}" for name, value in members.items())
        urllib.request.urlopen(handshake["SubscribeURL"] + extra, timeout=20).read()
        return handshake


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def open_kiln(tmp_path_factory):
    """A server that may deliver to this machine, and whose time can be moved."""
    env = {"KILN_EGRESS_ALLOW": "127.0.0.0/8", "KILN_MOVABLE_CLOCK": "true"}
    server = Kiln(tmp_path_factory.mktemp("sns") / "data", env=env)
    yield server.start()
    assert server.stop() == 0, server.log()


def is_signed(message):
    """Whether the signature of a message is that of the certificate it names."""
    names = ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn"]
    lines = [f"{n}\n{message[n]}\n" for n in [*names, "Type"] if message.get(n) is not None]
    if "Token" not in message:
        lines = [line for line in lines if not line.startswith("SubscribeURL\n")]
    text = "".join(lines).encode()
    pem = urllib.request.urlopen(message["SigningCertURL"], timeout=20).read().decode()
    der = ssl.PEM_cert_to_DER_cert(pem)
    # The key of a certificate of 2048 bits lies behind the name of its algorithm.
    at = der.index(bytes.fromhex("2a864886f70d0101010500")) + 11 + 14
    modulus = int.from_bytes(der[at : at + 256], "big")
    signature = int.from_bytes(base64.b64decode(message["Signature"]), "big")
    digest, prefix = {
        "1": (hashlib.sha1, "3021300906052b0e03021a05000414"),
        "2": (hashlib.sha256, "3031300d060960864801650304020105000420"),
    }[message["SignatureVersion"]]
    end = b"\0" + bytes.fromhex(prefix) + digest(text).digest()
    wanted = b"\0\1" + b"\xff" * (254 - len(end)) + end
    return pow(signature, 65_537, modulus) == int.from_bytes(wanted, "big")


def subscribe(sns, topic, endpoint, **attributes):
    return sns.subscribe(
        TopicArn=topic,
        Protocol="http",
        Endpoint=endpoint.url,
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_endpoint_confirms_and_is_notified(open_kiln, endpoint, version):
    """SRC-4: the handshake, the headers of both messages, and their signatures of both versions."""
    sns = open_kiln.client("sns")
    topic = sns.create_topic(Name=unique("t"), Attributes={"SignatureVersion": version})["TopicArn"]
    arn = subscribe(sns, topic, endpoint)
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"] == "true"
    headers, body = endpoint.next()
    handshake = json.loads(body)
    assert headers["x-amz-sns-message-type"] == handshake["Type"] == "SubscriptionConfirmation"
    assert headers["x-amz-sns-message-id"] == handshake["MessageId"]
    assert headers["x-amz-sns-topic-arn"] == handshake["TopicArn"] == topic
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert "x-amz-sns-subscription-arn" not in headers
    assert (handshake["SignatureVersion"], is_signed(handshake)) == (version, True)
    answer = urllib.request.urlopen(handshake["SubscribeURL"], timeout=20).read().decode()
    assert f"<SubscriptionArn>{arn}</SubscriptionArn>" in answer
    shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert shown["PendingConfirmation"] == "false"
    assert shown["ConfirmationWasAuthenticated"] == "false"

    sent = sns.publish(TopicArn=topic, Message="hello", Subject="s")
    headers, body = endpoint.next()
    message = json.loads(body)
    assert headers["x-amz-sns-message-type"] == message["Type"] == "Notification"
    assert headers["x-amz-sns-message-id"] == message["MessageId"] == sent["MessageId"]
    assert headers["x-amz-sns-subscription-arn"] == arn
    assert "x-amz-sns-rawdelivery" not in headers
    assert (message["Message"], message["Subject"]) == ("hello", "s")
    assert is_signed(message)
    assert not is_signed({**message, "Message": "other"})

    # Who has the address of a notification may end the subscription; the endpoint is told.
    urllib.request.urlopen(message["UnsubscribeURL"], timeout=20).read()
    headers, body = endpoint.next()
    farewell = json.loads(body)
    assert headers["x-amz-sns-message-type"] == farewell["Type"] == "UnsubscribeConfirmation"
    assert headers["x-amz-sns-subscription-arn"] == arn
    assert is_signed(farewell)
    with pytest.raises(ClientError) as gone:
        sns.get_subscription_attributes(SubscriptionArn=arn)
    assert code_of(gone.value)[:2] == ("NotFound", 404)
    urllib.request.urlopen(farewell["SubscribeURL"], timeout=20).read()
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["Endpoint"] == endpoint.url


def test_only_the_owner_ends_a_subscription_that_asks_for_it(open_kiln, endpoint):
    """SRC-4: AuthenticateOnUnsubscribe."""
    sns = open_kiln.client("sns")
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    arn = subscribe(sns, topic, endpoint)
    token = json.loads(endpoint.next()[1])["Token"]
    confirmed = sns.confirm_subscription(
        TopicArn=topic, Token=token, AuthenticateOnUnsubscribe="true"
    )
    assert confirmed["SubscriptionArn"] == arn
    query = urllib.parse.urlencode({"Action": "Unsubscribe", "SubscriptionArn": arn})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{open_kiln.endpoint}/?{query}", timeout=20)
    assert refused.value.code == 403
    sns.unsubscribe(SubscriptionArn=arn)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


def test_raw_delivery_sends_the_message_alone(open_kiln, endpoint):
    """SRC-4: raw delivery, and the content type of a delivery policy."""
    sns = open_kiln.client("sns")
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    policy = json.dumps({"requestPolicy": {"headerContentType": "application/json"}})
    subscribe(sns, topic, endpoint, RawMessageDelivery="true", DeliveryPolicy=policy)
    endpoint.confirm()
    sns.publish(TopicArn=topic, Message='{"a": 1}')
    headers, body = endpoint.next()
    assert body == '{"a": 1}'
    assert headers["x-amz-sns-rawdelivery"] == "true"
    assert headers["content-type"] == "application/json"


def test_retries_keep_their_phases_over_a_crash_and_end_in_the_dead_letter_queue(
    open_kiln, endpoint
):
    """SRC-4, R1: one retry at once, one after a short wait, one after a long wait; kill -9 between them."""
    sns, sqs = open_kiln.client("sns"), open_kiln.client("sqs")
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    name = unique("dead")
    sqs.create_queue(QueueName=name)
    retries = {
        "numRetries": 3,
        "numNoDelayRetries": 1,
        "numMinDelayRetries": 1,
        "numMaxDelayRetries": 1,
        "minDelayTarget": 600,
        "maxDelayTarget": 1200,
    }
    subscribe(
        sns,
        topic,
        endpoint,
        DeliveryPolicy=json.dumps({"healthyRetryPolicy": retries}),
        RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}
        ),
    )
    endpoint.confirm()
    endpoint.status = 503
    sent = sns.publish(TopicArn=topic, Message="patience")
    ids = [endpoint.next()[0]["x-amz-sns-message-id"] for _ in range(2)]
    run(open_kiln, "clock", "step", 590)
    assert endpoint.requests.empty()
    open_kiln.stop(9)
    open_kiln.start()
    # The crash may have taken back the step of the clock.
    run(open_kiln, "clock", "step", 670)
    ids.append(endpoint.next()[0]["x-amz-sns-message-id"])
    assert endpoint.requests.empty()
    run(open_kiln, "clock", "step", 1330)
    ids.append(endpoint.next()[0]["x-amz-sns-message-id"])
    assert ids == [sent["MessageId"]] * 4

    url = open_kiln.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]

    def letters():
        answer = open_kiln.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1)
        return answer.get("Messages")

    [letter] = eventually(letters)
    assert json.loads(letter["Body"])["Message"] == "patience"
    assert endpoint.requests.empty()


def test_a_refusal_of_the_endpoint_is_not_tried_again(open_kiln, endpoint):
    """SRC-4: an error of the client's side goes to the dead-letter queue at once."""
    sns, sqs = open_kiln.client("sns"), open_kiln.client("sqs")
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    name = unique("dead")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    target = json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"})
    subscribe(sns, topic, endpoint, RedrivePolicy=target)
    endpoint.confirm()
    endpoint.status = 404
    sns.publish(TopicArn=topic, Message="no")
    [letter] = eventually(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages")
    )
    assert json.loads(letter["Body"])["Message"] == "no"
    endpoint.next()
    assert endpoint.requests.empty()


def test_internal_addresses_are_kept_away(start_kiln, endpoint):
    """S1, SRC-4: without the setting nothing is sent to this machine, neither by address nor by name."""
    kiln = start_kiln()
    sns = kiln.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    port = endpoint.server.server_address[1]
    for host in ("127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:127.0.0.1]"):
        with pytest.raises(ClientError) as refused:
            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://{host}:{port}/")
        code, status, text = code_of(refused.value)
        assert (code, status) == ("InvalidParameter", 400)
        assert "internal address" in text, text
    # What a name means is known when it is looked up, so that it is checked then.
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://localhost:{port}/")
    assert eventually(lambda: "localhost leads to an internal address" in kiln.log())
    assert endpoint.requests.empty()
