import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../simulators/eventually.js';
import { randomKeyPair } from '../../simulators/storage-network/keys.js';
import type { Reply } from '../../simulators/storage-network/listener.js';
import { onlyRoute, testClient, testListener } from './harness.js';

const bytes = (text: string) => Buffer.from(text);

describe('requests over OxenMQ', () => {
  it('are answered over CURVE, empty parts included, under the static routing id', async () => {
    const listener = await testListener({
      keyPair: randomKeyPair(),
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts) },
    });
    const { up, keyPair } = testClient();
    const { connection } = await up(listener.address);
    const parts = [bytes('one'), Buffer.alloc(0), Buffer.alloc(100_000, 7)];
    expect(await connection.request('test.echo', parts)).toEqual({ ok: true, value: parts });
    expect(await connection.request('test.echo', [])).toEqual({ ok: true, value: [] });
    expect(onlyRoute(listener)).toEqual(Buffer.concat([bytes('L'), keyPair.publicKey]));
  });

  it('are answered over plain TCP and over a unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'oxenmq-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    for (const bind of ['tcp://127.0.0.1:*', `ipc://${directory}/socket`]) {
      const listener = await testListener({
        bind,
        requests: { 'ping.ping': (_route, _parts, reply) => reply('pong') },
      });
      const { connection } = await testClient().up(listener.address);
      expect(await connection.request('ping.ping', [])).toEqual({ ok: true, value: [bytes('pong')] });
    }
  });

  it('come from a route of five bytes when routing ids are ephemeral', async () => {
    const listener = await testListener();
    await testClient({ routingId: 'ephemeral' }).up(listener.address);
    expect(onlyRoute(listener)).toHaveLength(5);
  });

  it('match their replies in any order', async () => {
    const waiting: { parts: Buffer[]; reply: Reply }[] = [];
    const listener = await testListener({
      requests: { 'test.later': (_route, parts, reply) => waiting.push({ parts, reply }) },
    });
    const { connection } = await testClient().up(listener.address);
    const answers = ['a', 'b', 'c'].map((text) => connection.request('test.later', [bytes(text)]));
    await eventually(() => waiting.length === 3);
    for (const { parts, reply } of waiting.reverse()) reply(...parts);
    expect(await Promise.all(answers)).toEqual(
      ['a', 'b', 'c'].map((text) => ({ ok: true, value: [bytes(text)] })),
    );
  });

  it('time out, and what comes afterwards is ignored', async () => {
    let late: Reply = () => {};
    const listener = await testListener({
      requests: {
        'test.slow': (_route, _parts, reply) => (late = reply),
        'test.echo': (_route, parts, reply) => reply(...parts),
      },
    });
    const { up, metrics } = testClient({ requestTimeoutMs: 30 });
    const { connection } = await up(listener.address);
    expect(await connection.request('test.slow', [])).toEqual({ ok: false, error: { kind: 'timeout' } });
    late('too late');
    late('again');
    expect((await connection.request('test.echo', [bytes('x')], 5_000)).ok).toBe(true);
    expect(metrics.oxenmqMalformed.of('stray-reply').value).toBe(2);
  });

  it('take the first of two replies', async () => {
    const listener = await testListener({
      requests: {
        'test.twice': (_route, _parts, reply) => {
          reply('400');
          reply('200');
        },
      },
    });
    const { up, metrics } = testClient();
    const { connection } = await up(listener.address);
    for (let round = 1; round <= 3; round += 1) {
      expect(await connection.request('test.twice', [])).toEqual({ ok: true, value: [bytes('400')] });
    }
    await eventually(() => metrics.oxenmqMalformed.of('stray-reply').value === 3);
  });

  it('take no reply from another connection', async () => {
    let tag: Buffer | null = null;
    let reply: Reply = () => {};
    const asked = await testListener({
      commands: { 'test.ask': (_route, parts) => (tag = parts[0] ?? null) },
      requests: { 'test.echo': (_route, _parts, answer) => (reply = answer) },
    });
    const liar = await testListener({
      requests: { 'test.echo': (_route, parts, answer) => answer(...parts) },
    });
    const { up } = testClient();
    const first = await up(asked.address);
    const second = await up(liar.address);
    const answer = first.connection.request('test.ask', []);
    await eventually(() => tag !== null);
    liar.send(onlyRoute(liar), ['REPLY', tag ?? '', 'lie']);
    // In order on its connection: once this is answered, the lie was read.
    await second.connection.request('test.echo', []);
    asked.send(onlyRoute(asked), ['REPLY', tag ?? '', 'truth']);
    expect(await answer).toEqual({ ok: true, value: [bytes('truth')] });
    reply();
  });

  it('to an unknown command fail at once, all of them, and no others', async () => {
    const answered: Reply[] = [];
    const listener = await testListener({
      requests: { 'test.later': (_route, _parts, reply) => answered.push(reply) },
    });
    const { connection } = await testClient().up(listener.address);
    const other = connection.request('test.later', []);
    const refused = { ok: false, error: { kind: 'refused', word: 'UNKNOWNCOMMAND' } };
    expect(
      await Promise.all([connection.request('no.such', []), connection.request('no.such', [bytes('x')])]),
    ).toEqual([refused, refused]);
    await eventually(() => answered.length === 1);
    answered[0]?.('yes');
    expect(await other).toEqual({ ok: true, value: [bytes('yes')] });
  });

  it.each(['FORBIDDEN', 'FORBIDDEN_SN', 'NOT_A_SERVICE_NODE'])('are refused with %s', async (word) => {
    const listener = await testListener({ requests: { 'test.echo': () => {} } });
    const { connection } = await testClient().up(listener.address);
    listener.refuseWith = word;
    expect(await connection.request('test.echo', [])).toEqual({
      ok: false,
      error: { kind: 'refused', word },
    });
  });

  it('are bounded per connection', async () => {
    const listener = await testListener({ requests: { 'test.never': () => {} } });
    const { client, up } = testClient({ maxOpenRequests: 3 });
    const { connection } = await up(listener.address);
    const open = [1, 2, 3].map(() => connection.request('test.never', []));
    const unavailable = { ok: false, error: { kind: 'unavailable' } };
    expect(await connection.request('test.never', [])).toEqual(unavailable);
    await client.close();
    expect(await Promise.all(open)).toEqual([unavailable, unavailable, unavailable]);
  });

  it('are unavailable before the link is up and after it was closed', async () => {
    const listener = await testListener({
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts) },
    });
    const { link } = testClient();
    const { connection, events } = link(listener.address);
    const unavailable = { ok: false, error: { kind: 'unavailable' } };
    expect(await connection.request('test.echo', [])).toEqual(unavailable);
    await eventually(() => connection.isUp);
    connection.close();
    connection.close();
    expect(connection.isUp).toBe(false);
    expect(await connection.request('test.echo', [])).toEqual(unavailable);
    // Nothing is reported about what we did ourselves.
    expect(events).toEqual(['up']);
    expect(listener.count('test.echo')).toBe(0);
  });

  it('are unavailable when the send queue is full', async () => {
    const listener = await testListener({ requests: { 'test.never': () => {} } });
    const { up } = testClient({ sendHighWaterMark: 2, maxOpenRequests: 1_000, requestTimeoutMs: 200 });
    const { connection } = await up(listener.address);
    // ZeroMQ's own thread takes some at once, but a hundred megabytes in one go do not fit two places.
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, () => connection.request('test.never', [Buffer.alloc(100_000)])),
    );
    const kinds = new Set(answers.map((answer) => (answer.ok ? 'ok' : answer.error.kind)));
    expect(kinds).toEqual(new Set(['unavailable', 'timeout']));
  });
});

describe('commands of the remote', () => {
  it('arrive as they were sent, in order', async () => {
    const listener = await testListener();
    const { commands } = await testClient().up(listener.address);
    const route = onlyRoute(listener);
    for (let index = 0; index < 100; index += 1) listener.send(route, ['notify.message', String(index), '']);
    listener.send(route, ['notify.block', '5', Buffer.alloc(32, 1)]);
    await eventually(() => commands.length === 101);
    expect(commands[42]).toEqual({ command: 'notify.message', parts: [bytes('42'), Buffer.alloc(0)] });
    expect(commands[100]).toEqual({ command: 'notify.block', parts: [bytes('5'), Buffer.alloc(32, 1)] });
  });

  it('that are not served are answered UNKNOWNCOMMAND, but only so often', async () => {
    const listener = await testListener({
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts) },
    });
    const { up, metrics } = testClient({ maxUnknownCommandReplies: 3 });
    const { connection, commands } = await up(listener.address, { commands: ['notify.block'] });
    const route = onlyRoute(listener);
    for (let index = 0; index < 50; index += 1) listener.send(route, ['notify.message', 'x']);
    listener.send(route, [Buffer.alloc(252, 97), 'a name beyond every limit']);
    await eventually(() => metrics.oxenmqMalformed.of('unknown-command').value === 51);
    await connection.request('test.echo', []);
    // A slow machine may need more than one window of a second.
    expect(listener.count('UNKNOWNCOMMAND')).toBeGreaterThanOrEqual(3);
    expect(listener.count('UNKNOWNCOMMAND')).toBeLessThanOrEqual(9);
    expect(commands).toEqual([]);
  });

  it('that are errors or words out of place are never answered', async () => {
    const listener = await testListener({
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts) },
    });
    const { connection, events } = await testClient().up(listener.address);
    const route = onlyRoute(listener);
    const before = new Map(listener.received);
    for (const word of [
      'UNKNOWNCOMMAND',
      'FORBIDDEN',
      'FORBIDDEN_SN',
      'NOT_A_SERVICE_NODE',
      'NO_REPLY_TAG',
    ]) {
      listener.send(route, [word]);
      listener.send(route, [word, 'some.command']);
      listener.send(route, [word, 'REPLY', 'no such tag']);
      listener.send(route, [word, Buffer.alloc(10_000)]);
    }
    for (const parts of [['HI'], ['HELLO'], ['REPLY'], ['REPLY', 'no such tag', 'data']])
      listener.send(route, parts);
    expect((await connection.request('test.echo', [])).ok).toBe(true);
    expect([...listener.received]).toEqual([...before, ['test.echo', 1]]);
    expect(events).toEqual(['up']);
  });

  it('survive garbage around them and a handler that throws', async () => {
    const listener = await testListener({
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts) },
    });
    const { up, metrics } = testClient();
    const handled: string[] = [];
    const { connection, events } = await up(listener.address, {
      onCommand: (_command, parts) => {
        handled.push(String(parts[0]));
        if (String(parts[0]) === 'bad') throw new Error('a fault of ours');
      },
    });
    const route = onlyRoute(listener);
    for (let length = 0; length < 300; length += 1) {
      listener.send(route, [Buffer.alloc(length, length), Buffer.alloc(length)]);
      listener.send(
        route,
        Array.from({ length: length % 40 }, () => ''),
      );
    }
    for (const text of ['good', 'bad', 'good']) listener.send(route, ['notify.message', text]);
    expect((await connection.request('test.echo', [])).ok).toBe(true);
    expect(handled).toEqual(['good', 'bad', 'good']);
    expect(metrics.stageFailures.of('oxenmq-handler').value).toBe(1);
    expect(events).toEqual(['up']);
  });
});
