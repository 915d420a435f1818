"""Attempts to get out of an environment: none may succeed, and each must bite where nothing isolates."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from kiln import HERE, PYTHON, Kiln, binary

sys.path.insert(0, str(HERE / "probes"))
import handler  # noqa: E402

#: An ordinary user without a name, for the rootless set-ups when the tests run as root.
NOBODY_ELSE = 47_110

#: Share of the probes that must get through where nothing isolates. The rest is for hosts that
#: lack a kernel feature, such as a module loader or a disk that may be opened.
BITE_MIN = 0.9

USERS = ["root", "user"] if os.geteuid() == 0 else ["user"]


class Setup:
    """A server on one backend as one user, a victim of the same user, and the deployed probes."""

    def __init__(self, backend, user, network="kiln"):
        self.ids = {}
        if user == "user" and os.geteuid() == 0:
            self.ids = {"user": NOBODY_ELSE, "group": NOBODY_ELSE, "extra_groups": []}
        # Not below pytest's own folder, which other users may not enter.
        self.temporary = tempfile.TemporaryDirectory(prefix="kiln-probes-", ignore_cleanup_errors=True)
        outer = Path(self.temporary.name)
        outer.chmod(0o755)
        self.folder = self.own(outer / f"{backend}-{user}")
        self.left_open = os.open(self.own(self.folder / "canary"), os.O_RDONLY)
        self.kiln = Kiln(
            self.folder / "data",
            "--sandbox",
            backend,
            binary=self.binary(),
            # What a careless launcher would hand on: an open directory of the host.
            popen={**self.ids, "pass_fds": [self.left_open]},
        )
        self.own(self.folder / "data")

    def own(self, folder):
        folder.mkdir()
        if self.ids:
            os.chown(folder, self.ids["user"], self.ids["group"])
        return folder

    def binary(self):
        """The server's executable, as its user installs it: in reach and open to writing."""
        mine = shutil.copy2(binary(), self.folder / "kiln")
        if self.ids:
            os.chown(mine, self.ids["user"], self.ids["group"])
        return mine

    def __enter__(self):
        script = shutil.copy(HERE / "probes" / "victim.py", self.folder)
        interpreter = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
        self.victim = subprocess.Popen(
            [interpreter, script, str(self.folder / "canary")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            **self.ids,
        )
        self.canary = json.loads(self.victim.stdout.readline())
        self.kiln.start()
        code = {"handler.py": Path(handler.__file__).read_text()}
        self.function = self.kiln.deploy("probes", code, "handler.handler", PYTHON, MemorySize=512)
        return self

    def __exit__(self, *_):
        self.kiln.stop()
        self.victim.communicate(timeout=10)
        os.close(self.left_open)
        self.temporary.cleanup()

    def run(self, probe):
        answer = self.function({"probe": probe, "canary": self.canary})
        assert answer.error is None, f"{answer.body!r}\n{answer.log}"
        assert not answer.json.get("broken"), answer.json
        return answer.json


@pytest.fixture(scope="module", params=[(u, n) for n in ("kiln", "full") for u in USERS], ids="-".join)
def isolated(request):
    with Setup("ns", *request.param) as setup:
        yield setup


@pytest.mark.parametrize("probe", handler.PROBES)
def test_a_probe_does_not_get_out_of_an_environment(isolated, probe):
    """LIFE-4: without a microVM namespaces, filters and groups hold; no environment sees another."""
    outcome = isolated.run(probe)
    assert not outcome["success"], outcome["detail"]


@pytest.mark.parametrize("user", USERS)
def test_the_probes_bite_where_nothing_isolates(user):
    bites = [name for name, (_, needs) in handler.PROBES.items() if needs in ("user", user)]
    with Setup("process", user) as control:
        outcomes = [control.run(name) for name in bites]
    harmless = [f"{o['probe']}: {o['detail']}" for o in outcomes if not o["success"]]
    share = 1 - len(harmless) / len(outcomes)
    assert share >= BITE_MIN, f"only {share:.0%} bite\n" + "\n".join(harmless)
