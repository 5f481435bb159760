import { describe, expect, it } from 'vitest';
import { defaultSubscriptionLimits } from '../../../src/http/subscription-service.js';
import { createLog } from '../../../src/telemetry/log.js';
import { SessionAccount, SessionDevice } from '../../simulators/session-client.js';
import { createTestService, tokenValidator, VECTOR_NOW_SECONDS } from './harness.js';

const now = VECTOR_NOW_SECONDS;
const device = new SessionDevice('android', undefined, undefined, 'test');
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const added = { added: true, message: 'Subscription successful', success: true };
const updated = { message: 'Resubscription successful', success: true, updated: true };
const internal = { error: 5, message: 'An internal error occurred while processing your request' };

describe('a subscribe', () => {
  it('hands over what the client asked for, decoded', async () => {
    const { service, subscriptions } = createTestService();
    const group = SessionAccount.group();
    const member = group.member();
    const request = device.subscription(group, now, { member });
    expect(await service.handle('subscribe', json(request))).toEqual(added);
    const [held] = subscriptions.held.values();
    expect(held).toEqual({
      account: group.id,
      service: 'test',
      serviceId: device.token,
      namespaces: [-11, 11, 12, 13, 14],
      wantData: true,
      encryptionKey: device.encryptionKey,
      serviceData: null,
      authorisation: {
        ed25519Key: null,
        subaccount: { tag: member.tag, signature: member.tagSignature },
        signature: Buffer.from(String(request['signature']), 'base64'),
        signedAtSeconds: now,
      },
    });
  });

  it('with an older signature than the one held is answered like a renewal', async () => {
    const { service, subscriptions, metrics } = createTestService();
    const account = SessionAccount.user();
    await service.handle('subscribe', json(device.subscription(account, now)));
    expect(await service.handle('subscribe', json(device.subscription(account, now - 60)))).toEqual(updated);
    const [held] = subscriptions.held.values();
    expect(held?.authorisation.signedAtSeconds).toBe(now);
    expect(metrics.subscriptionChanges.of('stale').value).toBe(1);
  });

  it.each([
    [now - 14 * 86_400, 'Subscription: sig_ts timestamp is too old'],
    [now - 14 * 86_400 + 1, null],
    [now + 86_400 - 1, null],
    [now + 86_400, 'Subscription: sig_ts timestamp is too far in the future'],
    [0, 'Subscription: signature timestamp is missing'],
    [-1, 'Subscription: sig_ts timestamp is too old'],
  ])('signed at %i is judged to the second', async (signedAt, message) => {
    const { service } = createTestService();
    const answer = await service.handle(
      'subscribe',
      json(device.subscription(SessionAccount.user(), signedAt)),
    );
    expect(answer).toEqual(message === null ? added : { error: 4, message });
  });

  it.each([
    ['token', { token: 'x'.repeat(31) }],
    ['token', { token: 'x'.repeat(1000) }],
  ])('with a %s that the notifier refuses gets the words of the notifier', async (_field, info) => {
    const { service } = createTestService();
    const request = { ...device.subscription(SessionAccount.user(), now), service_info: info };
    expect(await service.handle('subscribe', json(request))).toEqual({ error: 4, message: 'Invalid token' });
  });

  it.each(['short', 'y'.repeat(1000), `nul\0${'z'.repeat(40)}`, `\ud800${'z'.repeat(40)}`])(
    'is refused when the notifier lets a device pass that cannot be stored',
    async (serviceId) => {
      const lax = tokenValidator('test');
      const { service } = createTestService({
        notifier: () => ({
          service: lax.service,
          validate: () => ({
            ok: true,
            value: { serviceId: serviceId as never, serviceData: null },
          }),
        }),
      });
      const answer = await service.handle('subscribe', json(device.subscription(SessionAccount.user(), now)));
      expect(answer).toEqual({ error: 4, message: 'An error occured while processing your request' });
    },
  );

  it('passes on any code of a notifier, and leaves out an empty text', async () => {
    const { service: name } = tokenValidator('test');
    const { service } = createTestService({
      notifier: () => ({
        service: name,
        validate: () => ({ ok: false, error: { code: -7, message: '' } }),
      }),
    });
    const answer = await service.handle('subscribe', json(device.subscription(SessionAccount.user(), now)));
    expect(answer).toEqual({ error: -7 });
  });

  it('gets error 5 when it cannot be stored, and the store is told nothing twice', async () => {
    let calls = 0;
    const { service } = createTestService({
      subscribe: () => {
        calls += 1;
        return Promise.reject(new Error('the database is away'));
      },
    });
    const answer = await service.handle('subscribe', json(device.subscription(SessionAccount.user(), now)));
    expect(answer).toEqual(internal);
    expect(calls).toBe(1);
  });

  it('that fails is logged without a word about whom it was for', async () => {
    const lines: string[] = [];
    const account = SessionAccount.user();
    const { service } = createTestService({
      log: createLog({ level: 'trace' }, { write: (line) => void lines.push(line) }),
      subscribe: () =>
        Promise.reject(Object.assign(new Error(`row (${account.hex}, ${device.token})`), { code: '23505' })),
    });
    await service.handle('subscribe', json(device.subscription(account, now)));
    expect(lines.join('')).toContain('23505');
    expect(lines.join('')).not.toContain(account.hex);
    expect(lines.join('')).not.toContain(device.token);
  });

  it('gets error 5 when a notifier throws', async () => {
    const { service } = createTestService({
      notifier: () => ({
        service: tokenValidator('test').service,
        validate: () => {
          throw new TypeError('a bug');
        },
      }),
    });
    const answer = await service.handle('subscribe', json(device.subscription(SessionAccount.user(), now)));
    expect(answer).toEqual(internal);
  });

  it('gets error 3 when the store does not answer in time', async () => {
    const { service } = createTestService({
      subscribe: () => new Promise(() => undefined),
      limits: { ...defaultSubscriptionLimits, answerTimeoutMs: 20, elementsInProgress: 2 },
    });
    const late = { error: 3, message: 'Timeout waiting for push notification backend' };
    const requests = Array.from({ length: 5 }, () => device.subscription(SessionAccount.user(), now));
    expect(await service.handle('subscribe', json(requests))).toEqual([late, late, late, late, late]);
    expect(await service.handle('subscribe', json(requests[0]))).toEqual(late);
  });

  it('with more namespaces than anybody needs is refused', async () => {
    const { service } = createTestService();
    const namespaces = Array.from({ length: 257 }, (_, index) => index);
    const request = device.subscription(SessionAccount.user(), now, { namespaces });
    expect(await service.handle('subscribe', json(request))).toEqual({
      error: 4,
      message: 'Subscription: more than 256 namespaces',
    });
  });
});

describe('an array', () => {
  it('is answered by an array: empty by empty, one by one', async () => {
    const { service } = createTestService();
    expect(await service.handle('subscribe', json([]))).toEqual([]);
    const one = [device.subscription(SessionAccount.user(), now)];
    expect(await service.handle('subscribe', json(one))).toEqual([added]);
  });

  it('keeps its order, whichever element is stored first', async () => {
    const { service } = createTestService({
      subscribe: async (subscription) => {
        const rank = subscription.namespaces[0] ?? 0;
        for (let turn = 0; turn < 10 - rank; turn += 1) await new Promise(setImmediate);
        return rank % 2 === 0 ? 'added' : 'updated';
      },
    });
    const requests = [0, 1, 2, 3, 4, 5].map((rank) =>
      device.subscription(SessionAccount.user(), now, { namespaces: [rank] }),
    );
    expect(await service.handle('subscribe', json(requests))).toEqual([
      added,
      updated,
      added,
      updated,
      added,
      updated,
    ]);
  });

  it('may name the same device twice', async () => {
    const { service, subscriptions } = createTestService();
    const request = device.subscription(SessionAccount.user(), now);
    expect(await service.handle('subscribe', json([request, request]))).toEqual([added, updated]);
    expect(subscriptions.held.size).toBe(1);
  });

  it('is not spoilt by one bad element', async () => {
    const { service } = createTestService();
    const good = device.subscription(SessionAccount.user(), now);
    const answer = await service.handle('subscribe', json([good, {}, 7, { ...good, signature: 'zz' }]));
    expect(answer).toEqual([
      added,
      { error: 1, message: 'Missing required parameter: pubkey' },
      { error: 1, message: 'Invalid request: expected object' },
      { error: 4, message: 'Invalid value: expected bytes, hex, or base64' },
    ]);
  });

  it('of a hundred lets the event loop turn in between', async () => {
    const { service } = createTestService();
    const group = SessionAccount.group();
    const requests = Array.from({ length: 100 }, () => device.subscription(group, now));
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    const answer = await service.handle('subscribe', json(requests));
    done = true;
    expect(answer).toHaveLength(100);
    expect(turns).toBeGreaterThanOrEqual(5);
  });

  it('has only so many elements in progress', async () => {
    let inProgress = 0;
    let most = 0;
    const { service } = createTestService({
      limits: { ...defaultSubscriptionLimits, elementsInProgress: 7 },
      subscribe: async () => {
        inProgress += 1;
        most = Math.max(most, inProgress);
        await new Promise(setImmediate);
        inProgress -= 1;
        return 'added';
      },
    });
    const group = SessionAccount.group();
    await service.handle(
      'subscribe',
      json(Array.from({ length: 50 }, () => device.subscription(group, now))),
    );
    expect(most).toBe(7);
  });
});

describe('the order of the checks', () => {
  const group = SessionAccount.group();
  const ask = async (kind: 'subscribe' | 'unsubscribe', request: Record<string, unknown>): Promise<unknown> =>
    createTestService().service.handle(kind, json(request));
  const good = device.subscription(SessionAccount.user(), now);
  const zeros = '00'.repeat(64);

  it.each([
    [
      'the key conversion before the shape of sig_ts',
      { session_ed25519: '00'.repeat(32), sig_ts: 'x' },
      'Failed to convert',
    ],
    ['the service before enc_key', { service: 'nosuch', enc_key: 1 }, 'nosuch notification service'],
    ['sig_ts before the service', { service: 'nosuch', sig_ts: 1.5 }, 'sig_ts must be an integer'],
    ['enc_key before namespaces', { enc_key: 'zz', namespaces: 1 }, 'Invalid value'],
    ['data before the order of namespaces', { namespaces: [2, 1], data: 1 }, 'data must be a boolean'],
    ['namespaces before the time', { namespaces: [], sig_ts: 1 }, 'namespaces missing or empty'],
    ['the time before the signature', { sig_ts: 1, signature: zeros }, 'too old'],
    [
      'the signature before the device',
      { signature: zeros, service_info: {} },
      'Signature verification failed',
    ],
    ['subaccount before signature', { subaccount: null, signature: 5 }, 'Cannot specify subaccount without'],
    [
      'session_ed25519 before subaccount',
      { session_ed25519: 5, subaccount: null },
      'session_ed25519 must be a string',
    ],
  ])('subscribe: %s', async (_name, change, message) => {
    expect(await ask('subscribe', { ...good, ...change })).toMatchObject({
      message: expect.stringContaining(message) as string,
    });
  });

  it('unsubscribe: the device before the time before the signature', async () => {
    const request = device.unsubscription(group, 1);
    expect(await ask('unsubscribe', { ...request, service_info: {}, signature: zeros })).toMatchObject({
      error: 1,
    });
    expect(await ask('unsubscribe', { ...request, signature: zeros })).toEqual({
      error: 4,
      message: 'Unsubscribe: sig_ts timestamp is too old',
    });
  });

  it.each([
    [now - 86_400, true],
    [now - 86_401, false],
    [now + 86_400, true],
    [now + 86_401, false],
  ])('unsubscribe signed at %i is within a day: %s', async (signedAt, accepted) => {
    const answer = await ask('unsubscribe', device.unsubscription(group, signedAt));
    expect('success' in (answer as object)).toBe(accepted);
  });

  it('unsubscribe looks at neither namespaces nor data nor enc_key', async () => {
    const request = { ...device.unsubscription(group, now), namespaces: 'x', data: 5, enc_key: null };
    expect(await ask('unsubscribe', request)).toEqual({
      message: 'Device was not subscribed to push notifications',
      removed: false,
      success: true,
    });
  });

  it.each([[65_536], [-32_769], [1.5], [true], ['1']])(
    'namespace %s is refused, not bent',
    async (namespace) => {
      expect(await ask('subscribe', { ...good, namespaces: [namespace] })).toMatchObject({ error: 1 });
    },
  );
});

describe('a request of too many elements', () => {
  it('is refused as a whole before anything is checked, and one of exactly the limit is not', async () => {
    const { service } = createTestService();
    const { elementsMax } = defaultSubscriptionLimits;
    const refusal = { error: 1, message: 'Invalid request: too many elements' };
    expect(await service.handle('subscribe', json(Array(elementsMax + 1).fill({})))).toEqual(refusal);
    expect(await service.handle('subscribe', json(Array(elementsMax).fill({})))).toHaveLength(elementsMax);
  });
});
