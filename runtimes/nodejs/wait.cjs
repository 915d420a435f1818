'use strict';

/**
 * A start before the function is known: everything is loaded that needs no function, then the process
 * blocks until it is told the function's variables.
 */

const fs = require('fs');
const Module = require('module');

// What handlers and the AWS SDK load. Loading a module of Node.js twice costs nothing and shows nowhere.
const COMMON = [
  'buffer', 'child_process', 'crypto', 'dns', 'events', 'fs/promises', 'http', 'http2', 'https', 'net',
  'os', 'path', 'stream', 'string_decoder', 'timers', 'tls', 'url', 'util', 'zlib',
];

/** Returns when the process is as if it had just been started for the function. */
async function wait(fd) {
  COMMON.forEach((name) => require(name));
  require('./stream.cjs');
  void [process.stdout, process.stderr];
  // The first `import` starts the loader of ES modules.
  await import('data:text/javascript,');
  const records = fs.readFileSync(fd, 'utf8').split('\0');
  fs.closeSync(fd);
  // Nobody will come any more.
  if (records.length === 1) process.exit(0);
  adopt(records);
}

function adopt(records) {
  Object.keys(process.env).forEach((name) => delete process.env[name]);
  for (const record of records) {
    const end = record.indexOf('=');
    if (end > 0) process.env[record.slice(0, end)] = record.slice(end + 1);
  }
  process.chdir(process.env.LAMBDA_TASK_ROOT || '/var/task');
  // Node.js read NODE_PATH when it started.
  Module._initPaths();
}

module.exports = { wait };
