import { describe, expect, it } from 'vitest';
import { decodeNotifyMessage } from '../../../src/codec/notify-message.js';
import { randomNonces } from '../../../src/crypto/seal.js';
import type { Push } from '../../../src/domain/push.js';
import type { ServiceName } from '../../../src/domain/ids.js';
import { DuplicateFilter } from '../../../src/streams/duplicate-filter.js';
import { createPipeline } from '../../../src/streams/pipeline.js';
import { SubscriptionIndex } from '../../../src/subscription-index/subscription-index.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { accountOf, makeSubscription, tokenOf } from '../../simulators/subscriptions.js';

const clock = { nowMs: () => 1_700_000_000_000 };

function frame(account: Buffer, hash: string, namespace = 0, data = 'hello'): Buffer {
  return Buffer.concat([
    Buffer.from('d1:@33:'),
    account,
    Buffer.from(
      `1:h${hash.length}:${hash}1:ni${namespace}e1:ti1700000000123e1:zi1701209600123e1:~${data.length}:${data}e`,
    ),
  ]);
}
const hashOf = (n: number): string => `hash-${n}`.padEnd(43, 'x');

function setUp() {
  const index = new SubscriptionIndex(7);
  const metrics = new Metrics();
  const offered: Push[] = [];
  const spilled: { push: Push; onLost: () => void }[] = [];
  const faults: string[] = [];
  const state = { accepts: true, offers: (_push: Push) => true, spills: true };
  const filter = () => new DuplicateFilter({ lifetimeMs: 300_000, maxEntries: 1000, seeds: [1, 2] }, clock);
  const pipeline = createPipeline<string>({
    decode: decodeNotifyMessage,
    messages: filter(),
    devices: filter(),
    index,
    acceptsFrame: () => state.accepts,
    offer: (push) => {
      const taken = state.offers(push);
      if (taken) offered.push(push);
      return taken;
    },
    spill: (push, onLost) => {
      if (state.spills) spilled.push({ push, onLost });
      return state.spills;
    },
    contentOf: (service) => (service === 'external' ? 'unsealed' : 'sealed'),
    nextNonce: randomNonces(),
    pushSecret: Buffer.alloc(32, 9),
    clock,
    metrics,
    onFault: (stage) => faults.push(stage),
  });
  return { index, metrics, offered, spilled, faults, state, pipeline };
}

describe('the pipeline', () => {
  const account = accountOf('a');

  it('makes one push for each device that asked, however many copies of the message arrive', () => {
    const { index, pipeline, offered, metrics } = setUp();
    index.upsert(makeSubscription('a'));
    index.upsert(makeSubscription('a', { serviceId: tokenOf('second') }));
    index.upsert(makeSubscription('a', { serviceId: tokenOf('third'), namespaces: [5] }));
    for (let copy = 0; copy < 5; copy += 1) pipeline.next(`node ${copy}`, frame(account, hashOf(1)));
    expect(offered.map((push) => push.device.serviceId).sort()).toEqual(
      [tokenOf('a'), tokenOf('second')].sort(),
    );
    expect(metrics.framesDuplicate.value).toBe(4);
    pipeline.next('node', frame(account, hashOf(2)));
    expect(offered).toHaveLength(4);
  });

  it('counts and drops what does not parse, what nobody asked for and what a stranger sends', () => {
    const { index, pipeline, offered, metrics, state, faults } = setUp();
    index.upsert(makeSubscription('a'));
    pipeline.next('node', Buffer.from('garbage'));
    pipeline.next('node', Buffer.alloc(0));
    pipeline.next('node', frame(account, hashOf(1), 70_000));
    pipeline.next('node', frame(accountOf('nobody'), hashOf(1)));
    pipeline.next('node', frame(account, hashOf(1), 3));
    state.accepts = false;
    pipeline.next('stranger', frame(account, hashOf(1)));
    expect(offered).toEqual([]);
    expect(metrics.framesMalformed.total()).toBe(3);
    expect(metrics.framesUnmatched.value).toBe(2);
    expect(metrics.framesForeign.value).toBe(1);
    expect(faults).toEqual([]);
    state.accepts = true;
    pipeline.next('node', frame(account, hashOf(1)));
    expect(offered).toHaveLength(1);
  });

  it('tries a push again with the next copy when nobody took it, and never twice one that was taken', () => {
    const { index, pipeline, offered, state, metrics } = setUp();
    index.upsert(makeSubscription('a'));
    index.upsert(makeSubscription('a', { service: 'firebase' as ServiceName }));
    state.offers = (push) => push.service === 'apns';
    state.spills = false;
    pipeline.next('one', frame(account, hashOf(1)));
    pipeline.next('two', frame(account, hashOf(1)));
    expect(offered.map((push) => push.service)).toEqual(['apns']);
    expect(metrics.pushesLost.total()).toBe(2);
    state.offers = () => true;
    pipeline.next('three', frame(account, hashOf(1)));
    pipeline.next('four', frame(account, hashOf(1)));
    expect(offered.map((push) => push.service)).toEqual(['apns', 'firebase']);
  });

  it('puts a push without credit into the outbox once', () => {
    const { index, pipeline, spilled, state } = setUp();
    index.upsert(makeSubscription('a'));
    state.offers = () => false;
    for (let copy = 0; copy < 5; copy += 1) pipeline.next('node', frame(account, hashOf(1)));
    expect(spilled).toHaveLength(1);
  });

  it('lets a further copy through after the outbox lost the push', () => {
    const { index, pipeline, spilled, state, offered } = setUp();
    index.upsert(makeSubscription('a'));
    index.upsert(makeSubscription('a', { service: 'firebase' as ServiceName }));
    state.offers = (push) => push.service === 'apns';
    pipeline.next('one', frame(account, hashOf(1)));
    spilled[0]?.onLost();
    state.offers = () => true;
    pipeline.next('two', frame(account, hashOf(1)));
    expect(offered.map((push) => push.service)).toEqual(['apns', 'firebase']);
  });

  it('survives a fault of its own in a stage at the cost of one frame', () => {
    const { index, pipeline, offered, state, faults } = setUp();
    index.upsert(makeSubscription('a'));
    state.offers = () => {
      throw new Error('bug');
    };
    pipeline.next('node', frame(account, hashOf(1)));
    expect(faults).toEqual(['route']);
    state.offers = () => true;
    pipeline.next('node', frame(account, hashOf(2)));
    expect(offered).toHaveLength(1);
  });

  it('leaves the sealing to an external notifier, with the message only for who wants it', () => {
    const { index, pipeline, offered } = setUp();
    const external = 'external' as ServiceName;
    index.upsert(makeSubscription('a'));
    index.upsert(makeSubscription('a', { service: external, namespaces: [-11, 0] }));
    index.upsert(
      makeSubscription('a', {
        service: external,
        serviceId: tokenOf('second'),
        serviceData: Buffer.from('more'),
        wantData: false,
      }),
    );
    pipeline.next('node', frame(account, hashOf(1)));
    expect(offered.map(({ service, content }) => `${service} ${content.kind}`).sort()).toEqual([
      'apns sealed',
      'external unsealed',
      'external unsealed',
    ]);
    const dicts = offered
      .filter(({ content }) => content.kind === 'unsealed')
      .map(({ content }) => content.payload.toString('latin1'));
    expect(dicts.filter((dict) => dict.includes('1:~5:hello'))).toHaveLength(1);
    expect(dicts.filter((dict) => dict.includes('1:!4:more'))).toHaveLength(1);
    pipeline.next('node', frame(account, hashOf(2), -11));
    expect(offered.at(-1)?.content.payload.toString('latin1')).toContain('1:ni-11e');
  });

  it('keeps nothing of the frame: what was handed over stays right when the memory is used again', () => {
    const { index, pipeline, offered } = setUp();
    index.upsert(makeSubscription('a'));
    const bytes = frame(account, hashOf(1));
    pipeline.next('node', bytes);
    const before = JSON.stringify(offered);
    bytes.fill(0xee);
    expect(JSON.stringify(offered)).toBe(before);
    expect(offered[0]?.account.equals(account)).toBe(true);
  });
});
