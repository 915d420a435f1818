"""The root logger's handler and its two formats.  [Lambda guide: Python logging]"""

import logging
import os
import time

import kiln_runtime

_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
_LEVELS = ("DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL", "NOTSET")


def install(sink):
    logging.Formatter.converter = time.gmtime
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = "DEBUG" if level == "TRACE" else level
    handler = LambdaLoggerHandler(sink, sink.is_json or bool(level))
    handler.setFormatter(
        JsonFormatter() if sink.is_json else logging.Formatter(_TEXT, "%Y-%m-%dT%H:%M:%S")
    )
    handler.addFilter(LambdaLoggerFilter())
    root = logging.getLogger()
    if level in _LEVELS:
        root.setLevel(level)
    root.addHandler(handler)


def _tens(level):
    return min(50, max(0, level)) // 10 * 10


class LambdaLoggerHandler(logging.Handler):
    def __init__(self, sink, with_level):
        super().__init__()
        self.log_sink = sink
        self._with_level = with_level

    def emit(self, record):
        level = _tens(record.levelno) if self._with_level else 0
        self.log_sink.log(self.format(record), level)


class LambdaLoggerFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = kiln_runtime.request_id or ""
        record.tenant_id = kiln_runtime.tenant_id
        return True


# What every record has; the rest was given as `extra`.
_OWN = set(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
_OWN |= {"aws_request_id", "tenant_id", "message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    def __init__(self):
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")

    def format(self, record):
        import json

        is_dict = isinstance(record.msg, dict) and not record.args
        fields = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(_tens(record.levelno)),
            "message": record.msg if is_dict else record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            import traceback

            kind, error, trace = record.exc_info
            fields["stackTrace"] = traceback.format_tb(trace)
            fields["errorType"] = kind.__name__ if kind else None
            fields["errorMessage"] = str(error)
        fields["requestId"] = getattr(record, "aws_request_id", None)
        if record.exc_info:
            fields["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        fields["tenantId"] = getattr(record, "tenant_id", None)
        for name, value in vars(record).items():
            if name not in _OWN and name not in fields:
                fields[name] = value
        fields = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(fields, ensure_ascii=False, default=str) + "\n"
