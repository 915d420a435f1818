"""Queues and their messages through the clients of AWS, and what a kill leaves of them."""

import hashlib
import json
import signal
import threading
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from kiln import REGION, unique

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


@pytest.fixture
def sqs(kiln):
    return kiln.client("sqs")


@pytest.fixture
def queue(sqs):
    return sqs.create_queue(QueueName=unique())["QueueUrl"]


def receive_all(sqs, url, wait=0):
    """Receives and deletes until the queue gives nothing."""
    messages = []
    while got := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait, AttributeNames=["All"]
    ).get("Messages"):
        messages += got
        entries = [
            {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)
        ]
        deleted = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        assert len(deleted["Successful"]) == len(got)
    return messages


def test_a_message_with_attributes_comes_back_as_sent(sqs, queue):
    """LIM-6: messages of 1 MiB. The digests are checked by botocore too."""
    attributes = {
        "text": {"DataType": "String", "StringValue": "ü"},
        "number": {"DataType": "Number.int", "StringValue": "7"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    sent = sqs.send_message(
        QueueUrl=queue,
        MessageBody="x" * (1024 * 1024 - 200),
        MessageAttributes=attributes,
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
    )
    got = sqs.receive_message(
        QueueUrl=queue, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )["Messages"][0]
    assert got["MessageId"] == sent["MessageId"]
    assert got["MD5OfBody"] == hashlib.md5(got["Body"].encode()).hexdigest()
    assert got["MessageAttributes"] == attributes
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert got["Attributes"]["AWSTraceHeader"] == trace
    with pytest.raises(ClientError) as refused:
        sqs.send_message(QueueUrl=queue, MessageBody="x" * (1024 * 1024 + 1))
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_a_traced_client_says_so_in_a_header(kiln, queue):
    """OBS-12: the trace of a caller goes with its message."""
    client = kiln.new_client("sqs")
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    client.meta.events.register(
        "before-call.sqs.SendMessage",
        lambda params, **_: params["headers"].update({"X-Amzn-Trace-Id": trace}),
    )
    client.send_message(QueueUrl=queue, MessageBody="traced")
    got = client.receive_message(QueueUrl=queue, AttributeNames=["AWSTraceHeader"])
    assert got["Messages"][0]["Attributes"] == {"AWSTraceHeader": trace}


def test_a_long_poll_is_woken_by_a_send(kiln, sqs, queue):
    """Section 3.1, sqs: long polling."""
    answer = {}

    def poll():
        client = kiln.new_client("sqs", read_timeout=30)
        start = time.monotonic()
        answer["messages"] = client.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
        answer["seconds"] = time.monotonic() - start

    thread = threading.Thread(target=poll)
    thread.start()
    time.sleep(1)
    sqs.send_message(QueueUrl=queue, MessageBody="wake")
    thread.join(timeout=20)
    assert [m["Body"] for m in answer["messages"]] == ["wake"]
    assert answer["seconds"] < 10


def test_fifo_keeps_order_and_takes_repeats_once(sqs):
    """Section 3.1, sqs: FIFO queues."""
    url = sqs.create_queue(QueueName=f"{unique()}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for n in range(30):
        for _ in range(2):
            sqs.send_message(
                QueueUrl=url,
                MessageBody=str(n),
                MessageGroupId=f"g{n % 3}",
                MessageDeduplicationId=str(n),
            )
    got = receive_all(sqs, url)
    assert sorted(int(m["Body"]) for m in got) == list(range(30))
    for group in range(3):
        of_group = [int(m["Body"]) for m in got if int(m["Body"]) % 3 == group]
        assert of_group == sorted(of_group)
    numbers = [m["Attributes"]["SequenceNumber"] for m in got]
    assert all(len(n) == 20 for n in numbers)


def test_dead_messages_are_moved_back_by_a_task(sqs):
    """ASY-14: dead-letter queues and move tasks."""
    dead = sqs.create_queue(QueueName=unique())["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    arn = arn["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "1"})
    url = sqs.create_queue(
        QueueName=unique(), Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"}
    )["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert sqs.receive_message(QueueUrl=url)["Messages"]
    time.sleep(0.05)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    got = sqs.receive_message(QueueUrl=dead, VisibilityTimeout=0, AttributeNames=["All"])
    assert got["Messages"][0]["Attributes"]["DeadLetterQueueSourceArn"]
    time.sleep(0.05)
    sqs.start_message_move_task(SourceArn=arn)
    got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)
    assert [m["Body"] for m in got["Messages"]] == ["poison"]


def test_the_command_line_sends_and_receives(kiln, queue):
    """Section 3.1, sqs: the AWS CLI."""

    def aws(*arguments):
        # Version 1 of the CLI has an address of its own for SQS unless it is told on the command line.
        return kiln.aws("sqs", *arguments, "--queue-url", queue, "--endpoint-url", kiln.endpoint)

    sent = aws("send-message", "--message-body", "from the shell")
    got = aws("receive-message", "--wait-time-seconds", "1")["Messages"][0]
    assert (got["Body"], got["MessageId"]) == ("from the shell", sent["MessageId"])
    aws("delete-message", "--receipt-handle", got["ReceiptHandle"])


def test_the_older_protocol_works_on_the_url_of_a_queue(kiln, sqs, queue):
    """Section 3.1, sqs: the query protocol beside JSON 1.0."""

    def call(**form):
        data = urllib.parse.urlencode({"Version": "2012-11-05", **form})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        signed = AWSRequest("POST", queue, headers=headers, data=data)
        SigV4Auth(Credentials(kiln.key, kiln.secret), "sqs", REGION).add_auth(signed)
        request = urllib.request.Request(queue, data.encode(), dict(signed.headers))
        with urllib.request.urlopen(request) as answer:
            return ET.fromstring(answer.read())

    call(
        **{
            "Action": "SendMessage",
            "MessageBody": "old & <good>",
            "MessageAttribute.1.Name": "a",
            "MessageAttribute.1.Value.DataType": "String",
            "MessageAttribute.1.Value.StringValue": "x",
        }
    )
    root = call(**{"Action": "ReceiveMessage", "MessageAttributeName.1": "All"})
    message = root.find(f"{NAMESPACE}ReceiveMessageResult/{NAMESPACE}Message")
    assert message.find(f"{NAMESPACE}Body").text == "old & <good>"
    value = message.find(f"{NAMESPACE}MessageAttribute/{NAMESPACE}Value/{NAMESPACE}StringValue")
    assert value.text == "x"
    handle = message.find(f"{NAMESPACE}ReceiptHandle").text
    call(Action="DeleteMessage", ReceiptHandle=handle)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)


def test_nothing_sent_is_lost_and_nothing_deleted_comes_back_after_kill_9(start_kiln):
    """Section 3.1, sqs: sent = received + queued, over several kills."""
    kiln = start_kiln()
    sqs = kiln.client("sqs")
    name = unique()
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    # `cut`: deletions that a kill left without an answer; they may have happened.
    sent, unsure, deleted, cut, again = set(), set(), set(), set(), []
    lock = threading.Lock()

    def send(client, url, worker, life):
        for n in range(100_000):
            body = f"{life}-{worker}-{n}"
            with lock:
                unsure.add(body)
            try:
                client.send_message(QueueUrl=url, MessageBody=body)
            except (BotoCoreError, ClientError):
                return
            with lock:
                sent.add(body)

    def consume(client, url):
        while True:
            try:
                got = client.receive_message(QueueUrl=url, VisibilityTimeout=5).get("Messages", [])
                for message in got:
                    body = message["Body"]
                    with lock:
                        cut.add(body)
                        again.extend([body] if body in deleted else [])
                    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    with lock:
                        cut.discard(body)
                        deleted.add(body)
            except (BotoCoreError, ClientError):
                return

    for life in range(3):
        settings = {"read_timeout": 10}
        threads = [
            threading.Thread(target=send, args=(kiln.new_client("sqs", **settings), url, n, life))
            for n in range(4)
        ]
        threads.append(
            threading.Thread(target=consume, args=(kiln.new_client("sqs", **settings), url))
        )
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        kiln.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
        kiln = start_kiln()
        sqs = kiln.client("sqs")
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    assert len(sent) > 50 and deleted
    # What was in flight at the kill may still be so.
    left = set()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and not sent <= deleted | cut | left:
        for message in receive_all(sqs, url, wait=1):
            assert message["Body"] not in left, "twice without a reason"
            left.add(message["Body"])
    assert sent <= deleted | cut | left, f"lost: {sorted(sent - deleted - cut - left)[:5]}"
    assert len(cut) <= 3, "at most one for each kill"
    # A deletion that the kill cut short may have happened; one that was answered has.
    assert not again, f"came back while the server lived: {again[:5]}"
    assert not deleted & left, f"came back: {sorted(deleted & left)[:5]}"
    assert left <= unsure
