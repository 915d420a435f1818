package kiln.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * Does once what every start does, so that the JVM can write the classes which that takes into an archive.
 * Not part of any function's process.
 */
public final class Training {
    private static final byte[] EVENT = "{\"a\":[1,2.5,\"b\",null,true],\"c\":{}}".getBytes(StandardCharsets.UTF_8);
    private static final String HEAD = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: i\r\n"
            + "Lambda-Runtime-Deadline-Ms: 1\r\nContent-Length: ";

    private Training() {}

    public static void main(String[] arguments) throws Throwable {
        Logs.setUp();
        try (final ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Thread answering = new Thread() {
                @Override
                public void run() {
                    answerTwice(server);
                }
            };
            answering.setDaemon(true);
            answering.start();
            Api api = new Api("127.0.0.1:" + server.getLocalPort());
            Api.Reply event = api.next();
            ClassLoader loader = new URLClassLoader(new URL[0], Training.class.getClassLoader());
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            for (String handler : new String[] {Echo.class.getName(), Echo.class.getName() + "::same"}) {
                Handler.find(handler, loader).call(event.body, out, new EventContext(event));
            }
            Fault.body(Fault.cut(new RuntimeException()));
            Fault.of("", new RuntimeException(), false).told();
            api.answer(event, "response", "", out.toByteArray());
        }
    }

    private static void answerTwice(ServerSocket server) {
        try (Socket socket = server.accept()) {
            InputStream in = socket.getInputStream();
            OutputStream out = socket.getOutputStream();
            for (int calls = 0; calls < 2; calls++) {
                if (in.read(new byte[1024]) < 0) {
                    return;
                }
                out.write((HEAD + EVENT.length + "\r\n\r\n").getBytes(StandardCharsets.UTF_8));
                out.write(EVENT);
            }
            while (in.read() >= 0) {
                continue; // until the other side has gone
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Properties of both kinds. */
    public static final class Bean {
        public Map<String, Object> c;
        private String text = "";

        public String getText() {
            return text;
        }

        public void setText(String text) {
            this.text = text;
        }
    }

    /** A handler of both kinds. */
    public static final class Echo implements RequestHandler<Map<String, Object>, Object> {
        @Override
        public Object handleRequest(Map<String, Object> event, Context context) {
            return event;
        }

        public Bean same(Bean bean, Context context) {
            return bean;
        }
    }
}
