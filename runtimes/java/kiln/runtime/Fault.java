package kiln.runtime;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** An error that the runtime itself found, or one of the function's while it was loaded. */
@SuppressWarnings("serial")
final class Fault extends RuntimeException {
    private static final String OURS = "kiln.runtime.";

    final String type;
    final String trace;
    /** Nothing of the function can run after it. */
    final boolean isFatal;

    private Fault(String message, String type, String trace, boolean isFatal) {
        super(message, null, false, false);
        this.type = type;
        this.trace = trace;
        this.isFatal = isFatal;
    }

    static Fault of(String message) {
        return new Fault(message, null, null, false);
    }

    static Fault of(String message, Throwable cause, boolean isFatal) {
        return new Fault(message, cause.getClass().getName(), trace(cause), isFatal);
    }

    static Fault of(Throwable cause, boolean isFatal) {
        return cause instanceof Fault ? (Fault) cause : of(message(cause), cause, isFatal);
    }

    static String message(Throwable error) {
        String message = error.getLocalizedMessage();
        return message == null ? error.getClass().getName() : message;
    }

    /** What the log shows. */
    String told() {
        if (type == null && trace == null) {
            return getMessage() + "\n";
        }
        return getMessage() + ": " + (type == null ? "" : type) + "\n" + (trace == null ? "" : trace) + "\n";
    }

    /** The body that the caller gets.  [Lambda guide: Java errors] */
    static byte[] body(Throwable error) {
        Map<String, Object> body = new LinkedHashMap<>();
        if (error instanceof Fault) {
            body.put("errorMessage", error.getMessage());
            body.put("errorType", ((Fault) error).type);
        } else {
            body.put("errorMessage", message(error));
            body.put("errorType", error.getClass().getName());
            List<String> frames = new ArrayList<>();
            for (StackTraceElement frame : error.getStackTrace()) {
                frames.add(frame.toString());
            }
            body.put("stackTrace", frames);
        }
        return Json.write(body).getBytes(StandardCharsets.UTF_8);
    }

    static String headers(Throwable error) {
        return headers(error instanceof Fault ? "BadFunctionCode" : "UserException");
    }

    static String headers(String type) {
        return "Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: Runtime." + type + "\r\n";
    }

    static String trace(Throwable error) {
        StringWriter text = new StringWriter();
        cut(error).printStackTrace(new PrintWriter(text, true));
        return text.toString();
    }

    /** Takes the runtime's own frames, which are the outermost, out of an error and all that it holds. */
    static <T extends Throwable> T cut(T error) {
        cut(error, Collections.newSetFromMap(new IdentityHashMap<Throwable, Boolean>()));
        return error;
    }

    private static void cut(Throwable error, Set<Throwable> seen) {
        if (error == null || !seen.add(error)) {
            return;
        }
        StackTraceElement[] trace = error.getStackTrace();
        for (int at = 0; at < trace.length; at++) {
            if (trace[at].getClassName().startsWith(OURS)) {
                StackTraceElement[] kept = new StackTraceElement[at];
                System.arraycopy(trace, 0, kept, 0, at);
                error.setStackTrace(kept);
                break;
            }
        }
        cut(error.getCause(), seen);
        for (Throwable suppressed : error.getSuppressed()) {
            cut(suppressed, seen);
        }
    }
}
