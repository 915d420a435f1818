"""JSON for results that hold more than plain values: decimals, named tuples, bytes.

The managed runtimes use `simplejson`; this gives what that gives.
"""

from decimal import Decimal
from json.encoder import encode_basestring, encode_basestring_ascii


def encode(value, ascii_only):
    string = encode_basestring_ascii if ascii_only else encode_basestring
    parts = []
    _write(value, string, parts.append, set())
    return "".join(parts)


def _write(value, string, put, inside):
    if isinstance(value, str):
        put(string(value))
    elif isinstance(value, bytes):
        put(string(value.decode("utf-8")))
    elif value is None:
        put("null")
    elif value is True:
        put("true")
    elif value is False:
        put("false")
    elif isinstance(value, int):
        put(int.__repr__(value))
    elif isinstance(value, float):
        put(_float(value))
    elif isinstance(value, Decimal):
        put("NaN" if value.is_nan() else str(value))
    else:
        _write_container(value, string, put, inside)


def _write_container(value, string, put, inside):
    if id(value) in inside:
        raise ValueError("Circular reference detected")
    as_dict = getattr(value, "_asdict", None)
    if isinstance(value, tuple) and callable(as_dict):
        items = as_dict()
    elif isinstance(value, (dict, list, tuple)):
        items = value
    else:
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)
    inside.add(id(value))
    separator = ""
    if isinstance(items, dict):
        put("{")
        for key, item in items.items():
            put(separator + string(_key(key)) + ": ")
            _write(item, string, put, inside)
            separator = ", "
        put("}")
    else:
        put("[")
        for item in items:
            put(separator)
            _write(item, string, put, inside)
            separator = ", "
        put("]")
    inside.discard(id(value))


def _key(key):
    if isinstance(key, str):
        return key
    if isinstance(key, bytes):
        return key.decode("utf-8")
    if isinstance(key, float):
        return _float(key)
    if key is True:
        return "true"
    if key is False:
        return "false"
    if key is None:
        return "null"
    if isinstance(key, int):
        return int.__repr__(key)
    raise TypeError("keys must be str, int, float, bool or None, not %s" % type(key).__name__)


def _float(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)
