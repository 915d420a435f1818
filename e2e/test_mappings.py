"""Event source mappings as records: their rules, their states, what survives a crash."""

import signal
import time

import pytest
from botocore.exceptions import ClientError

from kiln import ACCOUNT, REGION, SETTLE_SECONDS, unique

ECHO = {"index.py": "def handler(event, context):\n    return event\n"}
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t/stream/2026-11-21T00:00:00.000"
NOT_POLLED = "PROBLEM: Kiln does not poll event sources yet"


@pytest.fixture(scope="module")
def function(module_deploy):
    function = module_deploy(ECHO)
    version = function.client.publish_version(FunctionName=function.name)["Version"]
    function.client.create_alias(FunctionName=function.name, Name="live", FunctionVersion=version)
    return function


@pytest.fixture
def queue(kiln):
    return make_queue(kiln)


def make_queue(kiln, name=None, **attributes):
    sqs = kiln.client("sqs")
    url = sqs.create_queue(QueueName=name or unique("q"), Attributes=attributes)["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return told["Attributes"]["QueueArn"]


def settled(client, uuid):
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        shown = client.get_event_source_mapping(UUID=uuid)
        if shown["State"] in ("Enabled", "Disabled"):
            return shown
        assert time.monotonic() < until, shown
        time.sleep(0.02)


def gone(client, uuid):
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            client.get_event_source_mapping(UUID=uuid)
        except client.exceptions.ResourceNotFoundException:
            return True
        assert time.monotonic() < until
        time.sleep(0.02)


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    told = error.value.response
    return told["Error"]["Code"], told["Error"]["Message"]


def test_a_mapping_lives_and_dies(kiln, function, queue):
    """ESM-1: it comes up, is changed, switched off and deleted, and says that nobody polls yet."""
    client = kiln.lambda_
    made = client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=queue)
    uuid = made["UUID"]
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert made["State"] == "Creating" and made["StateTransitionReason"] == "USER_INITIATED"
    assert made["FunctionArn"] == function.arn and made["BatchSize"] == 10
    up = settled(client, uuid)
    assert (up["State"], up["LastProcessingResult"]) == ("Enabled", NOT_POLLED)
    changed = client.update_event_source_mapping(UUID=uuid, BatchSize=5)
    assert (changed["State"], changed["BatchSize"]) == ("Updating", 5)
    settled(client, uuid)
    off = client.update_event_source_mapping(UUID=uuid, Enabled=False)
    assert off["State"] == "Disabling"
    assert settled(client, uuid)["State"] == "Disabled"
    assert client.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    settled(client, uuid)
    assert client.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    assert gone(client, uuid)
    none = ("ResourceNotFoundException", "The resource you requested does not exist.")
    assert refused(client.delete_event_source_mapping, UUID=uuid) == none


def test_every_name_of_a_function_is_kept_as_it_was_given(kiln, function, queue):
    """ESM-4: names, versions and aliases stay in `FunctionArn`, and lists find them by it."""
    client = kiln.lambda_
    for name, ending in [
        (function.name, ""),
        (f"{function.name}:$LATEST", ":$LATEST"),
        (f"{function.name}:1", ":1"),
        (f"{function.arn}:live", ":live"),
    ]:
        made = client.create_event_source_mapping(FunctionName=name, EventSourceArn=queue)
        assert made["FunctionArn"] == function.arn + ending
        listed = client.list_event_source_mappings(FunctionName=name, EventSourceArn=queue)
        assert [m["UUID"] for m in listed["EventSourceMappings"]] == [made["UUID"]]
    pages = client.get_paginator("list_event_source_mappings").paginate(
        EventSourceArn=queue, PaginationConfig={"PageSize": 3}
    )
    assert [len(page["EventSourceMappings"]) for page in pages] == [3, 1]


def test_streams_have_their_own_settings(kiln, function):
    """ESM-6, ESM-11: streams need a position, and have retries, ages, windows and large batches."""
    client = kiln.lambda_

    def create(**more):
        more = {"FunctionName": function.name, "EventSourceArn": STREAM, **more}
        return client.create_event_source_mapping(**more)

    code, message = refused(create)
    assert code == "InvalidParameterValueException"
    assert "Value null at 'startingPosition'" in message
    code, message = refused(create, StartingPosition="middle")
    assert code == "ValidationException" and "[LATEST, AT_TIMESTAMP, TRIM_HORIZON]" in message
    table = {"EventSourceArn": TABLE, "StartingPosition": "AT_TIMESTAMP"}
    code, message = refused(create, **table, StartingPositionTimestamp=1741010802)
    assert message == f"Unsupported starting position for arn type: {TABLE}"
    young = refused(create, StartingPosition="LATEST", MaximumRecordAgeInSeconds=59)
    assert "between 60 and 604800" in young[1]
    made = create(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1741010802.5)
    assert made["StartingPositionTimestamp"].timestamp() == 1741010802.5
    defaults = {
        "BatchSize": 100,
        "BisectBatchOnFunctionError": False,
        "DestinationConfig": {"OnFailure": {}},
        "LastProcessingResult": "No records processed",
        "MaximumBatchingWindowInSeconds": 0,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "ParallelizationFactor": 1,
        "StateTransitionReason": "User action",
        "TumblingWindowInSeconds": 0,
    }
    assert {name: made[name] for name in defaults} == defaults
    settled(client, made["UUID"])
    new = {
        "BatchSize": 10_000,
        "BisectBatchOnFunctionError": True,
        "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"}},
        "MaximumBatchingWindowInSeconds": 300,
        "MaximumRecordAgeInSeconds": 604_800,
        "MaximumRetryAttempts": 10_000,
        "ParallelizationFactor": 10,
        "TumblingWindowInSeconds": 900,
    }
    changed = client.update_event_source_mapping(UUID=made["UUID"], **new)
    assert {name: changed[name] for name in new} == new


def test_queues_have_their_own_rules(kiln, function, queue):
    """ESM-12, ESM-14, ESM-28: batches, windows, visibility and destinations of queues."""
    client = kiln.lambda_

    def refusal(source=queue, **more):
        source = {"FunctionName": function.name, "EventSourceArn": source}
        code, message = refused(client.create_event_source_mapping, **source, **more)
        assert code == "InvalidParameterValueException"
        return message

    window = (
        "Maximum batch window in seconds must be greater than 0 "
        "if maximum batch size is greater than 10"
    )
    assert refusal(BatchSize=11) == window
    fifo = make_queue(kiln, unique("q") + ".fifo", FifoQueue="true")
    assert refusal(fifo, BatchSize=11) == window
    assert "not supported for FIFO" in refusal(fifo, MaximumBatchingWindowInSeconds=1)
    short = make_queue(kiln, VisibilityTimeout="10")
    visibility = "Queue visibility timeout: 10 seconds is less than Function timeout: 15 seconds"
    assert refusal(short) == visibility
    destination = {"OnFailure": {"Destination": queue}}
    assert refusal(DestinationConfig=destination) == (
        "Unsupported DestinationConfig parameter for given event source mapping type."
    )
    made = client.create_event_source_mapping(
        FunctionName=function.name,
        EventSourceArn=queue,
        BatchSize=10_000,
        MaximumBatchingWindowInSeconds=300,
    )
    assert (made["BatchSize"], made["MaximumBatchingWindowInSeconds"]) == (10_000, 300)


def test_filters_are_checked(kiln, function, queue):
    """Five event patterns at most, each of which makes sense."""
    client = kiln.lambda_

    def create(*patterns):
        return client.create_event_source_mapping(
            FunctionName=function.name,
            EventSourceArn=queue,
            FilterCriteria={"Filters": [{"Pattern": p} for p in patterns]},
        )

    bad = ("InvalidParameterValueException", "Invalid filter pattern definition.")
    for pattern in ["single-string", "", "[]", '{"body": "x"}', '{"body": [{"near": 1}]}']:
        with pytest.raises(ClientError) as error:
            create(pattern)
        told = error.value.response["Error"]
        assert (told["Code"], told["Message"]) == bad, pattern
    good = '{"body": {"n": [{"numeric": [">", 100]}]}}'
    with pytest.raises(ClientError):
        create(*[good] * 6)
    made = create(*[good] * 5)
    assert made["FilterCriteria"] == {"Filters": [{"Pattern": good}] * 5}


def test_scaling_and_pollers_exclude_each_other(kiln, function, queue):
    """`MaximumConcurrency` is 2 to 1,000, and not for provisioned pollers."""
    client = kiln.lambda_
    source = {"FunctionName": function.name, "EventSourceArn": queue}
    for bad in [1_001, 2_000]:
        scaling = {"MaximumConcurrency": bad}
        code, _ = refused(client.create_event_source_mapping, **source, ScalingConfig=scaling)
        assert code == "ValidationException"
    pollers = {"MinimumPollers": 2, "MaximumPollers": 200}
    scaling = {"MaximumConcurrency": 2}
    code, _ = refused(
        client.create_event_source_mapping,
        **source,
        ScalingConfig=scaling,
        ProvisionedPollerConfig=pollers,
    )
    assert code == "InvalidParameterValueException"
    made = client.create_event_source_mapping(**source, ScalingConfig=scaling)
    assert made["ScalingConfig"] == scaling and "ProvisionedPollerConfig" not in made


def test_what_cannot_be_mapped_is_told(kiln, function, queue):
    """ESM-30: sources and functions that are not there, and mappings that are."""
    client = kiln.lambda_
    create = client.create_event_source_mapping
    invalid = "InvalidParameterValueException"
    assert refused(create, FunctionName="none") == (invalid, "Unrecognized event source.")
    none = {"FunctionName": "none", "EventSourceArn": queue}
    assert refused(create, **none) == (invalid, "Function does not exist")
    missing = {"FunctionName": function.name, "EventSourceArn": queue + "-none"}
    code, message = refused(create, **missing)
    assert message.startswith(
        "Error occurred while ReceiveMessage. "
        "SQS Error Code: AWS.SimpleQueueService.NonExistentQueue."
    )
    source = {"FunctionName": function.name, "EventSourceArn": queue}
    uuid = create(**source)["UUID"]
    code, message = refused(create, **source)
    assert code == "ResourceConflictException" and message.endswith(uuid)


def test_mappings_survive_a_crash(start_kiln):
    """What was answered is there after `kill -9`, settled; a deleted mapping stays deleted."""
    kiln = start_kiln()
    client = kiln.lambda_
    function = kiln.deploy(unique(), ECHO)
    queues = [make_queue(kiln) for _ in range(3)]
    made = [
        client.create_event_source_mapping(
            FunctionName=function.name, EventSourceArn=queue, Tags={"n": str(n)}
        )
        for n, queue in enumerate(queues)
    ]
    kept, changed, deleted = [m["UUID"] for m in made]
    for uuid in (changed, deleted):
        settled(client, uuid)
    client.update_event_source_mapping(UUID=changed, Enabled=False, BatchSize=3)
    client.delete_event_source_mapping(UUID=deleted)
    kiln.stop(signal.SIGKILL)
    kiln.start()
    client = kiln.lambda_
    shown = client.list_event_source_mappings()["EventSourceMappings"]
    states = {m["UUID"]: (m["State"], m["BatchSize"]) for m in shown}
    assert states == {kept: ("Enabled", 10), changed: ("Disabled", 3)}
    tags = client.list_tags(Resource=made[0]["EventSourceMappingArn"])["Tags"]
    assert tags == {"n": "0"}
    client.delete_function(FunctionName=function.name)
    assert client.get_event_source_mapping(UUID=kept)["State"] == "Enabled"


def test_the_command_line_maps_a_queue(kiln, function, queue):
    """The AWS CLI makes, lists and deletes a mapping."""
    made = kiln.aws(
        "lambda",
        "create-event-source-mapping",
        "--function-name",
        function.name,
        "--event-source-arn",
        queue,
        "--batch-size",
        "2",
    )
    assert made["State"] == "Creating" and made["BatchSize"] == 2
    listed = kiln.aws("lambda", "list-event-source-mappings", "--event-source-arn", queue)
    assert [m["UUID"] for m in listed["EventSourceMappings"]] == [made["UUID"]]
    settled(kiln.lambda_, made["UUID"])
    end = kiln.aws("lambda", "delete-event-source-mapping", "--uuid", made["UUID"])
    assert end["State"] == "Deleting"
