"""Ruby functions: events, context, errors, endings.  [spec 4.6, 4.8]"""

import re
from pathlib import Path

import pytest

from kiln import unique

#: Any Ruby of the host serves.
RUBY = "ruby3.4"

LAB = """
require 'logger'
LOG = Logger.new($stdout)
$count = 0

def handler(event:, context:)
  case event['do']
  when 'count' then $count += 1
  when 'raise' then raise ArgumentError, 'no'
  when 'nowhere' then nowhere_defined
  when 'exit' then exit!(3)
  when 'sleep' then sleep(event['seconds'])
  when 'environ' then ENV.to_h
  when 'context'
    {
      request: context.aws_request_id, name: context.function_name, version: context.function_version,
      arn: context.invoked_function_arn, memory: context.memory_limit_in_mb, group: context.log_group_name,
      left: context.get_remaining_time_in_millis
    }
  when 'log'
    puts "to stdout\\nin two lines"
    LOG.info('to the logger')
    'logged'
  else event
  end
end
"""


@pytest.fixture(scope="module")
def lab(module_deploy):
    return module_deploy({"lab.rb": LAB}, "lab.handler", runtime=RUBY)


def test_a_ruby_function_echoes_and_counts(lab):
    for value in [{"é": ["🥳", 1.5, None]}, {}]:
        assert lab(value).value == value
    first = lab({"do": "count"}).value
    assert lab({"do": "count"}).value == first + 1


def test_a_raised_error_has_the_shape_of_ruby(lab):
    answer = lab({"do": "raise"})
    assert answer.error == "Unhandled"
    assert (answer.json["errorType"], answer.json["errorMessage"]) == ("Function<ArgumentError>", "no")
    assert answer.json["stackTrace"][0].startswith("/var/task/lab.rb:9:in "), answer.json
    assert "Error raised from handler method" in answer.log, answer.log
    assert lab({"do": "count"}).value >= 1


def test_a_name_error_of_ruby_ends_the_environment(lab):
    before = lab({"do": "count"}).value
    assert before >= 1
    assert lab({"do": "nowhere"}).json["errorType"] == "Function<NameError>"
    assert lab({"do": "count"}).value == 1


def test_an_exit_of_ruby_is_an_exit_error(lab):
    answer = lab({"do": "exit"})
    assert answer.json["errorType"] == "Runtime.ExitError", answer.json


def test_the_context_of_ruby_says_what_is_true(lab):
    answer = lab({"do": "context"})
    left = answer.value.pop("left")
    assert 0 < left <= 15_000
    expected = {
        "request": answer.request_id, "name": lab.name, "version": "$LATEST", "arn": lab.arn,
        "memory": "128", "group": f"/aws/lambda/{lab.name}",
    }
    assert {k: v for k, v in answer.json.items() if k != "left"} == expected


def test_the_logger_of_ruby_names_the_request(lab):
    answer = lab({"do": "log"})
    assert answer.value == "logged"
    assert "to stdout\nin two lines\n" in answer.log, answer.log
    line = r"I, \[\S+ #\d+\]  INFO %s -- : to the logger\n" % answer.request_id
    assert re.search(line, answer.log), answer.log


def test_the_variables_of_ruby_are_there(lab):
    variables = lab({"do": "environ"}).value
    assert variables["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{RUBY}"
    assert variables["GEM_PATH"].startswith("/var/task/vendor/bundle/ruby/3.4.0:/opt/ruby/gems/3.4.0:")
    assert "/opt/ruby/lib" in variables["RUBYLIB"].split(":")
    assert not [name for name in variables if name.startswith(("_KILN", "_LAMBDA_TELEMETRY"))]


def test_a_ruby_timeout_is_a_timeout(deploy):
    function = deploy({"lab.rb": LAB}, "lab.handler", runtime=RUBY, Timeout=1)
    answer = function({"do": "sleep", "seconds": 10})
    assert answer.json["errorType"] == "Sandbox.Timedout", answer.json


@pytest.mark.parametrize(
    "code, handler, kind",
    [
        ("raise TypeError, 'boot'", "lab.handler", "Init<TypeError>"),
        (LAB, "nope.handler", "Init<LoadError>"),
        ("def", "lab.handler", "Init<SyntaxError>"),
    ],
)
def test_errors_while_loading_ruby_are_told(deploy, code, handler, kind):
    function = deploy({"lab.rb": code}, handler, runtime=RUBY)
    answer = function({})
    assert answer.error == "Unhandled" and answer.json["errorType"] == kind, answer.json


def test_a_ruby_class_method_is_a_handler_with_libraries_of_the_package(deploy):
    files = {
        "app/main.rb": "require 'greeting'\nmodule App\n class Main\n  def self.run(event:, context:) = greet(event)\n"
        "  def self.greet(name) = Greeting.for(name)\n end\nend\n",
        "greeting.rb": "module Greeting\n def self.for(name) = \"hello #{name}\"\nend\n",
    }
    function = deploy(files, "app/main.App::Main.run", runtime=RUBY, name=unique("class"))
    assert function("you").value == "hello you"


def test_a_wrapper_starts_ruby(deploy):
    """[Lambda guide: wrapper scripts]"""
    files = {"lab.rb": LAB, "wrap*": '#!/bin/bash\nexport WRAPPED=yes\nexec "$@"\n'}
    settings = {"Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"}}}
    function = deploy(files, "lab.handler", runtime=RUBY, **settings)
    assert function({"do": "environ"}).value["WRAPPED"] == "yes"


def test_the_ruby_example_greets(deploy):
    code = (Path(__file__).parent.parent / "examples/hello-ruby/index.rb").read_text()
    answer = deploy({"index.rb": code}, runtime=RUBY)({"name": "you"})
    want = {"message": "Hello, you, from Ruby", "calls": 1, "request": answer.request_id}
    assert answer.value == want
    assert "greeting you, call 1" in answer.log, answer.log
