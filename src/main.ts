#!/usr/bin/env node
import { runCommandLine } from './cli/run.js';
import { mendAsyncResourceBind } from './lifecycle/async-resource-bind.js';

mendAsyncResourceBind();

const code = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  print: (line) => console.log(line),
  complain: (line) => console.error(line),
  events: process,
  exitNow: (exitCode) => process.exit(exitCode),
  loadApp: async () => (await import('./app.js')).startApp,
});
// A handle that somebody forgot does not keep a process alive that has said it is done.
process.exit(code);
