package kiln.runtime;

import com.amazonaws.services.lambda.crac.CheckpointException;
import com.amazonaws.services.lambda.crac.Core;
import com.amazonaws.services.lambda.crac.RestoreException;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaRuntimeInternal;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOError;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The main program of the Java runtimes: loads the handler, then asks the Runtime API for events and answers them. */
public final class Main {
    private static final int EXIT_INIT = 1;
    private static final int EXIT_SNAPSHOT = 64;

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Logs.setUp();
        Api api = new Api(System.getenv("AWS_LAMBDA_RUNTIME_API"));
        // A wrapper may have gone to another folder.
        String root = System.getenv("LAMBDA_TASK_ROOT");
        ClassLoader loader = loader(root == null ? System.getProperty("user.dir") : root);
        Thread.currentThread().setContextClassLoader(loader);
        try {
            Handler handler = load(api, loader);
            if ("snap-start".equals(System.getenv("AWS_LAMBDA_INITIALIZATION_TYPE"))) {
                aroundSnapshot(api);
            }
            serve(api, handler, loader);
        } catch (IOException e) {
            System.err.println(e.getMessage());
            System.exit(EXIT_INIT);
        }
    }

    /** The function's classes and jars, then those of layers.  [Lambda guide: Java packages and layers] */
    private static ClassLoader loader(String root) throws IOException {
        List<URL> urls = new ArrayList<>();
        urls.add(new File(root + "/").toURI().toURL());
        for (String folder : new String[] {root + "/lib", "/opt/java/lib"}) {
            String[] names = new File(folder).list();
            if (names == null) {
                continue;
            }
            Arrays.sort(names);
            for (String name : names) {
                if (name.endsWith(".jar") && name.length() > 4) {
                    urls.add(new File(folder, name).toURI().toURL());
                }
            }
        }
        return new URLClassLoader(urls.toArray(new URL[0]), Main.class.getClassLoader());
    }

    private static Handler load(Api api, ClassLoader loader) throws IOException {
        try {
            return Handler.find(System.getenv("_HANDLER"), loader);
        } catch (Fault fault) {
            Logs.error(fault);
            api.report("init/error", Fault.headers(fault), Fault.body(fault));
            System.exit(EXIT_INIT);
            throw fault;
        }
    }

    /** Runs the hooks that the function registered.  [Lambda guide: SnapStart hooks] */
    private static void aroundSnapshot(Api api) throws IOException {
        try {
            Core.getGlobalContext().beforeCheckpoint(null);
            api.restoreNext();
        } catch (CheckpointException | RuntimeException e) {
            Logs.error(Fault.of(e, true));
            api.report("init/error", Fault.headers("BeforeCheckpointError"), Fault.body(e));
            System.exit(EXIT_SNAPSHOT);
        }
        try {
            Core.getGlobalContext().afterRestore(null);
        } catch (RestoreException | RuntimeException e) {
            Logs.error(Fault.of(e, true));
            api.report("restore/error", Fault.headers("AfterRestoreError"), Fault.body(e));
            System.exit(EXIT_SNAPSHOT);
        }
    }

    private static void serve(Api api, Handler handler, ClassLoader loader) throws IOException {
        Answer answer = new Answer();
        Api.Reply event = api.next();
        while (true) {
            Logs.setEvent(event);
            String trace = event.header("trace-id");
            if (trace == null) {
                System.clearProperty("com.amazonaws.xray.traceHeader");
            } else {
                System.setProperty("com.amazonaws.xray.traceHeader", trace);
            }
            answer.reset();
            Throwable error = null;
            try {
                Context context = new EventContext(event);
                if (LambdaRuntimeInternal.getUseLog4jAppender()) {
                    tellLog4j(loader, context);
                }
                handler.call(event.body, answer, context);
                // A handler may have left the mark.
                Thread.interrupted();
            } catch (Throwable e) {
                error = Fault.cut(e);
            }
            if (error == null) {
                event = api.answerAndNext(event, "response", "Content-Type: application/json\r\n", answer.bytes(), answer.size());
                continue;
            }
            Fault fault = Fault.of(error, false);
            Logs.error(fault);
            byte[] body = Fault.body(error);
            if (fault.isFatal || error instanceof VirtualMachineError || error instanceof IOError) {
                api.answer(event, "error", Fault.headers(error), body);
                System.exit(EXIT_INIT);
            }
            event = api.answerAndNext(event, "error", Fault.headers(error), body, body.length);
        }
    }

    /** Log4j writes the request's id where it is told it. */
    private static void tellLog4j(ClassLoader loader, Context context) {
        for (String name : new String[] {"org.apache.logging.log4j.ThreadContext", "org.apache.log4j.MDC"}) {
            Class<?> value = name.endsWith("MDC") ? Object.class : String.class;
            try {
                loader.loadClass(name).getMethod("put", String.class, value).invoke(null, "AWSRequestId", context.getAwsRequestId());
            } catch (ReflectiveOperationException e) {
                continue; // the function uses the other
            }
        }
    }

    /** Gives its bytes without a copy. */
    private static final class Answer extends ByteArrayOutputStream {
        byte[] bytes() {
            return buf;
        }
    }
}
