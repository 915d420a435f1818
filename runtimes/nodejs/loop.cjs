'use strict';

/** One event after another: context, handler, answer. */

const { bodyHeaders, errorHeaders } = require('./client.cjs');
const errors = require('./errors.cjs');
const output = require('./output.cjs');

class Loop {
  static STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
  static HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

  /** `isPlain`: handlers take an event and a context and are awaited; there are no callbacks. */
  constructor(client, isPlain) {
    this.client = client;
    this.isPlain = isPlain;
    // The event at hand, until its answer is on the way.
    this.event = null;
    // The answer that goes out at the end of this turn of the event loop.
    this.ready = null;
    // The answer that is being written piece by piece.
    this.stream = null;
    // What to do when the event loop has nothing left.
    this.whenEmpty = null;
    this.onEvent = (answer) => this.take(answer);
  }

  watch() {
    process.on('beforeExit', () => {
      const then = this.whenEmpty;
      this.whenEmpty = null;
      if (then) then();
    });
    process.on('uncaughtException', (error) => this.crash('Uncaught Exception', error, 129));
    process.on('unhandledRejection', (reason, promise) => {
      const error = new errors.UnhandledPromiseRejection(reason, promise);
      this.crash('Unhandled Promise Rejection', error, 128);
    });
    this.whenEmpty = () => {
      // The module never finished loading: an `await` that nothing can settle.
      const error = new errors.NodeJsExit();
      output.logError('Init Error', error);
      this.client.initError(errors.toBody(error), () => process.exit(13));
    };
  }

  start(handler) {
    this.whenEmpty = null;
    this.handler = handler;
    this.isStreaming = Boolean(handler[Loop.STREAMING]);
    setImmediate(() => this.next());
  }

  next() {
    this.client.next(this.onEvent);
  }

  take(answer) {
    if (answer.status !== 200) {
      process.stderr.write(`no next event: ${answer.status} ${answer.body}\n`);
      process.exit(1);
    }
    this.event = answer;
    const { headers } = answer;
    output.setRequest(
      headers['lambda-runtime-aws-request-id'],
      headers['lambda-runtime-aws-tenant-id'],
    );
    const trace = headers['lambda-runtime-trace-id'];
    if (trace === undefined) delete process.env._X_AMZN_TRACE_ID;
    else process.env._X_AMZN_TRACE_ID = trace;
    if (this.isStreaming) {
      require('./stream.cjs').run(this, answer);
    } else if (this.isPlain) {
      this.runPlain(answer);
    } else {
      this.runWithCallback(answer);
    }
  }

  async runPlain(event) {
    const isCurrent = () => this.event === event;
    this.whenEmpty = () => this.fail(new errors.NodeJsExit());
    try {
      const result = await this.handler(JSON.parse(event.body), this.context(event.headers, {}));
      // A rejection that nobody handles counts before the result does.
      setImmediate(() => {
        if (isCurrent()) this.succeedOrFail(result);
      });
    } catch (error) {
      setImmediate(() => {
        if (isCurrent()) this.fail(error);
      });
    }
  }

  runWithCallback(event) {
    let isFinished = false;
    const once = (act) => (...args) => {
      if (isFinished || this.event !== event) return;
      act(...args);
      isFinished = true;
    };
    const state = { waits: true };
    const done = (error, result) => {
      if (error !== undefined && error !== null) this.fail(error);
      else this.succeed(result);
    };
    const callback = once((error, result) => {
      if ((error === undefined || error === null) && state.waits) {
        this.whenEmpty = () => setImmediate(() => this.succeedOrFail(result));
      } else {
        done(error, result);
      }
    });
    const context = {
      get callbackWaitsForEmptyEventLoop() {
        return state.waits;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        state.waits = value;
      },
      succeed: once((result) => done(null, result)),
      fail: once((error) => done(error === undefined || error === null ? 'handled' : error)),
      done: once(done),
    };
    const isAsync = this.handler.constructor && this.handler.constructor.name === 'AsyncFunction';
    this.whenEmpty = () => {
      isFinished = true;
      // A callback that was forgotten is a success; a promise that nothing can settle is not.
      if (isAsync) this.fail(new errors.NodeJsExit());
      else this.succeed(null);
    };
    try {
      const result = this.handler(JSON.parse(event.body), this.context(event.headers, context), callback);
      if (result && typeof result.then === 'function') {
        result.then(context.succeed, context.fail).catch(context.fail);
      }
    } catch (error) {
      callback(error);
    }
  }

  /** Adds to `context` what every handler gets.  [Lambda guide: Node.js context object] */
  context(headers, context) {
    const { env } = process;
    const deadline = Number(headers['lambda-runtime-deadline-ms']);
    return Object.assign(context, {
      functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
      functionName: env.AWS_LAMBDA_FUNCTION_NAME,
      memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
      clientContext: parse(headers['lambda-runtime-client-context'], 'ClientContext'),
      identity: parse(headers['lambda-runtime-cognito-identity'], 'CognitoIdentity'),
      invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
      awsRequestId: headers['lambda-runtime-aws-request-id'],
      tenantId: headers['lambda-runtime-aws-tenant-id'],
      getRemainingTimeInMillis: () => deadline - Date.now(),
    });
  }

  succeedOrFail(result) {
    try {
      this.succeed(result);
    } catch (error) {
      this.fail(error);
    }
  }

  succeed(result) {
    let text;
    try {
      text = JSON.stringify(result === undefined ? null : result);
    } catch {
      const message = 'Unable to stringify response body';
      throw this.isPlain ? new errors.JSONStringifyError(message) : new Error(message);
    }
    // A function, say, has no JSON at all.
    if (text === undefined) text = '';
    this.answer('response', bodyHeaders(text), text);
  }

  fail(error) {
    output.logError('Invoke Error', error);
    const body = errors.toBody(error);
    const text = JSON.stringify(body);
    this.answer('error', errorHeaders(body, text), text);
  }

  /** The answer leaves at the end of this turn, together with the question for the next event. */
  answer(kind, headers, text) {
    const event = this.event;
    if (event === null) return;
    this.event = null;
    this.whenEmpty = null;
    this.ready = { event, kind, headers, text };
    setImmediate(() => {
      if (this.ready === null) return;
      this.ready = null;
      this.client.answerAndNext(event, kind, headers, text, this.onEvent);
    });
  }

  /** Nothing can be trusted any more: reports the error, or the answer that was ready, and ends. */
  crash(title, error, code) {
    output.logError(title, error);
    const exit = () => process.exit(code);
    const body = errors.toBody(error);
    if (this.ready !== null) {
      const { event, kind, headers, text } = this.ready;
      this.ready = null;
      this.client.answer(event, kind, headers, text, exit);
    } else if (this.stream) {
      this.stream.once('close', exit);
      this.stream.fail(error);
    } else if (this.event !== null) {
      const text = JSON.stringify(body);
      const event = this.event;
      this.event = null;
      this.client.answer(event, 'error', errorHeaders(body, text), text, exit);
    } else if (this.handler === undefined) {
      this.client.initError(body, exit);
    } else {
      exit();
    }
  }
}

function parse(text, what) {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${what} as json: ${error}`);
  }
}

module.exports = { Loop };
