"""Errors as the caller and the log see them.  [Lambda guide: Python errors]"""

import os
import traceback

from kiln_runtime.fault import Fault

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_BOOTSTRAP = os.path.join(os.path.dirname(os.path.dirname(_HERE)), "bootstrap.py")

_INIT_WARNING = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. "
    "However, in rare cases, a Lambda runtime update can cause unexpected function behavior. "
    "For functions using managed runtimes, runtime updates can be triggered by a function change, "
    "or can be applied automatically. To determine if the runtime has been updated, check the "
    "runtime version in the INIT_START log entry. If this error correlates with a change in the "
    "runtime version, you may be able to mitigate this error by temporarily rolling back to the "
    "previous runtime version. For more information, see "
    "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)


def failure(error, request_id=""):
    """The body that the caller gets."""
    if isinstance(error, Fault):
        kind, message, trace = error.kind, error.message, error.trace
    else:
        kind, message, trace = type(error).__name__, _text(error), _frames(error)
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": request_id or "",
        "stackTrace": trace,
    }


def init_failure(error, sink):
    import logging

    payload = failure(error)
    logging.warning(_INIT_WARNING)
    log(payload, sink)
    return payload


def log(payload, sink):
    if sink.is_json:
        from kiln_runtime.result import encode

        stamp = {"timestamp": _now(), "level": "ERROR"}
        sink.error([encode({**stamp, **payload})])
    else:
        sink.error(_lines(payload))


def _lines(payload):
    first = "[ERROR]"
    if payload["errorType"]:
        first += " " + payload["errorType"]
    if payload["errorMessage"]:
        first += (": " if payload["errorType"] else " ") + payload["errorMessage"]
    lines = [first, "Traceback (most recent call last):"]
    for entry in payload["stackTrace"]:
        for line in entry.splitlines() or [""]:
            text = line.lstrip(" ")
            # Log viewers swallow leading blanks.
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    return lines


def _text(error):
    try:
        return str(error)
    except Exception:
        return ""


def _frames(error):
    """The stack from the first frame on that is not this runtime's."""
    frames = [
        (f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(error.__traceback__)
    ]
    for at, (name, *_) in enumerate(frames):
        if not name.startswith(_HERE) and name != _BOOTSTRAP:
            frames = frames[at:]
            break
    return traceback.format_list(frames)


def _now():
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
