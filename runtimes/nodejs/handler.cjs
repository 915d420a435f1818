'use strict';

/** Finds the function that `_HANDLER` names: `folder/file.export.inner`.  [Lambda guide: Node.js handler] */

const fs = require('fs');
const path = require('path');
const errors = require('./errors.cjs');

// Errors name this file as the one that required the function's module.
const requireFrom = require('module').createRequire('/var/runtime/index.mjs');

async function load(root, name) {
  if (name.includes('..')) {
    throw new errors.MalformedHandlerName(
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories ` +
        'in handler names.',
    );
  }
  const last = path.basename(name);
  const folder = name.slice(0, name.indexOf(last));
  const dot = last.indexOf('.');
  if (dot < 0) throw new errors.MalformedHandlerName('Bad handler');
  const module = await loadModule(root, folder, last.slice(0, dot));
  const handler = find(module, last.slice(dot + 1));
  if (!handler) throw new errors.HandlerNotFound(`${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new errors.HandlerNotFound(`${name} is not a function`);
  return handler;
}

function find(module, exported) {
  const follow = (from) => exported.split('.').reduce((at, key) => at && at[key], from);
  return follow(module) || (module && module.default && follow(module.default));
}

async function loadModule(root, folder, module) {
  try {
    return await tryFiles(path.resolve(root, folder, module), module, [root, path.resolve(root, folder)]);
  } catch (error) {
    if (error instanceof SyntaxError) throw new errors.UserCodeSyntaxError(error);
    if (error && error.code === 'MODULE_NOT_FOUND') throw new errors.ImportModuleError(error);
    throw error;
  }
}

async function tryFiles(file, module, places) {
  const isThere = (extension) => fs.existsSync(file + extension);
  const isFolder = isThere('') && fs.statSync(file).isDirectory();
  if (isThere('') && !isFolder) return requireFrom(file);
  if (isThere('.js')) {
    return isModuleFolder(path.dirname(file)) ? importFile(file + '.js') : requireFrom(file + '.js');
  }
  if (isThere('.mjs')) return importFile(file + '.mjs');
  if (isThere('.cjs')) return requireFrom(file + '.cjs');
  if (isFolder) return requireFrom(file);
  return requireFrom(requireFrom.resolve(module, { paths: places }));
}

function importFile(file) {
  return import(require('url').pathToFileURL(file).href);
}

/** Whether the nearest `package.json` says that `.js` files are ES modules. */
function isModuleFolder(folder) {
  for (let at = folder; !at.endsWith('/node_modules'); at = path.dirname(at)) {
    const file = path.join(at, 'package.json');
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file, 'utf8')).type === 'module';
      } catch (error) {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return false;
      }
    }
    if (at === '/') return false;
  }
  return false;
}

module.exports = { load };
