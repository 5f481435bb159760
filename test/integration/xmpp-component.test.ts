import vectors from '../vectors/xmpp-push.json' with { type: 'json' };
import { afterEach, describe, expect, it } from 'vitest';
import type { PublishOutcome } from '../../src/xmpp/port.js';
import type { XmlElement } from '../../src/xmpp/xml-element.js';
import { eventually } from '../simulators/eventually.js';
import { componentUnderTest, entryAt, type UnderTest } from '../simulators/xmpp/component-under-test.js';
import { XmppServer, type XmppServerSettings } from '../simulators/xmpp/xmpp-server.js';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function serverWith(settings: Partial<XmppServerSettings> = {}, port = 0): Promise<XmppServer> {
  const server = await XmppServer.start(settings, port);
  ends.push(() => server.stop());
  return server;
}

function started(...parameters: Parameters<typeof componentUnderTest>): UnderTest {
  const underTest = componentUnderTest(...parameters);
  ends.push(() => underTest.component.stop());
  underTest.component.start();
  return underTest;
}

const publish = (id: string, node = 'n', secret = 's', to = 'push.example') =>
  `<iq type='set' from='example' to='${to}' id='${id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='${node}'><item><notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'><value>urn:xmpp:push:summary</value></field><field type='text-single' var='message-count'><value>1</value></field><field type='text-single' var='pending-subscription-count'/><field type='jid-single' var='last-message-sender'/><field type='text-single' var='last-message-body'><value>New Message!</value></field></x></notification></item></publish><publish-options><x type='submit' xmlns='jabber:x:data'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='secret'><value>${secret}</value></field></x></publish-options></pubsub></iq>`;

const errorOf = (answer: XmlElement): string | null => {
  const error = answer.child('error');
  return error === null ? null : `${error.attribute('type')}/${error.elements()[0]?.name}`;
};
const states = ({ component }: UnderTest) => component.status().map(({ state }) => state);
const never = new Promise<PublishOutcome>(() => undefined);

describe('the component at an XMPP server', () => {
  it('shakes hands and answers', async () => {
    const server = await serverWith();
    const { published } = started([entryAt(server.port)]);
    const connection = await server.nthOnline();
    const answer = await connection.ask(publish('rr-1+/=', 'node', 'secret'));
    expect(answer.attribute('type')).toBe('result');
    expect(answer.attribute('from')).toBe('push.example');
    expect(answer.attribute('to')).toBe('example');
    expect(answer.children).toEqual([]);
    expect(published).toMatchObject([{ node: 'node', secret: 'secret', summary: { hasBody: true } }]);
  });

  it.each(['prosody', 'ejabberd'] as const)('sends the handshake that %s took', async (name) => {
    const recorded = vectors.servers[name].handshake;
    const secret = recorded.shared_secret;
    const server = await serverWith({
      secrets: { 'push.localhost': secret },
      streamId: recorded.stream_id,
    });
    started([entryAt(server.port, { domain: 'push.localhost', secret })]);
    expect((await server.nthOnline()).handshake).toBe(recorded.handshake_hex);
  });

  it('answers what comes in one packet with the server\'s "yes"', async () => {
    const server = await serverWith({ withHandshake: publish('first') });
    started([entryAt(server.port)]);
    const connection = await server.nthOnline();
    await eventually(() => connection.answersTo('first')[0]);
  });

  it('hashes a secret with other than ASCII characters as the UTF-8 that it is', async () => {
    const secret = 'gehëim-密';
    const server = await serverWith({ secrets: { 'push.example': secret } });
    started([entryAt(server.port, { secret })]);
    await server.nthOnline();
  });

  it('puts characters together that packets cut in two', async () => {
    const server = await serverWith();
    const { published } = started([entryAt(server.port)]);
    const connection = await server.nthOnline();
    for (const byte of Buffer.from(publish('i', 'gërät-📱'))) {
      connection.socket.write(Buffer.from([byte]));
      if (byte > 127) await new Promise(setImmediate);
    }
    await eventually(() => published[0]);
    expect(published[0]?.node).toBe('gërät-📱');
  });

  it('serves several domains, and several connections of one', async () => {
    const server = await serverWith({
      manners: 'ejabberd',
      secrets: { 'push.example': 's3cret', 'push.other': 'other' },
    });
    const underTest = started([
      entryAt(server.port, { connections: 2 }),
      entryAt(server.port, { domain: 'push.other', secret: 'other' }),
    ]);
    await eventually(() => states(underTest).every((state) => state === 'online'));
    expect(server.online()).toHaveLength(3);
    for (const [index, connection] of server.online().entries()) {
      const answer = await connection.ask(publish(`${index}`, 'n', 's', connection.domain));
      expect(answer.attribute('from')).toBe(connection.domain);
    }
  });

  it('answers from its own domain whatever address was asked', async () => {
    const server = await serverWith();
    started([entryAt(server.port)]);
    const connection = await server.nthOnline();
    const foreign = await connection.ask(publish('a', 'n', 's', 'elsewhere.example'));
    expect(foreign.attribute('from')).toBe('push.example');
    const inside = await connection.ask(publish('b', 'n', 's', 'x@push.example/y'));
    expect(inside.attribute('from')).toBe('x@push.example/y');
  });

  it('says nothing to messages, presence, results, errors and what has no id or sender', async () => {
    const server = await serverWith();
    const { report } = started([entryAt(server.port)]);
    const connection = await server.nthOnline();
    connection.write(
      `<message from='a@example' to='push.example' id='1' type='error'><body>x</body></message>
       <presence from='a@example' to='push.example'/>
       <iq type='result' from='example' to='push.example' id='2'/>
       <iq type='error' from='example' to='push.example' id='3'><error type='cancel'/></iq>
       <iq type='set' from='example' to='push.example'><a xmlns='b'/></iq>
       <iq type='set' to='push.example' id='4'><a xmlns='b'/></iq>
       <iq type='set' from='@' to='push.example' id='5'><a xmlns='b'/></iq>`,
    );
    await connection.ask(publish('last'));
    expect(connection.stanzas).toHaveLength(1);
    expect(report.unanswerables).toBe(3);
  });
});

describe('a connection that ends', () => {
  it('is made again, when the server closes it and when it breaks', async () => {
    const server = await serverWith();
    const { report } = started([entryAt(server.port)]);
    (await server.nthOnline(1)).socket.end('</stream:stream>');
    (await server.nthOnline(2)).socket.destroy();
    (await server.nthOnline(3)).streamError('system-shutdown');
    const last = await server.nthOnline(4);
    expect((await last.ask(publish('again'))).attribute('type')).toBe('result');
    expect(report.ends).toEqual(['closed-by-server', 'closed-by-server', 'stream-error']);
  });

  it('answers the end of the stream with its own', async () => {
    const server = await serverWith();
    started([entryAt(server.port)]);
    const connection = await server.nthOnline();
    connection.write('</stream:stream>');
    await eventually(() => connection.hasStreamEnd);
  });

  it('is tried again for as long as there is no server', async () => {
    const first = await serverWith();
    const { port } = first;
    await first.stop();
    const underTest = started([entryAt(port)]);
    await eventually(() => (underTest.component.status()[0]?.failures ?? 0) >= 5);
    expect(new Set(underTest.report.ends)).toEqual(new Set(['unreachable']));
    const server = await serverWith({}, port);
    await server.nthOnline();
    expect(underTest.component.status()[0]?.failures).toBeGreaterThan(0);
  });

  it('forgets failures when a connection has lasted', async () => {
    const server = await serverWith();
    const { component } = started([entryAt(server.port)], { options: { stableAfterMs: 30 } });
    (await server.nthOnline(1)).streamError('reset');
    await server.nthOnline(2);
    await eventually(() => component.status()[0]?.failures === 0);
  });

  it('leaves no answer to a request of the old one on the new one', async () => {
    const server = await serverWith();
    let release: (outcome: PublishOutcome) => void = () => undefined;
    const { report } = started([entryAt(server.port)], {
      publish: ({ node }) =>
        node === 'slow' ? new Promise((resolve) => (release = resolve)) : { kind: 'accepted' },
    });
    const first = await server.nthOnline(1);
    first.write(publish('old', 'slow'));
    await first.ask(publish('seen'));
    first.socket.destroy();
    const second = await server.nthOnline(2);
    expect(report.lost).toBe(1);
    release({ kind: 'accepted' });
    await second.ask(publish('new'));
    expect(second.answersTo('old')).toEqual([]);
  });

  it.each(['mute', 'no-handshake'] as const)('is given up when the server is %s', async (manners) => {
    const server = await serverWith({ manners });
    const { report } = started([entryAt(server.port)], { options: { openTimeoutMs: 100 } });
    await eventually(() => report.ends.length >= 2);
    expect(new Set(report.ends)).toEqual(new Set(['handshake-timeout']));
    server.settings.manners = 'prosody';
    await server.nthOnline();
  });

  it('waits long after a wrong secret and an unknown domain', async () => {
    const prosody = await serverWith();
    const ejabberd = await serverWith({ manners: 'ejabberd' });
    const { report } = started([
      entryAt(prosody.port, { secret: 'wrong' }),
      entryAt(prosody.port, { domain: 'unknown.example' }),
      entryAt(ejabberd.port, { domain: 'unknown.example' }),
    ]);
    await eventually(() => report.ends.length === 3);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(report.ends).toEqual(['refused', 'refused', 'refused']);
    await eventually(() => report.ends.length === 6);
  });

  it('waits after a conflict until the old connection is gone', async () => {
    const server = await serverWith();
    const { component, report } = started([entryAt(server.port, { connections: 2 })]);
    await eventually(() => report.ends.includes('conflict') && report.connects === 1);
    expect(component.status().filter(({ state }) => state === 'online')).toHaveLength(1);
    (await server.nthOnline(1)).streamError('reset');
    await server.nthOnline(2);
    expect(report.ends.filter((end) => end === 'conflict').length).toBeLessThan(4);
  });

  it('is not made before it may be', async () => {
    const server = await serverWith();
    let allow: () => void = () => undefined;
    const underTest = started([entryAt(server.port)], {
      whenReady: () => new Promise<void>((resolve) => (allow = resolve)),
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(states(underTest)).toEqual(['not-ready']);
    expect(server.connections).toEqual([]);
    allow();
    await server.nthOnline();
  });
});

describe('a dead connection', () => {
  const quick = { pingIntervalMs: 40, silenceMs: 60 };

  it('is noticed by the silence after a ping', async () => {
    const server = await serverWith({ answersPings: false });
    const { report } = started([entryAt(server.port)], { options: quick });
    const connection = await server.nthOnline(1);
    await server.nthOnline(2);
    expect(report.ends).toEqual(['silent']);
    expect(connection.stanzas.map((stanza) => stanza.attribute('to'))).toEqual(['example', 'push.example']);
  });

  it('is none while anything at all comes', async () => {
    const server = await serverWith({ answersPings: false });
    const { report } = started([entryAt(server.port)], { options: quick });
    const connection = await server.nthOnline();
    const talk = setInterval(() => connection.write(' '), 10);
    await eventually(() => connection.stanzas.length >= 10);
    clearInterval(talk);
    expect(report.ends).toEqual([]);
  });

  it('is none while pings are answered', async () => {
    const server = await serverWith();
    const { report } = started([entryAt(server.port)], { options: quick });
    const connection = await server.nthOnline();
    await eventually(() => connection.stanzas.length >= 12);
    expect(report.ends).toEqual([]);
    expect(report.answers).toContain('ping result');
  });

  it('ends when the server does not read', async () => {
    const server = await serverWith();
    const { report, published } = started([entryAt(server.port)], {
      options: { maxSendQueueBytes: 100_000 },
    });
    const connection = await server.nthOnline();
    connection.socket.pause();
    const batch = Array.from({ length: 500 }, (_, i) => publish(`${i}-${'x'.repeat(4_000)}`)).join('');
    while (report.ends.length === 0) {
      connection.write(batch);
      await new Promise(setImmediate);
    }
    expect(report.ends).toEqual(['send-queue-full']);
    expect(published.length).toBeGreaterThan(0);
    await server.nthOnline(2);
  });
});

describe('a hostile server', () => {
  const limits = { xml: { maxStanzaChars: 10_000, maxDepth: 10, maxAttributes: 8 } };
  const open = "<iq type='set' from='example' to='push.example' id='i'>";

  // Users of any server can make ours send such stanzas; on the same stream come the pushes of all others.
  it.each([
    ['a huge stanza', 'wait/resource-constraint', `${open}<a xmlns='b'>${'x'.repeat(20_000)}</a></iq>`],
    ['a huge tag in a stanza', 'wait/resource-constraint', `${open}<a b='${'x'.repeat(20_000)}'/></iq>`],
    ['deep XML', 'wait/resource-constraint', `${open}${'<a>'.repeat(100)}${'</a>'.repeat(100)}</iq>`],
    [
      'many attributes',
      'wait/resource-constraint',
      `${open}<a ${Array.from({ length: 9 }, (_, i) => `a${i}='x'`).join(' ')}/></iq>`,
    ],
    ['many elements', 'wait/resource-constraint', `${open}<a>${'<b/>'.repeat(2_100)}</a></iq>`],
    ['a huge message', null, `<message from='a@b' to='push.example' id='i'>${'x'.repeat(20_000)}</message>`],
    ['a huge answer', null, `${open.replace('set', 'result')}${'x'.repeat(20_000)}</iq>`],
    ['a huge name', null, `<${'x'.repeat(20_000)}/>`],
    [
      'a stanza of many attributes',
      null,
      `<iq type='get' id='i' from='a@b' ${Array.from({ length: 9 }, (_, i) => `a${i}='x'`).join(' ')}/>`,
    ],
  ])('that passes on %s is answered, if at all, and kept', async (_, error, evil) => {
    const server = await serverWith();
    const { report } = started([entryAt(server.port)], { options: limits });
    const connection = await server.nthOnline(1);
    for (let times = 0; times < 3; times += 1) {
      connection.write(evil);
      await connection.ask(publish(`after-${times}`));
    }
    expect(connection.answersTo('i').map(errorOf)).toEqual(error === null ? [] : [error, error, error]);
    expect(report.ends).toEqual([]);
  });

  it.each([
    ['a stanza that does not end', `${open}<a xmlns='b'>${'x'.repeat(200_000)}`],
    ['a tag that does not end', `${open}<a b='${'x'.repeat(200_000)}`],
    ['a name that does not end', `<${'x'.repeat(200_000)}`],
    ['elements without end', `${open}${'<a>'.repeat(100_000)}`],
    ['a document type', '<!DOCTYPE a [<!ENTITY b "c">]>'],
    ['an entity', `${open}<a xmlns='b'>&b;</a></iq>`],
    ['a comment', '<!-- a -->'],
    ['a processing instruction', '<?php 1 ?>'],
    ['wrong nesting', `${open}</a>`],
    ['text between stanzas', 'hello'],
    ['an unbound prefix', '<a:b/>'],
    ['a character that is none', `${open}<a xmlns='b'>&#0;</a></iq>`],
    ['a second root', '</stream:stream><a/>'],
  ])('that sends %s is left, and tried again', async (_, evil) => {
    const server = await serverWith();
    const { report } = started([entryAt(server.port)], { options: limits });
    const connection = await server.nthOnline(1);
    connection.write(evil);
    // Data after the end of all: must not bring anything down.
    connection.write('<more/></stream:stream><more');
    const next = await server.nthOnline(2);
    expect(report.ends[0]).toMatch(/bad-xml|closed-by-server/);
    expect((await next.ask(publish('alive'))).attribute('type')).toBe('result');
  });

  it.each(['garbage', 'foreign-stream'] as const)('that greets with %s is left', async (manners) => {
    const server = await serverWith({ manners });
    const { report } = started([entryAt(server.port)]);
    await eventually(() => report.ends.length >= 2);
    expect(new Set(report.ends)).toEqual(new Set(['bad-xml']));
  });

  it('cannot send us elsewhere', async () => {
    const elsewhere = await serverWith();
    const server = await serverWith();
    started([entryAt(server.port)]);
    (await server.nthOnline(1)).socket.end(
      `<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>127.0.0.1:${elsewhere.port}</see-other-host></stream:error></stream:stream>`,
    );
    await server.nthOnline(2);
    expect(elsewhere.connections).toEqual([]);
  });
});

describe('an answer', () => {
  it('is a `wait` when the handler throws, rejects or takes too long, and never comes twice', async () => {
    const server = await serverWith();
    let release: (outcome: PublishOutcome) => void = () => undefined;
    const { report } = started([entryAt(server.port)], {
      options: { answerTimeoutMs: 50 },
      publish: ({ node }) => {
        if (node === 'throws') throw new Error('bug');
        if (node === 'rejects') return Promise.reject(new Error('bug'));
        return node === 'slow' ? new Promise((resolve) => (release = resolve)) : never;
      },
    });
    const connection = await server.nthOnline();
    const answers = await Promise.all(
      ['throws', 'rejects', 'slow', 'never'].map((node) => connection.ask(publish(node, node))),
    );
    expect(answers.map(errorOf)).toEqual(Array(4).fill('wait/internal-server-error'));
    release({ kind: 'accepted' });
    await connection.ask(publish('x', 'throws'));
    expect(connection.answersTo('slow')).toHaveLength(1);
    expect(report.answers).toEqual([
      'publish fault',
      'publish fault',
      'publish late',
      'publish late',
      'publish fault',
    ]);
  });

  it('puts off what is more than may be under way', async () => {
    const server = await serverWith();
    started([entryAt(server.port)], { options: { maxOpenRequests: 2 }, publish: () => never });
    const connection = await server.nthOnline();
    connection.write(publish('1') + publish('2'));
    expect(errorOf(await connection.ask(publish('3')))).toBe('wait/resource-constraint');
  });

  it('comes exactly once for each of 20,000 publishes at once', async () => {
    const server = await serverWith();
    const total = 20_000;
    const { published } = started([entryAt(server.port)], {
      options: { maxOpenRequests: total },
      // Some at once, some in the next turn, as storage and cache would.
      publish: ({ node }): PublishOutcome | Promise<PublishOutcome> =>
        Number(node) % 2 === 0
          ? { kind: 'accepted' }
          : new Promise((resolve) =>
              setImmediate(() => {
                resolve({ kind: Number(node) % 3 === 0 ? 'unknown' : 'accepted' });
              }),
            ),
    });
    const connection = await server.nthOnline();
    let flood = '';
    for (let i = 0; i < total; i += 1) flood += publish(`id-${i}`, `${i}`);
    connection.write(flood);
    await eventually(() => connection.stanzas.length >= total, { timeoutMs: 20_000 });
    const wrong = connection.stanzas.filter((answer) => {
      const number = Number((answer.attribute('id') ?? '').slice(3));
      const expected = number % 2 === 1 && number % 3 === 0 ? 'error' : 'result';
      return answer.attribute('type') !== expected;
    });
    expect(wrong).toEqual([]);
    expect(new Set(connection.stanzas.map((answer) => answer.attribute('id'))).size).toBe(total);
    expect(connection.stanzas).toHaveLength(total);
    expect(published).toHaveLength(total);
  });
});

describe('a stop', () => {
  it('waits for the answers under way, then closes the stream', async () => {
    const server = await serverWith();
    let release: (outcome: PublishOutcome) => void = () => undefined;
    const underTest = started([entryAt(server.port)], {
      publish: ({ node }) =>
        node === 'slow' ? new Promise((resolve) => (release = resolve)) : { kind: 'accepted' },
    });
    const connection = await server.nthOnline();
    const slow = connection.ask(publish('slow', 'slow'));
    await connection.ask(publish('before'));
    const stopped = underTest.component.stop();
    expect((await connection.ask(publish('during'))).attribute('type')).toBe('result');
    expect(connection.hasStreamEnd).toBe(false);
    release({ kind: 'accepted' });
    expect((await slow).attribute('type')).toBe('result');
    await stopped;
    expect(connection.hasStreamEnd).toBe(true);
    expect(states(underTest)).toEqual(['stopped']);
    expect(underTest.report.ends).toEqual(['stopped']);
  });

  it('puts off new requests in the second half of its time, and answers the rest with a `wait`', async () => {
    const server = await serverWith();
    const { component } = started([entryAt(server.port)], {
      options: { drainMs: 200 },
      publish: () => never,
    });
    const connection = await server.nthOnline();
    const rest = connection.ask(publish('rest'));
    await connection.ask(
      "<iq type='get' from='e' to='push.example' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    const stopped = component.stop();
    await new Promise((resolve) => setTimeout(resolve, 140));
    expect(errorOf(await connection.ask(publish('new')))).toBe('wait/resource-constraint');
    expect(errorOf(await rest)).toBe('wait/internal-server-error');
    await stopped;
    expect(connection.hasStreamEnd).toBe(true);
  });

  it('hands on what was under way to us when we closed our side', async () => {
    const server = await serverWith();
    const { component, published, report } = started([entryAt(server.port)]);
    const connection = await server.nthOnline();
    connection.holdsEnd = true;
    const stopped = component.stop();
    await eventually(() => connection.hasStreamEnd);
    connection.write(publish('late', 'late'));
    await eventually(() => published.length === 1);
    connection.socket.end('</stream:stream>');
    await stopped;
    expect(report.lost).toBe(1);
    expect(connection.stanzas).toEqual([]);
  });

  it('hands on what waits for more to come when the connection breaks', async () => {
    const server = await serverWith();
    const { published, report } = started([entryAt(server.port)], { options: { coalesceMs: 60_000 } });
    const connection = await server.nthOnline();
    connection.write(publish('a', 'first'));
    connection.write(publish('b', 'second'));
    connection.socket.end();
    await eventually(() => published.length === 2 && report.ends.length > 0);
    expect(published.map(({ node }) => node)).toEqual(['first', 'second']);
  });

  it('does not wait for a server that does not close its side', async () => {
    const server = await serverWith();
    const { component } = started([entryAt(server.port)], { options: { closeTimeoutMs: 50 } });
    const connection = await server.nthOnline();
    connection.socket.pause();
    await component.stop();
    expect(component.status()[0]?.state).toBe('stopped');
  });

  it.each(['mute', 'prosody'] as const)('ends at once whatever the link is at (%s)', async (manners) => {
    const server = await serverWith({ manners, secrets: {} });
    const { component, report } = started([entryAt(server.port)], { options: { openTimeoutMs: 60_000 } });
    await eventually(() => server.connections.length > 0);
    if (manners === 'prosody') await eventually(() => report.ends.length > 0);
    await component.stop();
    expect(component.status()[0]?.state).toBe('stopped');
    const { length } = server.connections;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(server.connections).toHaveLength(length);
  });
});
