"""Greets. `calls` lives as long as the environment: it counts warm calls."""

import os

calls = 0


def handler(event, context):
    global calls
    calls += 1
    name = event.get("name", "world")
    print(f"greeting {name}, call {calls}")
    return {
        "message": f"{os.environ.get('GREETING', 'Hello')}, {name}, from Python",
        "calls": calls,
        "request": context.aws_request_id,
    }
