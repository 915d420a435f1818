'use strict';

/** What `console` writes and where.  [Lambda guide: Node.js logging] */

const fs = require('fs');
const util = require('util');

// Libraries look these up.
const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
const TENANT_ID = Symbol.for('aws.lambda.runtime.tenantId');

// `mask` marks the level in the type of a frame.
const LEVELS = {
  TRACE: { name: 'TRACE', rank: 1, mask: 0x04 },
  DEBUG: { name: 'DEBUG', rank: 2, mask: 0x08 },
  INFO: { name: 'INFO', rank: 3, mask: 0x0c },
  WARN: { name: 'WARN', rank: 4, mask: 0x10 },
  ERROR: { name: 'ERROR', rank: 5, mask: 0x14 },
  FATAL: { name: 'FATAL', rank: 6, mask: 0x18 },
};
const TEXT_FRAME = 0xa55a0003;
const JSON_FRAME = 0xa55a0002;

let isJson = false;

function setRequest(id, tenant) {
  globalThis[REQUEST_ID] = id;
  globalThis[TENANT_ID] = tenant;
}

function patchConsole() {
  isJson = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
  const fd = process.env._LAMBDA_TELEMETRY_LOG_FD;
  delete process.env._LAMBDA_TELEMETRY_LOG_FD;
  const write = fd === undefined ? toStdout : toFrames(Number(fd));
  const least =
    LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()] || LEVELS.TRACE;
  const method = (level) =>
    level.rank < least.rank
      ? () => {}
      : (...params) => {
          const now = new Date();
          const line = isJson ? jsonLine(now, level, params) : textLine(now, level, params);
          write(now, level, line);
        };
  console.trace = method(LEVELS.TRACE);
  console.debug = method(LEVELS.DEBUG);
  console.info = method(LEVELS.INFO);
  console.log = console.info;
  console.warn = method(LEVELS.WARN);
  console.error = method(LEVELS.ERROR);
  console.fatal = method(LEVELS.FATAL);
}

/** What is printed shares stdout with other output, so one message must be one line. */
function toStdout(_now, _level, line) {
  process.stdout.write(line.replace(/\n/g, '\r') + '\n');
}

function toFrames(fd) {
  return (now, level, line) => {
    const message = Buffer.from(isJson ? line : line + '\n', 'utf8');
    const frame = Buffer.alloc(16 + message.length);
    frame.writeUInt32BE(((isJson ? JSON_FRAME : TEXT_FRAME) | level.mask) >>> 0, 0);
    frame.writeUInt32BE(message.length, 4);
    frame.writeBigInt64BE(BigInt(now.valueOf()) * 1000n, 8);
    message.copy(frame, 16);
    for (let done = 0; done < frame.length; ) done += fs.writeSync(fd, frame, done);
  };
}

function textLine(now, level, params) {
  const id = globalThis[REQUEST_ID];
  return `${now.toISOString()}\t${id}\t${level.name}\t${util.format(...params)}`;
}

function jsonLine(now, level, params) {
  const line = { timestamp: now.toISOString(), level: level.name, requestId: globalThis[REQUEST_ID] };
  const tenant = globalThis[TENANT_ID];
  if (tenant !== undefined && tenant !== null) line.tenantId = tenant;
  if (params.length === 1) {
    line.message = params[0];
    try {
      return JSON.stringify(line, (_key, value) => (value instanceof Error ? errorFields(value) : value));
    } catch {
      line.message = util.format(params[0]);
      return JSON.stringify(line);
    }
  }
  line.message = util.format(...params);
  const error = params.find((param) => param instanceof Error);
  if (error !== undefined) {
    const { errorType, errorMessage, stackTrace } = errorFields(error);
    Object.assign(line, { errorType, errorMessage, stackTrace });
  }
  return JSON.stringify(line);
}

function errorFields(error) {
  return {
    errorType: (error.constructor && error.constructor.name) || 'UnknownError',
    errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : [],
    ...error,
  };
}

/** Logs an error that ends an invocation or the process. */
function logError(title, value) {
  const error = value instanceof Error ? value : new Error(value);
  if (isJson) {
    console.error(error);
    return;
  }
  let text;
  try {
    text = JSON.stringify(error, (_key, inner) => (inner instanceof Error ? withStack(inner) : inner));
  } catch {
    text = JSON.stringify(withStack(new Error(error.message)));
  }
  console.error(title, '\t' + text);
}

function withStack(error) {
  const fields = { errorType: error.name, errorMessage: error.message, code: error.code, ...error };
  if (typeof error.stack === 'string') fields.stack = error.stack.split('\n');
  return fields;
}

module.exports = { logError, patchConsole, setRequest };
