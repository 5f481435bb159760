import { systemClock } from '../../../src/domain/clock.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { defaultXmppOptions, type ComponentEntry, type XmppOptions } from '../../../src/xmpp/options.js';
import type {
  DeviceTarget,
  PublishOutcome,
  PublishRequest,
  Registrations,
  RegisterOutcome,
  UnregisterOutcome,
  XmppReport,
} from '../../../src/xmpp/port.js';
import { XmppComponent, type XmppTools } from '../../../src/xmpp/xmpp-component.js';

/** Remembers what was reported. */
export class ReportLog implements XmppReport {
  readonly answers: string[] = [];
  readonly ends: string[] = [];
  unanswerables = 0;
  lost = 0;
  connects = 0;

  answered(request: string, answer: string): void {
    this.answers.push(`${request} ${answer}`);
  }
  unanswerable(): void {
    this.unanswerables += 1;
  }
  answerLost(): void {
    this.lost += 1;
  }
  connected(): void {
    this.connects += 1;
  }
  ended(_domain: string, end: string): void {
    this.ends.push(end);
  }
}

/** Devices in memory, by the rules of spec xmpp-push, 5.3. */
export class MemoryRegistrations implements Registrations {
  readonly calls: { target: DeviceTarget; token: string | null }[] = [];
  readonly #devices = new Map<string, { type: string; node: string; secret: string }>();
  readonly types = new Set(['null', 'fcm', 'apns']);
  /** Answers every call in place of the devices. */
  failure: 'rate-limited' | 'unavailable' | 'bad-token' | 'throw' | null = null;

  register(target: DeviceTarget, token: string): Promise<RegisterOutcome> {
    this.calls.push({ target, token });
    if (this.failure === 'throw') throw new Error('a bug');
    if (this.failure !== null) return Promise.resolve({ kind: this.failure });
    const type = target.kind === 'v1' ? target.type : target.service;
    if (!this.types.has(type)) return Promise.resolve({ kind: 'unknown-type' });
    const key = keyOf(target);
    const known = this.#devices.get(key);
    const randomBytes = createRandomBytes();
    const device =
      known?.type === type
        ? known
        : {
            type,
            node: target.kind === 'v1' ? target.node : randomBytes(9).toString('base64'),
            secret: randomBytes(32).toString('hex'),
          };
    this.#devices.set(key, device);
    return Promise.resolve({ kind: 'registered', node: device.node, secret: device.secret });
  }

  unregister(target: DeviceTarget): Promise<UnregisterOutcome> {
    this.calls.push({ target, token: null });
    if (this.failure === 'throw') throw new Error('a bug');
    if (this.failure === 'rate-limited' || this.failure === 'unavailable') {
      return Promise.resolve({ kind: this.failure });
    }
    const key = keyOf(target);
    const known = this.#devices.get(key);
    if (known === undefined || (target.kind === 'v1' && known.type !== target.type)) {
      return Promise.resolve({ kind: 'not-found' });
    }
    this.#devices.delete(key);
    return Promise.resolve({ kind: 'unregistered', secret: null });
  }
}

const keyOf = (target: DeviceTarget): string =>
  target.kind === 'v1' ? `v1 ${target.node}` : `p2 ${target.device} ${target.channel}`;

/** Quick enough for tests; everything else as in production. */
export const quickOptions: XmppOptions = {
  ...defaultXmppOptions,
  openTimeoutMs: 1_000,
  backOffSeconds: [0.02],
  refusedBackOffSeconds: [0.3],
  conflictBackOffSeconds: [0.1, 0.2],
  closeTimeoutMs: 300,
  drainMs: 1_000,
};

export const entryAt = (port: number, entry: Partial<ComponentEntry> = {}): ComponentEntry => ({
  host: '127.0.0.1',
  port,
  domain: 'push.example',
  secret: 's3cret',
  connections: 1,
  pingDomain: null,
  ...entry,
});

export interface UnderTest {
  readonly component: XmppComponent;
  readonly report: ReportLog;
  readonly registrations: MemoryRegistrations;
  readonly published: PublishRequest[];
}

type Overrides = Partial<Omit<XmppTools, 'options' | 'publishes' | 'report' | 'registrations'>> & {
  readonly options?: Partial<XmppOptions>;
  readonly publish?: (request: PublishRequest) => PublishOutcome | Promise<PublishOutcome>;
};

/** A whole component with everything real but storage and delivery. */
export function componentUnderTest(
  components: readonly ComponentEntry[],
  { options, publish = () => ({ kind: 'accepted' }), ...tools }: Overrides = {},
): UnderTest {
  const report = new ReportLog();
  const registrations = new MemoryRegistrations();
  const published: PublishRequest[] = [];
  const component = new XmppComponent({
    components,
    options: { ...quickOptions, ...options },
    commands: { statusWord: 'completed' },
    software: { name: 'Waggle', version: '0.0.0-test' },
    publishes: {
      publish: (request) => {
        published.push(request);
        return publish(request);
      },
    },
    registrations,
    whenReady: () => Promise.resolve(),
    report,
    clock: systemClock,
    random: Math.random,
    randomBytes: createRandomBytes(),
    log: silentLog(),
    ...tools,
  });
  return { component, report, registrations, published };
}
