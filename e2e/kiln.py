"""Starts Kiln, talks to it through the stock clients, packs functions."""

import base64
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
import zipfile
from pathlib import Path

import boto3
from botocore.config import Config

HERE = Path(__file__).resolve().parent
REGION = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/e2e"

#: The runtimes of the interpreters that run these tests; Kiln finds the same ones on the host.
PYTHON = f"python3.{sys.version_info.minor}"


def _node_runtime():
    node = shutil.which("node")
    if node is None:
        return None
    major = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    return f"nodejs{major.stdout.lstrip('v').split('.')[0]}.x"


NODE = _node_runtime()

#: Longest wait for the server's first answer and for a function to settle.
START_SECONDS = 20
SETTLE_SECONDS = 30


def binary():
    path = os.environ.get("KILN_BIN")
    if not path:
        raise RuntimeError("KILN_BIN must name the kiln binary; `cargo xtask e2e` sets it")
    return Path(path).resolve()


#: The function under a name that no parameter shadows.
default_binary = binary


class Kiln:
    """One server with a data folder of its own."""

    def __init__(
        self, data, *arguments, key="test", secret="test", env=None, binary=None, popen=None
    ):
        self.data = Path(data)
        self.arguments = [str(a) for a in arguments]
        self.key, self.secret = key, secret
        self.env = env or {}
        self.binary = binary or default_binary()
        self.popen = popen or {}
        self.process = None
        self.endpoint = None
        self._clients = {}

    def start(self):
        self.data.mkdir(parents=True, exist_ok=True)
        told = self.data / "endpoint"
        told.unlink(missing_ok=True)
        log = open(self.data.parent / f"{self.data.name}.log", "ab")
        command = [self.binary, "serve", "--listen", "127.0.0.1:0", "--data", self.data]
        self.process = subprocess.Popen(
            [*map(str, command), *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**clean_environment(), **self.env},
            **self.popen,
        )
        until = time.monotonic() + START_SECONDS
        while not (told.exists() and told.read_text().strip()):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"kiln did not start:\n{self.log()}")
            time.sleep(0.01)
        self.endpoint = told.read_text().strip()
        self._clients = {}
        return self

    def log(self):
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")[-8_000:]

    @property
    def address(self):
        host, _, port = self.endpoint.removeprefix("http://").rstrip("/").partition(":")
        return host, int(port)

    def stop(self, how=signal.SIGTERM):
        """Ends the server and gives its exit code."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(how)
        try:
            return process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def client(self, service, **overrides):
        """A boto3 client; the same one for the same question."""
        known = (service, *sorted((k, str(v)) for k, v in overrides.items()))
        if known not in self._clients:
            self._clients[known] = self.new_client(service, **overrides)
        return self._clients[known]

    def new_client(self, service, key=None, secret=None, region=REGION, **config):
        options = {"retries": {"total_max_attempts": 1}, "read_timeout": 60, **config}
        return boto3.session.Session().client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=key or self.key,
            aws_secret_access_key=secret or self.secret,
            config=Config(**options),
        )

    def counters(self, function_arn):
        """What was counted of a function's events, under the names of the metrics."""
        return self.all_counters()["Functions"].get(function_arn, {})

    def all_counters(self):
        """What the server counted since it began."""
        scope = f"{self.key}/20260101/{REGION}/kiln/aws4_request"
        # These servers read who calls and do not check it.
        headers = {
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        }
        request = urllib.request.Request(f"{self.endpoint}/_kiln/counters", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    @property
    def lambda_(self):
        return self.client("lambda")

    def environment(self):
        """For child processes that use the AWS CLI or an SDK."""
        return {
            **clean_environment(),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_PAGER": "",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def aws(self, *arguments, check=True):
        """Runs the AWS CLI; gives the decoded JSON, the text, or the failed process."""
        done = subprocess.run(
            [sys.executable, "-m", "awscli", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=60,
        )
        if not check:
            return done
        assert done.returncode == 0, f"aws {arguments} failed: {done.stderr}"
        try:
            return json.loads(done.stdout) if done.stdout.strip() else None
        except ValueError:
            return done.stdout

    def node(self, script, *arguments):
        """Runs a script of `js/`, which prints one JSON document."""
        done = subprocess.run(
            ["node", str(HERE / "js" / script), *map(str, arguments)],
            capture_output=True,
            text=True,
            env=self.environment(),
            cwd=HERE,
            timeout=90,
        )
        assert done.returncode == 0, f"node {script} failed: {done.stderr}\n{done.stdout}"
        return json.loads(done.stdout)

    def deploy(self, name, files, handler="index.handler", runtime=PYTHON, wait=True, **settings):
        """Creates a function and waits until it is active."""
        client = settings.pop("client", None) or self.lambda_
        made = client.create_function(
            FunctionName=name,
            Runtime=runtime,
            Role=ROLE,
            Handler=handler,
            Code={"ZipFile": files if isinstance(files, bytes) else zipped(files)},
            **{"Timeout": 15, **settings},
        )
        if wait:
            self.settle(name, client)
        return Function(self, name, made, client)

    def settle(self, name, client=None):
        """Waits until the function is active and its last update is through."""
        client = client or self.lambda_
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            now = client.get_function_configuration(FunctionName=name)
            if now["State"] != "Pending" and now.get("LastUpdateStatus") != "InProgress":
                return now
            assert time.monotonic() < until, f"{name} does not settle: {now}"
            time.sleep(0.02)


class Function:
    """A deployed function."""

    def __init__(self, kiln, name, created, client):
        self.kiln, self.name, self.created, self.client = kiln, name, created, client
        self.arn = created["FunctionArn"]

    def __call__(self, payload=None, **options):
        """Invokes with JSON and gives the answer."""
        return Answer(
            self.client.invoke(
                FunctionName=options.pop("name", self.name),
                Payload=json.dumps(payload),
                LogType=options.pop("LogType", "Tail"),
                **options,
            )
        )

    def update(self, **settings):
        self.client.update_function_configuration(FunctionName=self.name, **settings)
        return self.kiln.settle(self.name, self.client)

    def code(self, files):
        self.client.update_function_code(FunctionName=self.name, ZipFile=zipped(files))
        return self.kiln.settle(self.name, self.client)

    def delete(self):
        try:
            self.client.delete_function(FunctionName=self.name)
        except self.client.exceptions.ResourceNotFoundException:
            pass


class Answer:
    """What an invocation gave back."""

    def __init__(self, raw):
        self.raw = raw
        self.status = raw["StatusCode"]
        self.error = raw.get("FunctionError")
        self.version = raw.get("ExecutedVersion")
        self.body = raw["Payload"].read()
        self.headers = raw["ResponseMetadata"]["HTTPHeaders"]
        self.request_id = raw["ResponseMetadata"]["RequestId"]
        self.log = base64.b64decode(raw.get("LogResult", "")).decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def value(self):
        """The function's result; an error fails the test and shows the log."""
        assert self.error is None, f"{self.body!r}\n{self.log}"
        return self.json


def zipped(files):
    """A zip archive: name → text or bytes; a name that ends in `*` becomes executable."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            mode = 0o755 if name.endswith("*") else 0o644
            entry = zipfile.ZipInfo(name.rstrip("*"), (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def clean_environment():
    """The process environment without what would point clients or Kiln elsewhere."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "KILN_"))}
    return {**keep, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}


_count = itertools.count(1)


def with_boto3(files, *services):
    """The files with the installed boto3 beside them, as managed runtimes have it; of botocore's models
    only those of `services`.
    """
    site = Path(boto3.__file__).parent.parent
    packed = dict(files)
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3"):
        for path in sorted((site / name).rglob("*")):
            inside = path.relative_to(site)
            is_model = inside.parts[:2] == ("botocore", "data") and len(inside.parts) > 3
            if not path.is_file() or "__pycache__" in inside.parts:
                continue
            if is_model and inside.parts[2] not in services:
                continue
            packed[str(inside)] = path.read_bytes()
    packed["six.py"] = (site / "six.py").read_bytes()
    return packed


def unique(prefix="f"):
    return f"{prefix}-{next(_count)}-{uuid.uuid4().hex[:8]}"


def eventually(ask, seconds=15):
    """Asks until the answer is truthy, and gives it."""
    until = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer or time.monotonic() > until:
            return answer
        time.sleep(0.05)


def code_of(error):
    """Error code, HTTP status and message of a botocore ClientError."""
    answer = error.value.response if hasattr(error, "value") else error.response
    return (
        answer["Error"]["Code"],
        answer["ResponseMetadata"]["HTTPStatusCode"],
        answer["Error"].get("Message", ""),
    )
