"""What the server does when much is open at once."""

import resource

from kiln import unique

ECHO = "def handler(event, context):\n    return event\n"

#: What a shell or a service manager may leave a process.
FEW_FILES = 128


def few_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))


def test_a_low_soft_limit_of_open_files_does_not_bound_environments(start_kiln):
    """P18: each environment holds about ten descriptors of the server."""
    kiln = start_kiln(popen={"preexec_fn": few_files})
    for _ in range(20):
        function = kiln.deploy(unique(), {"index.py": ECHO}, "index.handler")
        assert function(1).value == 1
    assert function(2).value == 2
