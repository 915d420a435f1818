"""kill -9 while events are accepted and run: every event that got its 202 runs.  [ASY-1, ASY-2]

KILN_KILL9_EVENTS_ROUNDS sets the number of kills, KILN_KILL9_SEED repeats their moments.
"""

import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter

from kiln import eventually, unique

ROUNDS = int(os.environ.get("KILN_KILL9_EVENTS_ROUNDS", "8"))
SEED = int(os.environ.get("KILN_KILL9_SEED", str(random.randrange(1_000_000))))
SENDERS = 8
LIFE_SECONDS = (0.3, 1.5)
#: Events that run at once; as many may run twice after a kill.
IN_FLIGHT_MAX = 256
#: Longest wait for what is queued after the last kill.
DRAIN_SECONDS = int(os.environ.get("KILN_KILL9_EVENTS_DRAIN", "90"))

#: One write to the end of a file of the host, which no kill of the server undoes. (The sandbox
#: `process` lets it.)
CODE = """
import os

def handler(event, context):
    seen = os.open(os.environ["SEEN"], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(seen, f"{event['n']} {context.aws_request_id}\\n".encode())
    finally:
        os.close(seen)
"""


class Sender(threading.Thread):
    """Sends events until the server is gone; knows which were acknowledged."""

    def __init__(self, server, function, numbers):
        super().__init__(daemon=True)
        self.host, self.port = server.address
        self.path = f"/2015-03-31/functions/{function.name}/invocations"
        self.numbers = numbers
        self.acknowledged = {}
        self.refused = []

    def run(self):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        scope = "test/20260101/us-east-1/lambda/aws4_request"
        headers = {
            "X-Amz-Invocation-Type": "Event",
            "Content-Type": "application/json",
            "X-Amz-Date": "20260101T000000Z",
            # This server reads who calls and does not check it.
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        }
        try:
            while True:
                number = next(self.numbers)
                connection.request("POST", self.path, json.dumps({"n": number}), headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 202:
                    self.acknowledged[number] = answer.headers["x-amzn-RequestId"]
                else:
                    self.refused.append(answer.status)
        except (OSError, http.client.HTTPException):
            return  # the kill


class Numbers:
    """Counts over all threads."""

    def __init__(self):
        self.lock, self.last = threading.Lock(), 0

    def __next__(self):
        with self.lock:
            self.last += 1
            return self.last


def test_no_acknowledged_event_is_lost(start_kiln, tmp_path):
    dice = random.Random(SEED)
    seen = tmp_path / "seen"
    seen.touch()
    server = start_kiln("--sandbox", "process", env={"KILN_CALLS_PER_UNIT": "0"})
    function = server.deploy(
        unique("audit"), {"index.py": CODE}, Environment={"Variables": {"SEEN": str(seen)}}
    )
    server.lambda_.put_function_concurrency(
        FunctionName=function.name, ReservedConcurrentExecutions=8
    )
    numbers, acknowledged, refused, sending = Numbers(), {}, [], 0.0
    for _ in range(ROUNDS):
        senders = [Sender(server, function, numbers) for _ in range(SENDERS)]
        begun = time.monotonic()
        for sender in senders:
            sender.start()
        time.sleep(dice.uniform(*LIFE_SECONDS))
        server.stop(signal.SIGKILL)
        sending += time.monotonic() - begun
        for sender in senders:
            sender.join(timeout=30)
            acknowledged |= sender.acknowledged
            refused += sender.refused
        server.start()

    def ran():
        return dict(line.split() for line in seen.read_text().splitlines() if " " in line)

    def missing():
        return set(acknowledged) - {int(number) for number in ran()}

    eventually(lambda: not missing(), seconds=DRAIN_SECONDS)
    lost = missing()
    rate = len(acknowledged) / sending
    lines = Counter(seen.read_text().splitlines())
    twice = sum(count - 1 for count in lines.values())
    told = (
        f"seed {SEED}: {ROUNDS} kills, {len(acknowledged)} events acknowledged at {rate:.0f}/s, "
        f"{len(lost)} lost, {twice} ran twice"
    )
    print(told)
    assert not refused, f"{told}; refused {Counter(refused)}"
    assert not lost, f"{told}: {sorted(lost)[:10]}\n{server.log()}"
    assert twice <= ROUNDS * IN_FLIGHT_MAX, told
    assert acknowledged, told
    requests = ran()
    assert all(requests[str(n)] == request for n, request in acknowledged.items()), told
