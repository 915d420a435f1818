"""The runtimes that functions may name, and programs of every language as one of their own."""

import shutil
import subprocess

import boto3
import pytest
from botocore.exceptions import ClientError

from kiln import ROLE, code_of, unique, zipped

#: What functions may be created with now; the host need not have them.
CURRENT = """
nodejs24.x nodejs22.x python3.14 python3.13 python3.12 python3.11 python3.10
java25 java21 java17 java11 java8.al2 dotnet10 dotnet8 ruby4.0 ruby3.4 ruby3.3
provided.al2023 provided.al2
""".split()


def enumerated():
    """All names that the service model knows."""
    model = boto3.session.Session().client("lambda", region_name="us-east-1").meta.service_model
    return model.shape_for("Runtime").enum


@pytest.mark.parametrize("runtime", CURRENT)
def test_a_function_is_created_with_each_runtime_of_today(kiln, runtime):
    """RT-1."""
    name = unique("rt")
    kiln.lambda_.create_function(
        FunctionName=name,
        Runtime=runtime,
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": zipped({"index.py": ""})},
    )
    try:
        found = kiln.lambda_.get_function_configuration(FunctionName=name)
        assert found["Runtime"] == runtime
    finally:
        kiln.lambda_.delete_function(FunctionName=name)


def test_every_name_of_the_model_is_known(kiln):
    """RT-4: created, or refused because its time is over; only what came later is unknown."""
    names = enumerated()
    assert set(CURRENT) <= set(names)
    gone, later = [], []
    for runtime in names:
        name = unique("rt")
        try:
            kiln.lambda_.create_function(
                FunctionName=name,
                Runtime=runtime,
                Role=ROLE,
                Handler="index.handler",
                Code={"ZipFile": zipped({"index.py": ""})},
            )
            kiln.lambda_.delete_function(FunctionName=name)
        except ClientError as error:
            code, status, message = code_of(error)
            assert (code, status) == ("InvalidParameterValueException", 400)
            is_gone = message.startswith(f"The runtime parameter of {runtime} is no longer supported")
            (gone if is_gone else later).append(runtime)
    assert {"python3.7", "go1.x", "nodejs14.x", "ruby2.7"} <= set(gone)
    assert not set(gone) & set(CURRENT)
    # Models of clients grow; these 46 are what Kiln was built after.
    assert len(names) - len(later) == 46, later


#: A runtime without any library: one connection, one event after the other.
COMPILED = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static int api;

static void say(const char *text, size_t length) {
    while (length > 0) {
        ssize_t n = write(api, text, length);
        if (n <= 0) exit(1);
        text += n;
        length -= n;
    }
}

/* Reads one answer; gives its body, which ends with NUL, and the request id. */
static char *hear(char *id, size_t *length) {
    static char buffer[65536];
    size_t have = 0;
    char *end = NULL;
    while (!(end = strstr(buffer, "\r\n\r\n"))) {
        ssize_t n = read(api, buffer + have, sizeof buffer - 1 - have);
        if (n <= 0) exit(2);
        have += n;
        buffer[have] = 0;
    }
    *length = 0;
    for (char *line = buffer; line < end; line = strstr(line, "\r\n") + 2) {
        if (!strncasecmp(line, "content-length:", 15)) *length = atoi(line + 15);
        if (!strncasecmp(line, "lambda-runtime-aws-request-id:", 30)) sscanf(line + 30, " %63s", id);
    }
    char *body = end + 4;
    while (buffer + have < body + *length) {
        ssize_t n = read(api, buffer + have, sizeof buffer - 1 - have);
        if (n <= 0) exit(3);
        have += n;
    }
    char *copy = malloc(*length + 1);
    memcpy(copy, body, *length);
    copy[*length] = 0;
    memset(buffer, 0, sizeof buffer);
    return copy;
}

int main(void) {
    char host[64];
    int port;
    if (sscanf(getenv("AWS_LAMBDA_RUNTIME_API"), "%63[^:]:%d", host, &port) != 2) return 4;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    api = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(api, (struct sockaddr *)&to, sizeof to)) return 5;
    for (;;) {
        const char *next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n";
        char id[64] = "", head[256], text[32768];
        size_t length;
        say(next, strlen(next));
        char *event = hear(id, &length);
        int size = snprintf(text, sizeof text, "{\"by\":\"%s\",\"event\":%s}", getenv("_HANDLER"), event);
        free(event);
        int n = snprintf(head, sizeof head,
            "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: api\r\n"
            "Content-Length: %d\r\n\r\n", id, size);
        say(head, n);
        say(text, size);
        free(hear(id, &length));
    }
}
"""


def test_a_compiled_program_is_a_runtime(deploy, tmp_path):
    """RT-2: what Go, Rust and C++ are on AWS, one static file of this host's architecture."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no compiler on this host")
    (tmp_path / "main.c").write_text(COMPILED)
    built = tmp_path / "bootstrap"
    subprocess.run(
        [compiler, "-static", "-O1", "-o", built, tmp_path / "main.c"],
        check=True,
        capture_output=True,
    )
    function = deploy({"bootstrap*": built.read_bytes()}, "hello", runtime="provided.al2023")
    for event in ({"a": [1, "x"]}, "again", None):
        assert function(event).value == {"by": "hello", "event": event}


def test_a_program_of_another_architecture_is_told(deploy):
    """RT-2: a file that this machine cannot execute ends the init phase with its reason."""
    other = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0" + b"\xf3\0" + b"\0" * 200  # RISC-V
    answer = deploy({"bootstrap*": other}, "x", runtime="provided.al2023")({})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.InvalidEntrypoint"
    assert "exec format error" in answer.json["errorMessage"]


#: PowerShell and all others come like this: a script that starts what the zip brings.
SCRIPT = r"""#!/bin/sh
exec 2>&1
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  head=$(mktemp)
  event=$(curl -sS -D "$head" "$api/next") || exit 1
  id=$(tr -d '\r' < "$head" | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *//p')
  curl -sS -o /dev/null -d "{\"shell\": true, \"event\": $event}" "$api/$id/response" || exit 2
done
"""


def test_a_script_is_a_runtime(deploy):
    """RT-3: a `bootstrap` in a language that AWS has no runtime for."""
    if shutil.which("curl") is None:
        pytest.skip("no curl on this host")
    function = deploy({"bootstrap*": SCRIPT}, "x", runtime="provided.al2023", MemorySize=256)
    assert function({"n": 1}).value == {"shell": True, "event": {"n": 1}}
    assert function([2]).value == {"shell": True, "event": [2]}
