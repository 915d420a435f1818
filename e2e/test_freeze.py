"""Between calls nothing of a function runs; connections, globals and timers outlive that."""

import time

from kiln import eventually

COUNTER = """
import socket, threading, time
count = 0
def run():
    global count
    while True:
        count += 1
threading.Thread(target=run, daemon=True).start()
near, far = socket.socketpair()
begun = time.monotonic()
def handler(event, context):
    time.sleep(event.get("seconds", 0))
    near.send(b"x")
    return {"count": count, "got": far.recv(1).decode(), "age": time.monotonic() - begun}
"""

#: Far longer than an environment stays thawed after its call.
IDLE_SECONDS = 2


def test_background_work_stops_between_calls(deploy):
    """LIFE-5, LIFE-3: a thread counts while a call runs and not between two."""
    function = deploy({"index.py": COUNTER}, MemorySize=1769)
    function({})
    before = function({"seconds": 0.5}).value
    busy = function({"seconds": 0.5}).value
    in_a_call = busy["count"] - before["count"]
    time.sleep(IDLE_SECONDS)
    after = function({}).value
    between = after["count"] - busy["count"]
    # It runs on for the short moment until it is frozen.
    assert between < in_a_call, (between, in_a_call)
    again = function({"seconds": 0.5}).value
    assert again["count"] > after["count"], "it goes on"
    assert again["got"] == "x", "its socket is open"
    assert after["age"] - busy["age"] >= IDLE_SECONDS, "time went on"


def test_an_idle_environment_uses_no_cpu(start_kiln):
    """LIFE-5: measured at the host, over all processes below the server."""
    from test_restart import descendants_of

    kiln = start_kiln()
    function = kiln.deploy("spins", {"index.py": COUNTER})
    function({})

    def ticks():
        total = 0
        for pid in descendants_of(kiln.process.pid):
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total

    def stands_still():
        before = ticks()
        time.sleep(1)
        return ticks() - before <= 1

    assert eventually(stands_still, 10)
    assert function({}).error is None


def test_timers_go_on_after_a_freeze(deploy):
    """LIFE-3: what was due while it was frozen happens in the next call."""
    code = """
import threading, time
fired = threading.Event()
threading.Timer(1.0, fired.set).start()
def handler(event, context):
    return fired.wait(event)
"""
    function = deploy({"index.py": code})
    assert function(0).value is False
    time.sleep(IDLE_SECONDS)
    assert function(5).value is True


CONNECTED = """
import http.client, os
from urllib.parse import urlsplit
at = urlsplit(os.environ["AWS_ENDPOINT_URL"])
kept = http.client.HTTPConnection(at.hostname, at.port)
kept.connect()
kept.auto_open = 0
port = kept.sock.getsockname()[1]
def handler(event, context):
    kept.request("GET", "/")
    kept.getresponse().read()
    return [port, kept.sock.getsockname()[1]]
"""


def test_a_connection_outlives_a_freeze(deploy):
    """LIFE-3: opened by the init phase, used by every call; with a new one the port would be another."""
    function = deploy({"index.py": CONNECTED})
    first = function({}).value
    time.sleep(IDLE_SECONDS)
    assert function({}).value == first == [first[0]] * 2
