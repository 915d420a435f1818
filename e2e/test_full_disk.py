"""A disk that is full: writes are refused with AWS's server error, calls go on, and writes resume with room.

The limit of a file's size stands for the full disk: the database cannot grow. It needs no rights, and it can be
lifted while the server runs.
"""

import resource

import pytest
from botocore.exceptions import ClientError

from kiln import code_of, eventually, unique

#: Bytes of one message; of so many the database must grow.
MESSAGE = "x" * 200_000
MESSAGES_MAX = 400
#: Longest time until writes are taken again after there is room.  [R2]
RESUMED_SECONDS = 5


@pytest.fixture
def server(start_kiln):
    # Python ignores the signal that comes with the error, and the server inherits that.
    return start_kiln("--sandbox", "process", popen={"restore_signals": False})


def set_limit(server, size):
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_a_server_error_and_passes(server):
    function = server.deploy(unique("full"), {"index.py": "def handler(e, c):\n    return e\n"})
    assert function(1).value == 1
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=unique("full"))["QueueUrl"]
    database = max(server.data.rglob("*.redb"), key=lambda path: path.stat().st_size)
    set_limit(server, database.stat().st_size)

    accepted, refused = [], None
    for number in range(MESSAGES_MAX):
        try:
            sent = sqs.send_message(QueueUrl=url, MessageBody=f"{number}:{MESSAGE}")
            accepted.append(sent["MessageId"])
        except ClientError as error:
            refused = error
            break
    assert refused is not None, f"{len(accepted)} messages and still room"
    code, status, _ = code_of(refused)
    assert (code, status) == ("InternalFailure", 500)
    with pytest.raises(ClientError) as event:
        for _ in range(MESSAGES_MAX):
            function.client.invoke(
                FunctionName=function.name, InvocationType="Event", Payload=f'"{MESSAGE}"'
            )
    assert code_of(event)[:2] == ("ServiceException", 500)
    assert function(2).value == 2, "calls go on"
    assert server.lambda_.get_function(FunctionName=function.name)["Configuration"]

    set_limit(server, resource.RLIM_INFINITY)

    def taken():
        try:
            return sqs.send_message(QueueUrl=url, MessageBody="again")["MessageId"]
        except ClientError:
            return None

    accepted.append(eventually(taken, seconds=RESUMED_SECONDS))
    assert accepted[-1], "writes do not resume"
    received = set()

    def all_received():
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        received.update(message["MessageId"] for message in got)
        return set(accepted) <= received

    assert eventually(all_received, seconds=20), set(accepted) - received
