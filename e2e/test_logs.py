"""CloudWatch Logs through boto3: what a function writes arrives there."""

import re
import time

import pytest

from kiln import eventually, unique


@pytest.fixture
def logs(kiln):
    return kiln.client("logs")


def test_the_output_of_a_function_arrives_in_its_group(deploy, logs):
    """HC-5, OBS-15: one stream for each environment, lines in order."""
    function = deploy({"index.py": "def handler(e, c):\n    print('a')\n    print('b')\n"})
    request = function({}).request_id
    group = f"/aws/lambda/{function.name}"
    function({})

    def stream():
        groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if [g["logGroupName"] for g in groups] != [group]:
            return None
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        return [s["logStreamName"] for s in streams]

    names = eventually(stream)
    assert len(names) == 1
    name = names[0]
    assert re.match(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$", name)

    def messages():
        got = logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)
        lines = [event["message"] for event in got["events"]]
        return lines if sum("REPORT" in line for line in lines) == 2 else None

    lines = eventually(messages)
    start = lines.index(f"START RequestId: {request} Version: $LATEST\n")
    assert lines[start + 1 : start + 4] == ["a\n", "b\n", f"END RequestId: {request}\n"]
    assert lines[start + 4].startswith(f"REPORT RequestId: {request}\t")
    assert lines[0].startswith("INIT_START Runtime Version: ")


def test_groups_streams_and_events_are_written_and_read(logs):
    """OBS-15: the small but real service."""
    group, now = f"/test/{unique()}", int(time.time() * 1000)
    logs.create_log_group(logGroupName=group)
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    logs.put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[{"timestamp": now + i, "message": f"line {i} ERROR"[: 6 + 6 * (i % 2)]} for i in range(20)],
    )
    got = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True, limit=5)
    assert len(got["events"]) == 5
    more = logs.get_log_events(
        logGroupName=group, logStreamName="s", nextToken=got["nextForwardToken"], startFromHead=True
    )
    assert len(more["events"]) == 15
    found = logs.filter_log_events(logGroupName=group, filterPattern="ERROR")["events"]
    assert found and all("ERROR" in event["message"] for event in found)
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    described = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    assert described["retentionInDays"] == 7
    logs.delete_log_group(logGroupName=group)
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName=group, logStreamName="s")
