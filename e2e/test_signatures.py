"""Strict mode: who signs wrongly stays outside."""

import http.client

import pytest
from botocore.exceptions import ClientError

from kiln import PYTHON, ROLE, code_of, zipped

OPERATOR = {"KILN_AUTH": "strict", "KILN_ACCESS_KEY": "AKIAOPERATOR0000000A", "KILN_SECRET_KEY": "s3cret"}


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    from kiln import Kiln

    server = Kiln(
        tmp_path_factory.mktemp("strict") / "data",
        key=OPERATOR["KILN_ACCESS_KEY"],
        secret=OPERATOR["KILN_SECRET_KEY"],
        env=OPERATOR,
    ).start()
    yield server
    assert server.stop() == 0, server.log()


def test_the_right_key_gets_in(strict):
    """API-3."""
    assert strict.lambda_.list_functions()["Functions"] == []
    who = strict.client("sts").get_caller_identity()
    assert who["Account"].isdigit()


@pytest.mark.parametrize("service", ["lambda", "iam", "logs", "sts"])
def test_a_wrong_secret_and_an_unknown_key_are_told_apart(strict, service):
    """API-3: code and status in each protocol."""
    call = {
        "lambda": lambda c: c.list_functions(),
        "iam": lambda c: c.list_roles(),
        "logs": lambda c: c.describe_log_groups(),
        "sts": lambda c: c.get_caller_identity(),
    }[service]
    with pytest.raises(ClientError) as error:
        call(strict.new_client(service, secret="wrong"))
    wrong = {"iam": "SignatureDoesNotMatch", "sts": "SignatureDoesNotMatch"}
    assert code_of(error)[:2] == (wrong.get(service, "InvalidSignatureException"), 403)
    with pytest.raises(ClientError) as error:
        call(strict.new_client(service, key="AKIAUNKNOWN000000000"))
    unknown = {"iam": "InvalidClientTokenId", "sts": "InvalidClientTokenId"}
    assert code_of(error)[:2] == (unknown.get(service, "UnrecognizedClientException"), 403)


def test_who_does_not_sign_is_refused_and_changes_nothing(strict):
    """API-3: `MissingAuthenticationTokenException`."""
    connection = http.client.HTTPConnection(*strict.address, timeout=10)
    connection.request("GET", "/2015-03-31/functions")
    answer = connection.getresponse()
    assert answer.status == 403
    assert answer.getheader("x-amzn-ErrorType").startswith("MissingAuthenticationToken")
    answer.read()
    connection.close()


def test_a_body_that_was_changed_after_signing_is_refused(strict):
    """API-3: the signature covers the body."""
    client = strict.new_client("lambda")

    def tamper(request, **_):
        request.body = request.body.replace(b"index.handler", b"other.handler")

    client.meta.events.register("before-send.lambda.CreateFunction", tamper)
    with pytest.raises(ClientError) as error:
        client.create_function(
            FunctionName="tampered",
            Runtime=PYTHON,
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": zipped({"index.py": "def handler(e, c): pass\n"})},
        )
    assert code_of(error)[:2] == ("InvalidSignatureException", 403)
    with pytest.raises(strict.lambda_.exceptions.ResourceNotFoundException):
        strict.lambda_.get_function(FunctionName="tampered")


def test_a_stored_access_key_is_a_credential(strict):
    """API-3: keys that IAM gave out sign, until they are deleted."""
    iam = strict.client("iam")
    iam.create_user(UserName="dev")
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    mine = strict.new_client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    assert mine.get_caller_identity()["Arn"].endswith(":user/dev")
    iam.delete_access_key(UserName="dev", AccessKeyId=key["AccessKeyId"])
    with pytest.raises(ClientError) as error:
        mine.get_caller_identity()
    assert code_of(error)[1] == 403


def test_a_function_runs_under_strict_signatures(strict):
    """API-3, IAM-1: invoking works as anywhere else."""
    function = strict.deploy("signed", {"index.py": "def handler(e, c): return e\n"})
    assert function({"a": 1}).value == {"a": 1}
    function.delete()
