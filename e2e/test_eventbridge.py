"""EventBridge through boto3 and the AWS CLI: rules, targets, schedules, archives."""

import json
import time

import pytest

from kiln import ACCOUNT, REGION, code_of, eventually, unique

#: Prints its event, so that a test reads in the log what arrived.
PRINTS = {"index.py": "import json\ndef handler(event, context):\n    print('GOT ' + json.dumps(event))\n"}


@pytest.fixture
def events(kiln):
    return kiln.client("events")


def arrived(kiln, function):
    """The events that a function printed."""
    got, token = [], {}
    logs = kiln.client("logs")
    try:
        while True:
            page = logs.filter_log_events(
                logGroupName=f"/aws/lambda/{function.name}", filterPattern='"GOT "', **token
            )
            got += [json.loads(e["message"].split("GOT ", 1)[1]) for e in page["events"]]
            if "nextToken" not in page:
                return got
            token = {"nextToken": page["nextToken"]}
    except logs.exceptions.ResourceNotFoundException:
        return got


def allow(kiln, function, rule, statement="rule"):
    kiln.lambda_.add_permission(
        FunctionName=function.name,
        StatementId=statement,
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )


def entry(detail, source="shop", detail_type="order", **more):
    return {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), **more}


def test_a_rule_starts_a_function_with_what_the_transformer_makes(kiln, deploy, events):
    """SRC-6: pattern, input transformer, function policy with the ARN of the rule."""
    function, bus, rule = deploy(PRINTS), unique("bus"), unique("rule")
    events.create_event_bus(Name=bus)
    made = events.put_rule(
        Name=rule,
        EventBusName=bus,
        EventPattern=json.dumps(
            {"source": ["shop"], "detail": {"total": [{"numeric": [">=", 100]}], "state": [{"anything-but": "draft"}]}}
        ),
    )
    allow(kiln, function, made["RuleArn"])
    put = events.put_targets(
        Rule=rule,
        EventBusName=bus,
        Targets=[
            {
                "Id": "f",
                "Arn": function.arn,
                "InputTransformer": {
                    "InputPathsMap": {"id": "$.detail.id", "items": "$.detail.items"},
                    "InputTemplate": '{"order": <id>, "text": "order <id> by <aws.events.rule-name>", "items": <items>}',
                },
            }
        ],
    )
    assert put["FailedEntryCount"] == 0
    done = events.put_events(
        Entries=[
            entry({"id": "a1", "total": 100.0, "state": "paid", "items": [1, 2]}, EventBusName=bus),
            entry({"id": "a2", "total": 99, "state": "paid", "items": []}, EventBusName=bus),
            entry({"id": "a3", "total": 200, "state": "draft", "items": []}, EventBusName=bus),
            entry({"id": "a4", "total": 200, "state": "paid", "items": []}),
        ]
    )
    assert done["FailedEntryCount"] == 0 and len(done["Entries"]) == 4
    expected = [{"order": "a1", "text": f"order a1 by {rule}", "items": [1, 2]}]
    assert eventually(lambda: arrived(kiln, function)) == expected
    time.sleep(0.5)
    assert arrived(kiln, function) == expected


def test_without_a_statement_in_its_policy_a_function_is_not_started(kiln, deploy, events):
    """SRC-18, IAM-9: the negative test for a push source."""
    closed, opened, rule = deploy(PRINTS), deploy(PRINTS), unique("rule")
    source = unique("src")
    made = events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
    allow(kiln, opened, made["RuleArn"])
    targets = [{"Id": str(n), "Arn": f.arn} for n, f in enumerate([closed, opened])]
    events.put_targets(Rule=rule, Targets=targets)
    events.put_events(Entries=[entry({"n": 1}, source=source)])
    got = eventually(lambda: arrived(kiln, opened))
    assert [g["detail"] for g in got] == [{"n": 1}]
    assert got[0]["source"] == source and got[0]["account"] == ACCOUNT and got[0]["region"] == REGION
    assert arrived(kiln, closed) == []


def received(sqs, url, count, seconds=15):
    """The messages of a queue, once there are so many of them."""
    got = []

    def enough():
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        got.extend(answer.get("Messages", []))
        return len(got) >= count

    eventually(enough, seconds)
    return got


def queue(sqs, name, **attributes):
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def test_a_rule_feeds_queues(kiln, events):
    """SRC-6: a queue, and a FIFO queue with a message group."""
    sqs, source, rule = kiln.client("sqs"), unique("src"), unique("rule")
    plain, plain_arn = queue(sqs, unique("q"))
    fifo, fifo_arn = queue(sqs, unique("q") + ".fifo", FifoQueue="true", ContentBasedDeduplication="true")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
    targets = [
        {"Id": "plain", "Arn": plain_arn, "InputPath": "$.detail"},
        {"Id": "fifo", "Arn": fifo_arn, "SqsParameters": {"MessageGroupId": "g"}},
    ]
    events.put_targets(Rule=rule, Targets=targets)
    for n in range(5):
        events.put_events(Entries=[entry({"n": n}, source=source)])
    got = received(sqs, plain, 5)
    assert sorted(json.loads(m["Body"])["n"] for m in got) == list(range(5))
    (first,) = received(sqs, fifo, 1)[:1]
    assert json.loads(first["Body"])["detail"] == {"n": 0}


def test_what_cannot_be_delivered_lies_in_the_dead_letter_queue(kiln, events):
    """SRC-18: the function is not there; the message tells of rule, target and error."""
    sqs, source, rule = kiln.client("sqs"), unique("src"), unique("rule")
    url, arn = queue(sqs, unique("q"))
    made = events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{unique('none')}"
    target = {
        "Id": "f",
        "Arn": function,
        "DeadLetterConfig": {"Arn": arn},
        "RetryPolicy": {"MaximumRetryAttempts": 0},
    }
    events.put_targets(Rule=rule, Targets=[target])
    events.put_events(Entries=[entry({"n": 1}, source=source)])
    (message,) = received(sqs, url, 1)
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    told = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert told["RULE_ARN"] == made["RuleArn"] and told["TARGET_ARN"] == function


def test_events_go_from_bus_to_bus(kiln, deploy, events):
    """SRC-6: the event keeps its identity."""
    function, bus, source = deploy(PRINTS), unique("bus"), unique("src")
    second = events.create_event_bus(Name=bus)["EventBusArn"]
    pattern = json.dumps({"source": [source]})
    first_rule, second_rule = unique("rule"), unique("rule")
    events.put_rule(Name=first_rule, EventPattern=pattern)
    events.put_targets(Rule=first_rule, Targets=[{"Id": "bus", "Arn": second}])
    made = events.put_rule(Name=second_rule, EventBusName=bus, EventPattern=pattern)
    allow(kiln, function, made["RuleArn"])
    events.put_targets(Rule=second_rule, EventBusName=bus, Targets=[{"Id": "f", "Arn": function.arn}])
    done = events.put_events(Entries=[entry({"n": 1}, source=source)])
    got = eventually(lambda: arrived(kiln, function))
    assert [g["id"] for g in got] == [done["Entries"][0]["EventId"]]


def test_an_archive_is_replayed(kiln, deploy, events):
    """SRC-6: archives and replays, in the order of time."""
    function, source, name = deploy(PRINTS), unique("src"), unique("archive")
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    pattern = json.dumps({"source": [source]})
    archive = events.create_archive(ArchiveName=name, EventSourceArn=bus, EventPattern=pattern)
    now = int(time.time())
    for n in (3, 1, 2):
        events.put_events(Entries=[entry({"n": n}, source=source, Time=now - 100 + n)])
    rule = unique("rule")
    made = events.put_rule(Name=rule, EventPattern=pattern)
    allow(kiln, function, made["RuleArn"])
    events.put_targets(Rule=rule, Targets=[{"Id": "f", "Arn": function.arn}])
    events.start_replay(
        ReplayName=name,
        EventSourceArn=archive["ArchiveArn"],
        EventStartTime=now - 200,
        EventEndTime=now,
        Destination={"Arn": bus},
    )
    assert eventually(lambda: events.describe_replay(ReplayName=name)["State"] == "COMPLETED")
    eventually(lambda: len(arrived(kiln, function)) == 3)
    got = arrived(kiln, function)
    assert sorted(g["detail"]["n"] for g in got) == [1, 2, 3]
    assert {g["replay-name"] for g in got} == {name}
    assert events.describe_archive(ArchiveName=name)["EventCount"] == 3


def test_the_command_line_makes_and_asks(kiln):
    """SRC-5, SRC-6: the AWS CLI."""
    rule = unique("rule")
    made = kiln.aws("events", "put-rule", "--name", rule, "--schedule-expression", "rate(5 minutes)")
    assert made == {"RuleArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}"}
    shown = kiln.aws("events", "describe-rule", "--name", rule)
    assert shown["ScheduleExpression"] == "rate(5 minutes)" and shown["State"] == "ENABLED"
    refused = kiln.aws("events", "put-rule", "--name", rule, "--schedule-expression", "rate(5)", check=False)
    assert "Parameter ScheduleExpression is not valid." in refused.stderr
    kiln.aws("events", "delete-rule", "--name", rule)


def test_a_bad_pattern_is_refused_in_the_words_of_aws(events):
    """SRC-6."""
    with pytest.raises(events.exceptions.InvalidEventPatternException) as refused:
        events.put_rule(Name=unique("rule"), EventPattern='{"resources": []}')
    code, status, message = code_of(refused)
    assert (code, status) == ("InvalidEventPatternException", 400)
    assert message == (
        "Event pattern is not valid. Reason: Empty arrays are not allowed\n"
        ' at [Source: (String)"{"resources": []}"; line: 1, column: 17]'
    )
