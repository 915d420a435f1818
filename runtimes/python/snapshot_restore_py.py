"""Registers what runs before a snapshot is made and after it was restored.  [Lambda guide: SnapStart hooks]

AWS's images bring a package of this name; a function may bring its own copy, which then counts.
"""

_before = []
_after = []


def register_before_snapshot(func, *args, **kwargs):
    """As a function or a decorator. The last one that was registered runs first."""
    _before.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """As a function or a decorator. They run in the order in which they were registered."""
    _after.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before


def get_after_restore():
    return _after
