"""EventBridge Scheduler through boto3 and the AWS CLI."""

import json
import signal
import time
from datetime import datetime, timezone

import pytest

from kiln import ACCOUNT, REGION, ROLE, eventually, unique
from test_async import run
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


HOUR = 3_600


def ticks_in(sqs, url, got):
    """Takes what lies in a queue: the times of ticks are added to `got`."""
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            body = json.loads(message["Body"])
            told = datetime.fromisoformat(body["time"].replace("Z", "+00:00"))
            got.append(int(told.timestamp()))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return got


def hours(first, last):
    return list(range(first, last + 1, HOUR))


def test_ticks_of_a_long_downtime_come_once_as_far_as_their_target_waits(start_kiln):
    """SRC-5, SRC-7: kill -9, 36 hours away, kill -9 again while what was missed is sent."""
    kiln = start_kiln(env={"KILN_MOVABLE_CLOCK": "true"})
    sqs = kiln.client("sqs")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("rule", "schedule")}
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
    events = kiln.client("events")
    events.put_rule(Name="r", ScheduleExpression="rate(1 hour)")
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn + "rule"}])
    kiln.client("scheduler").create_schedule(
        Name="s",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": arn + "schedule",
            "RoleArn": ROLE,
            "Input": json.dumps({"time": "<aws.scheduler.scheduled-time>"}),
            # What is older is not sent; the rule's target waits for a day.
            "RetryPolicy": {"MaximumEventAgeInSeconds": 10 * HOUR},
        },
    )
    run(kiln, "clock", "step", f"{HOUR + 60}s")
    got = {name: [] for name in urls}
    eventually(lambda: ticks_in(sqs, urls["rule"], got["rule"]))
    eventually(lambda: len(ticks_in(sqs, urls["schedule"], got["schedule"])) == 2)
    firsts = {name: min(ticks) for name, ticks in got.items()}
    kiln.stop(signal.SIGKILL)
    # The clock runs on while nobody is there.
    (kiln.data / "clock").write_text(f"{(HOUR + 60 + 36 * HOUR) * 1_000_000}\n")
    kiln.start()
    kiln.stop(signal.SIGKILL)
    kiln.start()
    now = datetime.fromisoformat(run(kiln, "clock", "show")["now"].replace("Z", "+00:00")).timestamp()
    expected = {}
    for name, waits in [("rule", 24 * HOUR), ("schedule", 10 * HOUR)]:
        began = hours(firsts[name], int(now))
        seen = [tick for tick in began if tick in got[name]]
        expected[name] = seen + [tick for tick in began if tick not in seen and tick > now - waits]
    sqs = kiln.client("sqs")

    def comes(name, ticks):
        return eventually(lambda: set(ticks) <= set(ticks_in(sqs, urls[name], got[name])))

    for name in urls:
        assert comes(name, expected[name]), name
    # The next tick comes behind all that were missed; then none of them may come again.
    run(kiln, "clock", "step", f"{HOUR}s")
    for name in urls:
        expected[name].append(expected[name][-1] + HOUR)
        assert comes(name, expected[name]), name
        assert sorted(got[name]) == expected[name], name


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
