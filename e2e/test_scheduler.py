"""EventBridge Scheduler through boto3 and the AWS CLI."""

import json
import signal
import time
from datetime import datetime, timezone

import pytest

from kiln import ACCOUNT, REGION, ROLE, eventually, unique
from test_eventbridge import PRINTS, arrived


def at(moment):
    return f"at({datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%dT%H:%M:%S})"


def schedule(kiln, name, expression, function, **more):
    return kiln.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression=expression,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": function.arn, "RoleArn": ROLE, **more.pop("target", {})},
        **more,
    )


def test_a_rate_starts_a_function_at_once(kiln, deploy):
    """SRC-7: a rate without a start begins when it is made; the body of 3.2."""
    function, name = deploy(PRINTS), unique("s")
    arn = schedule(kiln, name, "rate(1 hour)", function)["ScheduleArn"]
    assert arn == f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"
    (got,) = eventually(lambda: arrived(kiln, function))
    assert got["detail-type"] == "Scheduled Event" and got["source"] == "aws.scheduler"
    assert got["resources"] == [arn] and got["detail"] == "{}"


def test_a_schedule_that_ran_once_is_deleted_if_it_shall(kiln, deploy):
    """SRC-7: at(), a time zone, the input as it was given, ActionAfterCompletion."""
    function, name = deploy(PRINTS), unique("s")
    soon = datetime.fromtimestamp(time.time() + 2, timezone.utc)
    schedule(
        kiln,
        name,
        at(soon.timestamp()),
        function,
        ScheduleExpressionTimezone="UTC",
        ActionAfterCompletion="DELETE",
        target={"Input": json.dumps({"hello": [1]})},
    )
    assert eventually(lambda: arrived(kiln, function)) == [{"hello": [1]}]
    scheduler = kiln.client("scheduler")

    def is_gone():
        try:
            return not scheduler.get_schedule(Name=name)
        except scheduler.exceptions.ResourceNotFoundException:
            return True

    assert eventually(is_gone)


def test_no_tick_is_lost_or_doubled_by_a_kill(start_kiln):
    """SRC-7: twelve ticks, a kill -9 in the middle, each of them once."""
    kiln = start_kiln()
    function = kiln.deploy(unique(), PRINTS)
    start = int(time.time()) + 3
    for n in range(12):
        input_of = {"Input": json.dumps({"n": n})}
        schedule(kiln, f"s{n}", at(start + n // 2), function, target=input_of)
    # After the first ones, while others are due; some become due while nobody is there.
    time.sleep(max(0, start + 1.5 - time.time()))
    kiln.stop(signal.SIGKILL)
    time.sleep(1)
    kiln.start()
    eventually(lambda: {e["n"] for e in arrived(kiln, function)} == set(range(12)), 25)
    time.sleep(1)
    assert sorted(e["n"] for e in arrived(kiln, function)) == list(range(12))


def test_groups_and_the_command_line(kiln):
    """SRC-7: groups, tags, lists; the AWS CLI."""
    group, name = unique("g"), unique("s")
    made = kiln.aws("scheduler", "create-schedule-group", "--name", group, "--tags", "Key=a,Value=1")
    kiln.aws(
        "scheduler", "create-schedule", "--name", name, "--group-name", group,
        "--schedule-expression", "cron(0 10 ? * MON-FRI *)",
        "--schedule-expression-timezone", "Europe/Berlin",
        "--flexible-time-window", "Mode=FLEXIBLE,MaximumWindowInMinutes=5",
        "--target", json.dumps({"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "RoleArn": ROLE}),
    )  # fmt: skip
    shown = kiln.aws("scheduler", "get-schedule", "--name", name, "--group-name", group)
    assert shown["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert shown["FlexibleTimeWindow"] == {"MaximumWindowInMinutes": 5, "Mode": "FLEXIBLE"}
    listed = kiln.aws("scheduler", "list-schedules", "--group-name", group)
    assert [s["Name"] for s in listed["Schedules"]] == [name]
    tags = kiln.aws("scheduler", "list-tags-for-resource", "--resource-arn", made["ScheduleGroupArn"])
    assert tags == {"Tags": [{"Key": "a", "Value": "1"}]}
    kiln.aws("scheduler", "delete-schedule-group", "--name", group)
    gone = kiln.aws("scheduler", "get-schedule", "--name", name, "--group-name", group, check=False)
    assert f"Schedule {name} does not exist." in gone.stderr


def test_a_bad_expression_is_refused_in_the_words_of_aws(kiln):
    """SRC-7."""
    scheduler = kiln.client("scheduler")
    with pytest.raises(scheduler.exceptions.ValidationException) as refused:
        scheduler.create_schedule(
            Name=unique("s"),
            ScheduleExpression="rate(10 seconds)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "RoleArn": ROLE},
        )
    assert refused.value.response["Error"]["Message"] == "Invalid Schedule Expression rate(10 seconds)."
