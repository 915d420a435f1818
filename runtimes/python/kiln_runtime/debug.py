"""A debugger for functions of `kiln dev --debug PORT`."""

import sys


def listen(port):
    try:
        import debugpy
    except ImportError:
        print("No module named 'debugpy': pip install debugpy into the function's folder", file=sys.stderr)
        return
    try:
        debugpy.listen(("127.0.0.1", port))
    except RuntimeError as error:
        # Another environment of the same function has the port.
        print("debugpy does not listen on port %d: %s" % (port, error), file=sys.stderr)
