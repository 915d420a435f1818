"""Terraform's AWS provider: apply, a second plan without a difference, an update, destroy.

The calls that the provider makes are replayed with boto3, in its order. Where Terraform is on the machine
and KILN_E2E_TERRAFORM names a folder with its provider (a filesystem mirror), the program itself runs too.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from kiln import PYTHON, code_of, eventually, unique, zipped

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "terraform"
CODE = zipped({"index.py": "import words\ndef handler(e, c):\n    return words.GREETING\n"})
LAYER = zipped({"python/words.py": "GREETING = 'hello'\n"})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


class Resources:
    """The resources of the example, as the provider makes, reads, changes and removes them."""

    def __init__(self, kiln, name):
        self.lambda_, self.iam, self.sts = map(kiln.client, ("lambda", "iam", "sts"))
        self.name = name
        self.live = {"FunctionName": name, "Qualifier": "live"}

    def create(self):
        self.sts.get_caller_identity()
        role = self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=TRUST)
        layer = self.lambda_.publish_layer_version(
            LayerName=self.name, Content={"ZipFile": LAYER}, CompatibleRuntimes=[PYTHON]
        )
        self.layer = {"LayerName": self.name, "VersionNumber": layer["Version"]}
        self.lambda_.create_function(
            FunctionName=self.name,
            Role=role["Role"]["Arn"],
            Runtime=PYTHON,
            Handler="index.handler",
            Code={"ZipFile": CODE},
            Publish=True,
            MemorySize=128,
            Timeout=5,
            Layers=[layer["LayerVersionArn"]],
            Environment={"Variables": {"CHANGED": "false"}},
            Tags={"change": "false"},
        )
        self.settled()
        self.reserve(10)
        self.lambda_.create_alias(FunctionName=self.name, Name="live", FunctionVersion="1")
        self.lambda_.add_permission(
            **self.live,
            StatementId="FromTheBucket",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
            SourceArn="arn:aws:s3:::a-bucket",
            SourceAccount="000000000000",
        )
        self.configure_events(1)
        self.provision(1)
        self.lambda_.create_function_url_config(
            **self.live,
            AuthType="NONE",
            Cors={"AllowOrigins": ["https://example.com"], "MaxAge": 30},
            InvokeMode="BUFFERED",
        )

    def change(self):
        """What `change = true` alters; gives the paths that a read then shows differently."""
        self.lambda_.update_function_configuration(
            FunctionName=self.name,
            MemorySize=256,
            Environment={"Variables": {"CHANGED": "true"}},
        )
        self.settled()
        arn = self.lambda_.get_function(FunctionName=self.name)["Configuration"]["FunctionArn"]
        self.lambda_.tag_resource(Resource=arn, Tags={"change": "true"})
        self.reserve(20)
        version = self.lambda_.publish_version(FunctionName=self.name)["Version"]
        self.settled(version)
        self.lambda_.update_alias(FunctionName=self.name, Name="live", FunctionVersion=version)
        self.configure_events(0)
        self.provision(2)
        self.lambda_.update_function_url_config(
            **self.live,
            AuthType="AWS_IAM",
            Cors={"AllowOrigins": ["https://example.com"], "MaxAge": 60},
        )

    def settled(self, version="$LATEST"):
        def look():
            now = self.lambda_.get_function(FunctionName=self.name, Qualifier=version)
            now = now["Configuration"]
            return now["State"] == "Active" and now["LastUpdateStatus"] == "Successful"

        eventually(look, 30)

    def reserve(self, number):
        self.lambda_.put_function_concurrency(
            FunctionName=self.name, ReservedConcurrentExecutions=number
        )

    def configure_events(self, retries):
        self.lambda_.put_function_event_invoke_config(
            **self.live, MaximumRetryAttempts=retries, MaximumEventAgeInSeconds=120
        )

    def provision(self, number):
        self.lambda_.put_provisioned_concurrency_config(
            **self.live, ProvisionedConcurrentExecutions=number
        )
        reads = self.lambda_.get_provisioned_concurrency_config
        eventually(lambda: reads(**self.live)["Status"] == "READY", 30)

    def read(self):
        """All that a plan reads, by resource."""
        f = {"FunctionName": self.name}
        found = {
            "role": self.iam.get_role(RoleName=self.name)["Role"],
            "role policies": self.iam.list_role_policies(RoleName=self.name)["PolicyNames"],
            "attached": self.iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"],
            "layer": self.lambda_.get_layer_version(**self.layer),
            "function": self.lambda_.get_function(**f),
            "versions": self.lambda_.list_versions_by_function(**f)["Versions"],
            "signing": self.lambda_.get_function_code_signing_config(**f),
            "alias": self.lambda_.get_alias(**f, Name="live"),
            "policy": json.loads(self.lambda_.get_policy(**self.live)["Policy"]),
            "events": self.lambda_.get_function_event_invoke_config(**self.live),
            "provisioned": self.lambda_.get_provisioned_concurrency_config(**self.live),
            "url": self.lambda_.get_function_url_config(**self.live),
        }
        for signed in (found["layer"]["Content"], found["function"]["Code"]):
            signed.pop("Location")  # a new signature each time
        for answer in found.values():
            if isinstance(answer, dict):
                answer.pop("ResponseMetadata", None)
        return found

    def destroy(self):
        self.lambda_.delete_function_url_config(**self.live)
        self.lambda_.delete_function_event_invoke_config(**self.live)
        self.lambda_.delete_provisioned_concurrency_config(**self.live)
        self.lambda_.remove_permission(**self.live, StatementId="FromTheBucket")
        self.gone(self.lambda_.get_policy, **self.live)
        self.lambda_.delete_alias(FunctionName=self.name, Name="live")
        self.lambda_.delete_function(FunctionName=self.name)
        self.gone(self.lambda_.get_function, FunctionName=self.name)
        self.lambda_.delete_layer_version(**self.layer)
        self.gone(self.lambda_.get_layer_version, **self.layer)
        assert not self.iam.list_instance_profiles_for_role(RoleName=self.name)["InstanceProfiles"]
        self.iam.delete_role(RoleName=self.name)
        self.gone(self.iam.get_role, RoleName=self.name)

    @staticmethod
    def gone(read, **of):
        with pytest.raises(ClientError) as refused:
            read(**of)
        assert code_of(refused.value)[1] == 404


def test_the_calls_of_the_provider(kiln):
    """SAM-14, VER-7, VER-9, IAM-7, LAY-1, CON-6, CON-11, ASY-8, SRC-20: the list of section 3.3."""
    made = Resources(kiln, unique("tf"))
    made.create()
    first = made.read()
    assert first == made.read(), "the second plan would show a difference"
    assert first["function"]["Concurrency"] == {"ReservedConcurrentExecutions": 10}
    assert first["function"]["Tags"] == {"change": "false"}
    assert [v["Version"] for v in first["versions"]] == ["$LATEST", "1"]
    assert first["url"]["FunctionUrl"].startswith(("http://", "https://"))
    made.change()
    second = made.read()
    assert second == made.read()
    function = second["function"]
    assert function["Configuration"]["MemorySize"] == 256
    assert function["Configuration"]["Environment"] == {"Variables": {"CHANGED": "true"}}
    assert function["Tags"] == {"change": "true"}
    assert second["alias"]["FunctionVersion"] == "2"
    assert second["events"]["MaximumRetryAttempts"] == 0
    assert second["provisioned"]["AllocatedProvisionedConcurrentExecutions"] == 2
    assert (second["url"]["AuthType"], second["url"]["Cors"]["MaxAge"]) == ("AWS_IAM", 60)
    assert second["url"]["FunctionUrl"] == first["url"]["FunctionUrl"]
    assert second["policy"] == first["policy"] and second["role"] == first["role"]
    made.destroy()


PROVIDERS = os.environ.get("KILN_E2E_TERRAFORM")

if PROVIDERS and shutil.which("terraform"):

    def test_the_provider_itself(start_kiln, tmp_path):
        """SAM-14: as above, by `terraform apply`, `plan` and `destroy`."""
        server = start_kiln()
        (tmp_path / "main.tf").write_text((EXAMPLE / "main.tf").read_text())
        (tmp_path / "function.zip").write_bytes(CODE)
        (tmp_path / "layer.zip").write_bytes(LAYER)
        settings = tmp_path / "terraform.rc"
        settings.write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{PROVIDERS}"\n  }}\n}}\n'
        )
        environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1"}

        def terraform(*arguments, wanted=0):
            done = subprocess.run(
                ["terraform", *arguments, "-no-color"],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=180,
            )
            assert done.returncode == wanted, done.stdout + done.stderr
            return done.stdout

        here = ["-var", f"endpoint={server.endpoint}", "-var", f"runtime={PYTHON}"]
        terraform("init")
        terraform("apply", "-auto-approve", *here)
        terraform("plan", "-detailed-exitcode", *here)
        changed = [*here, "-var", "change=true"]
        terraform("plan", "-detailed-exitcode", *changed, wanted=2)
        terraform("apply", "-auto-approve", *changed)
        terraform("plan", "-detailed-exitcode", *changed)
        terraform("destroy", "-auto-approve", *changed)
        assert server.lambda_.list_functions()["Functions"] == []
