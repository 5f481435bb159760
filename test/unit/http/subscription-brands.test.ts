import { describe, expect, it } from 'vitest';
import type { SubscriptionBrandSettings } from '../../../src/http/subscription-brands.js';
import { SessionAccount, SessionDevice } from '../../simulators/session-client.js';
import { BELDEX_PREFIX, bchatBrand, sessionBrand } from '../../simulators/legacy-brands.js';
import { createTestService, VECTOR_NOW_SECONDS } from './harness.js';

const now = VECTOR_NOW_SECONDS;
const iphone = new SessionDevice('ios');
const beldexUser = SessionAccount.user(undefined, BELDEX_PREFIX);
const sessionUser = SessionAccount.user();
const group = SessionAccount.group();
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const added = { added: true, message: 'Subscription successful', success: true };
const SIGNATURE_FAILED = { error: 4, message: 'Signature verification failed' };

function setUp(brands: readonly SubscriptionBrandSettings[] = [sessionBrand, bchatBrand]) {
  const { service, subscriptions } = createTestService({ brands });
  return {
    subscribe: (request: unknown, brand?: string) => service.handle('subscribe', json(request), brand),
    unsubscribe: (request: unknown, brand?: string) => service.handle('unsubscribe', json(request), brand),
    services: () => [...subscriptions.held.values()].map((held) => held.service),
    held: subscriptions.held,
  };
}

describe('a user of another network', () => {
  it.each([['bchat'], [undefined]])('subscribes by the door of %s', async (door) => {
    const { subscribe, held } = setUp();
    expect(await subscribe(iphone.subscription(beldexUser, now), door)).toEqual(added);
    const [subscription] = held.values();
    expect(subscription).toMatchObject({
      account: beldexUser.id,
      service: 'bchat-apns',
      authorisation: { ed25519Key: beldexUser.key.publicKey },
    });
  });

  it('needs the Ed25519 key of the account, as a user of Session does', async () => {
    const { subscribe } = setUp();
    const request = iphone.subscription(beldexUser, now);
    expect(await subscribe({ ...request, session_ed25519: undefined }, 'bchat')).toEqual({
      error: 1,
      message: 'Missing required parameter: session_ed25519',
    });
    expect(
      await subscribe({ ...request, session_ed25519: sessionUser.key.publicKey.toString('hex') }, 'bchat'),
    ).toMatchObject({
      error: 4,
      message: expect.stringMatching(/^account_id\/session_ed25519 mismatch/) as string,
    });
  });

  it('signs the id of the own network', async () => {
    const { subscribe } = setUp();
    const sessionTwin = SessionAccount.user(beldexUser.key.seed);
    const { signature } = iphone.subscription(sessionTwin, now);
    expect(await subscribe({ ...iphone.subscription(beldexUser, now), signature })).toEqual(SIGNATURE_FAILED);
  });

  it.each([
    ['bchat', sessionUser, 'session_ed25519 may only be used with bd-prefixed bchat IDs'],
    ['session', beldexUser, 'session_ed25519 may only be used with 05-prefixed session IDs'],
  ])('does not subscribe by the route of %s, if that is another brand', async (door, account, message) => {
    const { subscribe, unsubscribe, held } = setUp();
    expect(await subscribe(iphone.subscription(account, now), door)).toEqual({ error: 4, message });
    expect(await unsubscribe(iphone.unsubscription(account, now), door)).toEqual({ error: 4, message });
    expect(held.size).toBe(0);
  });

  it('has the subaccounts of that network', async () => {
    const { subscribe } = setUp();
    const member = beldexUser.member();
    expect(await subscribe(iphone.subscription(beldexUser, now, { member }), 'bchat')).toEqual(added);
    const foreign = beldexUser.member(undefined, 3, 0x05);
    expect(await subscribe(iphone.subscription(beldexUser, now, { member: foreign }), 'bchat')).toEqual({
      error: 4,
      message: 'Invalid subaccount: subaccount and main account have mismatched network prefix',
    });
  });

  it('is no user where that network is not served: the account counts as an Ed25519 key, as the original has it', async () => {
    const { subscribe, held } = setUp([sessionBrand]);
    expect(await subscribe(iphone.subscription(beldexUser, now))).toEqual(SIGNATURE_FAILED);
    expect(held.size).toBe(0);
  });
});

describe('the service that a client names', () => {
  it.each([
    ['a Session user', sessionUser, undefined, 'apns'],
    ['a Session user', sessionUser, 'session', 'apns'],
    ['a Beldex user', beldexUser, undefined, 'bchat-apns'],
    ['a group', group, undefined, 'apns'],
    ['a group', group, 'session', 'apns'],
    ['a group', group, 'bchat', 'bchat-apns'],
  ])('for %s means that of the brand (%#)', async (_name, account, door, service) => {
    const { subscribe, services } = setUp();
    expect(await subscribe(iphone.subscription(account, now), door)).toEqual(added);
    expect(services()).toEqual([service]);
  });

  it('stays what it is, unless it is one of the words that all clients use', async () => {
    const { subscribe, services } = setUp();
    const device = new SessionDevice('ios', undefined, undefined, 'test');
    expect(await subscribe(device.subscription(beldexUser, now), 'bchat')).toEqual(added);
    expect(services()).toEqual(['test']);
  });

  it.each([['huawei'], ['constructor'], ['__proto__'], ['toString']])(
    'is the one in the answer when there is none behind it: %s',
    async (word) => {
      const { subscribe } = setUp();
      const device = new SessionDevice('android', undefined, undefined, word);
      expect(await subscribe(device.subscription(beldexUser, now), 'bchat')).toEqual({
        error: 2,
        message: `${word} notification service not currently available`,
      });
    },
  );

  it('finds the device again at the unsubscribe, by whichever door that comes', async () => {
    const { subscribe, unsubscribe, held } = setUp();
    await subscribe(iphone.subscription(beldexUser, now), 'bchat');
    expect(await unsubscribe(iphone.unsubscription(beldexUser, now))).toMatchObject({ removed: true });
    expect(held.size).toBe(0);
  });

  it('is told apart element by element', async () => {
    const { subscribe, services } = setUp();
    const requests = [sessionUser, beldexUser].map((account) => iphone.subscription(account, now));
    expect(await subscribe(requests)).toEqual([added, added]);
    expect(services()).toEqual(['apns', 'bchat-apns']);
  });
});

describe('the brands', () => {
  it('may be none: then the rules of Session v2 hold, and services are called what clients call them', async () => {
    const { subscribe, services } = setUp([]);
    expect(await subscribe(iphone.subscription(sessionUser, now))).toEqual(added);
    expect(await subscribe(iphone.subscription(group, now))).toEqual(added);
    expect(services()).toEqual(['apns', 'apns']);
  });

  it('of one prefix share the door of all: it is the first that is meant there', async () => {
    const second = { ...sessionBrand, name: 'second', services: { ...sessionBrand.services, apns: 'test' } };
    const { subscribe, services } = setUp([sessionBrand, second]);
    expect(await subscribe(iphone.subscription(sessionUser, now))).toEqual(added);
    expect(await subscribe(iphone.subscription(sessionUser, now), 'second')).toEqual(added);
    expect(services()).toEqual(['apns', 'test']);
  });

  it('are known by name to whoever opens a door for one', async () => {
    await expect(setUp().subscribe({}, 'nobody')).rejects.toThrow(TypeError);
  });
});
