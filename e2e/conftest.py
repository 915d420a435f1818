"""One server for each test process; tests that need their own take `start_kiln`."""

import pytest

from kiln import NODE, Kiln, unique


@pytest.fixture(scope="session")
def kiln(tmp_path_factory):
    """A server that the tests of this process share: every test makes its own functions."""
    server = Kiln(tmp_path_factory.mktemp("shared") / "data").start()
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture
def start_kiln(tmp_path):
    """Starts servers that belong to one test."""
    servers = []

    def start(*arguments, name="data", **settings):
        server = Kiln(tmp_path / name, *arguments, **settings)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def deploy(kiln):
    """Deploys functions that go when the test ends."""
    functions = []

    def make(files, handler="index.handler", **settings):
        function = kiln.deploy(settings.pop("name", None) or unique(), files, handler, **settings)
        functions.append(function)
        return function

    yield make
    for function in functions:
        function.delete()


@pytest.fixture(scope="module")
def module_deploy(kiln):
    """As `deploy`, for functions that all tests of a file use."""
    functions = []

    def make(files, handler="index.handler", **settings):
        function = kiln.deploy(unique("m"), files, handler, **settings)
        functions.append(function)
        return function

    yield make
    for function in functions:
        function.delete()


@pytest.fixture
def node_runtime():
    if NODE is None:
        pytest.skip("no Node.js on this host")
    return NODE
