'use strict';

/** Answers that are written piece by piece.  [Lambda guide: response streaming] */

const { Writable } = require('stream');
const errors = require('./errors.cjs');
const output = require('./output.cjs');

const PRELUDE_TYPE = 'application/vnd.awslambda.http-integration-response';
const PRELUDE_END = Buffer.alloc(8);

class ResponseStream extends Writable {
  constructor(client, event, highWaterMark) {
    super({ highWaterMark, decodeStrings: true });
    this.client = client;
    this.event = event;
    this.contentType = 'application/octet-stream';
    this.isStarted = false;
    this.trailers = '';
    this._onBeforeFirstWrite = undefined;
  }

  setContentType(type) {
    if (this.isStarted) {
      throw new errors.InvalidStreamingOperation('Cannot set content-type, too late.');
    }
    this.contentType = type;
  }

  write(chunk, encoding, callback) {
    const isPlain = typeof chunk === 'string' || chunk instanceof Uint8Array;
    const data = isPlain ? chunk : JSON.stringify(chunk);
    return super.write(data, encoding, callback);
  }

  start() {
    if (this.isStarted) return;
    this.isStarted = true;
    const headers =
      'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n' +
      'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n' +
      `Content-Type: ${this.contentType}\r\n`;
    this.client.send(this.client.post(this.event, 'response', headers, ''), () => {
      if (this.onReply) this.onReply();
    });
    if (typeof this._onBeforeFirstWrite === 'function') {
      this._onBeforeFirstWrite((data) => this.chunk(Buffer.from(data), () => {}));
    }
  }

  chunk(data, done) {
    if (data.length === 0) {
      done();
      return;
    }
    const { socket } = this.client;
    socket.cork();
    socket.write(`${data.length.toString(16)}\r\n`);
    socket.write(data);
    socket.write('\r\n', done);
    socket.uncork();
  }

  _write(data, _encoding, done) {
    this.start();
    this.chunk(data, done);
  }

  _final(done) {
    this.start();
    this.onReply = () => done();
    this.client.socket.write(`0\r\n${this.trailers}\r\n`);
  }

  /** Ends the answer with an error in its trailers. */
  fail(error) {
    const body = errors.toBody(error);
    const type = String(body.errorType).replace(/[^ -~]/g, '?');
    const text = Buffer.from(JSON.stringify(body)).toString('base64');
    this.trailers =
      `Lambda-Runtime-Function-Error-Type: ${type}\r\n` +
      `Lambda-Runtime-Function-Error-Body: ${text}\r\n`;
    if (!this.writableEnded) this.end();
  }
}

class HttpResponseStream {
  /** Sends status, headers and cookies ahead of the body. */
  static from(stream, prelude) {
    stream.setContentType(PRELUDE_TYPE);
    stream._onBeforeFirstWrite = (write) => {
      write(JSON.stringify(prelude));
      write(PRELUDE_END);
    };
    return stream;
  }
}

async function run(loop, event) {
  const mark = loop.handler[loop.constructor.HIGH_WATER_MARK];
  const stream = new ResponseStream(loop.client, event, mark);
  const state = { waits: true };
  loop.stream = stream;
  const finished = new Promise((resolve) => stream.once('close', resolve));
  stream.on('error', () => {});
  loop.whenEmpty = () => end(new errors.NodeJsExit());
  const end = (error) => {
    output.logError('Invoke Error', error);
    stream.fail(error);
  };
  try {
    const context = loop.context(event.headers, {
      get callbackWaitsForEmptyEventLoop() {
        return state.waits;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        state.waits = value;
      },
    });
    const result = loop.handler(JSON.parse(event.body), stream, context);
    if (!result || typeof result.then !== 'function') {
      throw 'Streaming does not support non-async handlers.';
    }
    if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
    if (!stream.writableEnded) throw 'Response stream is not finished.';
  } catch (error) {
    end(error);
  }
  await finished;
  loop.stream = null;
  if (loop.event !== event) return;
  loop.event = null;
  if (state.waits) loop.whenEmpty = () => loop.next();
  else loop.next();
}

module.exports = { HttpResponseStream, run };
