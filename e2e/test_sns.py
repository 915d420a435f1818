"""SNS through the clients of AWS: fan-out to queues and functions, filters, raw delivery, dead letters."""

import json
import urllib.request

import pytest
from botocore.exceptions import ClientError

from kiln import ACCOUNT, REGION, code_of, eventually, unique


@pytest.fixture
def sns(kiln):
    return kiln.client("sns")


@pytest.fixture
def queue(kiln):
    """Makes queues; gives their URLs and ARNs."""
    sqs = kiln.client("sqs")

    def make(**attributes):
        name = unique("q") + (".fifo" if attributes.get("FifoQueue") else "")
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    return make


def received(kiln, url, wanted=1):
    """The bodies of the next messages, in the order in which they come."""
    sqs, found = kiln.client("sqs"), []

    def look():
        answer = sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message)
        return len(found) >= wanted

    assert eventually(look), f"{len(found)} of {wanted} messages"
    return found


def test_a_topic_fans_out_to_queues_and_a_function(kiln, sns, queue, deploy):
    """SRC-4, SRC-18: one message, two queues and a function whose policy lets the topic in."""
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    function = deploy({"index.py": "import json\ndef handler(e, c):\n    print(json.dumps(e))\n"})
    queues = [queue(), queue()]
    for _, arn in queues:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function.arn)
    kiln.lambda_.add_permission(
        FunctionName=function.name,
        StatementId="sns",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    sent = sns.publish(
        TopicArn=topic,
        Message="hello",
        Subject="greeting",
        MessageAttributes={"lang": {"DataType": "String", "StringValue": "en"}},
    )
    for url, _ in queues:
        [message] = received(kiln, url)
        body = json.loads(message["Body"])
        assert (body["Type"], body["MessageId"]) == ("Notification", sent["MessageId"])
        assert (body["TopicArn"], body["Subject"], body["Message"]) == (topic, "greeting", "hello")
        assert body["MessageAttributes"] == {"lang": {"Type": "String", "Value": "en"}}
        certificate = urllib.request.urlopen(body["SigningCertURL"], timeout=10).read()
        assert certificate.startswith(b"-----BEGIN CERTIFICATE-----")

    def event():
        logs = kiln.client("logs")
        try:
            lines = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return None
        return next((line["message"] for line in lines if "aws:sns" in line["message"]), None)

    [record] = json.loads(eventually(event))["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert (record["Sns"]["Message"], record["Sns"]["Subject"]) == ("hello", "greeting")


def test_filters_and_raw_delivery(kiln, sns, queue):
    """SRC-4: by attributes and by body; raw messages carry their attributes."""
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    (some, some_arn), (bodies, bodies_arn) = queue(), queue()
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=some_arn,
        Attributes={
            "FilterPolicy": json.dumps({"price": [{"numeric": [">=", 100]}]}),
            "RawMessageDelivery": "true",
        },
    )
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=bodies_arn,
        Attributes={
            "FilterPolicy": json.dumps({"kind": [{"prefix": "ord"}]}),
            "FilterPolicyScope": "MessageBody",
            "RawMessageDelivery": "true",
        },
    )
    for price, kind in ((50, "order"), (150, "other")):
        sns.publish(
            TopicArn=topic,
            Message=json.dumps({"kind": kind}),
            MessageAttributes={"price": {"DataType": "Number", "StringValue": str(price)}},
        )
    [dear] = received(kiln, some)
    assert json.loads(dear["Body"]) == {"kind": "other"}
    assert dear["MessageAttributes"]["price"]["StringValue"] == "150"
    [order] = received(kiln, bodies)
    assert json.loads(order["Body"]) == {"kind": "order"}


def test_an_ordered_topic_keeps_the_order(kiln, sns, queue):
    """SRC-4: FIFO to FIFO, a repeated message is taken for the first."""
    topic = sns.create_topic(
        Name=unique("t") + ".fifo",
        Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"},
    )["TopicArn"]
    url, arn = queue(FifoQueue="true")
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    for number in (0, 1, 1, 2, 3):
        sns.publish(TopicArn=topic, Message=str(number), MessageGroupId="g")
    bodies = [m["Body"] for m in received(kiln, url, 4)]
    assert bodies == ["0", "1", "2", "3"]


def test_what_cannot_be_delivered_goes_to_the_queue_of_the_subscription(kiln, sns, queue):
    """SRC-4: a queue that is gone; the dead letter is what would have been delivered."""
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    (gone, gone_arn), (dead, dead_arn) = queue(), queue()
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=gone_arn,
        Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn})},
    )
    kiln.client("sqs").delete_queue(QueueUrl=gone)
    sns.publish(TopicArn=topic, Message="lost?")
    [letter] = received(kiln, dead)
    assert json.loads(letter["Body"])["Message"] == "lost?"


def test_the_command_line_publishes(kiln, queue):
    """API-2, SRC-4."""
    topic = kiln.aws("sns", "create-topic", "--name", unique("t"))["TopicArn"]
    url, arn = queue()
    kiln.aws(
        "sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs",
        "--notification-endpoint", arn,
    )  # fmt: skip
    assert kiln.aws("sns", "publish", "--topic-arn", topic, "--message", "hi")["MessageId"]
    assert json.loads(received(kiln, url)[0]["Body"])["Message"] == "hi"
    listed = kiln.aws("sns", "list-subscriptions-by-topic", "--topic-arn", topic)
    assert [s["Endpoint"] for s in listed["Subscriptions"]] == [arn]


def test_what_is_refused(sns):
    """API-4: the words of AWS."""
    with pytest.raises(ClientError) as missing:
        sns.publish(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:none", Message="x")
    assert code_of(missing.value) == ("NotFound", 404, "Topic does not exist")
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    with pytest.raises(ClientError) as empty:
        sns.publish(TopicArn=topic, Message="")
    assert code_of(empty.value) == ("InvalidParameter", 400, "Invalid parameter: Empty message")


def test_topics_survive_a_crash(start_kiln):
    """SRC-4: topic, subscription, and what was published before kill -9."""
    kiln = start_kiln()
    sns, sqs = kiln.client("sns"), kiln.client("sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    for number in range(20):
        sns.publish(TopicArn=topic, Message=str(number))
    kiln.stop(9)
    kiln.start()
    url = kiln.client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    messages = {json.loads(m["Body"])["Message"] for m in received(kiln, url, 20)}
    assert messages == {str(number) for number in range(20)}
    listed = kiln.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [s["Endpoint"] for s in listed] == [arn]


def test_other_accounts_come_in_by_the_policy(kiln, sns):
    """SRC-4, SRC-18: AddPermission lets another account publish, RemovePermission ends it."""
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    other = kiln.client("sns", key="111111111111")
    with pytest.raises(ClientError) as refused:
        other.publish(TopicArn=topic, Message="x")
    code, status, text = code_of(refused.value)
    assert (code, status) == ("AuthorizationError", 403)
    assert text == (
        f"User: arn:aws:iam::111111111111:root is not authorized to perform: SNS:Publish on resource: {topic} "
        "because no resource-based policy allows the SNS:Publish action"
    )
    sns.add_permission(
        TopicArn=topic, Label="l", AWSAccountId=["111111111111"], ActionName=["Publish"]
    )
    assert other.publish(TopicArn=topic, Message="x")["MessageId"]
    with pytest.raises(ClientError):
        other.delete_topic(TopicArn=topic)
    sns.remove_permission(TopicArn=topic, Label="l")
    with pytest.raises(ClientError):
        other.publish(TopicArn=topic, Message="x")


def test_a_queue_of_another_account_confirms_first(kiln, sns):
    """SRC-4: the queue's owner finds the token in the queue."""
    other = kiln.client("sqs", key="111111111111")
    name = unique("q")
    url = other.create_queue(QueueName=name)["QueueUrl"]
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    arn = f"arn:aws:sqs:{REGION}:111111111111:{name}"
    answer = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    assert answer["SubscriptionArn"] == "pending confirmation"

    def next_body():
        answer = other.receive_message(QueueUrl=url, WaitTimeSeconds=1)
        return [json.loads(m["Body"]) for m in answer.get("Messages", [])]

    [asked] = eventually(next_body)
    assert asked["Type"] == "SubscriptionConfirmation"
    kiln.client("sns", key="111111111111").confirm_subscription(
        TopicArn=topic, Token=asked["Token"]
    )
    sns.publish(TopicArn=topic, Message="welcome")
    received = []

    def welcomed():
        received.extend(body["Type"] for body in next_body())
        return "Notification" in received

    assert eventually(welcomed)


def test_text_messages_and_mobile_push_answer_what_there_is(sns):
    """API-4: attributes of text messages are kept; applications of mobile push are records."""
    sns.set_sms_attributes(attributes={"DefaultSMSType": "Transactional"})
    kept = sns.get_sms_attributes(attributes=["DefaultSMSType"])["attributes"]
    assert kept == {"DefaultSMSType": "Transactional"}
    assert sns.check_if_phone_number_is_opted_out(phoneNumber="+15551234567")["isOptedOut"] is False
    assert sns.list_platform_applications()["PlatformApplications"] == []
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:app/GCM/none"
    with pytest.raises(ClientError) as missing:
        sns.create_platform_endpoint(PlatformApplicationArn=arn, Token="t")
    assert code_of(missing.value) == ("NotFound", 404, "PlatformApplication does not exist")
    app = sns.create_platform_application(
        Name="app", Platform="GCM", Attributes={"PlatformCredential": "secret"}
    )["PlatformApplicationArn"]
    endpoint = sns.create_platform_endpoint(PlatformApplicationArn=app, Token="t")["EndpointArn"]
    shown = sns.get_endpoint_attributes(EndpointArn=endpoint)["Attributes"]
    assert shown == {"Enabled": "true", "Token": "t"}
    assert sns.publish(TargetArn=endpoint, Message="m")["MessageId"]
    assert sns.publish(PhoneNumber="+15551234567", Message="m")["MessageId"]
    sns.delete_platform_application(PlatformApplicationArn=app)
    assert sns.list_platform_applications()["PlatformApplications"] == []
    assert sns.get_sms_sandbox_account_status()["IsInSandbox"] is True
