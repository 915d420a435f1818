"""kill -9 at any moment: every acknowledged function and version is there after the restart.

KILN_KILL9_ROUNDS sets the number of kills, KILN_KILL9_SEED repeats their moments.
"""

import base64
import hashlib
import os
import random
import signal
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from kiln import PYTHON, ROLE, unique, zipped

ROUNDS = int(os.environ.get("KILN_KILL9_ROUNDS", "15"))
SEED = int(os.environ.get("KILN_KILL9_SEED", str(random.randrange(1_000_000))))
WRITERS = 4
#: Functions of one writer; then it goes on with those it has.
FUNCTIONS_MAX = 12
LIFE_SECONDS = (0.05, 1.5)


class Truth:
    """What the server said of one function. A call without an answer may have happened or not."""

    def __init__(self, name):
        self.name = name
        #: Code digest → the number that this code returns; more than one after a call without answer.
        self.code = {}
        self.may_be_missing = True
        #: Version → code digest.
        self.versions = {}


class Writer(threading.Thread):
    """Creates, updates and publishes until the server is gone."""

    def __init__(self, kiln, dice, truths):
        super().__init__(daemon=True)
        self.client = kiln.new_client("lambda", read_timeout=10, max_pool_connections=1)
        self.dice, self.truths = dice, truths
        self.acknowledged = 0
        self.surprise = None

    def run(self):
        try:
            while True:
                self.step()
                self.acknowledged += 1
        except BotoCoreError:
            return  # the kill
        except Exception as error:  # noqa: BLE001 - told by the test
            self.surprise = error

    def step(self):
        settled = [t for t in self.truths if not t.may_be_missing]
        if not settled or (len(self.truths) < FUNCTIONS_MAX and self.dice.random() < 0.2):
            return self.create()
        truth = self.dice.choice(settled)
        return self.update(truth) if self.dice.random() < 0.6 else self.publish(truth)

    def code(self):
        number = self.dice.randrange(1 << 40)
        archive = zipped({"index.py": f"def handler(e, c):\n    return {number}\n"})
        digest = base64.b64encode(hashlib.sha256(archive).digest()).decode()
        return archive, digest, number

    def create(self):
        truth = Truth(unique("kill"))
        archive, digest, number = self.code()
        truth.code[digest] = number
        self.truths.append(truth)
        made = self.client.create_function(
            FunctionName=truth.name,
            Runtime=PYTHON,
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": archive},
        )
        assert made["CodeSha256"] == digest
        truth.may_be_missing = False

    def update(self, truth):
        archive, digest, number = self.code()
        before = dict(truth.code)
        truth.code[digest] = number
        call = lambda: self.client.update_function_code(FunctionName=truth.name, ZipFile=archive)
        if self.unless_in_progress(call) is None:
            truth.code = before
        else:
            truth.code = {digest: number}

    def publish(self, truth):
        call = lambda: self.client.publish_version(FunctionName=truth.name)
        made = self.unless_in_progress(call)
        if made is not None:
            assert made["CodeSha256"] in truth.code
            truth.versions[made["Version"]] = made["CodeSha256"]

    @staticmethod
    def unless_in_progress(call):
        """None if the function is still being created or updated: nothing was changed."""
        try:
            return call()
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceConflictException":
                raise
            time.sleep(0.01)
            return None


def audit(kiln, truths, dice):
    """Holds the server against what it said, and takes what it has as the truth from here on."""
    client = kiln.lambda_
    listed = {
        f["FunctionName"]: f["CodeSha256"]
        for page in client.get_paginator("list_functions").paginate()
        for f in page["Functions"]
    }
    for truth in list(truths):
        if truth.name not in listed and truth.may_be_missing:
            truths.remove(truth)
            continue
        assert truth.name in listed, f"{truth.name} is lost"
        digest = listed[truth.name]
        assert digest in truth.code, f"{truth.name} has code that nobody gave it"
        truth.may_be_missing = False
        number = truth.code[digest]
        found = {
            v["Version"]: v["CodeSha256"]
            for page in client.get_paginator("list_versions_by_function").paginate(
                FunctionName=truth.name
            )
            for v in page["Versions"]
        }
        assert found.pop("$LATEST") == digest
        lost = {v: d for v, d in truth.versions.items() if found.get(v) != d}
        assert not lost, f"versions of {truth.name} are lost or changed: {lost}, found {found}"
        truth.versions = found
        truth.code = {digest: number}
    for truth in dice.sample(truths, min(2, len(truths))):
        settled = kiln.settle(truth.name)
        assert settled["State"] == "Active", settled
        answer = client.invoke(FunctionName=truth.name, Payload=b"{}")
        body = answer["Payload"].read()
        assert "FunctionError" not in answer, body
        assert int(body) in truth.code.values()
        for version in dice.sample(sorted(truth.versions), min(1, len(truth.versions))):
            answer = client.invoke(FunctionName=truth.name, Qualifier=version, Payload=b"{}")
            assert "FunctionError" not in answer, answer["Payload"].read()


def test_kills_lose_no_acknowledged_function_or_version(start_kiln):
    """FN-1, FN-8, VER-2."""
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    kiln = start_kiln()
    truths = [[] for _ in range(WRITERS)]
    acknowledged = 0
    for _ in range(ROUNDS):
        writers = [Writer(kiln, random.Random(dice.random()), own) for own in truths]
        for writer in writers:
            writer.start()
        time.sleep(dice.uniform(*LIFE_SECONDS))
        kiln.stop(signal.SIGKILL)
        for writer in writers:
            writer.join(30)
            assert not writer.is_alive()
            assert writer.surprise is None, repr(writer.surprise)
        acknowledged += sum(writer.acknowledged for writer in writers)
        kiln.start()
        together = [truth for own in truths for truth in own]
        audit(kiln, together, dice)
        for own in truths:
            own[:] = [truth for truth in own if truth in together]
    print(f"{ROUNDS} kills, {acknowledged} calls acknowledged, {len(together)} functions")
    assert acknowledged > ROUNDS, "the writers wrote"
    assert kiln.stop() == 0, kiln.log()
