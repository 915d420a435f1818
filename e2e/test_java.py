"""Java functions: events, context, errors, endings.  [spec 4.6, 4.8]"""

import re
import subprocess
from pathlib import Path

import pytest

from kiln import zipped

#: The host's JDK serves, or a newer one.
JAVA = "java17"
CORE = Path(__file__).parent.parent / "runtimes/java"

LAB = """
package lab;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.nio.file.*;
import java.util.*;

public class Lab implements RequestHandler<Map<String, Object>, Object> {
    static int count;

    public static class Odd extends RuntimeException {
        public Odd(String message) { super(message); }
    }

    public Object handleRequest(Map<String, Object> event, Context context) {
        switch (String.valueOf(event.get("do"))) {
            case "count": return ++count;
            case "raise": throw new Odd("no");
            case "exit": System.exit(3); return null;
            case "environ": return System.getenv();
            case "sleep": try { Thread.sleep(10_000); } catch (InterruptedException e) { } return "slept";
            case "heap": return Runtime.getRuntime().maxMemory();
            case "file":
                try { return new String(Files.readAllBytes(Paths.get(String.valueOf(event.get("name"))))); }
                catch (java.io.IOException e) { throw new java.io.UncheckedIOException(e); }
            case "log": System.out.println("to stdout"); context.getLogger().log("to\\nthe logger"); return "logged";
            case "context":
                Map<String, Object> all = new LinkedHashMap<>();
                all.put("request", context.getAwsRequestId());
                all.put("name", context.getFunctionName());
                all.put("version", context.getFunctionVersion());
                all.put("arn", context.getInvokedFunctionArn());
                all.put("memory", context.getMemoryLimitInMB());
                all.put("group", context.getLogGroupName());
                all.put("left", context.getRemainingTimeInMillis());
                return all;
            default: return event;
        }
    }

    public static class Order {
        private String item;
        public int amount;
        public String getItem() { return item; }
        public void setItem(String item) { this.item = item; }
    }

    public Order twice(Order order) {
        order.amount *= 2;
        return order;
    }
}
"""
BROKEN = 'package lab; public class Broken { public Broken() { throw new IllegalStateException("boot"); } public void go() { } }'


def compiled(folder, sources, release="8"):
    """Compiles against the interfaces that the runtime brings: name → class file."""
    for name, text in sources.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    files = [str(folder / "source" / name) for name in sources]
    out = folder / "classes"
    command = ["javac", "-nowarn", "-Xlint:-options", "--release", release, "-sourcepath", str(CORE), "-d", str(out)]
    subprocess.run([*command, *files], check=True)
    own = (path for path in out.rglob("*.class") if not {"com", "kiln"} & set(path.relative_to(out).parts))
    return {str(path.relative_to(out)): path.read_bytes() for path in own}


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("java"), {"lab/Lab.java": LAB, "lab/Broken.java": BROKEN})


@pytest.fixture(scope="module")
def lab(module_deploy, classes):
    files = {**classes, "data.txt": "beside"}
    return module_deploy(files, "lab.Lab", runtime=JAVA, MemorySize=256, Timeout=20)


def test_a_java_function_echoes_and_counts(lab):
    for value in [{"é": ["🥳", 1.5, True]}, {}]:
        assert lab(value).value == value
    first = lab({"do": "count"}).value
    assert lab({"do": "count"}).value == first + 1


def test_an_exception_has_the_shape_of_java(lab):
    answer = lab({"do": "raise"})
    assert answer.error == "Unhandled"
    assert (answer.json["errorType"], answer.json["errorMessage"]) == ("lab.Lab$Odd", "no")
    assert re.fullmatch(r"lab\.Lab\.handleRequest\(Lab\.java:\d+\)", answer.json["stackTrace"][0]), answer.json
    assert "no: lab.Lab$Odd\nlab.Lab$Odd: no\n\tat lab.Lab.handleRequest" in answer.log, answer.log


def test_an_exit_of_java_is_an_exit_error(lab):
    assert lab({"do": "exit"}).json["errorType"] == "Runtime.ExitError"


def test_the_context_of_java_says_what_is_true(lab):
    answer = lab({"do": "context"})
    assert 0 < answer.json.pop("left") <= 20_000
    expected = {
        "request": answer.request_id, "name": lab.name, "version": "$LATEST", "arn": lab.arn, "memory": 256,
        "group": f"/aws/lambda/{lab.name}",
    }
    assert {name: value for name, value in answer.json.items() if name != "left"} == expected


def test_java_logs_lines_and_messages(lab):
    answer = lab({"do": "log"})
    assert answer.value == "logged"
    assert "to stdout\n" in answer.log and "to\nthe logger" in answer.log, answer.log


def test_the_variables_of_java_are_there(lab):
    variables = lab({"do": "environ"}).value
    assert variables["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{JAVA}"
    assert "PWD" not in variables and "_KILN_WAIT_FD" not in variables


def test_java_finds_files_beside_its_classes(lab):
    assert lab({"do": "file", "name": "data.txt"}).value == "beside"


def test_the_heap_of_java_follows_the_memory_of_the_function(deploy, classes, lab):
    mib = 1 << 20
    small = lab({"do": "heap"}).value
    assert 0.75 * 256 * mib < small < 0.9 * 256 * mib, small
    large = deploy(classes, "lab.Lab", runtime=JAVA, MemorySize=1024)({"do": "heap"}).value
    assert 0.75 * 1024 * mib < large < 0.9 * 1024 * mib, large


def test_a_java_timeout_is_a_timeout(deploy, classes):
    function = deploy(classes, "lab.Lab", runtime=JAVA, Timeout=2)
    assert function({"do": "count"}).value == 1
    answer = function({"do": "sleep"})
    assert answer.json["errorType"] == "Sandbox.Timedout", answer.json


@pytest.mark.parametrize("runtime", ["java8.al2", "java11", "java17", "java21", "java25"])
def test_each_java_runtime_maps_objects(deploy, classes, runtime):
    function = deploy(classes, "lab.Lab::twice", runtime=runtime)
    assert function({"item": "pen", "amount": 2, "unknown": 1}).value == {"item": "pen", "amount": 4}


def test_a_jar_below_lib_is_code(deploy, classes):
    function = deploy({"lib/lab.jar": zipped(classes)}, "lab.Lab::twice", runtime=JAVA)
    assert function({"item": "pen", "amount": 2}).value["amount"] == 4


@pytest.mark.parametrize(
    "handler, kind, message",
    [
        ("lab.Broken::go", "java.lang.IllegalStateException", "boot"),
        ("lab.Nope::go", "java.lang.ClassNotFoundException", "Class not found: lab.Nope"),
    ],
)
def test_errors_while_loading_java_are_told(deploy, classes, handler, kind, message):
    answer = deploy(classes, handler, runtime=JAVA)({})
    assert answer.error == "Unhandled"
    assert (answer.json["errorType"], answer.json["errorMessage"]) == (kind, message), answer.json


def test_options_for_the_machine_are_heeded_and_classes_come_from_the_archive(deploy, classes):
    """[Lambda guide: JAVA_TOOL_OPTIONS]"""
    options = {"JAVA_TOOL_OPTIONS": "-Xlog:class+load:file=/tmp/classes.txt"}
    function = deploy(classes, "lab.Lab", runtime=JAVA, Environment={"Variables": options})
    loaded = function({"do": "file", "name": "/tmp/classes.txt"}).value
    (api,) = (line for line in loaded.splitlines() if " kiln.runtime.Api source: " in line)
    assert "shared objects file (top)" in api, api


def test_a_wrapper_starts_java_wherever_it_went(deploy, classes):
    """[Lambda guide: wrapper scripts]"""
    files = {**classes, "wrap*": '#!/bin/bash\nexport WRAPPED=yes\ncd /\nexec "$@"\n'}
    settings = {"Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"}}}
    answer = deploy(files, "lab.Lab", runtime=JAVA, **settings)({"do": "environ"})
    assert answer.value["WRAPPED"] == "yes"


def test_the_java_example_greets(deploy, tmp_path):
    code = (Path(__file__).parent.parent / "examples/hello-java/src/hello/Hello.java").read_text()
    files = compiled(tmp_path, {"hello/Hello.java": code})
    answer = deploy(files, "hello.Hello::greet", runtime=JAVA)({"name": "you"})
    assert answer.value == {"message": "Hello, you, from Java", "calls": 1}
    assert "greeting you, call 1" in answer.log, answer.log
