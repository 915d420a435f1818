"""Layers: published, shared, listed and deleted with the stock clients; seen by functions at /opt."""

import json
import signal
import urllib.request

import pytest
from botocore.exceptions import ClientError

from kiln import NODE, PYTHON, code_of, unique, zipped

#: What the layers put in sight: see `seen`.
LOOK = """
import subprocess

def handler(event, context):
    seen = {}
    for name, path in event.get("read", {}).items():
        try:
            seen[name] = open(path).read()
        except OSError as error:
            seen[name] = type(error).__name__
    for name in event.get("import", []):
        seen[name] = __import__(name).WHERE
    for command in event.get("run", []):
        seen[command] = subprocess.run([command], capture_output=True, text=True).stdout
    if "write" in event:
        try:
            open(event["write"], "w")
            seen["write"] = "written"
        except OSError as error:
            seen["write"] = error.strerror
    return seen
"""


@pytest.fixture
def publish(kiln):
    made = []

    def publish(files, name=None, client=None, **more):
        client = client or kiln.lambda_
        layer = client.publish_layer_version(
            LayerName=name or unique("layer"), Content={"ZipFile": zipped(files)}, **more
        )
        made.append((client, layer))
        return layer

    yield publish
    for client, layer in made:
        client.delete_layer_version(
            LayerName=layer["LayerArn"].rsplit(":", 1)[1], VersionNumber=layer["Version"]
        )


def test_content_is_seen_at_opt_and_cannot_be_changed(publish, deploy):
    """LAY-1, section 4.5: files with their modes, read-only, programs of /opt/bin on the PATH."""
    layer = publish({"data/a.txt": "one", "bin/greet*": "#!/bin/sh\necho hello\n"})
    assert layer["Version"] == 1
    assert layer["LayerVersionArn"] == layer["LayerArn"] + ":1"
    function = deploy({"index.py": LOOK}, Layers=[layer["LayerVersionArn"]])
    assert function.created["Layers"] == [
        {"Arn": layer["LayerVersionArn"], "CodeSize": layer["Content"]["CodeSize"]}
    ]
    event = {"read": {"a": "/opt/data/a.txt"}, "run": ["greet"], "write": "/opt/data/a.txt"}
    assert function(event).value == {
        "a": "one",
        "greet": "hello\n",
        "write": "Read-only file system",
    }


def test_later_layers_override_earlier_ones(publish, deploy):
    """LAY-2: the order of the list decides, on create and on update."""
    low = publish({"both": "low", "dir/low": "1"})["LayerVersionArn"]
    high = publish({"both": "high", "dir/high": "2"})["LayerVersionArn"]
    function = deploy({"index.py": LOOK}, Layers=[low, high])
    event = {"read": {"both": "/opt/both", "low": "/opt/dir/low", "high": "/opt/dir/high"}}
    assert function(event).value == {"both": "high", "low": "1", "high": "2"}
    function.update(Layers=[high, low])
    assert function(event).value == {"both": "low", "low": "1", "high": "2"}
    function.update(Layers=[low])
    assert function(event).value == {"both": "low", "low": "1", "high": "FileNotFoundError"}
    assert "Layers" not in function.update(Layers=[])
    assert function({"read": {"both": "/opt/both"}}).value == {"both": "FileNotFoundError"}


def test_python_finds_modules_of_layers(publish, deploy):
    """LAY-3: /opt/python and its site-packages are on sys.path, behind the function's own code."""
    version = PYTHON.removeprefix("python")
    layer = publish(
        {
            "python/plain.py": "WHERE = 'python'",
            "python/own.py": "WHERE = 'layer'",
            f"python/lib/python{version}/site-packages/packaged.py": "WHERE = 'site-packages'",
        }
    )
    files = {"index.py": LOOK, "own.py": "WHERE = 'function'"}
    function = deploy(files, Layers=[layer["LayerVersionArn"]])
    names = ["plain", "packaged", "own"]
    found = {"plain": "python", "packaged": "site-packages", "own": "function"}
    assert function({"import": names}).value == found


def test_a_handler_may_come_from_a_layer(publish, deploy):
    """FN-26: the package may hold next to nothing."""
    layer = publish({"python/shared.py": "def handler(event, context):\n    return 'from layer'"})
    function = deploy(
        {"readme.txt": "nothing"}, "shared.handler", Layers=[layer["LayerVersionArn"]]
    )
    assert function().value == "from layer"


@pytest.mark.skipif(NODE is None, reason="no Node.js here")
def test_node_finds_modules_of_layers(publish, deploy):
    """LAY-3: /opt/nodejs/node_modules and the folder of the major version."""
    major = NODE.removeprefix("nodejs").removesuffix(".x")
    layer = publish(
        {
            "nodejs/node_modules/plain/index.js": "module.exports = 'plain'",
            f"nodejs/node{major}/node_modules/versioned/index.js": "module.exports = 'versioned'",
        }
    )
    code = "exports.handler = async () => [require('plain'), require('versioned')]"
    function = deploy(
        {"index.js": code}, runtime=NODE, Layers=[layer["LayerVersionArn"]], MemorySize=256
    )
    assert function().value == ["plain", "versioned"]


def test_a_bootstrap_may_come_from_a_layer(publish, deploy):
    """LAY-3, section 4.10: /opt/bootstrap serves a function of provided.al2023 that has none."""
    layer = publish({"bootstrap*": "#!/bin/sh\necho from the layer\nexit 7\n"})
    function = deploy(
        {"data": "x"}, runtime="provided.al2023", Layers=[layer["LayerVersionArn"]]
    )
    answer = function()
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.ExitError"
    assert "from the layer" in answer.log


def test_functions_keep_a_deleted_layer(kiln, publish, deploy):
    """LAY-4: the function goes on, also in new environments; nobody else can take the version."""
    layer = publish({"a": "kept"})
    arn, name = layer["LayerVersionArn"], layer["LayerArn"].rsplit(":", 1)[1]
    function = deploy({"index.py": LOOK}, Layers=[arn])
    kiln.lambda_.delete_layer_version(LayerName=name, VersionNumber=1)
    event = {"read": {"a": "/opt/a"}}
    assert function(event).value == {"a": "kept"}
    function.update(Description="a new environment")
    assert function(event).value == {"a": "kept"}
    with pytest.raises(ClientError) as refused:
        kiln.lambda_.get_layer_version(LayerName=name, VersionNumber=1)
    assert code_of(refused)[:2] == ("ResourceNotFoundException", 404)
    with pytest.raises(ClientError) as refused:
        deploy({"index.py": LOOK}, Layers=[arn])
    expected = ("InvalidParameterValueException", 400, f"Layer version {arn} does not exist.")
    assert code_of(refused) == expected
    assert publish({"a": "new"}, name=name)["Version"] == 2


def test_layers_survive_a_crash(start_kiln):
    """LAY-1, LAY-4: after kill -9 the layer is there, and so is what functions see of it."""
    kiln = start_kiln()
    client = kiln.lambda_
    arns = []
    for name in ("a", "b"):
        zip = zipped({name: name})
        made = client.publish_layer_version(LayerName=name, Content={"ZipFile": zip})
        arns.append(made["LayerVersionArn"])
    kiln.deploy("f", {"index.py": LOOK}, Layers=arns)
    client.delete_layer_version(LayerName="a", VersionNumber=1)
    kiln.stop(signal.SIGKILL)
    kiln.start()
    listed = kiln.lambda_.list_layers()["Layers"]
    assert [layer["LayerName"] for layer in listed] == ["b"]
    now = kiln.lambda_.get_function_configuration(FunctionName="f")
    assert [layer["Arn"] for layer in now["Layers"]] == arns
    event = {"read": {"a": "/opt/a", "b": "/opt/b"}}
    answer = kiln.lambda_.invoke(FunctionName="f", Payload=json.dumps(event))
    assert json.load(answer["Payload"]) == {"a": "a", "b": "b"}


def test_another_account_uses_what_is_shared(kiln, publish):
    """LAY-5: AddLayerVersionPermission opens one version to one account."""
    other = kiln.client("lambda", key="111111111111")
    layer = publish({"a": "shared"})
    arn, name = layer["LayerVersionArn"], layer["LayerArn"].rsplit(":", 1)[1]
    with pytest.raises(ClientError) as refused:
        other.get_layer_version_by_arn(Arn=arn)
    assert code_of(refused)[:2] == ("AccessDeniedException", 403)
    settings = {"Layers": [arn], "client": other}
    function = unique()
    with pytest.raises(ClientError) as refused:
        kiln.deploy(function, {"index.py": LOOK}, **settings)
    assert code_of(refused)[:2] == ("AccessDeniedException", 403)
    kiln.lambda_.add_layer_version_permission(
        LayerName=name,
        VersionNumber=1,
        StatementId="other",
        Action="lambda:GetLayerVersion",
        Principal="111111111111",
    )
    content = other.get_layer_version_by_arn(Arn=arn)["Content"]
    with urllib.request.urlopen(content["Location"]) as download:
        assert download.read() == zipped({"a": "shared"})
    function = kiln.deploy(function, {"index.py": LOOK}, **settings)
    try:
        assert function({"read": {"a": "/opt/a"}}).value == {"a": "shared"}
    finally:
        function.delete()


def test_the_command_line_of_aws_speaks_layers(kiln, tmp_path):
    """LAY-1, LAY-6: publish, list with filters, read and delete with the AWS CLI."""
    name = unique("cli")
    archive = tmp_path / "layer.zip"
    archive.write_bytes(zipped({"a": "1"}))
    made = kiln.aws(
        "lambda", "publish-layer-version", "--layer-name", name, "--zip-file",
        f"fileb://{archive}", "--compatible-runtimes", "python3.13", "ruby3.4",
        "--compatible-architectures", "x86_64", "--license-info", "MIT",
    )  # fmt: skip
    assert made["CompatibleRuntimes"] == ["python3.13", "ruby3.4"]

    def names(*filters):
        listed = kiln.aws("lambda", "list-layers", *filters)["Layers"]
        return [layer["LayerName"] for layer in listed]

    assert name in names("--compatible-runtime", "ruby3.4")
    assert name not in names("--compatible-runtime", "nodejs22.x")
    assert name not in names("--compatible-architecture", "arm64")
    one = ["--layer-name", name, "--version-number", "1"]
    shown = kiln.aws("lambda", "get-layer-version", *one)
    assert shown["Content"]["CodeSha256"] == made["Content"]["CodeSha256"]
    kiln.aws("lambda", "delete-layer-version", *one)
    listed = kiln.aws("lambda", "list-layer-versions", "--layer-name", name)
    assert listed["LayerVersions"] == []
