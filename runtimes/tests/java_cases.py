"""What every Java runtime must do. Each case is one process; the name says what is expected."""

import json
import os
import pathlib
import subprocess
import tempfile

import mock

HERE = pathlib.Path(__file__).resolve().parent
#: As `invoke::launch` starts it, but for the archive of classes.
FLAGS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
OPENS = ["--add-opens=java.base/java.io=ALL-UNNAMED"]

CODE = {
    "p/Basic.java": """
package p;
import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
import java.util.*;
public class Basic {
    static int calls;
    public static class Boom extends RuntimeException { public Boom(String m, Throwable c) { super(m, c); } }
    public Object echo(Object event) { return event; }
    public static int count() { return ++calls; }
    public void nothing(String s) { }
    public String overloaded(String s) { return "short"; }
    public String overloaded(String s, Context c) { return "long"; }
    public int length(List<String> all) { return all.size(); }
    public String typed(Map<String, Integer> m) { int sum = 0; for (int i : m.values()) sum += i; return "sum " + sum; }
    public void copy(InputStream in, OutputStream out) throws IOException {
        for (int b = in.read(); b >= 0; b = in.read()) out.write(b);
        out.write('!');
    }
    public String fail(String m) {
        try { throw new IllegalStateException("inner"); } catch (IllegalStateException e) { throw new Boom(m, e); }
    }
    public String outOfMemory(String m) { throw new OutOfMemoryError(m); }
    public String exit(int code) { System.exit(code); return ""; }
    public Map<String, String> environment() { return System.getenv(); }
    public List<Object> place() throws Exception {
        Process child = new ProcessBuilder("/bin/sh", "-c", "printf %s \\"$MINE\\"").start();
        String mine = new BufferedReader(new InputStreamReader(child.getInputStream())).readLine();
        return Arrays.<Object>asList(System.getProperty("user.dir"), new File("x").getAbsolutePath(), mine);
    }
    public String print() { System.out.println("out"); System.err.print("err"); return System.getProperty("com.amazonaws.xray.traceHeader"); }
    public String log(Object event, Context c) {
        c.getLogger().log("plain\\nlines\\n");
        c.getLogger().log("low", com.amazonaws.services.lambda.runtime.logging.LogLevel.DEBUG);
        LambdaRuntime.getLogger().log("high", com.amazonaws.services.lambda.runtime.logging.LogLevel.ERROR);
        return "logged";
    }
    public Map<String, Object> context(Object event, Context c) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("id", c.getAwsRequestId()); m.put("name", c.getFunctionName()); m.put("version", c.getFunctionVersion());
        m.put("memory", c.getMemoryLimitInMB()); m.put("group", c.getLogGroupName()); m.put("stream", c.getLogStreamName());
        m.put("arn", c.getInvokedFunctionArn()); m.put("left", c.getRemainingTimeInMillis() > 1000);
        m.put("identity", c.getIdentity() == null ? null : c.getIdentity().getIdentityId());
        m.put("custom", c.getClientContext() == null ? null : c.getClientContext().getCustom());
        m.put("title", c.getClientContext() == null ? null : c.getClientContext().getClient().getAppTitle());
        m.put("tenant", c.getTenantId());
        return m;
    }
    private static class Hidden implements RequestHandler<String, String> {
        public String handleRequest(String s, Context c) { return s; }
    }
    public static class Generic<T> { public T value; public List<T> more; }
    public String generic(Generic<Integer> g) { return g.value + g.more.get(0) + ""; }
}
""",
    "p/Order.java": """
package p;
import java.math.BigDecimal;
import java.time.*;
import java.util.*;
public class Order {
    public enum Size { SMALL, LARGE }
    private String name; private int count; private boolean urgent; private Double price; private List<Item> items;
    private Size size; private BigDecimal exact; private byte[] raw; private Map<String, Item> byName; private UUID id;
    private Instant at; private LocalDate day; private Optional<String> note = Optional.empty(); private String URL;
    private String secret = "hidden"; public long total; private transient int skipped = 1; private Date date;
    public static class Item { public String sku; public int[] sizes; public Item next; }
    public String getName() { return name; } public void setName(String v) { name = v; }
    public int getCount() { return count; } public void setCount(int v) { count = v; }
    public boolean isUrgent() { return urgent; } public void setUrgent(boolean v) { urgent = v; }
    public Double getPrice() { return price; } public void setPrice(Double v) { price = v; }
    public List<Item> getItems() { return items; } public void setItems(List<Item> v) { items = v; }
    public Size getSize() { return size; } public void setSize(Size v) { size = v; }
    public BigDecimal getExact() { return exact; } public void setExact(BigDecimal v) { exact = v; }
    public byte[] getRaw() { return raw; } public void setRaw(byte[] v) { raw = v; }
    public Map<String, Item> getByName() { return byName; } public void setByName(Map<String, Item> v) { byName = v; }
    public UUID getId() { return id; } public void setId(UUID v) { id = v; }
    public Instant getAt() { return at; } public void setAt(Instant v) { at = v; }
    public LocalDate getDay() { return day; } public void setDay(LocalDate v) { day = v; }
    public Optional<String> getNote() { return note; } public void setNote(Optional<String> v) { note = v; }
    public String getURL() { return URL; } public void setURL(String v) { URL = v; }
    public Date getDate() { return date; } public void setDate(Date v) { date = v; }
    public Order same(Order order) { return order; }
}
""",
    "p/Interface.java": """
package p;
import com.amazonaws.services.lambda.runtime.*;
import java.util.*;
abstract class Base<A> implements RequestHandler<A, Map<String, A>> { }
public class Interface extends Base<List<Long>> {
    public Map<String, List<Long>> handleRequest(List<Long> in, Context c) {
        long sum = 0; for (Long l : in) sum += l;
        return Collections.singletonMap("sum", Arrays.asList(sum));
    }
}
""",
    "p/Stream.java": """
package p;
import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
public class Stream implements RequestStreamHandler {
    public void handleRequest(InputStream in, OutputStream out, Context c) throws IOException { out.write("{}".getBytes()); }
}
""",
    "p/Broken.java": """
package p;
public class Broken { public Broken() { throw new IllegalStateException("boot"); } public String go(String s) { return s; } }
""",
    "p/Static.java": "package p; public class Static { static { if (true) throw new Error(\"early\"); } public void go() { } }",
    "p/Hooks.java": """
package p;
import com.amazonaws.services.lambda.crac.*;
import java.util.*;
public class Hooks {
    static final List<String> SEEN = new ArrayList<>();
    static final List<Resource> KEPT = new ArrayList<>();
    static void add(String n) {
        Resource r = new Resource() {
            public void beforeCheckpoint(Context<? extends Resource> c) { SEEN.add("before " + n); }
            public void afterRestore(Context<? extends Resource> c) { SEEN.add("after " + n); }
        };
        KEPT.add(r); Core.getGlobalContext().register(r);
    }
    static { add("a"); add("b"); }
    public List<String> seen() { return SEEN; }
}
""",
    "p/Mine.java": """
package p;
import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import java.io.*;
import java.lang.reflect.Type;
public class Mine implements CustomPojoSerializer {
    @SuppressWarnings("unchecked") public <T> T fromJson(InputStream in, Type t) { return (T) "mine"; }
    @SuppressWarnings("unchecked") public <T> T fromJson(String in, Type t) { return (T) "mine"; }
    public <T> void toJson(T v, OutputStream out, Type t) {
        try { out.write(("[\\"" + v + "\\"]").getBytes()); } catch (IOException e) { throw new UncheckedIOException(e); }
    }
}
""",
}
RECORD = """
package p;
import java.util.*;
public class Records {
    public record Point(int x, Integer y, List<String> tags) { }
    public Point go(Point p) { return new Point(p.x() + 1, p.y(), p.tags()); }
}
"""


def compiled(home, sources, into, classpath=None):
    """Compiles as the bootstrap is compiled: by the JDK that runs it."""
    javac = os.path.join(os.path.dirname(home), "javac")
    options = ["-cp", classpath] if classpath else []
    subprocess.run([javac, "-nowarn", "-encoding", "UTF-8", "-d", into, *options, *sources], check=True)


class Cases:
    def __init__(self, java, version):
        self.java = java
        self.version = version
        self._kept = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self._kept.name)
        self.runtime = str(folder / "runtime")
        compiled(java, [str(path) for path in (HERE.parent / "java").rglob("*.java")], self.runtime)
        code = dict(CODE, **({"p/Records.java": RECORD} if version >= (16,) else {}))
        for name, text in code.items():
            path = folder / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        compiled(java, [str(folder / "source" / name) for name in code], str(folder / "code"), self.runtime)
        found = (folder / "code").rglob("*.class")
        self.files = {str(path.relative_to(folder / "code")): path.read_bytes() for path in found}

    def run(self, _bootstrap, handler="p.Basic::echo", files=None, **kwargs):
        kwargs.setdefault("version", "AWS_Lambda_java17")
        opens = OPENS if self.version >= (9,) else []
        argv = [self.java, *FLAGS, *opens, "-cp", self.runtime, "kiln.runtime.Main"]
        return mock.run(argv, handler, {**self.files, **(files or {})}, **kwargs)

    def any_json_goes_in_and_out(self, b):
        values = [{"a": [1, 2.5, True, "x"]}, "text\\\"\n\u0001", 7, [], None, {"é": "\u2028 🥳"}, 2**40, 10**30, -1e-7, {}]
        run = self.run(b, events=values)
        assert [json.loads(text) for _, _, text in run.answers] == values, (run.answers, run.stderr)
        attempts = [headers["lambda-runtime-invocation-id"] for _, headers, _ in run.answers]
        assert attempts == [str(n) for n in range(len(values))], attempts
        # AWS's runtime leaves entries without a value out.
        assert self.run(b, events=[{"a": None, "b": [None]}]).answer() == ("response", {"b": [None]})

    def a_large_event_and_answer_pass(self, b):
        run = self.run(b, events=["x" * 5_000_000, "é" * 2_000_000])
        assert [len(text) for _, _, text in run.answers] == [5_000_002, 4_000_002]

    def handlers_of_every_form_are_found(self, b):
        for handler, event, want in [
            ("p.Basic::overloaded", "x", "long"),
            ("p.Basic::length", ["a", "b"], 2),
            ("p.Basic::length", "single", 1),
            ("p.Basic::typed", {"a": 1, "b": "2"}, "sum 3"),
            ("p.Basic::nothing", "x", None),
            ("p.Basic::generic", {"value": 1, "more": ["2"]}, "3"),
            ("p.Interface", [1, 2, 3], {"sum": [6]}),
            ("p.Interface::handleRequest", [1, 2**40], {"sum": [1 + 2**40]}),
            ("p.Stream", {"echo": "echo"}, {}),
            ("p.Stream::handleRequest", 1, {}),
        ]:
            run = self.run(b, handler, events=[event])
            assert run.answer() == ("response", want), (handler, run.answers, run.stdout, run.stderr)
        run = self.run(b, "p.Basic::copy", events=[{"a": 1}])
        assert run.answers[0][2] == b'{"a": 1}!', run.answers
        assert self.run(b, "p.Basic::count", events=[0, 0, 0]).answer(2) == ("response", 3)

    def objects_are_mapped_by_their_properties(self, b):
        event = {
            "name": "n", "count": "3", "urgent": True, "price": 1.5, "size": "LARGE", "exact": 1.10,
            "items": [{"sku": "s", "sizes": [1, 2], "next": {"sku": "t"}, "unknown": 1}], "raw": "AAEC",
            "byName": {"k": {"sku": "u"}}, "id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "at": "2026-01-02T03:04:05Z",
            "day": "2026-01-02", "note": "x", "URL": "u", "total": 5, "secret": "no", "Date": 1500,
        }
        got = self.run(b, "p.Order::same", events=[event]).answer()[1]
        want = {
            **event, "count": 3, "at": 1767323045.0, "day": [2026, 1, 2], "date": 1500,
            "items": [{"sku": "s", "sizes": [1, 2], "next": {"sku": "t"}}],
        }
        for name in ("secret", "Date"):
            del want[name]
        assert got == want, got
        # In the order of the fields.
        run = self.run(b, "p.Order::same", events=[{"name": "n", "size": "HUGE", "items": []}])
        text = run.answers[0][2].decode()
        assert text == '{"name":"n","count":0,"urgent":false,"items":[],"total":0}', text

    def records_are_mapped_by_their_components(self, b):
        if self.version < (16,):
            return
        run = self.run(b, "p.Records::go", events=[{"x": 1, "tags": ["a"]}])
        assert run.answer() == ("response", {"x": 2, "tags": ["a"]}), run.answers

    def events_that_do_not_fit_are_errors(self, b):
        for handler, event, why in [
            ("p.Basic::typed", [1, 2], "Cannot deserialize value of type `java.util.Map` from Array value"),
            ("p.Basic::overloaded", {"a": 1}, "Cannot deserialize value of type `java.lang.String` from Object value"),
            ("p.Basic::exit", "x", "Cannot deserialize value of type `int` from String \"x\""),
            ("p.Order::same", 7, "Cannot deserialize value of type `p.Order`"),
        ]:
            run = self.run(b, handler, events=[event])
            kind, error = run.answer()
            assert kind == "error" and error["errorType"] == "java.lang.RuntimeException", error
            assert error["errorMessage"] == "An error occurred during JSON parsing", error
            assert why in run.stdout, run.stdout

    def an_exception_shows_its_type_message_and_stack(self, b):
        run = self.run(b, "p.Basic::fail", events=["one", "two"])
        kind, error = run.answer()
        assert kind == "error" and len(run.answers) == 2 and run.exit is None
        assert (error["errorType"], error["errorMessage"]) == ("p.Basic$Boom", "one"), error
        assert error["stackTrace"][0].startswith("p.Basic.fail(Basic.java:"), error
        assert not [frame for frame in error["stackTrace"] if "kiln" in frame], error
        assert run.answers[0][1]["lambda-runtime-function-error-type"] == "Runtime.UserException"
        lines = run.stdout.splitlines()
        assert lines[:2] == ["one: p.Basic$Boom", "p.Basic$Boom: one"], lines
        assert "Caused by: java.lang.IllegalStateException: inner" in lines, lines

    def an_error_of_the_machine_ends_the_process(self, b):
        run = self.run(b, "p.Basic::outOfMemory", events=["m", "n"])
        assert run.answer()[1]["errorType"] == "java.lang.OutOfMemoryError"
        assert (len(run.answers), run.exit) == (1, 1)
        assert self.run(b, "p.Basic::exit", events=[4]).exit == 4

    def a_handler_that_is_not_there_is_told_to_each_call(self, b):
        for handler, kind, message in [
            ("p.Nope::x", "java.lang.ClassNotFoundException", "Class not found: p.Nope"),
            ("p.Basic::nope", None, "No public method named nope with appropriate method signature found on class p.Basic"),
            ("p.Basic", None, "Class does not implement an appropriate handler interface: p.Basic"),
            ("::x", None, "Invalid handler: `::x'"),
        ]:
            run = self.run(b, handler, events=[1, 2])
            got, error = run.answer()
            want = {"errorMessage": message, **({"errorType": kind} if kind else {})}
            assert (got, error, len(run.answers)) == ("error", want, 2), error
            assert run.answers[0][1]["lambda-runtime-function-error-type"] == "Runtime.BadFunctionCode"

    def errors_while_loading_are_init_errors(self, b):
        for handler, kind, message in [
            ("p.Broken::go", "java.lang.IllegalStateException", "boot"),
            ("p.Static::go", "java.lang.Error", "Error loading class p.Static: early"),
        ]:
            run = self.run(b, handler)
            headers, error = run.init_error
            assert error == {"errorMessage": message, "errorType": kind}, error
            assert headers["lambda-runtime-function-error-type"] == "Runtime.BadFunctionCode"
            assert run.exit == 1 and not run.answers
            assert run.stdout.startswith("%s: %s\n" % (message, kind)), run.stdout

    def the_context_is_complete(self, b):
        fixed = {
            "id": mock.REQUEST, "name": "f", "version": "$LATEST", "memory": 128, "group": "/aws/lambda/f",
            "stream": "stream", "arn": mock.ARN, "left": True,
        }
        assert self.run(b, "p.Basic::context").answer()[1] == fixed
        run = self.run(
            b,
            "p.Basic::context",
            headers={
                "Lambda-Runtime-Client-Context": '{"custom":{"k":"v"},"client":{"app_title":"t"}}',
                "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i"}',
                "Lambda-Runtime-Aws-Tenant-Id": "blue",
            },
        )
        assert run.answer()[1] == {**fixed, "custom": {"k": "v"}, "title": "t", "identity": "i", "tenant": "blue"}

    def what_is_printed_comes_at_once(self, b):
        run = self.run(b, "p.Basic::print", events=[1, 2])
        assert (run.stdout, run.stderr) == ("out\nout\n", "errerr"), (run.stdout, run.stderr)
        assert run.answer(1)[1] == "Root=1-0-0;Sampled=1"

    def the_logger_writes_messages(self, b):
        run = self.run(b, "p.Basic::log")
        assert run.stdout == "plain\nlines\n[DEBUG] low[ERROR] high", run.stdout
        run = self.run(b, "p.Basic::log", framed=True)
        assert run.frames == [(0xA55A0003, "plain\nlines\n"), (0xA55A000B, "[DEBUG] low"), (0xA55A0017, "[ERROR] high")]

    def the_logger_writes_the_json_format(self, b):
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
        run = self.run(b, "p.Basic::log", env=env, framed=True)
        (first, plain), (second, high) = run.frames
        assert (first, second) == (0xA55A0002, 0xA55A0016), run.frames
        plain, high = json.loads(plain), json.loads(high)
        assert plain["message"] == "plain\nlines\n" and plain["level"] == "UNDEFINED", plain
        assert (high["message"], high["level"], high["AWSRequestId"]) == ("high", "ERROR", mock.REQUEST), high
        run = self.run(b, "p.Basic::fail", events=["x"], env=env, framed=True)
        ((kind, line),) = run.frames
        assert kind == 0xA55A0016 and json.loads(line)["message"].startswith("x: p.Basic$Boom\n"), run.frames

    def a_function_may_bring_its_own_serializer(self, b):
        files = {"META-INF/services/com.amazonaws.services.lambda.runtime.CustomPojoSerializer": "p.Mine\n"}
        assert self.run(b, "p.Basic::echo", files=files).answer() == ("response", ["mine"])

    def jars_below_lib_are_on_the_class_path(self, b):
        with tempfile.TemporaryDirectory() as folder:
            jar = pathlib.Path(folder, "lib.jar")
            source = pathlib.Path(folder, "q", "Q.java")
            source.parent.mkdir()
            source.write_text("package q; public class Q { public String go(String s) { return s + \"!\"; } }")
            compiled(self.java, [str(source)], folder)
            tool = os.path.join(os.path.dirname(self.java), "jar")
            subprocess.run([tool, "cf", str(jar), "-C", folder, "q"], check=True)
            run = self.run(b, "q.Q::go", files={"lib/a.jar": jar.read_bytes()}, events=["x"])
        assert run.answer() == ("response", "x!"), run.stdout

    def snapshot_hooks_run_around_the_restore(self, b):
        env = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
        run = self.run(b, "p.Hooks::seen", env=env)
        assert [kind for kind, _, _ in run.answers] == ["restore", "response"]
        assert run.answer(1)[1] == ["before b", "before a", "after a", "after b"], run.answers

    def the_variables_are_those_of_the_function(self, b):
        run = self.run(b, "p.Basic::environment", env={"MINE": "a=b"})
        assert run.answer()[1]["MINE"] == "a=b"
        assert self.run(b, "p.Basic::place", env={"MINE": "a=b"}).answer()[1] == ["/var/task", "/var/task/x", "a=b"]
