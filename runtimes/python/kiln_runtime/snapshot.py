"""Hooks around a snapshot, registered with the package `snapshot_restore_py`.  [Lambda guide: SnapStart]"""

import sys

from kiln_runtime import report
from kiln_runtime.result import encode


def run_hooks(client, sink):
    try:
        for hook, args, kwargs in _hooks("get_before_snapshot"):
            hook(*args, **kwargs)
        client.restore_next()
    except BaseException as error:
        payload = _log(error, sink)
        client.init_error("Runtime.BeforeSnapshotError", encode(payload))
        sys.exit(64)
    try:
        for hook, args, kwargs in _hooks("get_after_restore"):
            hook(*args, **kwargs)
    except BaseException as error:
        payload = _log(error, sink)
        client.restore_error("Runtime.AfterRestoreError", encode(payload))
        sys.exit(65)


def _hooks(which):
    try:
        import snapshot_restore_py
    except ImportError:
        return []
    hooks = getattr(snapshot_restore_py, which)()
    # The last registered before-hook runs first.
    return reversed(hooks) if which == "get_before_snapshot" else hooks


def _log(error, sink):
    payload = report.failure(error)
    report.log(payload, sink)
    return payload
