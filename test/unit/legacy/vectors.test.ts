import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LegacyDirectory } from '../../../src/legacy/directory.js';
import { defaultLegacyLimits } from '../../../src/legacy/limits.js';
import type { LegacyReply } from '../../../src/legacy/methods-port.js';
import { bchatPreset, sessionPreset } from '../../simulators/brand-presets.js';
import { bchatBrand, sessionBrand } from '../../simulators/legacy-brands.js';
import { MemoryLegacyStore } from '../../simulators/memory-legacy-store.js';
import { setUpLegacy, sorted, stateOf, success, type LegacyUnderTest } from './support.js';

type Provider = 'apns' | 'fcm' | 'huawei';
interface Sent {
  readonly token: string;
  readonly encrypted_data: string;
}

interface Counters {
  readonly ios_pn_number: number;
  readonly android_pn_number: number;
  readonly total_message_number: number;
  readonly closed_group_message_number: number;
  readonly untracked_message_number: number;
  readonly deduplicated_1_1_message_number: number;
}

interface Step {
  readonly call?: string;
  readonly args?: Record<string, unknown>;
  readonly times?: number;
  readonly reply?: LegacyReply;
  readonly state?: ReturnType<typeof stateOf>;
  readonly counters?: Counters;
  readonly tick?: true;
  readonly apns?: readonly Sent[];
  readonly fcm?: readonly Sent[];
  readonly huawei?: readonly Sent[];
  readonly apns_count?: number;
  readonly fcm_count?: number;
  readonly provider_failures?: { readonly apns?: Record<string, { readonly reason: string }> };
}

interface Scenario {
  readonly name: string;
  readonly app: 'session' | 'bchat';
  readonly steps: readonly Step[];
}

interface PersistenceStep {
  readonly after: string;
  readonly rows: {
    readonly token_pubkey_table: [account: string, token: string, type: string, groupsOnly: 0 | 1][];
    readonly closed_group_table: [group: string, account: string][];
  };
}

interface Vectors {
  readonly apps: Record<'session' | 'bchat', App>;
  readonly scenarios: readonly Scenario[];
  readonly bchat_differences: { readonly scenarios: readonly Scenario[] };
  readonly persistence: { readonly steps: readonly PersistenceStep[] };
}

interface App {
  readonly routes: { readonly v2: string; readonly v4: string };
  readonly hmac_salt: string;
  readonly unregister_unknown: string;
  readonly statistics_total_key: string;
  readonly provider_requests: {
    readonly apns: {
      readonly body: { readonly aps: { readonly alert: { readonly title: string; readonly body: string } } };
    };
  };
}

const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/session-push-v1.json', import.meta.url), 'utf8'),
) as Vectors;

const brands = { session: sessionBrand, bchat: bchatBrand };
const presets = { session: sessionPreset, bchat: bchatPreset };
const PROVIDERS: readonly Provider[] = ['apns', 'fcm', 'huawei'];
const providerOf = { ios: 'apns', android: 'fcm', huawei: 'huawei' } as const;

/**
 * Where the original is not to be copied, or need not be: its `required` texts and the decisions of ours that they
 * leave open. By scenario, in place of what its steps say.
 */
interface Ours {
  /** Instead of the replies of the steps with these numbers. */
  readonly replies?: Readonly<Record<number, LegacyReply>>;
  readonly pushes?: Readonly<Record<number, Partial<Record<Provider, readonly Sent[]>>>>;
  readonly tokens?: Readonly<Record<string, [string, string][]>>;
}

const A1 = (prefix: string): string => `${prefix}${'a1'.repeat(32)}`;
const ANDROID = 'fcm-token-android-1:APA91b';
const IOS = '1f'.repeat(32);
const refusal = (message: string): LegacyReply => ({ status: 400, body: { code: 0, message } });

const ours = (prefix: string): Readonly<Record<string, Ours>> => ({
  // The type that was given last.
  'register-same-again': { tokens: { [A1(prefix)]: [[ANDROID, 'huawei']] } },
  // The flag is the token's: the first notify reaches the device that did not set it.
  'groups-only-flag-is-per-account': {
    pushes: {
      3: { apns: [{ token: IOS, encrypted_data: 'MQ==' }], fcm: [] },
      6: { apns: [{ token: IOS, encrypted_data: 'Mg==' }], fcm: [] },
    },
  },
  // What cannot be sent on is refused alone.
  'poison-notify-drops-batch': {
    replies: { 2: refusal('data is not a text') },
    pushes: {
      4: {
        fcm: [
          { token: ANDROID, encrypted_data: 'MQ==' },
          { token: ANDROID, encrypted_data: 'Mg==' },
        ],
      },
    },
  },
  'poison-recipient-drops-batch': {
    replies: { 2: refusal('send_to is not a valid text') },
    pushes: { 3: { fcm: [{ token: ANDROID, encrypted_data: 'MQ==' }] } },
  },
  'poison-object-drops-android': {
    replies: { 2: refusal('data is not a text') },
    pushes: { 3: { fcm: [{ token: ANDROID, encrypted_data: 'MQ==' }] } },
  },
});

/** Bchat's flag silences nobody, so there the original's pushes are ours. */
const oursOf = ({ name, app }: Scenario): Ours => {
  if (app === 'bchat' && name === 'groups-only-flag-is-per-account') return {};
  return ours(app === 'session' ? '05' : 'bd')[name] ?? {};
};

/** `{repeat, times}` stands for a long text. */
const expand = (args: Record<string, unknown>): Record<string, unknown> => {
  const data = args['data'] as { repeat?: unknown; times?: number } | undefined;
  return typeof data?.repeat === 'string' ? { ...args, data: data.repeat.repeat(data.times ?? 0) } : args;
};

/** Plays one scenario: the pipeline of the server is here a queue that each tick empties, 300 at a time. */
class Play {
  readonly #pushes: Counters & Record<string, number> = {
    ios_pn_number: 0,
    android_pn_number: 0,
    total_message_number: 0,
    closed_group_message_number: 0,
    untracked_message_number: 0,
    deduplicated_1_1_message_number: 0,
  };
  #gone: ReadonlySet<string> = new Set();
  #taken = 0;

  constructor(
    private readonly legacy: LegacyUnderTest,
    private readonly scenario: Scenario,
  ) {}

  async run(): Promise<void> {
    const { replies, pushes, tokens } = oursOf(this.scenario);
    for (const [index, step] of this.scenario.steps.entries()) {
      if (step.call !== undefined) await this.#call(step, replies?.[index]);
      else if (step.tick) await this.#tick({ ...step, ...pushes?.[index] });
      else if (step.provider_failures !== undefined) {
        const gone = Object.entries(step.provider_failures.apns ?? {});
        this.#gone = new Set(
          gone.flatMap(([token, { reason }]) => (reason === 'Unregistered' ? [token] : [])),
        );
      } else if (step.counters !== undefined) {
        expect(this.#pushes).toEqual(step.counters);
      } else if (step.state !== undefined) {
        this.#state({ ...step.state, tokens: { ...step.state.tokens, ...tokens } });
      }
    }
  }

  async #call(step: Step, instead: LegacyReply | undefined): Promise<void> {
    const expected = instead ?? step.reply;
    for (let time = 0; time < (step.times ?? 1); time += 1) {
      const reply = await this.legacy.methods.call(step.call ?? '', expand(step.args ?? {}));
      if (expected === undefined) expect(reply).toEqual(success);
      else expect(reply).toEqual(expected);
    }
  }

  async #tick(step: Step): Promise<void> {
    const { directory, notices } = this.legacy;
    const sent: Record<Provider, Sent[]> = { apns: [], fcm: [], huawei: [] };
    const batch = notices.slice(this.#taken, this.#taken + 300);
    this.#taken += batch.length;
    for (const { recipient, data } of batch) {
      this.#count('total_message_number');
      if (data === null) continue;
      const match = directory.match(recipient);
      if (match.kind === 'untracked') {
        this.#count('untracked_message_number');
        continue;
      }
      this.#count(
        match.kind === 'account' ? 'deduplicated_1_1_message_number' : 'closed_group_message_number',
      );
      for (const { token, type } of match.devices) {
        if (type === 'unknown') throw new Error('a match holds only what can be sent to');
        sent[providerOf[type]].push({ token, encrypted_data: data });
        this.#count(type === 'ios' ? 'ios_pn_number' : 'android_pn_number');
      }
    }
    for (const provider of PROVIDERS) {
      const expected = step[provider];
      if (expected !== undefined) expect(asSet(sent[provider])).toEqual(asSet(expected));
    }
    if (step.fcm_count !== undefined) expect(sent.fcm).toHaveLength(step.fcm_count);
    if (step.apns_count !== undefined) expect(sent.apns).toHaveLength(step.apns_count);
    await this.#remove(sent);
  }

  /** A provider that calls a token dead is believed the first time; other refusals say nothing about the token. */
  async #remove(sent: Record<Provider, readonly Sent[]>): Promise<void> {
    const { registry, clock } = this.legacy;
    clock.now += 1000;
    for (const { token } of sent.apns) {
      if (!this.#gone.has(token)) continue;
      const nowMs = clock.nowMs();
      await registry.change([{ kind: 'device-died', token, sinceMs: nowMs - 500, nowMs }]);
    }
  }

  #state(expected: ReturnType<typeof stateOf>): void {
    expect(stateOf(this.legacy.directory)).toEqual(expected);
  }

  #count(counter: keyof Counters): void {
    (this.#pushes as Record<keyof Counters, number>)[counter] += 1;
  }
}

const asSet = (sent: readonly Sent[]): unknown[][] =>
  sorted(sent.map(({ token, encrypted_data }) => [token, encrypted_data]));

/** The same scenario as its twin app has it. */
const asBchat = (scenario: Scenario): Scenario => {
  const { unregister_unknown: text } = vectors.apps.session;
  const other = vectors.apps.bchat.unregister_unknown;
  const moved = JSON.stringify(scenario)
    .replaceAll(/"05([0-9a-f]{64})"/g, '"bd$1"')
    .replaceAll(text, other);
  return { ...(JSON.parse(moved) as Scenario), app: 'bchat' };
};

/** The original counts failures of a token up to four; ours believes the provider's reason instead (required). */
const FAILURE_COUNTS = new Set([
  'failures-remove-token-on-the-4th',
  'reregister-does-not-reset-failures',
  'too-large-payload-removes-ios-token',
  'gone-token-410',
]);

const differing = new Set(vectors.bchat_differences.scenarios.map(({ name }) => name));
const scenarios = [
  ...vectors.scenarios,
  ...vectors.scenarios.filter(({ name }) => !differing.has(name)).map(asBchat),
  ...vectors.bchat_differences.scenarios,
];

describe('the scenarios of the original servers', () => {
  for (const scenario of scenarios) {
    if (FAILURE_COUNTS.has(scenario.name)) continue;
    it(`${scenario.app}: ${scenario.name}`, async () => {
      await new Play(await setUpLegacy({ brand: brands[scenario.app] }), scenario).run();
    });
  }

  for (const app of ['session', 'bchat'] as const) {
    const scenarioOf = (name: string): Scenario => {
      const found = scenarios.find((one) => one.app === app && one.name === name);
      if (found === undefined) throw new Error(`no scenario ${name}`);
      return found;
    };
    const account = A1(app === 'session' ? '05' : 'bd');
    const run = async (name: string): Promise<LegacyUnderTest> => {
      const scenario = scenarioOf(name);
      const legacy = await setUpLegacy({ brand: brands[app] });
      const upToState = scenario.steps.findIndex(({ state }) => state !== undefined);
      await new Play(legacy, { ...scenario, steps: scenario.steps.slice(0, upToState) }).run();
      return legacy;
    };

    it.each([
      ['failures-remove-token-on-the-4th', ANDROID, 'android'],
      ['reregister-does-not-reset-failures', ANDROID, 'android'],
      ['too-large-payload-removes-ios-token', IOS, 'ios'],
    ])(`${app}: %s: required, the token stays`, async (name, token, type) => {
      const { directory } = await run(name);
      expect(stateOf(directory).tokens).toEqual({ [account]: [[token, type]] });
    });

    it(`${app}: gone-token-410: required, the token is removed after the tick`, async () => {
      const { directory, store, brand } = await run('gone-token-410');
      expect(stateOf(directory).tokens).toEqual({ [account]: [] });
      expect(store.tombstones(brand.name)).toEqual([IOS]);
    });

    it(`${app}: everything in which the apps differ is as recorded`, () => {
      const { v2Path, v4Path, salt, appName, alertTitle, alertBody, statisticsTotalKey } = presets[app];
      const recorded = vectors.apps[app];
      expect({ v2: v2Path, v4: v4Path }).toEqual(recorded.routes);
      expect(salt).toBe(recorded.hmac_salt);
      expect(`${appName} id was not registered before.`).toBe(recorded.unregister_unknown);
      expect(statisticsTotalKey).toBe(recorded.statistics_total_key);
      const { alert } = recorded.provider_requests.apns.body.aps;
      expect({ title: alertTitle, body: alertBody }).toEqual(alert);
    });
  }

  it('knows every scenario that it treats apart', () => {
    const names = new Set(vectors.scenarios.map(({ name }) => name));
    for (const name of [...Object.keys(ours('05')), ...FAILURE_COUNTS]) expect(names).toContain(name);
  });
});

describe('what outlives a restart', () => {
  const [first, second, third, fourth] = vectors.persistence.steps;
  if (!first || !second || !third || !fourth) throw new Error('four steps of persistence');
  const [A, B, G] = [A1('05'), `05${'b2'.repeat(32)}`, `05${'d4'.repeat(32)}`];

  it('is every change that was answered, last removals and moved tokens too', async () => {
    const legacy = await setUpLegacy();
    const { methods, store, brand } = legacy;
    const call = async (name: string, args: Record<string, unknown>): Promise<void> =>
      expect(await methods.call(name, args)).toEqual(success);
    const reloaded = async () => {
      const directory = new LegacyDirectory(brand, defaultLegacyLimits);
      await store.load(brand.name, {
        device: (device) => void directory.apply({ kind: 'set-device', device }),
        member: (group, account) => void directory.apply({ kind: 'add-member', group, account }),
      });
      const devices = [...directory.devices()].map((d) => [d.account, d.token, d.type, d.groupsOnly ? 1 : 0]);
      const members = [...directory.members()].map(({ group, account }) => [group, account]);
      return { token_pubkey_table: sorted(devices), closed_group_table: sorted(members) };
    };
    const recorded = ({ rows }: PersistenceStep) => ({
      token_pubkey_table: sorted(rows.token_pubkey_table),
      closed_group_table: sorted(rows.closed_group_table),
    });

    await call('register', { token: ANDROID, pubKey: A });
    await call('register', { token: IOS, pubKey: A });
    await call('subscribe_closed_group', { closedGroupPublicKey: G, pubKey: A });
    expect(await reloaded()).toEqual(recorded(first));

    await call('unregister', { token: IOS });
    expect(await reloaded()).toEqual(recorded(second));

    await call('unregister', { token: ANDROID });
    await call('unsubscribe_closed_group', { closedGroupPublicKey: G, pubKey: A });
    // Required: the rows are deleted.
    expect(third).toHaveProperty('original_bug');
    expect(await reloaded()).toEqual({ token_pubkey_table: [], closed_group_table: [] });

    await call('register', { token: ANDROID, pubKey: A });
    await call('register', { token: ANDROID, pubKey: B });
    // Required: one account has it.
    expect(fourth).toHaveProperty('original_bug');
    expect(await reloaded()).toEqual({
      token_pubkey_table: [[B, ANDROID, 'android', 0]],
      closed_group_table: [],
    });
  });

  it('is loaded by the registry, and a registry that is not loaded takes nothing', async () => {
    const store = new MemoryLegacyStore();
    const before = await setUpLegacy({ store });
    await before.methods.call('register', { token: ANDROID, pubKey: A });
    await before.methods.call('subscribe_closed_group', { closedGroupPublicKey: G, pubKey: A });
    const after = await setUpLegacy({ store });
    expect(after.directory.match(G)).toEqual({
      kind: 'group',
      devices: [expect.objectContaining({ token: ANDROID, account: A })],
    });
  });
});
