from time import time

from kiln_runtime.fault import Fault

# What `LambdaContext.w3c` may show of the client context.
_W3C = ("traceparent", "tracestate", "baggage")


class LambdaContext:
    """The second argument of a handler.  [Lambda guide: Python context object]"""

    def __init__(self, head, environ):
        get = environ.get
        self.aws_request_id = head.get("lambda-runtime-aws-request-id")
        self.log_group_name = get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = head.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = head.get("lambda-runtime-aws-tenant-id")
        self._epoch_deadline_time_in_ms = int(head.get("lambda-runtime-deadline-ms", 0))

        client = _json(head, "lambda-runtime-client-context", "Client Context")
        self._w3c_fields = _take_w3c(client)
        self.client_context = None if client is None else ClientContext(client)
        identity = _json(head, "lambda-runtime-cognito-identity", "Cognito Identity")
        self.identity = CognitoIdentity(identity or {})

    def get_remaining_time_in_millis(self):
        return max(0, self._epoch_deadline_time_in_ms - int(time() * 1000))

    def w3c(self):
        return dict(self._w3c_fields)

    def log(self, msg):
        from kiln_runtime import output

        output.sink.log(str(msg))

    def __repr__(self):
        return _show(
            self,
            "aws_request_id log_group_name log_stream_name function_name memory_limit_in_mb "
            "function_version invoked_function_arn client_context identity tenant_id".split(),
        )


class CognitoIdentity:
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, values):
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")

    def __repr__(self):
        return _show(self, self.__slots__)


class ClientContext:
    __slots__ = ("custom", "env", "client")

    def __init__(self, values):
        self.custom = values.get("custom")
        self.env = values.get("env")
        client = values.get("client")
        self.client = None if client is None else Client(client)

    def __repr__(self):
        return _show(self, self.__slots__)


class Client:
    __slots__ = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        return _show(self, self.__slots__)


def _show(thing, names):
    fields = ",".join("%s=%s" % (name, getattr(thing, name)) for name in names)
    return "%s([%s])" % (type(thing).__name__, fields)


def _json(head, name, what):
    text = head.get(name)
    if not text:
        return None
    from kiln_runtime.result import loads

    try:
        return loads(text)
    except Exception as error:
        message = "Unable to parse %s JSON: %s" % (what, error)
        raise Fault("Runtime.LambdaContextUnmarshalError", message)


def _take_w3c(client):
    if not isinstance(client, dict):
        return {}
    found = client.pop("w3c", None)
    if not isinstance(found, dict):
        return {}
    return {name: found[name] for name in _W3C if isinstance(found.get(name), str)}
