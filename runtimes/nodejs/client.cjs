'use strict';

// The Runtime API over one kept connection. The `http` module takes several milliseconds to load and
// does far more than this needs.

const net = require('net');

const BASE = '/2018-06-01/runtime/';

class Client {
  constructor(address) {
    const colon = address.lastIndexOf(':');
    this.host = address.slice(0, colon);
    this.port = Number(address.slice(colon + 1));
    this.nextRequest = this.head('GET', 'invocation/next');
    this.socket = null;
    // Who waits for an answer, in the order of the questions.
    this.waiting = [];
    this.parser = new Parser((answer) => this.answered(answer));
  }

  head(method, path, headers = '') {
    return `${method} ${BASE}${path} HTTP/1.1\r\nHost: ${this.host}:${this.port}\r\n${headers}\r\n`;
  }

  connect() {
    const socket = net.connect({ host: this.host, port: this.port, noDelay: true });
    socket.on('data', (chunk) => this.parser.feed(chunk));
    const lost = (error) => {
      if (this.socket !== socket) return;
      this.socket = null;
      const waiting = this.waiting.splice(0);
      this.parser.reset();
      if (waiting.length > 0) {
        process.stderr.write(`the Runtime API is gone: ${error ? error.message : 'closed'}\n`);
        process.exit(1);
      }
    };
    socket.on('error', lost);
    socket.on('close', () => lost());
    return socket;
  }

  /** Sends a request; `then` gets its answer. */
  send(text, ...then) {
    this.socket = this.socket || this.connect();
    this.waiting.push(...then);
    this.socket.ref();
    this.socket.write(text);
  }

  answered(answer) {
    const then = this.waiting.shift();
    // While the function works, the connection must not keep the event loop alive.
    if (this.waiting.length === 0) this.socket.unref();
    then(answer);
  }

  next(onEvent) {
    this.send(this.nextRequest, onEvent);
  }

  post(event, kind, headers, text) {
    const id = encodeURIComponent(event.headers['lambda-runtime-aws-request-id']);
    return this.head('POST', `invocation/${id}/${kind}`, echo(event) + headers) + text;
  }

  /** Answers an event and asks for the next in one write. */
  answerAndNext(event, kind, headers, text, onEvent) {
    this.send(this.post(event, kind, headers, text) + this.nextRequest, refused, onEvent);
  }

  /** Answers an event; `then` runs when the server has the answer. */
  answer(event, kind, headers, text, then) {
    this.send(this.post(event, kind, headers, text), then);
  }

  initError(body, then) {
    const text = JSON.stringify(body);
    this.send(this.head('POST', 'init/error', errorHeaders(body, text)) + text, then);
  }
}

/** Newer servers name the attempt and want the name back. */
function echo(event) {
  const attempt = event.headers['lambda-runtime-invocation-id'];
  return attempt === undefined ? '' : `Lambda-Runtime-Invocation-Id: ${attempt}\r\n`;
}

function bodyHeaders(text) {
  return `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`;
}

function errorHeaders(body, text) {
  // A header must not end early, whatever an error is called.
  const type = String(body.errorType).replace(/[^ -~]/g, '?');
  return `Lambda-Runtime-Function-Error-Type: ${type}\r\n` + bodyHeaders(text);
}

/** An answer that was too large or too late is the server's to report; only its failure ends us. */
function refused(answer) {
  if (answer.status >= 500) {
    process.stderr.write(`the answer was refused: ${answer.status} ${answer.body}\n`);
    process.exit(1);
  }
}

/** Cuts a stream of bytes into answers. */
class Parser {
  constructor(onAnswer) {
    this.onAnswer = onAnswer;
    this.reset();
  }

  reset() {
    this.head = null;
    this.pieces = [];
    this.have = 0;
  }

  feed(chunk) {
    while (chunk.length > 0) {
      if (this.head === null) {
        if (this.have > 0) chunk = Buffer.concat([...this.pieces, chunk]);
        const end = chunk.indexOf('\r\n\r\n');
        if (end < 0) {
          this.pieces = [chunk];
          this.have = chunk.length;
          return;
        }
        this.head = readHead(chunk.toString('utf8', 0, end));
        this.pieces = [];
        this.have = 0;
        chunk = chunk.subarray(end + 4);
      }
      const missing = this.head.length - this.have;
      if (chunk.length < missing) {
        this.pieces.push(chunk);
        this.have += chunk.length;
        return;
      }
      const last = chunk.subarray(0, missing);
      const body = this.pieces.length > 0 ? Buffer.concat([...this.pieces, last]) : last;
      const { status, headers } = this.head;
      this.reset();
      chunk = chunk.subarray(missing);
      this.onAnswer({ status, headers, body: body.toString('utf8') });
    }
  }
}

function readHead(text) {
  const lines = text.split('\r\n');
  const headers = {};
  for (let at = 1; at < lines.length; at += 1) {
    const colon = lines[at].indexOf(':');
    headers[lines[at].slice(0, colon).toLowerCase()] = lines[at].slice(colon + 1).trim();
  }
  const length = Number(headers['content-length'] || 0);
  return { status: Number(lines[0].slice(9, 12)), headers, length };
}

module.exports = { Client, bodyHeaders, errorHeaders };
