import { expect, test } from 'vitest';
import { StoreQueryError, StoreUnavailable, storeErrorFrom } from '../../../src/store/errors.js';

const withCode = (code: string | undefined, message = 'secret'): Error =>
  Object.assign(new Error(message), { code, params: ['secret'] });

test.each([
  ['57P01', 'unreachable'],
  ['57P03', 'unreachable'],
  ['08006', 'unreachable'],
  ['ECONNREFUSED', 'unreachable'],
  ['EPIPE', 'unreachable'],
  ['ENOTFOUND', 'unreachable'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'unreachable'],
  ['57014', 'timeout'],
  ['40P01', 'busy'],
  ['40001', 'busy'],
  ['53300', 'refused'],
  ['53100', 'refused'],
  ['58030', 'refused'],
  ['28P01', 'refused'],
  ['25006', 'refused'],
  ['3D000', 'refused'],
])('%s means that the database is %s', (code, reason) => {
  expect(storeErrorFrom(withCode(code), 'x')).toMatchObject({ name: 'StoreUnavailable', reason, code });
});

test('an error without a code is a lost connection, or none that is free', () => {
  expect(storeErrorFrom(withCode(undefined, 'Connection terminated unexpectedly'), 'x')).toMatchObject({
    reason: 'unreachable',
  });
  expect(storeErrorFrom(withCode(undefined, 'timeout exceeded when trying to connect'), 'x')).toMatchObject({
    reason: 'busy',
  });
});

test('bad data and bad SQL are not called unavailable, and no value gets into the text', () => {
  for (const code of ['22021', '23505', '23514', 'XX000']) {
    const error = storeErrorFrom(withCode(code), 'upsert');
    expect(error).toBeInstanceOf(StoreQueryError);
    expect(error.message).not.toContain('secret');
    expect(error.cause).toBeUndefined();
  }
});

test('bugs stay what they are, and ours are not wrapped twice', () => {
  const bug = new TypeError('bug');
  const ours = new StoreUnavailable('busy');
  expect(storeErrorFrom(bug, 'x')).toBe(bug);
  expect(storeErrorFrom(ours, 'x')).toBe(ours);
});
