"""Random control-plane operations with kill -9 mixed in, held against a reference model.

Each writer has an account of its own and a model of what AWS would answer and keep. An operation without an
answer (the kill) may have happened or not: after the restart the account must be as before it or as after it.

KILN_MODEL_OPERATIONS sets how many operations there are in all (100,000 in the full form), KILN_MODEL_SEED
repeats them.
"""

import base64
import copy
import hashlib
import json
import os
import random
import signal
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from kiln import PYTHON, zipped

OPERATIONS = int(os.environ.get("KILN_MODEL_OPERATIONS", "3000"))
SEED = int(os.environ.get("KILN_MODEL_SEED", str(random.randrange(1_000_000))))
WRITERS = 2
#: Operations of all writers between two kills.
LIFE_OPERATIONS = 750
NAMES = ("a", "b", "c")
ALIASES = ("live", "test")
SIDS = ("one", "two")
#: Longest wait for a function to leave `Pending` or `InProgress`.
SETTLE_SECONDS = 30

CODES = {}
for number in range(4):
    archive = zipped({"index.py": f"def handler(event, context):\n    return {number}\n"})
    CODES[base64.b64encode(hashlib.sha256(archive).digest()).decode()] = archive

NOT_FOUND = "ResourceNotFoundException"
CONFLICT = "ResourceConflictException"
INVALID = "InvalidParameterValueException"


class Function:
    """What the model keeps of one function."""

    def __init__(self, code, config, last=0):
        self.code, self.config = code, config
        #: Number → (code, config); the number that was given last; what it was cut from.
        self.versions, self.last, self.cut = {}, last, None
        #: Name → (version, weights).
        self.aliases = {}
        self.tags = {}
        #: Qualifier ("" for the function) → sid → principal.
        self.policies = {}
        #: Qualifier → retries.
        self.events = {}
        self.reserved = None

    def has(self, qualifier):
        return qualifier in ("", "$LATEST") or qualifier in self.versions or qualifier in self.aliases

    def forget(self, qualifier):
        self.policies.pop(qualifier, None)
        self.events.pop(qualifier, None)


class Model:
    """One account. Every operation changes it or gives the error code that AWS answers."""

    def __init__(self):
        self.functions = {}
        #: The last version number of functions that are gone: numbers are never used again.
        self.retired = {}

    def create(self, name, code, config):
        if name in self.functions:
            return CONFLICT
        self.functions[name] = Function(code, config, self.retired.get(name, 0))

    def delete(self, name):
        f = self.functions.pop(name, None)
        if f is None:
            return NOT_FOUND
        self.retired[name] = f.last

    def configure(self, name, config):
        f = self.functions.get(name)
        if f is None:
            return NOT_FOUND
        f.config = {**f.config, **config}

    def code(self, name, code):
        f = self.functions.get(name)
        if f is None:
            return NOT_FOUND
        f.code = code

    def publish(self, name):
        f = self.functions.get(name)
        if f is None:
            return NOT_FOUND
        now = (f.code, f.config)
        if f.cut == now and str(f.last) in f.versions:
            return None
        f.last += 1
        f.versions[str(f.last)], f.cut = now, now

    def delete_version(self, name, version):
        f = self.functions.get(name)
        if f is None:
            return NOT_FOUND
        if version not in f.versions:
            return None  # as AWS does
        used = any(version == v or version in weights for v, weights in f.aliases.values())
        if used:
            return CONFLICT
        del f.versions[version]
        f.forget(version)

    def create_alias(self, name, alias, version):
        f = self.functions.get(name)
        if f is None:
            return NOT_FOUND
        if alias in f.aliases:
            return CONFLICT
        if version != "$LATEST" and version not in f.versions:
            return NOT_FOUND
        f.aliases[alias] = (version, {})

    def update_alias(self, name, alias, version, weights):
        f = self.functions.get(name)
        if f is None or alias not in f.aliases:
            return NOT_FOUND
        if weights and version == "$LATEST":
            return INVALID
        if version in weights:
            return INVALID
        for wanted in (version, *weights):
            if wanted != "$LATEST" and wanted not in f.versions:
                return NOT_FOUND
        f.aliases[alias] = (version, weights)

    def delete_alias(self, name, alias):
        f = self.functions.get(name)
        if f is None:
            return NOT_FOUND
        if f.aliases.pop(alias, None) is not None:
            f.forget(alias)

    def tag(self, name, key, value):
        f = self.functions.get(name)
        if f is None:
            return NOT_FOUND
        if value is None:
            f.tags.pop(key, None)
        else:
            f.tags = {**f.tags, key: value}

    def permit(self, name, qualifier, sid, principal):
        f = self.functions.get(name)
        if f is None or not f.has(qualifier):
            return NOT_FOUND
        if sid in f.policies.get(qualifier, {}):
            return CONFLICT
        f.policies.setdefault(qualifier, {})[sid] = principal

    def forbid(self, name, qualifier, sid):
        f = self.functions.get(name)
        if f is None or sid not in f.policies.get(qualifier, {}):
            return NOT_FOUND
        del f.policies[qualifier][sid]
        if not f.policies[qualifier]:
            del f.policies[qualifier]

    def reserve(self, name, number):
        f = self.functions.get(name)
        if f is None:
            return NOT_FOUND
        f.reserved = number

    def set_events(self, name, qualifier, retries):
        f = self.functions.get(name)
        if f is None or not f.has(qualifier):
            return NOT_FOUND
        f.events[qualifier] = retries

    def drop_events(self, name, qualifier):
        f = self.functions.get(name)
        if f is None or qualifier not in f.events:
            return NOT_FOUND
        del f.events[qualifier]

    def shown(self):
        """What `observe` would see."""
        return {
            name: {
                "$LATEST": (f.code, f.config),
                "versions": f.versions,
                "aliases": f.aliases,
                "tags": f.tags,
                "policies": f.policies,
                "events": f.events,
                "reserved": f.reserved,
            }
            for name, f in self.functions.items()
        }


def settings(client_shape):
    return {
        "Description": client_shape["Description"],
        "MemorySize": client_shape["MemorySize"],
        "Timeout": client_shape["Timeout"],
        "Variables": client_shape.get("Environment", {}).get("Variables", {}),
    }


def observe(client):
    """The whole account as the server shows it."""
    found = {}
    for item in client.list_functions()["Functions"]:
        name = item["FunctionName"]
        of = {"FunctionName": name}
        whole = client.get_function(**of)
        versions = {
            v["Version"]: (v["CodeSha256"], settings(v))
            for v in paged(client, "list_versions_by_function", "Versions", of)
        }
        aliases = {
            a["Name"]: (
                a["FunctionVersion"],
                a.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}),
            )
            for a in paged(client, "list_aliases", "Aliases", of)
        }
        policies = {}
        for qualifier in ("", *(v for v in versions if v != "$LATEST"), *aliases):
            statements = policy(client, name, qualifier)
            if statements:
                policies[qualifier] = statements
        events = {
            c["FunctionArn"].split(":", 7)[7]: c["MaximumRetryAttempts"]
            for c in paged(
                client, "list_function_event_invoke_configs", "FunctionEventInvokeConfigs", of
            )
        }
        found[name] = {
            "$LATEST": versions.pop("$LATEST"),
            "versions": versions,
            "aliases": aliases,
            "tags": whole.get("Tags", {}),
            "policies": policies,
            "events": events,
            "reserved": whole.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        }
    return found


def paged(client, operation, member, of):
    return [item for page in client.get_paginator(operation).paginate(**of) for item in page[member]]


def policy(client, name, qualifier):
    try:
        answer = client.get_policy(
            FunctionName=name, **({"Qualifier": qualifier} if qualifier else {})
        )
    except ClientError as error:
        assert error.response["Error"]["Code"] == NOT_FOUND
        return {}
    statements = json.loads(answer["Policy"])["Statement"]
    return {s["Sid"]: s["Principal"]["Service"] for s in statements}


class Writer(threading.Thread):
    """Draws operations, predicts, asks and compares, until the server is gone or its share is done."""

    def __init__(self, kiln, dice, account, models, share):
        super().__init__(daemon=True)
        self.client = kiln.new_client("lambda", key=account, read_timeout=20, max_pool_connections=1)
        self.dice, self.share, self.done = dice, share, 0
        #: The states that the account may be in: one, or two after a call without an answer.
        self.models = models
        self.surprise = None

    def run(self):
        try:
            while self.done < self.share:
                self.step()
        except BotoCoreError:
            return  # the kill
        except Exception as error:  # noqa: BLE001 - told by the test
            self.surprise = error

    def step(self):
        operation, arguments, call = self.draw()
        [before] = self.models
        after = copy.deepcopy(before)
        wanted = getattr(after, operation)(*arguments)
        # Until it is answered, both may be true.
        self.models[:] = [before, after]
        got = self.ask(call)
        assert got == wanted, f"{operation}{arguments}: {got}, the model says {wanted}"
        self.models[:] = [after]
        self.done += 1
        if self.dice.random() < 0.01:
            assert observe(self.client) == after.shown(), f"after {operation}{arguments}"

    def ask(self, call):
        """The error code of a call, None if it did well. Waits while a function is being changed."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                call()
                return None
            except ClientError as error:
                answer = error.response
                code, message = answer["Error"]["Code"], answer["Error"].get("Message", "")
            is_busy = "in progress" in message or "Pending" in message
            if not (code == CONFLICT and is_busy):
                return code
            assert time.monotonic() < until, message
            time.sleep(0.005)

    def draw(self):
        dice, c = self.dice, self.client
        name = dice.choice(NAMES)
        of = {"FunctionName": name}
        function = self.models[0].functions.get(name)
        known = sorted(function.versions) if function else []
        version = dice.choice([*known, "$LATEST", "999"])
        alias, sid = dice.choice(ALIASES), dice.choice(SIDS)
        qualifier = dice.choice(["", *known, *ALIASES])
        of_qualifier = {**of, **({"Qualifier": qualifier} if qualifier else {})}
        config = {
            "Description": dice.choice(("", "x", "ünï")),
            "MemorySize": dice.choice((128, 256)),
            "Timeout": dice.randint(1, 5),
            "Variables": dice.choice(({}, {"KEY": "1"}, {"KEY": "2", "OTHER": ""})),
        }
        sent = {k: v for k, v in config.items() if k != "Variables"}
        sent["Environment"] = {"Variables": config["Variables"]}
        digest, archive = dice.choice(sorted(CODES.items()))
        match dice.choice(
            ("create", "create", "delete", "configure", "code", "publish", "publish", "publish",
             "delete_version", "create_alias", "create_alias", "update_alias", "update_alias",
             "delete_alias", "tag", "tag", "permit", "permit", "forbid", "reserve", "set_events",
             "set_events", "drop_events")
        ):  # fmt: skip
            case "create":
                role = "arn:aws:iam::123456789012:role/r"
                return "create", (name, digest, config), lambda: c.create_function(
                    **of, **sent, Runtime=PYTHON, Handler="index.handler", Role=role,
                    Code={"ZipFile": archive},
                )  # fmt: skip
            case "delete" if dice.random() < 0.3:
                return "delete", (name,), lambda: c.delete_function(**of)
            case "configure" | "delete":
                return "configure", (name, config), lambda: c.update_function_configuration(
                    **of, **sent
                )
            case "code":
                return "code", (name, digest), lambda: c.update_function_code(
                    **of, ZipFile=archive
                )
            case "publish":
                return "publish", (name,), lambda: c.publish_version(**of)
            case "delete_version":
                version = dice.choice([*known, "999"])
                return "delete_version", (name, version), lambda: c.delete_function(
                    **of, Qualifier=version
                )
            case "create_alias":
                return "create_alias", (name, alias, version), lambda: c.create_alias(
                    **of, Name=alias, FunctionVersion=version
                )
            case "update_alias":
                other = dice.choice([*known, "999"])
                weights = dice.choice(({}, {other: 0.25}))
                return "update_alias", (name, alias, version, weights), lambda: c.update_alias(
                    **of, Name=alias, FunctionVersion=version,
                    RoutingConfig={"AdditionalVersionWeights": weights},
                )  # fmt: skip
            case "delete_alias":
                return "delete_alias", (name, alias), lambda: c.delete_alias(**of, Name=alias)
            case "tag":
                key, value = dice.choice("kl"), dice.choice((None, "1", "2"))
                arn = f"arn:aws:lambda:us-east-1:{self.account()}:function:{name}"
                if value is None:
                    ask = lambda: c.untag_resource(Resource=arn, TagKeys=[key])  # noqa: E731
                else:
                    ask = lambda: c.tag_resource(Resource=arn, Tags={key: value})  # noqa: E731
                return "tag", (name, key, value), ask
            case "permit":
                principal = dice.choice(("sns.amazonaws.com", "s3.amazonaws.com"))
                return "permit", (name, qualifier, sid, principal), lambda: c.add_permission(
                    **of_qualifier, StatementId=sid, Action="lambda:InvokeFunction",
                    Principal=principal,
                )  # fmt: skip
            case "forbid":
                return "forbid", (name, qualifier, sid), lambda: c.remove_permission(
                    **of_qualifier, StatementId=sid
                )
            case "reserve":
                number = dice.choice((None, 0, 1, 100))
                if number is None:
                    ask = lambda: c.delete_function_concurrency(**of)  # noqa: E731
                else:
                    ask = lambda: c.put_function_concurrency(  # noqa: E731
                        **of, ReservedConcurrentExecutions=number
                    )
                return "reserve", (name, number), ask
            case "set_events":
                retries = dice.randint(0, 2)
                named = qualifier or "$LATEST"
                return "set_events", (name, named, retries), lambda: (
                    c.put_function_event_invoke_config(**of_qualifier, MaximumRetryAttempts=retries)
                )
            case _:
                named = qualifier or "$LATEST"
                return "drop_events", (name, named), lambda: c.delete_function_event_invoke_config(
                    **of_qualifier
                )

    def account(self):
        return self.client._request_signer._credentials.access_key  # noqa: SLF001


def test_no_operation_diverges_from_the_model(start_kiln):
    """FN-1, FN-10, FN-12, FN-13, FN-18, VER-2, VER-3, VER-4, VER-7, VER-14, IAM-7, CON-6, ASY-8."""
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    kiln = start_kiln()
    accounts = [str(200_000_000_000 + n) for n in range(WRITERS)]
    states = [[Model()] for _ in accounts]
    done = kills = 0
    while done < OPERATIONS:
        share = min(LIFE_OPERATIONS, OPERATIONS - done) // WRITERS + 1
        writers = [
            Writer(kiln, random.Random(dice.random()), account, models, share)
            for account, models in zip(accounts, states, strict=True)
        ]
        # Now and then the server dies while they write, else when all is said.
        early = threading.Timer(dice.uniform(0.1, 1.5), kiln.process.kill)
        if dice.random() < 0.7:
            early.start()
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(300)
            assert not writer.is_alive(), "a writer does not end"
            assert writer.surprise is None, repr(writer.surprise)
        early.cancel()
        done += sum(writer.done for writer in writers)
        kiln.stop(signal.SIGKILL)
        kills += 1
        kiln.start()
        for account, models in zip(accounts, states, strict=True):
            seen = observe(kiln.new_client("lambda", key=account))
            fitting = [model for model in models if model.shown() == seen]
            assert fitting, f"{seen}\nfits none of {[m.shown() for m in models]}"
            models[:] = fitting[-1:]
    print(f"{done} operations, {kills} kills, 0 divergences")
    assert kills >= OPERATIONS // LIFE_OPERATIONS and kiln.stop() == 0, kiln.log()
