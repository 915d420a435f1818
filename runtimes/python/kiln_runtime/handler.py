"""Finds the function that `_HANDLER` names: `package/module.function`.  [Lambda guide: Python handler]"""

import importlib
import sys

from kiln_runtime.fault import Fault


def find(name):
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, error))
    if module_name.split(".")[0] in sys.builtin_module_names:
        message = "Cannot use built-in module %s as a handler module" % module_name
        raise Fault("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = "Unable to import module '%s': %s" % (module_name, error)
        raise Fault("Runtime.ImportModuleError", message)
    except SyntaxError as error:
        message = "Syntax error in module '%s': %s" % (module_name, error)
        line = '  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)
        raise Fault("Runtime.UserCodeSyntaxError", message, [line])
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = "Handler '%s' missing on module '%s'" % (function_name, module_name)
        raise Fault("Runtime.HandlerNotFound", message)
