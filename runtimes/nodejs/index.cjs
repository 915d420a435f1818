'use strict';

// The main program of the Node.js runtimes: loads the handler, then asks the Runtime API for events
// and answers them. CommonJS, because an ES module as the main program costs each cold start some 3 ms.

const { Client } = require('./client.cjs');
const errors = require('./errors.cjs');
const output = require('./output.cjs');
const { load } = require('./handler.cjs');
const { Loop } = require('./loop.cjs');

// Since Node.js 24 handlers are awaited and have no callback.  [Lambda guide: Node.js handler]
const NO_CALLBACKS_SINCE = 24;

const NO_CALLBACKS =
  'ERROR: AWS Lambda has removed support for callback-based function handlers starting with ' +
  'Node.js 24. You need to modify this function to use a supported handler signature to use ' +
  'Node.js 24 or later. For more information see ' +
  'https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.';

function languageVersion() {
  const name = /nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV || '');
  return parseInt(name ? name[1] : process.versions.node, 10);
}

function checkSignature(handler) {
  const streaming = handler[Loop.STREAMING];
  const isStreaming = streaming !== undefined && streaming !== null && streaming !== false;
  if (isStreaming && streaming !== 'response') {
    throw new errors.MalformedStreamingHandler('Only response streaming is supported.');
  }
  if (languageVersion() >= NO_CALLBACKS_SINCE && handler.length >= 3 && !isStreaming) {
    throw new errors.CallbackHandlerDeprecated(NO_CALLBACKS);
  }
}

/** `awslambda`, the global that marks streaming handlers. */
function offerStreaming() {
  const off = process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA;
  if (off === '1' || off === 'true') return;
  globalThis.awslambda = {
    ...globalThis.awslambda,
    streamifyResponse(handler, options) {
      handler[Loop.STREAMING] = 'response';
      const mark = options && options.highWaterMark;
      if (typeof mark === 'number') handler[Loop.HIGH_WATER_MARK] = Math.trunc(mark);
      return handler;
    },
    get HttpResponseStream() {
      return require('./stream.cjs').HttpResponseStream;
    },
  };
}

async function main() {
  const waitFd = process.env._KILN_WAIT_FD;
  if (waitFd !== undefined) await require('./wait.cjs').wait(Number(waitFd));
  output.patchConsole();
  offerStreaming();
  const client = new Client(process.env.AWS_LAMBDA_RUNTIME_API);
  const loop = new Loop(client, languageVersion() >= NO_CALLBACKS_SINCE);
  loop.watch();
  let handler;
  try {
    handler = await load(process.env.LAMBDA_TASK_ROOT || process.cwd(), process.env._HANDLER);
    checkSignature(handler);
  } catch (error) {
    output.logError('Uncaught Exception', error);
    client.initError(errors.toBody(error), () => process.exit(129));
    return;
  }
  loop.start(handler);
}

main();
