"""What breaks the service model is told as AWS tells it: each member of each operation that is built,
with a value that is too long, too small, of the wrong form, or absent."""

import re
from typing import NamedTuple

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from kiln import ACCOUNT, REGION, ROLE

MODEL = boto3.session.Session().client("lambda", region_name=REGION).meta.service_model

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}"

#: Values that keep the rules, by the name of the shape; others are made from the shape.
GOOD = {
    "Action": "lambda:InvokeFunction",
    "AdditionalVersion": "1",
    "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
    "CodeSigningConfigArn": f"{ARN}:code-signing-config:csc-0123456789abcdefg",
    "EventSourceMappingArn": f"{ARN}:event-source-mapping:00000000-0000-4000-8000-000000000000",
    "FileSystemArn": (
        f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:access-point/fsap-0123456789abcdef0"
    ),
    "LayerPermissionAllowedAction": "lambda:GetLayerVersion",
    "LayerPermissionAllowedPrincipal": "*",
    "LayerVersionArn": f"{ARN}:layer:l:1",
    "LocalMountPath": "/mnt/a",
    "Resource": f"{ARN}:function:f",
    "RoleArn": ROLE,
    "Runtime": "python3.13",
    "SecurityGroupId": "sg-1",
    "SubnetId": "subnet-1",
    "TagKeyList": ["k"],
    "TaggableResource": f"{ARN}:function:f",
    "Version": "1",
    "VersionWithLatestPublished": "1",
}

#: Members that Kiln does not look at yet (docs/coverage.md), and bodies, which have no such rules.
LATER = {
    "AcceleratorConfig",
    "CapacityProviderConfig",
    "DurableConfig",
    "DurableExecutionName",
    "InvokeArgs",
    "PublishTo",
    "RuntimeConfig",
    "S3FilesConfig",
    "TenancyConfig",
    "TenantId",
}

#: Operations whose values are still checked in another order, or not all: docs/roadmap.md names them.
UNWALKED = ("EventSourceMapping", "ResourcePolicy", "ScalingConfig")

#: The model has more time and storage for managed instances; a runtime is told by another error.
OTHERWISE = [("Timeout", 5_401), ("Size", 32_769), ("Runtime", "no-such-word")]

#: Stands for text that AWS's answers have otherwise than its public model.
ANY = "\0"

NULL = "Member must not be null"


class Case(NamedTuple):
    """A request with one wrong member, and the rules that its answer names."""

    path: tuple
    value: object
    rules: list
    is_secret: bool = False

    def __str__(self):
        return f"{place(self.path)}={str(self.value)[:40]!r}"

    def message(self):
        value = "null" if self.value is None else f"'{shown(self.value)}'"
        value = "Value" if self.is_secret else f"Value {value}"
        start = f"{value} at '{place(self.path)}' failed to satisfy constraint: "
        many = len(self.rules)
        count = "1 validation error" if many == 1 else f"{many} validation errors"
        return f"{count} detected: " + "; ".join(start + rule for rule in self.rules)


def place(path):
    """As AWS names a member in its errors: `vpcConfig.subnetIds`, `fileSystemConfigs.1.member.arn`."""
    return ".".join("1.member" if step == 0 else step[0].lower() + step[1:] for step in path)


def shown(value):
    """As AWS shows a value in its errors."""
    if isinstance(value, list):
        items = (ANY if isinstance(item, dict) else shown(item) for item in value)
        return f"[{', '.join(items)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}={shown(v)}" for k, v in value.items()) + "}"
    return str(value)


def good(shape):
    """A value of this shape, with no member that it does not need."""
    if shape.name in GOOD:
        return GOOD[shape.name]
    least = shape.metadata.get("min", 0)
    match shape.type_name:
        case "structure":
            return {name: good(shape.members[name]) for name in shape.required_members}
        case "list":
            return [good(shape.member)] * least
        case "map":
            return {good(shape.key): good(shape.value)} if least else {}
        case "string":
            return shape.enum[0] if shape.enum else "a" * max(1, least)
        case "boolean":
            return False
        case "double" | "float":
            return float(max(1, least))
        case "blob":
            return b"x"
    return max(1, least)


def fits(pattern, text):
    """Whether a pattern of the model, which is one of Java's, holds the whole of an ASCII text."""
    for java, ours in ((r"\p{L}", "a-zA-Z"), (r"\p{Z}", " "), (r"\p{N}", "0-9")):
        pattern = pattern.replace(java, ours)
    return re.fullmatch(pattern, text) is not None


def more(word, bound):
    return f"Member must have {word} less than or equal to {bound}"


def less(word, bound):
    return f"Member must have {word} greater than or equal to {bound}"


def wrong_text(data):
    """Texts that break a rule, each with the rules that it breaks, the form first."""
    form = f"Member must satisfy regular expression pattern: {ANY}"
    pattern = data.get("pattern")
    values = []
    if "max" in data:
        values.append(("a" * (data["max"] + 1), [more("length", data["max"])]))
    if data.get("min"):
        values.append(("a" * (data["min"] - 1), [less("length", data["min"])]))
    for value, rules in values:
        yield value, rules if pattern is None or fits(pattern, value) else [form, *rules]
    if pattern is not None:
        for value in ("a b", "+!%"):
            has_room = data.get("min", 0) <= len(value) <= data.get("max", len(value))
            if has_room and not fits(pattern, value):
                yield value, [form]
                return


def wrong(shape):
    """Values that break a rule of the shape itself, each with the rules that it breaks."""
    data, kind = shape.metadata, shape.type_name
    if "enum" in data:
        yield "no-such-word", [f"Member must satisfy enum value set: [{ANY}]"]
    elif kind == "string":
        yield from wrong_text(data)
    elif kind in ("integer", "long", "double", "float"):
        if "max" in data:
            yield data["max"] + 1, [more("value", data["max"])]
        if "min" in data:
            yield data["min"] - 1, [less("value", data["min"])]
    elif kind == "list":
        if "max" in data:
            yield [good(shape.member)] * (data["max"] + 1), [more("length", data["max"])]
        if data.get("min"):
            yield [], [less("length", data["min"])]


def rules_of(shape):
    """All rules of an element of a list or a map, in AWS's order; bounds differ from its model."""
    data = shape.metadata
    if "enum" in data:
        return [f"Member must satisfy enum value set: [{ANY}]"]
    if shape.type_name == "string":
        rules = [more("length", ANY), less("length", ANY)] if "max" in data else []
        if "pattern" in data:
            rules.append(f"Member must satisfy regular expression pattern: {ANY}")
        return rules
    bounds = (("max", more), ("min", less))
    return [say("value", f"{data[key]:.1f}") for key, say in bounds if key in data]


def inside(member):
    """Lists and maps with one wrong element, each with the rule that it breaks."""
    if member.name == "CompatibleRuntimes":
        yield ["no-such-word"], rules_of(member.member)  # as AWS does here alone
    elif member.type_name == "list":
        rules = ", ".join(rules_of(member.member))
        for value, _ in wrong(member.member):
            # Some lists may hold null, in the eyes of AWS.
            yield [value], [f"Member must satisfy constraint: [{rules}{ANY}]"]
    elif member.type_name == "map":
        rules = ", ".join(rules_of(member.key))
        for key, _ in wrong(member.key):
            yield {key: good(member.value)}, [f"Map keys must satisfy constraint: [{rules}]"]
        rules = ", ".join([*rules_of(member.value), NULL])
        for value, _ in wrong(member.value):
            yield {good(member.key): value}, [f"Map value must satisfy constraint: [{rules}]"]


def cases(shape, path=()):
    """Every way to break one rule below `shape`."""
    for name, member in shape.members.items():
        if name in LATER:
            continue
        here = (*path, name)
        location = member.serialization.get("location")
        is_in_path = location == "uri"
        is_secret = member.metadata.get("sensitive", False)
        if name in shape.required_members and not is_in_path:
            yield Case(here, None, [NULL])
        for value, rules in (*wrong(member), *inside(member)):
            # An empty segment is another path, an empty word of a query is none.
            is_nothing = (location, value) in (("uri", ""), ("querystring", [""]))
            if not is_nothing and (name, value) not in OTHERWISE:
                yield Case(here, value, rules, is_secret)
        if member.type_name == "structure":
            yield from cases(member, here)
        elif member.type_name == "list" and member.member.type_name == "structure":
            yield from cases(member.member, (*here, 0))


def request(shape, case):
    """A request that is right but for the member of the case."""
    root = node = good(shape)
    *way, last = case.path
    for step in way:
        if step == 0:
            shape = shape.member
            node[:] = node or [good(shape)]
        else:
            shape = shape.members[step]
            node.setdefault(step, good(shape))
        node = node[step]
    if case.value is None:
        node.pop(last, None)
    else:
        node[last] = case.value
    return root


def ask(client, operation, members):
    try:
        getattr(client, xform_name(operation))(**members)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None, ""


def walked():
    return [name for name in MODEL.operation_names if not any(word in name for word in UNWALKED)]


@pytest.mark.parametrize("operation", walked())
def test_every_broken_rule_is_told_as_aws_tells_it(kiln, operation):
    """API-6: code, place, value and words of every constraint."""
    shape = MODEL.operation_model(operation).input_shape
    client = kiln.client("lambda", parameter_validation=False)
    code, message = ask(client, operation, good(shape)) if shape else (None, "")
    if code in ("NotImplementedException", "AccessDeniedException"):
        assert "not built the operation" in message or "Unable to determine" in message
        return
    assert code != "ValidationException", f"a good request is refused: {message}"
    wrong_answers = []
    for case in cases(shape) if shape else ():
        code, message = ask(client, operation, request(shape, case))
        expected = ".*".join(map(re.escape, case.message().split(ANY)))
        if code != "ValidationException" or not re.fullmatch(expected, message, re.DOTALL):
            wrong_answers.append(f"{case}: {code}: {message[:80]} … {message[-240:]}\n  {case.message()[-300:]}")
    assert not wrong_answers, "\n".join(wrong_answers)
