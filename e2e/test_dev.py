"""`kiln dev` serves a folder and swaps code on save; `kiln deploy` reads the same projects."""

import re
import socket
import subprocess

import pytest

from kiln import NODE, PYTHON, Kiln, clean_environment, default_binary, eventually

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: {runtime}
    Timeout: 5
Resources:
  First:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: first/
      Handler: index.handler
      Environment: {{Variables: {{WHO: !Sub "${{AWS::Region}}-first"}}}}
  Second:
    Type: AWS::Serverless::Function
    Properties: {{FunctionName: the-second, CodeUri: second/, Handler: index.handler, MemorySize: 256}}
  Orders:
    Type: AWS::SQS::Queue
"""


class Dev(Kiln):
    """`kiln dev` instead of `kiln serve`."""

    def __init__(self, project, *arguments):
        super().__init__(project, *arguments)
        self.output = project.parent / "dev.log"

    def start(self):
        command = [default_binary(), "dev", self.data, "--listen", "127.0.0.1:0", *self.arguments]
        with open(self.output, "wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**clean_environment(), "NO_COLOR": "1"},
            )
        found = eventually(lambda: re.search(r"serving on (http://\S+)", self.said()), 30)
        assert found, self.said()
        self.endpoint = found.group(1)
        return self

    def said(self):
        return self.output.read_text(errors="replace")

    def call(self, name, payload=b"{}"):
        answer = self.lambda_.invoke(FunctionName=name, Payload=payload)
        return answer["Payload"].read().decode(), answer.get("FunctionError")


@pytest.fixture
def dev(tmp_path):
    running = []

    def start(files, *arguments):
        for name, text in files.items():
            path = tmp_path / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        server = Dev(tmp_path / "project", *arguments)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()


def manifest(runtime=PYTHON, timeout=5, name="edited"):
    return f'name = "{name}"\nruntime = "{runtime}"\nhandler = "index.handler"\ntimeout = {timeout}\n'


def test_saved_code_runs_in_the_next_call(dev):
    """FN-10: from its folder, without a zip; a broken state is told and mended by the next save."""
    server = dev({"kiln.toml": manifest(), "index.py": "def handler(e, c):\n    return 1\n"})
    code = server.data / "index.py"
    assert server.call("edited") == ("1", None)
    for number in (2, 3):
        code.write_text(f"print('number {number}')\ndef handler(e, c):\n    return {number}\n")
        assert eventually(lambda: server.call("edited") == (str(number), None), 10), server.said()
    assert eventually(lambda: "reloaded edited: index.py" in server.said())
    assert eventually(lambda: "number 3" in server.said()), "the log of the function is shown"
    code.write_text("def handler(e, c:\n")
    assert eventually(lambda: server.call("edited")[1] == "Unhandled", 10)
    code.write_text("def handler(e, c):\n    return open(__file__).read().count('e')\n")
    assert eventually(lambda: server.call("edited")[1] is None, 10)


def test_saved_settings_are_in_force(dev):
    """FN-12: of a `kiln.toml` that is edited."""
    server = dev({"kiln.toml": manifest(), "index.py": "def handler(e, c):\n    return 1\n"})
    (server.data / "kiln.toml").write_text(manifest() + "memory = 256\n")
    read = server.lambda_.get_function_configuration
    assert eventually(lambda: read(FunctionName="edited")["MemorySize"] == 256, 10)
    assert server.call("edited") == ("1", None)


def test_the_functions_of_a_template_are_served(dev):
    """SAM-3: Globals, intrinsic functions; what is no function is named."""
    server = dev(
        {
            "template.yaml": TEMPLATE.format(runtime=PYTHON),
            "first/index.py": "import os\ndef handler(e, c):\n    return os.environ['WHO']\n",
            "second/index.py": "def handler(e, c):\n    return c.memory_limit_in_mb\n",
        }
    )
    assert server.call("First") == ('"us-east-1-first"', None)
    assert server.call("the-second") == ('"256"', None)
    assert "Orders (AWS::SQS::Queue) is not made" in server.said()


def test_the_functions_of_a_template_are_deployed(kiln, tmp_path):
    """SAM-3: `kiln deploy` of the same project, with a zip and for good."""
    (tmp_path / "template.yaml").write_text(TEMPLATE.format(runtime=PYTHON))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.py").write_text(f"def handler(e, c):\n    return '{name}'\n")
    done = subprocess.run(
        [str(default_binary()), "deploy", str(tmp_path), "--json"],
        env=kiln.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for function, says in (("First", b'"first"'), ("the-second", b'"second"')):
        assert kiln.lambda_.invoke(FunctionName=function)["Payload"].read() == says
        kiln.lambda_.delete_function(FunctionName=function)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.skipif(NODE is None, reason="needs Node.js")
def test_an_attached_debugger_stops_the_clock(dev):
    """FN-14: a call at a breakpoint is not ended by its timeout; without a debugger it is."""
    port = free_port()
    code = "exports.handler = (e) => new Promise((done) => setTimeout(() => done('said'), e.ms));\n"
    server = dev({"kiln.toml": manifest(NODE, timeout=1), "index.js": code}, "--debug", port)
    assert server.call("edited", b'{"ms": 0}') == ('"said"', None)
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        assert server.call("edited", b'{"ms": 2500}') == ('"said"', None)
    body, error = server.call("edited", b'{"ms": 20000}')
    assert error == "Unhandled" and "timed out after 1.00 seconds" in body
