"""The Runtime API over one kept connection.

The answer to one event and the question for the next travel together: one system call, one wake-up
of the server. The reply to the answer is read when the next event has come.
"""

import _socket

_RECEIVE = 65536
_BASE = "/2018-06-01/runtime/"


class Client:
    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._host = address
        self._next = self._request("GET", "invocation/next", "User-Agent: kiln-python\r\n")
        self._socket = None
        self._rest = b""

    def _request(self, method, path, headers):
        text = "%s %s%s HTTP/1.1\r\nHost: %s\r\n%s\r\n"
        return (text % (method, _BASE, path, self._host, headers)).encode("utf-8")

    def _send(self, *parts):
        if self._socket is None:
            self._socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
            self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            self._socket.connect(self._address)
            self._rest = b""
        for part in parts:
            self._socket.sendall(part)

    def _close(self):
        self._socket.close()
        self._socket = None

    def _more(self):
        data = self._socket.recv(_RECEIVE)
        if not data:
            raise ConnectionError("the Runtime API closed the connection")
        return data

    def _receive(self):
        """Reads one answer: status, headers by lower-case name, body."""
        data = self._rest
        end = data.find(b"\r\n\r\n")
        while end < 0:
            data += self._more()
            end = data.find(b"\r\n\r\n")
        lines = data[:end].decode("utf-8", "replace").split("\r\n")
        head = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            head[name.lower()] = value.strip()
        start = end + 4
        stop = start + int(head.get("content-length", 0))
        if len(data) < stop:
            parts, have = [data], len(data)
            while have < stop:
                data = self._more()
                parts.append(data)
                have += len(data)
            data = b"".join(parts)
        self._rest = data[stop:]
        status = int(lines[0].split(" ", 2)[1])
        return status, head, data[start:stop]

    def next(self):
        self._send(self._next)
        return self._event()

    def _event(self):
        status, head, body = self._receive()
        if status != 200:
            raise RuntimeError("no next event: %d %s" % (status, body.decode("utf-8", "replace")))
        return head, body

    def answer_and_next(self, head, content, error_type):
        """Answers the event that came with `head`; returns the next one."""
        path = "invocation/%s/%s" % (
            head.get("lambda-runtime-aws-request-id"),
            "response" if error_type is None else "error",
        )
        headers = "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(content)
        invocation = head.get("lambda-runtime-invocation-id")
        if invocation is not None:
            headers += "Lambda-Runtime-Invocation-Id: %s\r\n" % invocation
        if error_type is not None:
            headers += _error_type(error_type)
        post = self._request("POST", path, headers)
        if len(content) <= _RECEIVE:
            self._send(b"".join((post, content, self._next)))
        else:
            self._send(post, content, self._next)
        status, answer, body = self._receive()
        if status >= 500:
            raise RuntimeError("the answer was refused: %d %s" % (status, body))
        if answer.get("connection", "").lower() == "close":
            self._close()
            return self.next()
        return self._event()

    def init_error(self, error_type, content):
        self._post_once("init/error", error_type, content)

    def restore_next(self):
        self._send(self._request("GET", "restore/next", ""))
        status, _, body = self._receive()
        if status != 200:
            raise RuntimeError("no restore: %d %s" % (status, body))

    def restore_error(self, error_type, content):
        self._post_once("restore/error", error_type, content)

    def _post_once(self, path, error_type, content):
        content = content.encode("utf-8", "backslashreplace")
        headers = _error_type(error_type)
        headers += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(content)
        self._send(self._request("POST", path, headers), content)
        self._receive()


def _error_type(text):
    """A header must not end early, whatever a class is called."""
    clean = "".join(c if " " < c <= "~" else "?" for c in text)
    return "Lambda-Runtime-Function-Error-Type: %s\r\n" % clean
