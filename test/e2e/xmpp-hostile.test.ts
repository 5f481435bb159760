import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { startXmppWorld, type XmppWorld } from '../simulators/xmpp-world.js';
import { errorOf, fieldsOf } from '../simulators/xmpp/xmpp-client.js';
import { XmppServer, type Manners, type ServerConnection } from '../simulators/xmpp/xmpp-server.js';
import { HonestTraffic, until } from './hostile-support.js';
import { quick, untilConnected } from './xmpp-support.js';

vi.setConfig({ testTimeout: 60_000 });

const GOOD = 'push.good.example';
const EVIL = 'push.evil.example';
const MEBIBYTE = 1024 * 1024;
const DEVICES_OF_ONE_DOMAIN = 40;
const PUT_OFF = 'wait/resource-constraint';

const publishTo = (to: string, id: string, node: string, secret: string): string =>
  `<iq type='set' from='example' to='${to}' id='${id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='${node}'><item><notification xmlns='urn:xmpp:push:0'/></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='secret'><value>${secret}</value></field></x></publish-options></pubsub></iq>`;

const registerAt = (to: string, id: string, from: string, node: string): string =>
  `<iq type='set' from='${from}' to='${to}' id='${id}'><command xmlns='http://jabber.org/protocol/commands' node='v1-register-push' action='execute'><x xmlns='jabber:x:data' type='submit'><field var='type'><value>apns</value></field><field var='node'><value>${node}</value></field><field var='token'><value>${randomBytes(32).toString('hex')}</value></field></x></command></iq>`;

const ping = (id: string): string =>
  `<iq type='get' from='a@example/b' to='${EVIL}' id='${id}'><ping xmlns='urn:xmpp:ping'/></iq>`;

const open = `<iq type='set' from='example' to='${EVIL}' id='evil'>`;
const times = (count: number, of: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => of(index)).join('');

describe('an XMPP server that means harm, beside one that does not', () => {
  let good: XmppServer;
  let evil: XmppServer;
  let world: XmppWorld;
  let server: ServerProcess;
  let honest: HonestTraffic;
  const devices: { readonly node: string; readonly secret: string }[] = [];
  let lines = 0;
  let resident = 0;

  const connected = async (): Promise<ServerConnection> =>
    eventually(() => evil.online().at(-1), { timeoutMs: 20_000, what: 'the component at the evil server' });
  const ends = (reason: string): Promise<number> =>
    server.metric(`waggle_xmpp_ends_total{domain="${EVIL}",reason="${reason}"}`);
  const answers = (request: string, answer: string): Promise<number> =>
    server.metric(`waggle_xmpp_answers_total{request="${request}",answer="${answer}"}`);

  beforeAll(async () => {
    good = await XmppServer.start({ secrets: { [GOOD]: 'good' } });
    evil = await XmppServer.start({ secrets: { [EVIL]: 'evil' } });
    world = await startXmppWorld({
      servers: [
        { kind: 'good', componentPort: good.port, component: { domain: GOOD, secret: 'good' } },
        { kind: 'evil', componentPort: evil.port, component: { domain: EVIL, secret: 'evil' } },
      ],
      record: false,
      config: {
        ...quick,
        xmpp: {
          ...quick.xmpp,
          refusedBackOffSeconds: [1],
          openTimeoutMs: 500,
          closeTimeoutMs: 500,
          maxSendQueueBytes: 4 * MEBIBYTE,
          pingIntervalSeconds: 1,
          silenceSeconds: 1,
          maxDevicesPerDomain: DEVICES_OF_ONE_DOMAIN,
        },
      },
    });
    server = await ServerProcess.start(world.configFile);
    await untilConnected(server, 2);
    const connection = await good.nthOnline();
    for (let n = 0; n < 20; n += 1) {
      const answer = await connection.ask(registerAt(GOOD, `r${n}`, `user${n}@good.example`, `phone-${n}`));
      const { node = '', secret = '' } = fieldsOf(answer);
      devices.push({ node, secret });
    }
    let sent = 0;
    honest = new HonestTraffic(async () => {
      sent += 1;
      const { node = '', secret = '' } = devices[sent % devices.length] ?? {};
      const answer = await connection.ask(publishTo(GOOD, `good-${sent}`, node, secret));
      return answer.attribute('type') === 'result';
    });
    // What it takes for its own work is taken by now.
    honest.begin();
    await until(2_000);
    await honest.end();
    resident = await server.residentBytes();
  });
  beforeEach(() => {
    evil.settings.manners = 'prosody';
    evil.settings.answersPings = true;
    lines = server.output().split('\n').length;
    honest.begin();
  });
  afterEach(async () => {
    const { count, refused, p99Ms } = await honest.end();
    expect(server.isRunning).toBe(true);
    expect(refused).toBe(0);
    expect(count).toBeGreaterThan(0);
    // A server and its users have seconds; the machine is shared with those who mean harm.
    expect(p99Ms).toBeLessThan(2_000);
    expect(good.connections).toHaveLength(1);
    expect(server.output().split('\n').length - lines).toBeLessThan(40);
    expect((await server.residentBytes()) - resident).toBeLessThan(200 * MEBIBYTE);
    expect(await server.metric('waggle_stage_failures_total')).toBe(0);
    expect(await server.metric('waggle_xmpp_answers_total{request="publish",answer="fault"}')).toBe(0);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
    await good.stop();
    await evil.stop();
  });

  const large: readonly (readonly [string, string])[] = [
    ['a stanza of 5 MB', `${open}<a xmlns='b'>${'x'.repeat(5_000_000)}</a></iq>`],
    [
      'one million elements in one another',
      `${open}${'<a>'.repeat(1_000_000)}${'</a>'.repeat(1_000_000)}</iq>`,
    ],
    ['one million elements beside one another', `${open}<a>${'<b/>'.repeat(1_000_000)}</a></iq>`],
    ['one hundred thousand attributes', `${open}<a ${times(100_000, (index) => `a${index}='' `)}/></iq>`],
    [
      'declarations for each element to look through',
      `${open}${times(30, (depth) => `<a ${times(60, (index) => `xmlns:p${depth}-${index}='' `)}>`)}${'<b/>'.repeat(50_000)}${'</a>'.repeat(30)}</iq>`,
    ],
    ['an attribute of 2 MB', `${open}<a b='${'&apos;'.repeat(350_000)}'/></iq>`],
    ['character data of 2 MB', `${open}<![CDATA[${'<]]'.repeat(700_000)}]]></iq>`],
  ];

  it.each(large)('%s is put off, and its connection kept', async (_, stanza) => {
    const connection = await connected();
    const before = await answers('other', 'overload');
    expect(errorOf(await connection.ask(stanza))).toBe(PUT_OFF);
    expect(await answers('other', 'overload')).toBe(before + 1);
    expect((await connection.ask(ping('after'))).attribute('type')).toBe('result');
    expect(evil.online()).toEqual([connection]);
  });

  it('a large stanza that comes bit by bit is put off as well', async () => {
    const connection = await connected();
    const stanza = Buffer.from(`${open}<a b='${'x'.repeat(600_000)}'>${'<c/>'.repeat(20_000)}</a></iq>`);
    const had = connection.answersTo('evil').length;
    for (let at = 0; at < stanza.length; at += 701) {
      connection.socket.write(stanza.subarray(at, at + 701));
      await new Promise(setImmediate);
    }
    const answer = await eventually(() => connection.answersTo('evil')[had]);
    expect(errorOf(answer)).toBe(PUT_OFF);
  });

  it('a stanza without end ends the connection', async () => {
    const connection = await connected();
    const before = await ends('bad-xml');
    const piece = `${'<a>'.repeat(10_000)}${'x'.repeat(300_000)}`;
    connection.write(`${open}${piece}`);
    while (connection.state === 'online') {
      connection.write(piece);
      await new Promise(setImmediate);
    }
    expect(await ends('bad-xml')).toBe(before + 1);
    await connected();
  });

  it('what XMPP forbids ends the connection, whatever comes behind it', async () => {
    const forbidden: (string | Buffer)[] = [
      `<!DOCTYPE a [${times(1_000, (index) => `<!ENTITY e${index} "&e${index - 1};&e${index - 1};">`)}]>`,
      `<?xml version='1.0' encoding='UTF-16'?>`,
      `${open}<!ENTITY a SYSTEM 'file:///etc/passwd'>`,
      `${open}<a>&xxe;</a></iq>`,
      `${open}<a>&#xFFFFFFFF;</a></iq>`,
      `${open}<a>&#${'9'.repeat(100_000)};</a></iq>`,
      `${open}<?php 1 ?>`,
      `${open}<!-- -->`,
      '<![CDATA[<iq/>]]>',
      `${open}<a></b></iq>`,
      'hello',
      '<p:iq/>',
      Buffer.from([0x3c, 0x00, 0x3e]),
      Buffer.from([0xff, 0xfe, 0xfd]),
      Buffer.concat([Buffer.from(open), Buffer.from([0x3c, 0xc0, 0x80, 0x08])]),
      '</stream:stream><iq/>',
      `<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[::1]:1</see-other-host></stream:error>`,
    ];
    for (const bytes of forbidden) {
      const connection = await connected();
      connection.socket.write(bytes);
      connection.write('<more/></stream:stream><more');
      await eventually(() => connection.state === 'closed', {
        what: `an end after ${String(bytes).slice(0, 50)}`,
      });
    }
    const counted = (await ends('bad-xml')) + (await ends('closed-by-server')) + (await ends('stream-error'));
    expect(counted).toBeGreaterThanOrEqual(forbidden.length);
    await connected();
  });

  it('bytes that are no UTF-8, other namespaces and tricks with character data do no harm', async () => {
    const connection = await connected();
    const bytes = [
      Buffer.from(open),
      Buffer.from("<a b='"),
      Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80, 0xf8]),
      Buffer.from("'/></iq>"),
    ];
    connection.socket.write(Buffer.concat(bytes));
    connection.write(`<iq xmlns='jabber:client' type='get' from='a' to='${EVIL}' id='evil-2'><a/></iq>`);
    connection.write(
      `<iq xmlns='urn:x' type='get' from='a' id='evil-3'/><handshake/><handshake>x</handshake><stream:features/>`,
    );
    connection.write(
      `${open.replace("id='evil'", "id='evil-4'")}<![CDATA[]]]]><![CDATA[></iq>]]><a xmlns='&lt;'/></iq>`,
    );
    await connection.ask(ping('after-tricks'));
    expect(['evil-2', 'evil-3'].flatMap((id) => connection.answersTo(id))).toEqual([]);
    expect(connection.answersTo('evil-4').map(errorOf)).toEqual(['cancel/service-unavailable']);
  });

  it('half a stanza and then silence: the connection is made anew', async () => {
    const connection = await connected();
    const before = await ends('silent');
    evil.settings.answersPings = false;
    connection.write(publishTo(EVIL, 'half', 'a', 'b').slice(0, 200));
    await eventually(() => connection.state === 'closed');
    expect(await ends('silent')).toBe(before + 1);
    evil.settings.answersPings = true;
    const next = await connected();
    next.write(publishTo(EVIL, 'half', 'a', 'b').slice(0, 100));
    next.socket.destroy();
    await eventually(() => evil.online().some((one) => one !== next));
    await connected();
  });

  it('100,000 publishes to nodes that nobody has are all answered, none with a result', async () => {
    const connection = await connected();
    const total = 100_000;
    const from = connection.stanzas.length;
    for (let sent = 0; sent < total; sent += 1_000) {
      connection.write(
        times(1_000, (index) => publishTo(EVIL, `u${sent + index}`, `nobody-${sent + index}`, 's')),
      );
      while (connection.socket.writableLength > MEBIBYTE) await until(5);
    }
    const isOurs = (id: string | null): boolean => id?.startsWith('u') === true;
    await eventually(() => connection.stanzas.length - from >= total, {
      timeoutMs: 50_000,
      what: 'all answers',
    });
    const got = connection.stanzas.slice(from).filter((stanza) => isOurs(stanza.attribute('id')));
    const kinds = new Map<string, number>();
    for (const stanza of got) {
      const kind = errorOf(stanza) ?? 'result';
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    expect(new Set(got.map((stanza) => stanza.attribute('id'))).size).toBe(total);
    expect(got).toHaveLength(total);
    const known = ['cancel/item-not-found', 'wait/internal-server-error', PUT_OFF];
    expect([...kinds.keys()].filter((kind) => !known.includes(kind))).toEqual([]);
    const counted = ['refused', 'wait', 'overload', 'late'].map((answer) => answers('publish', answer));
    expect((await Promise.all(counted)).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(total);
  });

  it('more registrations than one server may have are refused, and counted', async () => {
    const connection = await connected();
    const total = 5_000;
    const from = connection.stanzas.length;
    connection.write(
      times(total, (index) => registerAt(EVIL, `f${index}`, `u${index}@evil.example`, `flood-${index}`)),
    );
    const got = () =>
      connection.stanzas.slice(from).filter((one) => one.attribute('id')?.startsWith('f') === true);
    await eventually(() => got().length >= total, { timeoutMs: 40_000, what: 'all answers' });
    const registered = got().filter((one) => one.attribute('type') === 'result').length;
    // About: what is on its way to the database at the same time is not counted.
    expect(registered).toBeGreaterThanOrEqual(DEVICES_OF_ONE_DOMAIN);
    expect(
      await server.metric(
        'waggle_xmpp_registrations_total{way="command",request="register",outcome="registered"}',
      ),
    ).toBe(devices.length + registered);
    expect(registered).toBeLessThan(total / 2);
    expect(new Set(got().map((one) => errorOf(one) ?? 'result'))).toEqual(new Set(['result', PUT_OFF]));
  });

  it('what cannot or must not be answered is not, and counted', async () => {
    const connection = await connected();
    const before = await server.metric('waggle_xmpp_unanswerable_total');
    const from = connection.stanzas.length;
    const each = 2_000;
    connection.write(
      times(
        each,
        (index) =>
          `<iq type='get' from='a@b' to='${EVIL}'><a xmlns='b'/></iq><iq type='set' to='${EVIL}' id='n${index}'><a xmlns='b'/></iq><iq type='get' id='n' from='@/'><a xmlns='b'/></iq>` +
          `<iq type='result' from='x' to='${EVIL}' id='n${index}'/><iq type='error' from='x' to='${EVIL}' id='n${index}'><error type='cancel'/></iq>` +
          `<message from='a@b' to='${EVIL}' type='error'><body>x</body></message><presence from='a@b' to='${EVIL}' type='subscribe'/>`,
      ),
    );
    for (const to of [GOOD, 'elsewhere.example', '', '@', `x@${EVIL}/y`, `${'x'.repeat(5_000)}@${EVIL}`]) {
      const answer = await connection.ask(publishTo(to, `spoofed-${to.length}`, 'nobody', 's'));
      expect(errorOf(answer)).toBe('cancel/item-not-found');
      // Anything else would make the server end the stream.
      expect((answer.attribute('from') ?? '').replace(/^.*@|\/.*$/g, '')).toBe(EVIL);
    }
    // Besides: its pings, and its answers to those that we sent back to it.
    const ids = connection.stanzas.slice(from).map((one) => one.attribute('id') ?? '');
    expect(ids.filter((id) => !/^(spoofed|waggle-ping)-/.test(id))).toEqual([]);
    expect(await server.metric('waggle_xmpp_unanswerable_total')).toBe(before + 3 * each);
  });

  it('a server that reads no answers is left', async () => {
    const connection = await connected();
    const before = await ends('send-queue-full');
    connection.socket.pause();
    for (let sent = 0; sent < 100_000 && (await ends('send-queue-full')) === before; sent += 2_000) {
      connection.write(times(2_000, (index) => ping(`${sent + index}-${'x'.repeat(300)}`)));
      await until(20);
    }
    expect(await ends('send-queue-full')).toBe(before + 1);
    connection.socket.destroy();
    await connected();
  });

  it.each<[Manners | 'conflict' | 'hang-up', string]>([
    ['mute', 'handshake-timeout'],
    ['no-handshake', 'handshake-timeout'],
    ['garbage', 'bad-xml'],
    ['foreign-stream', 'bad-xml'],
    ['conflict', 'conflict'],
    ['hang-up', 'closed-by-server'],
  ])('a server that is %s for ever is asked now and then', async (manners, reason) => {
    const connection = await connected();
    const before = await ends(reason);
    const from = evil.connections.length;
    // `conflict`: the server holds on to the connection that it has, which we do not have any more.
    if (manners !== 'conflict' && manners !== 'hang-up') evil.settings.manners = manners;
    connection.socket.destroy();
    const started = performance.now();
    while (performance.now() - started < 1_700) {
      const late = evil.connections.at(-1);
      if (late !== connection && late?.state === 'online' && manners === 'conflict')
        late.streamError('conflict');
      if (late !== connection && late?.state === 'online' && manners === 'hang-up') late.socket.destroy();
      await until(10);
    }
    expect(await ends(reason)).toBeGreaterThan(before);
    expect(evil.connections.length - from).toBeLessThan(25);
    evil.settings.manners = 'prosody';
    await connected();
  });

  it('and a wrong secret for ever, too', async () => {
    const connection = await connected();
    const before = await ends('refused');
    const secrets = evil.settings.secrets as Record<string, string>;
    secrets[EVIL] = 'other';
    const from = evil.connections.length;
    connection.socket.destroy();
    await until(1_700);
    expect(await ends('refused')).toBeGreaterThan(before);
    expect(evil.connections.length - from).toBeLessThan(5);
    secrets[EVIL] = 'evil';
    await connected();
  });
});
