import { describe, expect, it } from 'vitest';
import { isSecret } from '../../../src/crypto/secret-keeper.js';
import { ns } from '../../../src/xmpp/namespaces.js';
import type { XmlElement } from '../../../src/xmpp/xml-element.js';
import vectors from '../../vectors/xmpp-push.json' with { type: 'json' };
import { errorOf, parseStanza, plain } from '../xmpp/support.js';
import { p2Key, setUpCommands, setUpProcess, v1Key } from './support.js';

interface Exchange {
  readonly id: string;
  readonly request?: string;
  readonly response?: unknown;
}

async function setUp(domain: string, statusWord: 'completed' | 'complete' = 'completed') {
  const process = setUpProcess();
  await process.registry.load();
  return { ...process, ask: setUpCommands(process.registry, { domain, statusWord }) };
}

/** The values of a result's form, by their names. */
const valuesOf = (answer: XmlElement): ReadonlyMap<string, string> =>
  new Map(
    (answer.child('command', ns.commands)?.child('x', ns.dataForm)?.elements() ?? []).map((field) => [
      field.attribute('var') ?? '',
      field.child('value')?.text() ?? '',
    ]),
  );

describe('commands of mod_push_appserver, from the wire to the table', () => {
  const exchanges = (vectors.mpa_v2020.exchanges as Exchange[]).filter(({ id }) =>
    id.startsWith('mpa.adhoc'),
  );
  const exchange = (id: string) => {
    const { request = '', response } = exchanges.find((one) => one.id === id) ?? {};
    return { request, response: parseStanza(String(response)) };
  };
  const withoutSecret = (stanza: XmlElement): string =>
    JSON.stringify(plain(stanza)).replace(/[0-9a-f]{64}/, 'SECRET');

  it('register as recorded, and again with the old secret and the new token', async () => {
    const { ask, directory } = await setUp('app.localhost', 'complete');
    const secrets: (string | undefined)[] = [];
    for (const [id, token] of [
      ['mpa.adhoc.register', 'token-1'],
      ['mpa.adhoc.register.again', 'token-2'],
    ] as const) {
      const { request, response } = exchange(id);
      const answer = await ask(request);
      expect(withoutSecret(answer)).toBe(withoutSecret(response));
      secrets.push(valuesOf(answer).get('secret'));
      expect(directory.byKey(v1Key('device-1'))).toMatchObject({
        type: 'null',
        token,
        accountDomain: 'driver.localhost',
      });
    }
    expect(secrets[1]).toBe(secrets[0]);
    const [known] = directory.find('device-1');
    expect(isSecret(secrets[0] ?? '', known?.secretHash ?? Buffer.alloc(32))).toBe(true);
  });

  it.each(['mpa.adhoc.register.missing-token', 'mpa.adhoc.register.no-form'])('%s', async (id) => {
    const { ask, directory } = await setUp('app.localhost', 'complete');
    const { request, response } = exchange(id);
    expect(plain(await ask(request))).toEqual(plain(response));
    expect(directory.size).toBe(0);
  });

  it.each([
    ['mpa.adhoc.register.empty-token', 'modify/not-acceptable/Unknown command data', 0],
    ['mpa.adhoc.register.no-action', '', 1],
    ['mpa.adhoc.unknown-command', 'cancel/item-not-found', 0],
    ['mpa.adhoc.unregister', 'cancel/item-not-found/Node not found!', 0],
  ])('%s: better than the original', async (id, expected, devices) => {
    const { ask, directory } = await setUp('app.localhost', 'complete');
    expect(errorOf(await ask(exchange(id).request))).toBe(expected);
    expect(directory.size).toBe(devices);
  });

  it('answer the requests to the last version alike, where it refused all', async () => {
    const { ask } = await setUp('app.localhost');
    const requests = (vectors.mpa_v2022.exchanges as Exchange[]).filter(({ id }) =>
      id.startsWith('mpa.adhoc'),
    );
    const answers = new Map<string, string>();
    for (const { id, request = '' } of requests) answers.set(id, errorOf(await ask(request)));
    expect(Object.fromEntries(answers)).toEqual({
      'mpa.adhoc.register': '',
      'mpa.adhoc.register.again': '',
      'mpa.adhoc.register.missing-token': 'modify/not-acceptable/Unknown command data',
      'mpa.adhoc.register.empty-token': 'modify/not-acceptable/Unknown command data',
      'mpa.adhoc.register.no-form': 'cancel/service-unavailable',
      'mpa.adhoc.register.no-action': '',
      'mpa.adhoc.unknown-command': 'cancel/item-not-found',
      'mpa.adhoc.unregister': '',
    });
  });

  it('unregister what is registered, which the original never did', async () => {
    const { ask, directory } = await setUp('app.localhost');
    await ask(exchange('mpa.adhoc.register').request);
    const answer = await ask(exchange('mpa.adhoc.unregister').request);
    expect(valuesOf(answer).get('node')).toBe('device-1');
    expect(directory.size).toBe(0);
    expect(errorOf(await ask(exchange('mpa.adhoc.unregister').request))).toBe(
      'cancel/item-not-found/Node not found!',
    );
  });
});

describe('commands of p2, from the wire to the table', () => {
  const { register, channel_hash: room, device_hash: account } = vectors.p2;

  it('register in the form that clients expect, under the hash that travels to the phone', async () => {
    const { ask, directory } = await setUp('push.example');
    const answer = await ask(register.request);
    const withoutValues = (stanza: XmlElement): string =>
      JSON.stringify(plain(stanza)).replaceAll(/"children":\["[^"]*"\]/g, '"children":["…"]');
    expect(withoutValues(answer)).toBe(withoutValues(parseStanza(register.response_shape)));
    const known = directory.byKey(p2Key(register.device_hash));
    expect(known).toMatchObject({ type: 'fcm', token: 'fcm-token', accountDomain: 'example.org' });
    expect(known?.node).toBe(valuesOf(answer).get('node'));
    expect(known?.node).toMatch(/^[A-Za-z0-9+/]{12}$/);
    expect(isSecret(valuesOf(answer).get('secret') ?? '', known?.secretHash ?? Buffer.alloc(32))).toBe(true);
    const again = await ask(register.request.replace('fcm-token', 'new-token'));
    expect(valuesOf(again)).toEqual(valuesOf(answer));
    expect(directory.byKey(p2Key(register.device_hash))?.token).toBe('new-token');
  });

  it('keep account and room apart, also when a client leaves the room by its hash', async () => {
    const { ask, directory } = await setUp('push.example');
    const command = (node: string, fields: Readonly<Record<string, string>>): string =>
      `<iq type='set' id='r' from='${account.bare_jid}/phone' to='push.example'><command xmlns='${ns.commands}' node='${node}'>` +
      `<x xmlns='${ns.dataForm}' type='submit'>${Object.entries(fields)
        .map(([name, value]) => `<field var='${name}'><value>${value}</value></field>`)
        .join('')}</x></command></iq>`;
    const device = { 'android-id': account.device_id };
    const ofAccount = await ask(command('register-push-gcm', { ...device, token: 't' }));
    const ofRoom = await ask(command('register-push-fcm', { ...device, token: 't', muc: room.room }));
    expect(valuesOf(ofRoom).get('node')).not.toBe(valuesOf(ofAccount).get('node'));
    const keys = [p2Key(account.sha1_hex), p2Key(account.sha1_hex, room.sha1_hex)];
    expect(keys.map((key) => directory.byKey(key)?.node)).toEqual(
      [ofAccount, ofRoom].map((answer) => valuesOf(answer).get('node')),
    );
    const leave = command('unregister-push-fcm', { ...device, channel: room.sha1_hex });
    expect(errorOf(await ask(leave))).toBe('');
    expect(keys.map((key) => directory.byKey(key) === null)).toEqual([false, true]);
    expect(errorOf(await ask(leave))).toBe('cancel/item-not-found');
    expect(errorOf(await ask(command('unregister-push-apns', device)))).toBe('cancel/item-not-found');
    expect(errorOf(await ask(command('unregister-push-gcm', device)))).toBe('');
    expect(directory.size).toBe(0);
  });
});
