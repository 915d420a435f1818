package kiln.runtime;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/** The Runtime API over one kept connection. */
final class Api {
    private static final String BASE = "/2018-06-01/runtime/";
    private static final int BUFFER_BYTES = 16 * 1024;

    /** An answer of the Runtime API; for `next`, an event. */
    static final class Reply {
        final int status;
        final Map<String, String> headers;
        final byte[] body;

        Reply(int status, Map<String, String> headers, byte[] body) {
            this.status = status;
            this.headers = headers;
            this.body = body;
        }

        String header(String name) {
            return headers.get("lambda-runtime-" + name);
        }
    }

    private final String address;
    private final InputStream in;
    private final OutputStream out;
    private final byte[] nextRequest;

    Api(String address) throws IOException {
        this.address = address;
        int colon = address.lastIndexOf(':');
        Socket socket = new Socket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
        socket.setTcpNoDelay(true);
        in = new BufferedInputStream(socket.getInputStream(), BUFFER_BYTES);
        out = socket.getOutputStream();
        nextRequest = head("GET", "invocation/next", "");
    }

    Reply next() throws IOException {
        out.write(nextRequest);
        return event();
    }

    /** Answers an event and asks for the next in one write. */
    Reply answerAndNext(Reply event, String kind, String headers, byte[] body, int length) throws IOException {
        send(post(event, kind, headers, length), body, length, nextRequest);
        check(read());
        return event();
    }

    /** Answers an event; returns when the server has the answer. */
    void answer(Reply event, String kind, String headers, byte[] body) throws IOException {
        send(post(event, kind, headers, body.length), body, body.length, new byte[0]);
        check(read());
    }

    /** Reports what went wrong outside of an event: `init/error` or `restore/error`. */
    void report(String path, String headers, byte[] body) throws IOException {
        send(head("POST", path, headers + "Content-Length: " + body.length + "\r\n"), body, body.length, new byte[0]);
        read();
    }

    /** Returns when the snapshot that this process is part of has been restored. */
    void restoreNext() throws IOException {
        out.write(head("GET", "restore/next", ""));
        check(read());
    }

    private void send(byte[] head, byte[] body, int length, byte[] tail) throws IOException {
        byte[] all = new byte[head.length + length + tail.length];
        System.arraycopy(head, 0, all, 0, head.length);
        System.arraycopy(body, 0, all, head.length, length);
        System.arraycopy(tail, 0, all, head.length + length, tail.length);
        out.write(all);
    }

    private byte[] post(Reply event, String kind, String headers, int length) {
        String attempt = event.header("invocation-id");
        // Newer servers name the attempt and want the name back.
        String echo = attempt == null ? "" : "Lambda-Runtime-Invocation-Id: " + attempt + "\r\n";
        String path = "invocation/" + event.header("aws-request-id") + "/" + kind;
        return head("POST", path, echo + headers + "Content-Length: " + length + "\r\n");
    }

    private byte[] head(String method, String path, String headers) {
        String text = method + " " + BASE + path + " HTTP/1.1\r\nHost: " + address + "\r\n" + headers + "\r\n";
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private Reply event() throws IOException {
        Reply reply = read();
        if (reply.status != 200) {
            throw new IOException("no next event: " + reply.status + " " + text(reply));
        }
        return reply;
    }

    /** An answer that was too large or too late is the server's to report; only its failure ends us. */
    private static void check(Reply reply) throws IOException {
        if (reply.status >= 500) {
            throw new IOException("the answer was refused: " + reply.status + " " + text(reply));
        }
    }

    private static String text(Reply reply) {
        return new String(reply.body, StandardCharsets.UTF_8);
    }

    private Reply read() throws IOException {
        int status = Integer.parseInt(line().substring(9, 12));
        Map<String, String> headers = new HashMap<>();
        for (String line = line(); !line.isEmpty(); line = line()) {
            int colon = line.indexOf(':');
            headers.put(line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).trim());
        }
        String length = headers.get("content-length");
        byte[] body = new byte[length == null ? 0 : Integer.parseInt(length)];
        for (int have = 0; have < body.length; ) {
            int more = in.read(body, have, body.length - have);
            if (more < 0) {
                throw new EOFException("the Runtime API is gone");
            }
            have += more;
        }
        return new Reply(status, headers, body);
    }

    private String line() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream(64);
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b < 0) {
                throw new EOFException("the Runtime API is gone");
            }
            if (b != '\r') {
                line.write(b);
            }
        }
        return new String(line.toByteArray(), StandardCharsets.UTF_8);
    }
}
