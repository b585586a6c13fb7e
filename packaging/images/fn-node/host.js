// The host of Node.js functions. The framework is loaded at the start; one line
// on standard input brings the function, file 3 takes the answers.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { registerHooks } = require('node:module');
const framework = require('@google-cloud/functions-framework');
const { getTestServer } = require('@google-cloud/functions-framework/testing');

const own = require('node:url').pathToFileURL(require.resolve('@google-cloud/functions-framework')).href;

// A function that brings the framework along gets the one that is loaded: two
// of them would not know of each other's functions.
registerHooks({
  resolve(specifier, context, next) {
    if (specifier === '@google-cloud/functions-framework') {
      return { url: own, format: 'commonjs', shortCircuit: true };
    }
    return next(specifier, context);
  },
});

const answer = (value) => fs.writeSync(3, JSON.stringify(value) + '\n');

function sourceOf(fn) {
  if (fn.source) return path.join(fn.dir, fn.source);
  const manifest = path.join(fn.dir, 'package.json');
  if (fs.existsSync(manifest)) {
    const { main } = JSON.parse(fs.readFileSync(manifest, 'utf8'));
    if (main) return path.join(fn.dir, main);
  }
  const found = ['index.js', 'function.js', 'index.mjs'].map((name) => path.join(fn.dir, name)).find((name) => fs.existsSync(name));
  if (!found) throw new Error('there is no index.js or function.js, and package.json names no main');
  return found;
}

function load(fn) {
  Object.assign(process.env, fn.env, { FUNCTION_TARGET: fn.entry, FUNCTION_SIGNATURE_TYPE: fn.signature, HOME: '/tmp' });
  process.chdir(fn.dir);
  const exported = require(sourceOf(fn));
  const handler = exported && (exported[fn.entry] || (exported.default && exported.default[fn.entry]) || (typeof exported === 'function' ? exported : undefined));
  if (typeof handler === 'function') {
    if (fn.signature === 'cloudevent') framework.cloudEvent(fn.entry, handler);
    else framework.http(fn.entry, handler);
  }
  let server;
  try {
    server = getTestServer(fn.entry);
  } catch {
    throw new Error(`the source defines no function "${fn.entry}": export one of that name, or register it with functions.http("${fn.entry}", ...)`);
  }
  server.keepAliveTimeout = 60_000;
  server.on('error', (error) => answer({ ok: false, error: String(error) }));
  server.listen(8081, '::', () => answer({ ok: true }));
}

// One call of nobody's function, while the pod waits: what is loaded and compiled
// by it need not be in the first call of somebody's.
function warm(then) {
  framework.http('hks-warm', (request, response) => response.send(request.body));
  const server = getTestServer('hks-warm');
  server.listen(0, '127.0.0.1', () => {
    const call = http.request({ port: server.address().port, method: 'POST', headers: { 'Content-Type': 'application/json' }, agent: false }, (response) => {
      response.resume();
      response.on('close', () => server.close(then));
    });
    call.on('error', (error) => { console.error(error); server.close(then); });
    call.end('{"warm":true}');
  });
}

let text = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', function take(chunk) {
  text += chunk;
  const end = text.indexOf('\n');
  if (end < 0) return;
  process.stdin.off('data', take);
  process.stdin.pause();
  process.stdin.unref?.();
  const line = text.slice(0, end);
  text = '';
  try {
    load(JSON.parse(line));
  } catch (error) {
    console.error(error);
    answer({ ok: false, error: (error && error.stack) || String(error) });
  }
});
process.on('SIGTERM', () => process.exit(0));
warm(() => answer({ ok: true }));
