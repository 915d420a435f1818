'use strict';

/** The errors that the runtime itself finds, and errors as the caller sees them. */

function kind(name) {
  const type = class extends Error {};
  Object.defineProperty(type, 'name', { value: name });
  type.prototype.name = `Runtime.${name}`;
  return type;
}

const all = Object.fromEntries(
  [
    'CallbackHandlerDeprecated',
    'HandlerNotFound',
    'ImportModuleError',
    'InvalidStreamingOperation',
    'JSONStringifyError',
    'MalformedHandlerName',
    'MalformedStreamingHandler',
    'UserCodeSyntaxError',
  ].map((name) => [name, kind(name)]),
);

class NodeJsExit extends Error {
  constructor() {
    super(
      'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly ' +
        'caused by a Promise that was never settled. For more information, see ' +
        'https://nodejs.org/docs/latest/api/process.html#exit-codes',
    );
  }
}
NodeJsExit.prototype.name = 'Runtime.NodeJsExit';

class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}
UnhandledPromiseRejection.prototype.name = 'Runtime.UnhandledPromiseRejection';

function looksLikeError(value) {
  return (
    value instanceof Error ||
    (value &&
      ['name', 'message', 'stack'].every((part) => typeof value[part] === 'string' && value[part]))
  );
}

// DEL is the one control character that JSON leaves as it is.
const clean = (text) => (typeof text === 'string' ? text.replace(/\x7F/g, '%7F') : text);

/** The body that the caller gets.  [Lambda guide: Node.js errors] */
function toBody(error) {
  try {
    if (looksLikeError(error)) {
      return {
        errorType: clean(error.name),
        errorMessage: clean(error.message),
        trace: clean(error.stack || '').split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or ' +
        'more of its message, name, and stack',
    };
  }
}

module.exports = { ...all, NodeJsExit, UnhandledPromiseRejection, toBody };
