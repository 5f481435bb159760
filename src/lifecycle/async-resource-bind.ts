import { AsyncResource } from 'node:async_hooks';

type AnyFunction = (...args: unknown[]) => unknown;

/**
 * Until version 25 of Node every function that `AsyncResource.bind` returns is given a deprecated property, made in a way
 * (DEP0172; a function as another one's prototype) that keeps it and all it refers to from the collector of the young
 * generation. `node:http2` binds one for each request, so each request, with its headers and all listeners, grows old.
 * This takes its place and leaves the property out, as Node 25 does. Nothing is changed where Node does it right.
 *
 * Source: the pull requests 58618, 59195 and 59518 of nodejs/node. What it is worth: bench/RESULTS.md.
 */
export function mendAsyncResourceBind(): void {
  const probe = new AsyncResource('Probe').bind(() => undefined);
  if (!Object.hasOwn(probe, 'asyncResource')) return;
  const bind = function (this: AsyncResource, run: AnyFunction, thisArg?: unknown): AnyFunction {
    if (typeof run !== 'function') throw new TypeError('The "fn" argument must be of type function.');
    if (thisArg !== undefined) return (...args) => this.runInAsyncScope(run, thisArg, ...args);
    return withOwnThis(this, run);
  };
  AsyncResource.prototype.bind = bind as typeof AsyncResource.prototype.bind;
}

function withOwnThis(resource: AsyncResource, run: AnyFunction): AnyFunction {
  return function (this: unknown, ...args) {
    return resource.runInAsyncScope(run, this, ...args);
  };
}
