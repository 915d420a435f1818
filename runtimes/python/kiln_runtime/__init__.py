"""Runs Lambda handlers written in Python: asks the Runtime API for events and answers them.

Cold starts wait for every import made here. So this package imports nothing that the interpreter
has not loaded anyway, except `_socket` and `_json`; what only errors, logging and unusual results
need is imported when they come up.
"""

import os
import sys

from kiln_runtime.client import Client
from kiln_runtime.context import LambdaContext
from kiln_runtime.fault import Fault
from kiln_runtime.result import decode, encode

# The invocation at hand, for log lines.
request_id = None
tenant_id = None


def main():
    environ = os.environ
    template = environ.get("_KILN_TEMPLATE_FD")
    if template is not None:
        from kiln_runtime.template import wait

        wait(int(template), _own_path)
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    sys.path[:0] = _own_path(environ)
    if sys.version_info < (3, 12) and environ.get("LC_CTYPE") == "C.UTF-8":
        # Python sets it when the host lacks the locale of LANG; the older images have that.
        del environ["LC_CTYPE"]

    from kiln_runtime import output

    sink = output.open_sink(environ)
    output.install_when_imported(sink)
    client = Client(environ["AWS_LAMBDA_RUNTIME_API"])
    if "KILN_DEBUG_PORT" in environ:
        from kiln_runtime import debug

        debug.listen(int(environ["KILN_DEBUG_PORT"]))
    handler = _load(environ["_HANDLER"], client, sink)
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from kiln_runtime import snapshot

        snapshot.run_hooks(client, sink)
    _serve(handler, client, sink, environ)


def _own_path(environ):
    """The function's own code first, then layers; then come this runtime and the standard library."""
    task = environ.get("LAMBDA_TASK_ROOT", "/var/task")
    version = "python%d.%d" % sys.version_info[:2]
    return [task, "/opt/python/lib/%s/site-packages" % version, "/opt/python"]


def _load(name, client, sink):
    from kiln_runtime import handler

    try:
        return handler.find(name)
    except Exception as error:
        from kiln_runtime import report

        payload = report.init_failure(error, sink)
        flush()
        client.init_error(payload["errorType"], encode(payload))
        sys.exit(1)


def _serve(handler, client, sink, environ):
    global request_id, tenant_id
    head, body = client.next()
    while True:
        request_id = head.get("lambda-runtime-aws-request-id")
        tenant_id = head.get("lambda-runtime-aws-tenant-id")
        trace = head.get("lambda-runtime-trace-id")
        if trace is not None:
            environ["_X_AMZN_TRACE_ID"] = trace
        else:
            environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            context = LambdaContext(head, environ)
            kind = head.get("content-type", "application/json")
            event = decode(body) if kind == "application/json" else body
            answer = handler(event, context)
            failure = None
            content = encode_result(answer)
        except Exception as error:
            from kiln_runtime import report

            failure = report.failure(error, request_id)
            report.log(failure, sink)
            content = encode(failure).encode("utf-8", "backslashreplace")
        flush()
        error = event = answer = context = None
        head, body = client.answer_and_next(head, content, failure and failure["errorType"])


def flush():
    """What was printed shall be in the log before the answer is out."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # The function has closed or replaced it.
            pass


def encode_result(answer):
    if isinstance(answer, bytes):
        return answer
    try:
        return encode(answer).encode("utf-8")
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)
