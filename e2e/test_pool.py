"""What is kept ready for cold starts: nobody notices but by the clock."""

import time

from kiln import eventually, unique

SELF = """
const fs = require('fs');
exports.handler = async () => ({
  pid: process.pid,
  cwd: process.cwd(),
  startedMs: Date.now() - process.uptime() * 1000,
  names: Object.keys(process.env).filter((name) => name.includes('KILN')),
  own: process.env.OWN,
  name: process.env.AWS_LAMBDA_FUNCTION_NAME,
  node: process.env.NODE_PATH,
  tmp: fs.readdirSync('/tmp'),
  left: (fs.writeFileSync('/tmp/left', 'x'), global.seen),
  seen: (global.seen = true),
});
"""

WHO = """
import os
def handler(event, context):
    seen = os.listdir("/tmp")
    open("/tmp/left", "w").close()
    return [os.readlink("/proc/self/ns/net"), seen]
"""


def test_a_node_function_takes_over_a_process_that_waited(kiln, node_runtime):
    """INIT, P7: the process is older than the function and sees only that function."""
    made = []

    def older():
        name, own = unique("wait"), unique("value")
        before = time.time() * 1000
        function = kiln.deploy(
            name, {"index.js": SELF}, runtime=node_runtime, Environment={"Variables": {"OWN": own}}
        )
        made.append(function)
        got = function().value
        assert (got["cwd"], got["names"]) == ("/var/task", []), got
        assert (got["own"], got["name"]) == (own, name), got
        assert "/opt/nodejs/node_modules" in got["node"], got
        assert got["tmp"] == [] and "left" not in got, got
        return got["startedMs"] < before - 5

    try:
        assert eventually(older, 40), "no process waited"
    finally:
        for function in made:
            function.delete()


def test_a_node_function_with_options_of_its_own_starts_with_them(kiln, node_runtime):
    """CFG: what Node.js reads at its start is there although processes wait."""
    variables = {"NODE_OPTIONS": "--title=mine"}
    code = "exports.handler = async () => process.title;"
    for _ in range(2):
        function = kiln.deploy(
            unique("opt"),
            {"index.js": code},
            runtime=node_runtime,
            Environment={"Variables": variables},
        )
        try:
            assert function().value == "mine"
        finally:
            function.delete()


def test_no_function_gets_what_another_one_left(start_kiln):
    """ENV: environments from the pool and without it are new for every function."""
    for number in ("0", "4"):
        kiln = start_kiln(name=f"pool-{number}", env={"KILN_POOL_SANDBOXES": number})
        for _ in range(6):
            function = kiln.deploy(unique(), {"index.py": WHO})
            assert function().value[1] == []
            function.delete()
        assert kiln.stop() == 0, kiln.log()
