import { parseChannelUri } from '../codec/wns-channel-uri.js';
import type { Clock } from '../domain/clock.js';
import { fail, ok, type Result } from '../domain/result.js';
import type { RandomBytes } from '../crypto/sodium.js';
import type { AccountNodes, NodeChange, UwpxNodeStore } from './account-port.js';
import type { AnsweredAccount } from './answers.js';
import { createCredentials } from './identifiers.js';
import type { UwpxLimits } from './limits.js';
import type { ChannelResult, OfferedAccount, TestPush, UwpxAccount, UwpxSender, UwpxStore } from './port.js';
import { testPushBody } from './push-body.js';
import type { RequestedAccount, UwpxRequest } from './request.js';
import { TokenBuckets } from '../delivery-rules/token-buckets.js';

export interface RegistrationParts {
  readonly store: UwpxStore;
  /** Where accounts are nodes at an account of an XMPP server; null where they are our component's, which needs no word. */
  readonly account: { readonly nodes: AccountNodes; readonly store: UwpxNodeStore } | null;
  readonly testPush: TestPush;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

/** `limited`: this sender, or this device, had its share for now; `full`: no room for a further device. */
export type RegistrationRefusal =
  'bad-channel' | 'unknown-device' | 'limited' | 'full' | 'test-push-failed' | 'test-push-limited';

type SetChannel = Extract<UwpxRequest, { kind: 'set-channel' }>;
type SetAccounts = Extract<UwpxRequest, { kind: 'set-accounts' }>;
type RequestTestPush = Extract<UwpxRequest, { kind: 'test-push' }>;

/**
 * What registering means: the rules of spec uwpx-push, 2.1 to 2.4 and 5.3, on what the store keeps. Rejects as the
 * store and the sender of test pushes do.
 */
export class Registrations {
  readonly #newDevices: TokenBuckets;
  readonly #testPushes: TokenBuckets;

  constructor(
    private readonly parts: RegistrationParts,
    limits: UwpxLimits,
  ) {
    const maxKeys = limits.rememberedSenders;
    this.#newDevices = new TokenBuckets({
      burst: limits.newDevicesBurst,
      perHour: limits.newDevicesPerHour,
      maxKeys,
    });
    this.#testPushes = new TokenBuckets({
      burst: limits.testPushesBurst,
      perHour: limits.testPushesPerHour,
      maxKeys,
    });
  }

  async setChannel(request: SetChannel, sender: UwpxSender): Promise<Result<null, RegistrationRefusal>> {
    const channelUri = parseChannelUri(request.channelUri);
    if (channelUri === null) return fail('bad-channel');
    const nowMs = this.parts.clock.nowMs();
    // Taken in advance: of many messages under way at once only so many may find their device to be new.
    const token = !sender.isExempt && this.#newDevices.take(sender.key, nowMs);
    let result: ChannelResult | null = null;
    try {
      result = await this.parts.store.setChannel({
        deviceId: request.deviceId,
        channelUri,
        protocolVersion: request.version,
        mayCreate: sender.isExempt || token,
        nowMs,
      });
    } finally {
      if (token && result !== 'created') this.#newDevices.giveBack(sender.key);
    }
    switch (result) {
      case 'created':
      case 'changed':
        return ok(null);
      case 'refused':
        return fail('limited');
      case 'full':
        return fail('full');
    }
  }

  /** The list is complete: what it does not name is removed, and what the device has already keeps node and secret. */
  async setAccounts(request: SetAccounts): Promise<Result<readonly AnsweredAccount[], RegistrationRefusal>> {
    const { account, store, clock } = this.parts;
    const before = (await account?.store.nodesOf(request.deviceId)) ?? [];
    const stored = await store.setAccounts({
      deviceId: request.deviceId,
      protocolVersion: request.version,
      accounts: this.#offersFor(request.accounts),
      nowMs: clock.nowMs(),
    });
    if (stored === null) return fail('unknown-device');
    account?.nodes.changed(changeOf(before, stored));
    const byId = new Map(stored.map((account) => [account.accountId, account]));
    // In the order of the request. One that the store did not keep is left out: the client then switches it off.
    return ok(
      request.accounts.flatMap((requested): AnsweredAccount[] => {
        const account = byId.get(requested.accountId);
        if (account === undefined) return [];
        return requested.kind === 'bare-jid'
          ? [{ kind: 'bare-jid', bareJid: requested.bareJid, stored: account }]
          : [{ kind: 'account-id', stored: account }];
      }),
    );
  }

  async sendTestPush({ deviceId }: RequestTestPush): Promise<Result<null, RegistrationRefusal>> {
    const device = await this.parts.store.findDevice(deviceId);
    const channelUri = device?.channelUri ?? null;
    if (device === null || channelUri === null) return fail('unknown-device');
    // Whoever knows the id of a device may ask: the device is what is protected, and it has few addresses.
    if (!this.#testPushes.take(deviceId, this.parts.clock.nowMs())) return fail('test-push-limited');
    const body = testPushBody(device.protocolVersion);
    const isTaken = await this.parts.testPush.send({ deviceId, channelUri, body });
    return isTaken ? ok(null) : fail('test-push-failed');
  }

  /** Fresh credentials for every account of the list, because asking first which are new would take a second turn. */
  #offersFor(accounts: readonly RequestedAccount[]): OfferedAccount[] {
    const offers = new Map<string, OfferedAccount>();
    for (const account of accounts) {
      if (offers.has(account.accountId)) continue;
      offers.set(account.accountId, {
        accountId: account.accountId,
        ...createCredentials(this.parts.randomBytes),
        domain: account.kind === 'bare-jid' ? account.domain : null,
      });
    }
    return [...offers.values()];
  }
}

/** A node that is gone never comes back, so whatever others change meanwhile, what is listed as removed is. */
function changeOf(before: readonly string[], stored: readonly UwpxAccount[]): NodeChange {
  const now = new Set(stored.map(({ node }) => node));
  const old = new Set(before);
  return {
    added: [...now].filter((node) => !old.has(node)),
    removed: before.filter((node) => !now.has(node)),
  };
}
