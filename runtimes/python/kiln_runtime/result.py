"""Events and results as JSON.

Importing `json` costs a cold start some 5 ms, most of them for `re`. Its inner parts are written in C
and need neither; where they are missing or give up, `json` and `encoder` decide.
"""

import sys

from kiln_runtime.fault import Fault

# Newer runtimes leave characters beyond ASCII as they are.  [Lambda guide: Python runtimes]
ASCII_ONLY = sys.version_info < (3, 12)

_BLANK = " \t\n\r"

try:
    import marshal

    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner

    class _Scanner:
        strict = True
        object_hook = None
        object_pairs_hook = None
        array_hook = None
        parse_float = float
        parse_int = int
        parse_constant = {
            "NaN": float("nan"),
            "Infinity": float("inf"),
            "-Infinity": float("-inf"),
        }.__getitem__

    _scan = make_scanner(_Scanner)
    _string = encode_basestring_ascii if ASCII_ONLY else encode_basestring

    def _refuse(_):
        raise TypeError

    def _fast_encoder():
        return make_encoder({}, _refuse, _string, None, ": ", ", ", False, False, True)

    _fast_encoder()
    _is_fast = True
except (ImportError, AttributeError, TypeError):
    _is_fast = False


def loads(text):
    """What `json.loads` gives for a `str`."""
    if _is_fast:
        start = len(text) - len(text.lstrip(_BLANK))
        try:
            value, end = _scan(text, start)
            if end == len(text) or not text[end:].strip(_BLANK):
                return value
        except (ValueError, StopIteration, RecursionError):
            pass
    import json

    return json.loads(text)


def decode(body):
    try:
        if _is_fast:
            try:
                return loads(body.decode("utf-8"))
            except UnicodeDecodeError:
                pass
        import json

        return json.loads(body)
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)


def encode(value):
    """JSON text as the managed runtimes write it."""
    if _is_fast:
        try:
            # `marshal` takes plain values only. What is derived from them, such as a named tuple,
            # may need another form in JSON.
            marshal.dumps(value)
            return "".join(_fast_encoder()(value, 0))
        except (TypeError, ValueError, RecursionError):
            pass
    from kiln_runtime import encoder

    return encoder.encode(value, ASCII_ONLY)
