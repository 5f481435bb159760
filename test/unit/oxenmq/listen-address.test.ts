import { describe, expect, it } from 'vitest';
import { parseListenAddress } from '../../../src/oxenmq/listen-address.js';

describe('where to listen', () => {
  it.each([
    ['tcp://127.0.0.1:22030', 'tcp://127.0.0.1:22030', true],
    ['tcp://127.0.0.1:0', 'tcp://127.0.0.1:*', true],
    ['tcp://0.0.0.0:22030', 'tcp://0.0.0.0:22030', false],
    ['tcp://*:1', 'tcp://*:1', false],
    ['tcp://eth0:1', 'tcp://eth0:1', false],
    ['tcp://[::1]:00080', 'tcp://[::1]:00080', true],
    ['ipc:///run/waggle/hive.sock', 'ipc:///run/waggle/hive.sock', true],
    ['ipc://./hive.sock', 'ipc://./hive.sock', true],
  ])('%s is %s for ZeroMQ', (text, endpoint, isLocal) => {
    expect(parseListenAddress(text)).toMatchObject({ ok: true, value: { endpoint, isLocal } });
  });

  it.each([
    '',
    'tcp://',
    'tcp://h',
    'tcp://h:',
    'tcp://h:65536',
    'tcp://h:1/key',
    'tcp://::1:5',
    'tcp://a;b:1',
    'curve://h:1',
    'inproc://x',
    'ipc://',
    'ipc://*',
    'ipc://@name',
    'ipc:///a\0b',
    `ipc:///${'x'.repeat(107)}`,
  ])('%j is refused', (text) => {
    expect(parseListenAddress(text).ok).toBe(false);
  });
});
