"""The program's own commands: deploy, invoke, logs, functions, doctor, config, demo."""

import json
import os
import platform
import subprocess

import pytest

from kiln import NODE, PYTHON, binary, clean_environment, eventually, unique

CODE = """
import os
def handler(event, context):
    print("seen", event)
    if event.get("fail"):
        raise ValueError("on purpose")
    return {"event": event, "who": os.environ["WHO"]}
"""


def run(*arguments, kiln=None, stdin=None, **options):
    """Runs one command to its end."""
    environment = kiln.environment() if kiln else clean_environment()
    return subprocess.run(
        [str(binary()), *map(str, arguments)],
        capture_output=True,
        text=True,
        input=stdin,
        env=environment,
        timeout=60,
        **options,
    )


def folder_of(path, name, code=CODE):
    path.mkdir(exist_ok=True)
    (path / "index.py").write_text(code)
    (path / "kiln.toml").write_text(
        f'name = "{name}"\nruntime = "{PYTHON}"\nhandler = "index.handler"\n'
        '[environment]\nWHO = "me"\n'
    )
    return path


@pytest.fixture(scope="module")
def deployed(kiln, tmp_path_factory):
    name = unique("command")
    folder = folder_of(tmp_path_factory.mktemp("deploy") / "f", name)
    done = run("deploy", folder, kiln=kiln)
    assert done.returncode == 0, done.stderr
    assert f":function:{name}" in done.stdout
    yield name
    kiln.lambda_.delete_function(FunctionName=name)


def test_a_folder_is_deployed_and_deployed_again(kiln, tmp_path):
    """FN-1, FN-10: the second time updates code and settings."""
    name = unique("command")
    folder = folder_of(tmp_path / "f", name)
    made = run("deploy", folder, "--json", kiln=kiln)
    assert json.loads(made.stdout)["State"] == "Active"
    folder_of(folder, name, "def handler(e, c): return 'second'\n")
    assert run("deploy", folder, kiln=kiln).returncode == 0
    assert run("invoke", name, kiln=kiln).stdout.strip() == '"second"'
    kiln.lambda_.delete_function(FunctionName=name)


def test_a_folder_that_cannot_be_deployed_is_told(kiln, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run("deploy", tmp_path / "empty", kiln=kiln)
    assert done.returncode == 1
    assert "kiln.toml" in done.stderr


def test_the_event_comes_from_argument_file_or_input(kiln, deployed, tmp_path):
    """INV-1."""
    event = {"k": [1, "zwei"]}
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event))
    for arguments, stdin in (
        ([json.dumps(event)], None),
        (["--file", path], None),
        (["-"], json.dumps(event)),
    ):
        done = run("invoke", deployed, *arguments, kiln=kiln, stdin=stdin)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"event": event, "who": "me"}
        assert "REPORT RequestId: " in done.stderr


def test_an_event_is_handed_over_and_followed_by_its_id(kiln, deployed):
    """ASY-2: the id that the answer names is the one that the journal knows."""
    sent = run("invoke", deployed, '{"n": 1}', "--event", kiln=kiln)
    assert sent.returncode == 0, sent.stderr
    trace = lambda: run("trace", sent.stdout.strip(), kiln=kiln).stdout
    assert eventually(lambda: "ended: Success" in trace()), trace()


def test_a_function_error_is_shown_and_makes_the_command_fail(kiln, deployed):
    """INV-6."""
    done = run("invoke", deployed, '{"fail": true}', "--json", kiln=kiln)
    assert done.returncode != 0
    shown = json.loads(done.stdout)
    assert shown["functionError"] == "Unhandled"
    assert shown["payload"]["errorType"] == "ValueError"
    assert "seen" in shown["log"]


def test_what_is_not_there_is_told(kiln):
    """INV-11."""
    done = run("invoke", "nothing-here", kiln=kiln)
    assert done.returncode == 1
    assert "Function not found" in done.stderr
    nobody = run("functions", "--endpoint-url", "http://127.0.0.1:9")
    assert nobody.returncode == 1
    assert "127.0.0.1:9" in nobody.stderr


def test_functions_are_listed(kiln, deployed):
    assert deployed in run("functions", kiln=kiln).stdout
    listed = json.loads(run("functions", "--json", kiln=kiln).stdout)
    assert deployed in [f["FunctionName"] for f in listed]


def test_logs_are_shown_and_followed(kiln, deployed):
    """OBS-15."""
    run("invoke", deployed, '{"mark": "m-1"}', kiln=kiln)
    assert eventually(lambda: "m-1" in run("logs", deployed, kiln=kiln).stdout)
    follower = subprocess.Popen(
        [str(binary()), "logs", deployed, "-f"],
        stdout=subprocess.PIPE,
        text=True,
        env=kiln.environment(),
    )
    try:
        run("invoke", deployed, '{"mark": "m-2"}', kiln=kiln)
        assert any("m-2" in line for line in follower.stdout)
    finally:
        follower.kill()
        follower.wait()


def test_a_reader_that_goes_away_is_no_error(kiln, deployed):
    for command in (["config"], ["functions", "--json"], ["completions", "bash"]):
        child = subprocess.Popen(
            [str(binary()), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=kiln.environment(),
        )
        child.stdout.close()
        assert "panicked" not in child.stderr.read()
        child.wait(timeout=20)


def test_the_doctor_tells_what_is_enforced_and_found(tmp_path):
    """LIFE-4, LIFE-11: the walls that hold here, and what could be stronger."""
    done = run("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["backend"].startswith("ns")
    assert {"namespaces", "memory limit"} <= {item["what"] for item in shown["isolation"]}
    abilities = {item["what"]: item for item in shown["abilities"]}
    assert list(abilities) == ["microVM", "SnapStart by forks", "SnapStart by CRaC"]
    # What is not built is never said to hold, whatever the host has.
    vm = abilities["microVM"]
    assert vm["state"] == "Missing" and "environments share the host's kernel" in vm["detail"]
    assert ("no /dev/kvm" in vm["detail"]) == (not os.path.exists("/dev/kvm"))
    forks = "Enforced" if platform.machine() == "x86_64" else "Missing"
    assert abilities["SnapStart by forks"]["state"] == forks
    assert abilities["SnapStart by CRaC"]["state"] == "Missing"
    text = run("doctor", cwd=tmp_path).stdout
    assert all(what in text for what in abilities)
    assert PYTHON in text and "provided.al2023" in text


def test_the_configuration_says_where_it_comes_from(tmp_path):
    (tmp_path / "kiln-server.toml").write_text('region = "eu-central-1"\n')
    done = run("config", "--json", "--listen", "127.0.0.1:7", cwd=tmp_path)
    shown = json.loads(done.stdout)
    assert shown["region"]["value"] == "eu-central-1"
    assert shown["region"]["origin"].endswith("kiln-server.toml")
    assert shown["listen"] == {"value": "127.0.0.1:7", "origin": "--listen"}
    (tmp_path / "kiln-server.toml").write_text('regoin = "x"\n')
    wrong = run("config", cwd=tmp_path)
    assert wrong.returncode == 1
    assert "regoin" in wrong.stderr


def test_the_demo_calls_every_example_that_the_host_can_run(tmp_path):
    done = run("demo", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    examples = {e["function"]: e for e in json.loads(done.stdout)["examples"]}
    assert "Hello" in examples["hello-rust"]["answer"]["message"]
    assert "Hello" in examples["hello-python"]["answer"]["message"]
    if NODE:
        assert "Hello" in examples["hello-nodejs"]["answer"]["message"]
    assert all(e["warmMs"] < e["coldMs"] for e in examples.values() if e["absent"] is None)
    assert not list(tmp_path.iterdir()), "the demo leaves nothing behind"


def test_completions_are_printed_for_every_shell():
    for shell in ("bash", "zsh", "fish", "elvish", "powershell"):
        done = run("completions", shell)
        assert done.returncode == 0
        assert "kiln" in done.stdout and "deploy" in done.stdout
