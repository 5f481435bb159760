import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { secretHashOf } from '../../../src/crypto/secret-keeper.js';
import type { ServiceId, ServiceName } from '../../../src/domain/ids.js';
import type { PublishOutcome, PublishTarget, TargetSource, Wake } from '../../../src/domain/publish.js';
import { noSummary } from '../../../src/domain/publish.js';
import type { Push, PushFate } from '../../../src/domain/push.js';
import { createXmppPipeline, type XmppPipelineDeps } from '../../../src/streams/xmpp-pipeline.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import type { PublishRequest } from '../../../src/xmpp/port.js';
import { eventually } from '../../simulators/eventually.js';

const NOW = 1_700_000_000_000;
const DISTANCE = 5_000;
const ACCEPTED: PublishOutcome = { kind: 'accepted' };
const FAILED: PublishOutcome = { kind: 'failed', text: null };
const UNKNOWN: PublishOutcome = { kind: 'unknown' };
const DEAD: PublishOutcome = { kind: 'dead-token' };

const content = { kind: 'wake', payload: Buffer.from('{"u":"high"}') } as const;
const wakeOf = (urgency: Wake['urgency']): Wake => ({
  urgency,
  content,
  priority: urgency === 'high' ? 'high' : 'normal',
  lifetimeMs: 3_600_000,
});
const targetOf = (label: string, changes: Partial<PublishTarget> = {}): PublishTarget => ({
  key: `v1 ${label}`,
  secretHash: secretHashOf(`secret of ${label}`),
  domain: null,
  service: 'apns' as ServiceName,
  device: { serviceId: `token of ${label}` as ServiceId, serviceData: null },
  compose: ({ hasBody }) => wakeOf(hasBody ? 'high' : 'silent'),
  whenGone: () => DEAD,
  note: () => undefined,
  ...changes,
});
const requestOf = (node: string, changes: Partial<PublishRequest> = {}): PublishRequest => ({
  node,
  secret: `secret of ${node}`,
  summary: { ...noSummary, hasBody: true },
  senderDomain: 'example.org',
  isFromServer: true,
  deadlineMs: NOW + 25_000,
  ...changes,
});

class Source implements TargetSource {
  readonly memory = new Map<string, PublishTarget[]>();
  readonly database = new Map<string, PublishTarget[]>();
  readonly asked: string[] = [];
  look: (node: string) => Promise<readonly PublishTarget[]> = (node) =>
    Promise.resolve(this.database.get(node) ?? []);

  find(node: string): readonly PublishTarget[] {
    return this.memory.get(node) ?? [];
  }

  lookUp(node: string): Promise<readonly PublishTarget[]> {
    this.asked.push(node);
    return this.look(node);
  }
}

interface Taken {
  readonly push: Push;
  readonly dueAtMs: number | null;
  readonly tell: (fate: PushFate) => void;
}

function setUp(overrides: Partial<XmppPipelineDeps> = {}) {
  const clock = { now: NOW, nowMs: () => clock.now };
  const metrics = new Metrics();
  const source = new Source();
  const other = new Source();
  const faults: string[] = [];
  const taken: Taken[] = [];
  const pipeline = createXmppPipeline({
    sources: [source, other],
    delivery: {
      deliver: (push, tell) => taken.push({ push, dueAtMs: null, tell }),
      defer: (push, dueAtMs, tell) => taken.push({ push, dueAtMs, tell }),
    },
    spacing: { distanceMs: DISTANCE, maxKeys: 1_000 },
    maxLookUps: 10,
    randomBytes: (count) => randomBytes(count),
    clock,
    metrics,
    onFault: (stage) => faults.push(stage),
    ...overrides,
  });
  source.memory.set('a', [targetOf('a')]);
  const publish = (node = 'a', changes: Partial<PublishRequest> = {}) =>
    pipeline.publish(requestOf(node, changes));
  return { clock, metrics, source, other, faults, taken, pipeline, publish };
}

/** Fates are told at once. */
const telling = (fate: PushFate): Pick<XmppPipelineDeps, 'delivery'> => ({
  delivery: { deliver: (_push, tell) => tell(fate), defer: (_push, _at, tell) => tell(fate) },
});

describe('the pipeline of publishes', () => {
  it('makes one push of a publish, with what its target says', async () => {
    const { publish, taken } = setUp();
    const answer = publish();
    const [first] = taken;
    expect(first?.push).toEqual({
      service: 'apns',
      account: Buffer.from('a'),
      device: { serviceId: 'token of a', serviceData: null },
      content,
      priority: 'high',
      expiresAtMs: NOW + 3_600_000,
      dedupeKey: expect.any(Buffer) as Buffer,
      receivedAtMs: NOW,
      attempts: 0,
      outboxId: null,
    });
    expect(first?.push.content.payload).toBe(content.payload);
    expect(first?.push.dedupeKey).toHaveLength(16);
    first?.tell('delivered');
    expect(await answer).toEqual(ACCEPTED);
  });

  it('gives every push a dedupe key of its own', () => {
    const { publish, taken } = setUp({ spacing: { distanceMs: 0, maxKeys: 1 } });
    for (let i = 0; i < 500; i += 1) void publish();
    expect(new Set(taken.map(({ push }) => push.dedupeKey.toString('hex'))).size).toBe(500);
  });

  it('keeps no more of a node than says whose it was', () => {
    const { publish, taken, source } = setUp();
    const node = 'x'.repeat(4_096);
    source.memory.set(node, [targetOf(node)]);
    void publish(node);
    expect(taken[0]?.push.account).toHaveLength(64);
  });

  it.each<[PushFate, PublishOutcome]>([
    ['delivered', ACCEPTED],
    ['stored', ACCEPTED],
    ['superseded', ACCEPTED],
    ['dead-token', DEAD],
    ['token-kept', FAILED],
    ['given-up', FAILED],
    ['expired', FAILED],
    ['no-notifier', FAILED],
    ['lost', FAILED],
  ])('answers a push whose fate is "%s"', async (fate, expected) => {
    const notes: [PushFate, number][] = [];
    const { publish, taken, source, metrics } = setUp();
    const target = targetOf('a', { note: (...note) => notes.push(note) });
    source.memory.set('a', [target]);
    const answer = publish();
    expect(notes).toEqual([]);
    // Its record is removed by then.
    source.memory.clear();
    taken[0]?.tell(fate);
    taken[0]?.tell('delivered');
    expect(await answer).toEqual(expected);
    expect(notes).toEqual([[fate, NOW]]);
    expect(metrics.xmppPublishes.of(expected.kind).value).toBe(1);
    expect(metrics.xmppPublishes.total()).toBe(1);
  });

  it.each<[PushFate, PublishOutcome]>([
    ['delivered', ACCEPTED],
    ['lost', FAILED],
  ])('answers without a promise what is known at once: %s', (fate, expected) => {
    const { publish } = setUp(telling(fate));
    expect(publish()).toEqual(expected);
  });

  it('asks a target that has lost its token what its server is told', async () => {
    const { publish, source, taken } = setUp();
    source.memory.clear();
    const whenGone = (nowMs: number): PublishOutcome => ({ kind: 'failed', text: `${nowMs - NOW}` });
    source.database.set('gone', [targetOf('gone', { device: null, whenGone })]);
    expect(await publish('gone')).toEqual({ kind: 'failed', text: '0' });
    // Nothing is called ended that memory alone says.
    source.memory.set('ended', [targetOf('ended', { device: null })]);
    expect(await publish('ended')).toEqual(UNKNOWN);
    source.memory.set('patient', [targetOf('patient', { device: null, whenGone: () => FAILED })]);
    expect(publish('patient')).toEqual(FAILED);
    // Memory may be behind with its new one.
    source.memory.set('back', [targetOf('back', { device: null })]);
    source.database.set('back', [targetOf('back')]);
    void publish('back');
    await eventually(() => taken.length === 1);
  });

  it.each(['dead-token', 'token-kept'] as const)(
    'goes to the new token with which its client came meanwhile, once ("%s")',
    async (fate) => {
      const { publish, taken, source } = setUp();
      const answer = publish();
      const device = { serviceId: 'new token' as ServiceId, serviceData: null };
      source.memory.set('a', [targetOf('a', { device })]);
      taken[0]?.tell(fate);
      expect(taken[1]?.push.device).toEqual(device);
      source.memory.set('a', [targetOf('a')]);
      taken[1]?.tell(fate);
      expect(taken).toHaveLength(2);
      expect(await answer).toEqual(FAILED);
    },
  );

  it('says what became of the push to the new token', async () => {
    const { publish, taken, source } = setUp();
    const answer = publish();
    const device = { serviceId: 'new token' as ServiceId, serviceData: null };
    source.memory.set('a', [targetOf('a', { device })]);
    taken[0]?.tell('token-kept');
    taken[1]?.tell('delivered');
    expect(await answer).toEqual(ACCEPTED);
  });

  it('calls nothing dead whose client came of a type that only another process serves', async () => {
    const { publish, taken, source } = setUp();
    const answer = publish();
    source.memory.set('a', [targetOf('a', { device: null, whenGone: () => FAILED })]);
    taken[0]?.tell('dead-token');
    expect(await answer).toEqual(FAILED);
  });
});

describe('a push that waits for its turn', () => {
  it('lives as long after that as any other, or none would ever be sent where turns are far apart', () => {
    const distanceMs = 2 * 3_600_000;
    const { publish, taken } = setUp({ spacing: { distanceMs, maxKeys: 10 } });
    void publish();
    void publish();
    expect(taken.map(({ push, dueAtMs }) => push.expiresAtMs - (dueAtMs ?? NOW))).toEqual([
      3_600_000, 3_600_000,
    ]);
  });
});

describe('the pipeline of publishes, looking for the target', () => {
  it('takes the one whose secret is given, of whatever source, one with a device first', () => {
    const { publish, taken, source, other } = setUp();
    const shared = { secretHash: secretHashOf('secret of n') };
    source.memory.set('n', [
      targetOf('another'),
      targetOf('gone', { ...shared, device: null }),
      targetOf('domain', { ...shared, domain: 'elsewhere.org' }),
    ]);
    other.memory.set('n', [targetOf('right', shared), targetOf('second', shared)]);
    void publish('n');
    expect(taken.map(({ push }) => push.device.serviceId)).toEqual(['token of right']);
    expect([...source.asked, ...other.asked]).toEqual([]);
  });

  it.each<[string, string | null, Partial<PublishRequest>, boolean]>([
    [
      'from anywhere where no domain is known',
      null,
      { senderDomain: 'other.org', isFromServer: false },
      true,
    ],
    ['from the server of its domain', 'example.org', {}, true],
    ['not from another server', 'example.org', { senderDomain: 'other.org' }, false],
    ['not from a user of its domain', 'example.org', { isFromServer: false }, false],
    ['not with another secret', null, { secret: 'guessed' }, false],
    ['not with an empty secret', null, { secret: '' }, false],
  ])('wakes a device %s', async (_what, domain, request, isWoken) => {
    const { publish, taken, source } = setUp();
    source.memory.set('a', [targetOf('a', { domain })]);
    source.database.set('a', [targetOf('a', { domain })]);
    const answer = publish('a', request);
    if (!isWoken) expect(await answer).toEqual(UNKNOWN);
    expect(taken).toHaveLength(isWoken ? 1 : 0);
  });

  it('asks the database before it calls a node or a secret unknown', async () => {
    const { publish, taken, source, other, metrics } = setUp();
    other.database.set('late', [targetOf('late')]);
    source.database.set('a', [targetOf('a', { secretHash: secretHashOf('new secret') })]);
    const answers = [publish('late'), publish('a', { secret: 'new secret' })];
    await eventually(() => taken.length === 2);
    for (const { tell } of taken) tell('stored');
    for (const answer of answers) expect(await answer).toEqual(ACCEPTED);
    expect(await publish('nobody')).toEqual(UNKNOWN);
    expect(source.asked).toEqual(['late', 'a', 'nobody']);
    expect(other.asked).toEqual(['late', 'a', 'nobody']);
    expect(metrics.xmppLookUps.of('found').value).toBe(2);
    expect(metrics.xmppLookUps.of('unknown').value).toBe(1);
  });

  it('fails while the database is away, and does not say unknown', async () => {
    const { publish, other, metrics } = setUp();
    other.look = () => Promise.reject(new Error('away'));
    expect(await publish('nobody')).toEqual(FAILED);
    other.look = () => {
      throw new Error('away at once');
    };
    expect(await publish('nobody')).toEqual(FAILED);
    expect(metrics.xmppLookUps.of('away').value).toBe(2);
  });

  it('fails when the database does not answer in time, and drops what it says afterwards', async () => {
    const { publish, source, taken, metrics } = setUp();
    let answer = (_targets: readonly PublishTarget[]): void => undefined;
    source.look = () => new Promise((resolve) => (answer = resolve));
    expect(await publish('late', { deadlineMs: NOW + 20 })).toEqual(FAILED);
    answer([targetOf('late')]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toEqual([]);
    expect(metrics.xmppPublishes.of('failed').value).toBe(1);
    expect(publish('late', { deadlineMs: NOW })).toEqual(FAILED);
    expect(source.asked).toHaveLength(1);
    expect(metrics.xmppLookUps.of('late').value).toBe(2);
  });

  it('lets only so many wait for the database, also those that nobody waits for any more', async () => {
    const { publish, source, metrics, pipeline } = setUp();
    let release = (): void => undefined;
    const gate = new Promise<readonly PublishTarget[]>((resolve) => (release = () => resolve([])));
    source.look = () => gate;
    const given = Array.from({ length: 10 }, (_, i) => publish(`${i}`, { deadlineMs: NOW + 10 }));
    expect(publish('too many')).toEqual(FAILED);
    for (const answer of given) expect(await answer).toEqual(FAILED);
    for (let i = 0; i < 1_000; i += 1) expect(publish('too many')).toEqual(FAILED);
    expect(source.asked).toHaveLength(10);
    expect(metrics.xmppLookUps.of('full').value).toBe(1_001);
    // What memory knows is not held up.
    expect(publish()).toBeInstanceOf(Promise);
    release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await publish('again')).toEqual(UNKNOWN);
    pipeline.complete();
  });

  it('fails what waits, and all that comes, when it is completed', async () => {
    const { publish, source, pipeline, taken } = setUp();
    source.look = () => new Promise(() => undefined);
    const waiting = publish('n');
    pipeline.complete();
    expect(await waiting).toEqual(FAILED);
    expect(publish()).toEqual(FAILED);
    expect(publish('n')).toEqual(FAILED);
    expect(taken).toEqual([]);
  });
});

describe('the pipeline of publishes, spacing them', () => {
  it('defers the second to its time and refuses the third; each urgency by itself', async () => {
    const { publish, taken, metrics, clock } = setUp();
    const answers = [publish(), publish(), publish()];
    void publish('a', { summary: noSummary });
    expect(taken.map(({ dueAtMs, push }) => [dueAtMs, push.priority])).toEqual([
      [null, 'high'],
      [NOW + DISTANCE, 'high'],
      [null, 'normal'],
    ]);
    expect(answers[2]).toEqual({ kind: 'rate-limited' });
    taken[1]?.tell('stored');
    expect(await answers[1]).toEqual(ACCEPTED);
    expect(metrics.xmppDeferred.value).toBe(1);
    expect(metrics.xmppPublishes.of('rate-limited').value).toBe(1);
    clock.now += 3 * DISTANCE;
    void publish();
    expect(taken.at(-1)?.dueAtMs).toBeNull();
  });

  it('gives the turn back of what nobody took, and of nothing else', () => {
    const { publish, taken } = setUp();
    void publish();
    taken[0]?.tell('lost');
    void publish();
    expect(taken[1]?.dueAtMs).toBeNull();
    void publish();
    taken[2]?.tell('no-notifier');
    void publish();
    expect(taken[3]?.dueAtMs).toBe(NOW + DISTANCE);
    taken[3]?.tell('given-up');
    expect(publish()).toEqual({ kind: 'rate-limited' });
  });
});

describe('the pipeline of publishes, at a fault of ours', () => {
  const bug = (): never => {
    throw new Error('bug');
  };

  it.each<[string, string, (parts: ReturnType<typeof setUp>) => void]>([
    ['xmpp-resolve', 'find', ({ source }) => (source.find = bug)],
    ['xmpp-compose', 'compose', ({ source }) => source.memory.set('a', [targetOf('a', { compose: bug })])],
    [
      'xmpp-look-up',
      'choose',
      ({ source }) => {
        source.memory.clear();
        source.database.set('a', [targetOf('a', { secretHash: null as unknown as Buffer })]);
      },
    ],
    [
      'xmpp-compose',
      'whenGone',
      ({ source }) => {
        source.memory.clear();
        source.database.set('a', [targetOf('a', { device: null, whenGone: bug })]);
      },
    ],
  ])('fails in %s (%s), and goes on with the next', async (stage, _what, prepare) => {
    const parts = setUp(telling('delivered'));
    prepare(parts);
    expect(await parts.publish()).toEqual(FAILED);
    expect(parts.faults).toEqual([stage]);
    parts.source.find = (node) => parts.source.memory.get(node) ?? [];
    parts.source.memory.set('b', [targetOf('b')]);
    expect(parts.publish('b')).toEqual(ACCEPTED);
  });

  it('fails what delivery does not take, and gives its turn back', () => {
    const { publish, faults } = setUp({ delivery: { deliver: bug, defer: bug } });
    expect([publish(), publish()]).toEqual([FAILED, FAILED]);
    expect(faults).toEqual(['xmpp-route', 'xmpp-route']);
  });

  it('keeps to the fate that it has heard', () => {
    const deliver = (_push: Push, tell: (fate: PushFate) => void): void => {
      tell('delivered');
      bug();
    };
    const { publish, faults } = setUp({ delivery: { deliver, defer: bug } });
    expect(publish()).toEqual(ACCEPTED);
    expect(faults).toEqual(['xmpp-route']);
  });

  it('bears targets that fail to say what follows, and to take note', () => {
    const { publish, faults, source } = setUp(telling('dead-token'));
    let isAsked = false;
    source.find = () => {
      if (isAsked) return [];
      isAsked = true;
      return [targetOf('a', { whenGone: bug, note: bug })];
    };
    expect(publish()).toEqual(FAILED);
    expect(faults).toEqual(['xmpp-answer', 'xmpp-note']);
  });
});
