"""Where log messages go, and the root logger's handler.

`logging` is not imported here: a function that does not log shall not wait for it. When something
imports it, the root logger gets its handler before the importer goes on.
"""

import os
import sys

sink = None

# The lowest byte of a frame's type: 2 for JSON and 3 for text, plus 4 for each level.
_LEVELS = {0: 0, 10: 0x08, 20: 0x0C, 30: 0x10, 40: 0x14, 50: 0x18}


def open_sink(environ):
    global sink
    is_json = environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    fd = environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    sink = StandardSink(is_json) if fd is None else FramedSink(is_json, int(fd))
    return sink


class StandardSink:
    """Messages share stdout with what the function prints, so one must be one line."""

    def __init__(self, is_json):
        self.is_json = is_json

    def log(self, message, level=0):
        sys.stdout.write(message)

    def error(self, lines):
        sys.stdout.write("\r".join(lines) + "\n")


class FramedSink:
    """Messages go to a descriptor of their own, each behind a head of type, length and time."""

    def __init__(self, is_json, fd):
        self.is_json = is_json
        self._fd = fd
        self._type = 0xA55A0002 if is_json else 0xA55A0003

    def log(self, message, level=0):
        from time import time_ns

        # What was printed before shall be seen before.
        sys.stdout.flush()
        content = message.encode("utf-8", "backslashreplace")
        frame = b"".join(
            (
                (self._type | _LEVELS.get(level, 0)).to_bytes(4, "big"),
                len(content).to_bytes(4, "big"),
                (time_ns() // 1000).to_bytes(8, "big"),
                content,
            )
        )
        while frame:
            frame = frame[os.write(self._fd, frame) :]

    def error(self, lines):
        self.log("\n".join(lines), 40)


def install_when_imported(to):
    if "logging" in sys.modules:
        _install(to)
    else:
        sys.meta_path.insert(0, _Watch(to))


def _install(to):
    from kiln_runtime import logs

    logs.install(to)


class _Watch:
    """Waits for the import of `logging`, then gets out of the way."""

    def __init__(self, to):
        self._sink = to

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader, self._sink)
                return spec
        return None


class _Loader:
    def __init__(self, loader, to):
        self._loader = loader
        self._sink = to

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _install(self._sink)
