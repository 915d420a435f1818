package kiln.runtime;

import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UnsupportedEncodingException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.Map;

/** The logger of the function.  [Lambda guide: Java logging] */
public final class Logs implements LambdaLogger {
    private static final int TEXT_FRAME = 0xa55a0003;
    private static final int JSON_FRAME = 0xa55a0002;
    private static final int FRAME_HEAD_BYTES = 16;

    private static boolean isJson;
    private static LogLevel least = LogLevel.UNDEFINED;
    /** The framed log; `null` where messages go to stdout. */
    private static OutputStream frames;
    /** Follows a handler into the threads that it starts. */
    private static final InheritableThreadLocal<Api.Reply> EVENT = new InheritableThreadLocal<>();

    /** Reads how to log from the environment. */
    static void setUp() throws IOException {
        isJson = "JSON".equalsIgnoreCase(System.getenv("AWS_LAMBDA_LOG_FORMAT"));
        String level = System.getenv("AWS_LAMBDA_LOG_LEVEL");
        if (level != null) {
            least = LogLevel.fromString(level);
        }
        String fd = System.getenv("_LAMBDA_TELEMETRY_LOG_FD");
        frames = fd == null ? null : new FileOutputStream(Descriptors.of(Integer.parseInt(fd)));
        System.setOut(stream(FileDescriptor.out));
        System.setErr(stream(FileDescriptor.err));
    }

    private static PrintStream stream(FileDescriptor fd) throws UnsupportedEncodingException {
        return new PrintStream(new FileOutputStream(fd), false, "UTF-8");
    }

    static void setEvent(Api.Reply event) {
        EVENT.set(event);
    }

    /** Logs an error that ends an invocation or the process. */
    static void error(Fault fault) {
        new Logs().log(fault.told(), isJson ? LogLevel.ERROR : LogLevel.UNDEFINED);
    }

    @Override
    public void log(String message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(String message, LogLevel level) {
        if (!isLogged(level)) {
            return;
        }
        String text = String.valueOf(message);
        if (isJson) {
            text = json(text, level);
        } else if (level != LogLevel.UNDEFINED) {
            text = "[" + level + "] " + text;
        }
        write(text.getBytes(StandardCharsets.UTF_8), level);
    }

    @Override
    public void log(byte[] message, LogLevel level) {
        if (isLogged(level)) {
            write(message == null ? "null".getBytes(StandardCharsets.UTF_8) : message, level);
        }
    }

    private static boolean isLogged(LogLevel level) {
        return level == LogLevel.UNDEFINED || level.ordinal() >= least.ordinal();
    }

    private static String json(String message, LogLevel level) {
        Map<String, Object> line = new LinkedHashMap<>();
        DateTimeFormatter format = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'");
        line.put("timestamp", format.withZone(ZoneOffset.UTC).format(Instant.now()));
        line.put("message", message);
        line.put("level", level.name());
        Api.Reply event = EVENT.get();
        if (event != null) {
            line.put("AWSRequestId", event.header("aws-request-id"));
            line.put("tenantId", event.header("aws-tenant-id"));
        }
        return Json.write(line) + "\n";
    }

    private static synchronized void write(byte[] message, LogLevel level) {
        try {
            if (frames == null) {
                System.out.write(message);
                System.out.flush();
                return;
            }
            Instant now = Instant.now();
            ByteBuffer frame = ByteBuffer.allocate(FRAME_HEAD_BYTES + message.length);
            frame.putInt((isJson ? JSON_FRAME : TEXT_FRAME) | level.ordinal() << 2);
            frame.putInt(message.length);
            frame.putLong(now.getEpochSecond() * 1_000_000 + now.getNano() / 1000);
            frame.put(message);
            frames.write(frame.array());
        } catch (IOException e) {
            e.printStackTrace();
        }
    }
}
