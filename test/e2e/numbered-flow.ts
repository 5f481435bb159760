import { decodePush, show } from '../simulators/session-push.js';
import { makeMessage, type World } from '../simulators/world.js';
import { pause, type Subscriber } from './support.js';

const EVERY_MS = 10;

/**
 * Messages to the devices of one service, numbered: each device decrypts what reaches it, so it is known of every
 * single message when it was sent, and when and how often it arrived.
 */
export class NumberedFlow {
  readonly #sentAtMs: number[] = [];
  readonly #arrivedAtMs: number[][] = [];
  readonly #keys: ReadonlyMap<string, Buffer>;
  #missing = 0;
  #flowing: { stop: boolean; readonly ended: Promise<void> } | null = null;

  /** All subscribers have the same platform; their provider tells this flow of what it accepts from now on. */
  constructor(
    private readonly world: World,
    private readonly subscribers: readonly Subscriber[],
  ) {
    this.#keys = new Map(subscribers.map(({ phone }) => [phone.token, phone.encryptionKey]));
    if (subscribers[0]?.phone.platform === 'android') {
      world.fcm.onAccepted = ({ token, message }) => this.#arrived(token, message.data['enc_payload']);
    } else world.apns.onAccepted = ({ token, body }) => this.#arrived(token, body['enc_payload']);
  }

  get sent(): number {
    return this.#sentAtMs.length;
  }

  /** Messages that have not reached their device. */
  get missing(): number {
    return this.#missing;
  }

  /** Numbers of those that came more than once. */
  repeated(): number[] {
    return this.#arrivedAtMs.flatMap((times, number) => (times.length > 1 ? [number] : []));
  }

  /** From the node to the provider, of the messages from this number on that have arrived; sorted. */
  latenciesMs(from = 0): number[] {
    const latencies = this.#arrivedAtMs
      .slice(from)
      .flatMap(([arrivedAtMs], index) =>
        arrivedAtMs === undefined ? [] : [arrivedAtMs - (this.#sentAtMs[from + index] ?? NaN)],
      );
    return latencies.sort((a, b) => a - b);
  }

  send(count = 1): void {
    for (let sent = 0; sent < count; sent += 1) {
      const number = this.sent;
      const one = this.subscribers[number % this.subscribers.length];
      if (one === undefined) throw new Error('a flow needs subscribers');
      this.#sentAtMs.push(performance.now());
      this.#arrivedAtMs.push([]);
      this.#missing += 1;
      // One node of the swarm tells: that the others are duplicates is another matter, and costs five times as much.
      const told = this.world.network.deliver(makeMessage(one.account, String(number)), 1);
      if (told !== 1) throw new Error('the server has not asked to be told');
    }
  }

  /** At most so many per second: a busy machine gets fewer, and they are not made up for. */
  start(perSecond: number): void {
    const flowing = { stop: false, ended: Promise.resolve() };
    const flow = async (): Promise<void> => {
      let owed = 0;
      let lastMs = performance.now();
      while (!flowing.stop) {
        await pause(EVERY_MS);
        const nowMs = performance.now();
        owed += (Math.min(nowMs - lastMs, 5 * EVERY_MS) * perSecond) / 1000;
        lastMs = nowMs;
        this.send(Math.floor(owed));
        owed -= Math.floor(owed);
      }
    };
    flowing.ended = flow();
    this.#flowing = flowing;
  }

  async stop(): Promise<void> {
    const flowing = this.#flowing;
    if (flowing === null) return;
    flowing.stop = true;
    await flowing.ended;
  }

  #arrived(token: string, encPayload: unknown): void {
    const key = this.#keys.get(token);
    if (key === undefined || typeof encPayload !== 'string') throw new Error('a push that nobody waits for');
    const shown = show(decodePush(encPayload, key), 'ios');
    if (shown.kind !== 'message') throw new Error('a push without its message');
    const times = this.#arrivedAtMs[Number(shown.data.toString())];
    if (times === undefined) throw new Error('a push of a message that was never sent');
    if (times.length === 0) this.#missing -= 1;
    times.push(performance.now());
  }
}

/** Of sorted values. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
