"""The JavaScript SDK, version 3, unmodified."""

from kiln import ACCOUNT, PYTHON, REGION, ROLE, unique, zipped

FIRST = """
import os
def handler(event, context):
    print("hello from", os.environ["WHO"])
    if event.get("fail"):
        raise ValueError("on purpose")
    return {"event": event}
"""


def test_a_function_lives_and_dies_through_the_javascript_sdk(kiln, node_runtime, tmp_path):
    """API-2, API-12, FN-1, FN-8, FN-10, FN-12, FN-13, FN-22, INV-1, INV-2, INV-11, VER-2."""
    name = unique("js")
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    first.write_bytes(zipped({"index.py": FIRST}))
    second.write_bytes(zipped({"index.py": "def handler(e, c): return 'second'\n"}))
    seen = kiln.node("lambda.mjs", name, ROLE, PYTHON, "index.handler", first, second)

    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    assert seen["created"] == {
        "arn": arn,
        "state": "Pending",
        "variables": {"Variables": {"WHO": "js"}},
    }
    first_call = seen["first"]
    assert (first_call["status"], first_call["error"]) == (200, None)
    assert first_call["version"] == "$LATEST"
    assert first_call["value"] == {"event": {"a": [1, "zwei", None]}}
    assert "hello from js" in first_call["log"]
    assert seen["failed"]["error"] == "Unhandled"
    assert seen["failed"]["value"]["errorType"] == "ValueError"
    assert seen["published"] == "1"
    assert seen["updated"] == {"memory": 192, "description": "from js"}
    assert seen["second"]["value"] == "second"
    assert seen["old"]["value"] == {"event": {"old": True}}
    assert seen["old"]["version"] == "1"
    assert seen["state"] == "Active"
    assert seen["sameCode"] is True
    assert seen["event"] == 202
    assert seen["listed"] is True
    assert seen["missing"]["name"] == "ResourceNotFoundException"
    assert seen["missing"]["status"] == 404
    assert seen["clash"] == {
        "name": "ResourceConflictException",
        "status": 409,
        "message": f"Function already exist: {name}",
    }
    assert seen["deleted"] == 204


def test_the_neighbours_answer_the_javascript_sdk(kiln, node_runtime):
    """IAM-1, IAM-5, OBS-15: query and JSON protocols read by another SDK."""
    name = unique("js-role")
    assert kiln.node("neighbours.mjs", name) == {
        "role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
        "attached": ["AWSLambdaBasicExecutionRole"],
        "trust": True,
        "isDate": True,
        "gone": "NoSuchEntityException",
        "account": ACCOUNT,
        "messages": ["one", "two"],
    }
