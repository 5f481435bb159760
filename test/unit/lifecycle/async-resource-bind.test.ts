import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mendAsyncResourceBind } from '../../../src/lifecycle/async-resource-bind.js';

const original = Object.getOwnPropertyDescriptor(AsyncResource.prototype, 'bind');
/** As Node has it; the types leave `thisArg` out. */
interface Binding {
  bind(run: unknown, thisArg?: unknown): (this: unknown) => unknown;
}

const nodeMajor = Number(process.versions.node.split('.')[0]);

beforeEach(mendAsyncResourceBind);
afterEach(() => {
  if (original !== undefined) Object.defineProperty(AsyncResource.prototype, 'bind', original);
});

describe('the mended AsyncResource.bind', () => {
  it('makes functions without the deprecated property', () => {
    const bound = new AsyncResource('Test').bind(() => 1);
    expect(Object.hasOwn(bound, 'asyncResource')).toBe(false);
  });

  it('calls with the arguments, the result and the `this` of the call', () => {
    const bound = new AsyncResource('Test').bind(function (this: unknown, a: number, b: number) {
      return [this, a, b];
    });
    const self = {};
    expect(bound.call(self, 1, 2)).toEqual([self, 1, 2]);
    expect(bound.call(self, 1, 2)[0]).toBe(self);
  });

  it('calls with the `this` that was bound', () => {
    const self = {};
    const resource = new AsyncResource('Test') as unknown as Binding;
    const bound = resource.bind(function (this: unknown) {
      return this;
    }, self);
    expect(bound.call({})).toBe(self);
  });

  it('calls in the context in which the resource was made', () => {
    const storage = new AsyncLocalStorage<string>();
    const bound = storage.run('inside', () => new AsyncResource('Test').bind(() => storage.getStore()));
    expect(storage.run('outside', () => bound())).toBe('inside');
  });

  it('serves the static method too, and keeps errors', () => {
    const bound = AsyncResource.bind(() => {
      throw new RangeError('own');
    });
    expect(() => bound()).toThrow(RangeError);
    expect(Object.hasOwn(bound, 'asyncResource')).toBe(false);
  });

  it('refuses what is no function', () => {
    const resource = new AsyncResource('Test') as unknown as Binding;
    expect(() => resource.bind(1)).toThrow(TypeError);
  });

  it.runIf(nodeMajor < 25)('is needed here: Node makes the property', () => {
    if (original !== undefined) Object.defineProperty(AsyncResource.prototype, 'bind', original);
    expect(
      Object.hasOwn(
        new AsyncResource('Test').bind(() => 1),
        'asyncResource',
      ),
    ).toBe(true);
  });
});
