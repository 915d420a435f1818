"""API destinations: rules that call HTTP endpoints, through boto3."""

import base64
import json
import signal

import pytest

from kiln import Kiln, code_of, eventually, unique
from test_sns_http import Endpoint


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def open_kiln(tmp_path_factory):
    """A server that may call this machine."""
    server = Kiln(tmp_path_factory.mktemp("web") / "data", env={"KILN_EGRESS_ALLOW": "127.0.0.0/8"})
    yield server.start()
    assert server.stop() == 0, server.log()


def test_a_rule_calls_an_endpoint_and_buries_what_it_refuses(open_kiln, endpoint):
    """SRC-6: a rule whose target is an HTTP endpoint, with credentials that no answer shows, and a dead-letter queue."""
    events, sqs = open_kiln.client("events"), open_kiln.client("sqs")
    name = unique("web")
    connection = events.create_connection(
        Name=name,
        AuthorizationType="BASIC",
        AuthParameters={"BasicAuthParameters": {"Username": "user", "Password": "s3cret"}},
    )
    shown = events.describe_connection(Name=name)
    assert shown["AuthParameters"] == {"BasicAuthParameters": {"Username": "user"}}
    made = events.create_api_destination(
        Name=name,
        ConnectionArn=connection["ConnectionArn"],
        InvocationEndpoint=endpoint.url,
        HttpMethod="POST",
    )
    assert made["ApiDestinationState"] == "ACTIVE"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(
        Rule=name,
        Targets=[
            {
                "Id": "web",
                "Arn": made["ApiDestinationArn"],
                "InputPath": "$.detail",
                "HttpParameters": {"HeaderParameters": {"X-Shop": "$.detail.shop"}},
                "DeadLetterConfig": {"Arn": arn},
            }
        ],
    )

    def put(detail):
        entry = {"Source": name, "DetailType": "order", "Detail": json.dumps(detail)}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    put({"shop": "north"})
    headers, body = endpoint.next()
    assert json.loads(body) == {"shop": "north"}
    assert headers["x-shop"] == "north"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"user:s3cret").decode()
    endpoint.status = 404
    put({"shop": "south"})
    endpoint.next()

    def buried():
        return sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")

    message = eventually(buried)[0]
    assert json.loads(message["Body"]) == {"shop": "south"}
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert attributes["TARGET_ARN"] == made["ApiDestinationArn"]
    assert attributes["ERROR_MESSAGE"] == "The endpoint answered 404."


def test_an_internal_address_is_no_endpoint(kiln):
    """SRC-6: no endpoint inside, unless the operator allows it."""
    events, name = kiln.client("events"), unique("inside")
    connection = events.create_connection(
        Name=name,
        AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "s3cret"}},
    )
    with pytest.raises(events.exceptions.ClientError) as refused:
        events.create_api_destination(
            Name=name,
            ConnectionArn=connection["ConnectionArn"],
            InvocationEndpoint="http://169.254.169.254/latest/meta-data",
            HttpMethod="GET",
        )
    assert code_of(refused)[:2] == ("ValidationException", 400)


def test_secrets_of_connections_are_on_no_disk_in_plain_form(start_kiln):
    """SRC-6: the data folder holds no password; its key is for the owner alone, and outlives a kill."""
    kiln = start_kiln()
    secret = unique("hush")
    kiln.client("events").create_connection(
        Name="c",
        AuthorizationType="BASIC",
        AuthParameters={"BasicAuthParameters": {"Username": "user", "Password": secret}},
    )
    kiln.stop(signal.SIGKILL)
    files = [path for path in kiln.data.rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    (key,) = [path for path in files if path.name == "secret.key"]
    assert key.stat().st_mode & 0o777 == 0o600
    kiln.start()
    shown = kiln.client("events").describe_connection(Name="c")
    assert shown["AuthParameters"] == {"BasicAuthParameters": {"Username": "user"}}
