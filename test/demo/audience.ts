import { eventually } from '../simulators/eventually.js';
import type { ProviderWorld } from '../simulators/provider-world.js';
import type { SessionAccount } from '../simulators/session-client.js';
import { MAX_DATA_BYTES } from '../../src/codec/session-payload.js';
import type { StoredMessage } from '../simulators/storage-network/stored-message.js';
import { makeMessage } from '../simulators/world.js';
import { say, shorten } from './output.js';
import type { Arrival, Receiver } from './receivers.js';

export interface SentMessage {
  /** How many storage nodes told of it. */
  readonly copies: number;
  readonly sentAt: number;
}

/** An account, its devices, and what each of them should have got by now. */
export class Audience {
  copies = 0;
  readonly #due: Map<Receiver, StoredMessage[]>;

  constructor(
    private readonly world: ProviderWorld,
    private readonly account: SessionAccount,
    readonly receivers: readonly Receiver[],
  ) {
    this.#due = new Map(receivers.map((receiver) => [receiver, []]));
  }

  of(service: string): Receiver {
    const found = this.receivers.find((receiver) => receiver.service === service);
    if (found === undefined) throw new Error(`no device for ${service}`);
    return found;
  }

  others(than: Receiver): Receiver[] {
    return this.receivers.filter((receiver) => receiver !== than);
  }

  /** Someone writes to the account; `to` are those whom the push should reach. */
  send(text: string, to: readonly Receiver[] = this.receivers): SentMessage {
    const message = makeMessage(this.account, text);
    for (const receiver of to) this.#due.get(receiver)?.push(message);
    const sentAt = performance.now();
    const copies = this.world.network.deliver(message);
    this.copies += copies;
    return { copies, sentAt };
  }

  dueTo(receiver: Receiver): number {
    return this.#due.get(receiver)?.length ?? 0;
  }

  /** Waits until each of them has what it should have; how long it took for the last one, in milliseconds. */
  async served(
    { sentAt }: SentMessage,
    receivers: readonly Receiver[] = this.receivers,
  ): Promise<Map<Receiver, number>> {
    const took = new Map<Receiver, number>();
    const wait = async (receiver: Receiver): Promise<void> => {
      const due = this.dueTo(receiver);
      await eventually(() => receiver.count() >= due, {
        everyMs: 1,
        what: `push ${due} at the device of ${receiver.service}`,
      });
      took.set(receiver, performance.now() - sentAt);
    };
    await Promise.all(receivers.map(wait));
    return took;
  }

  /** Someone writes, everybody gets it, and a line for each device says what. */
  async watch(text: string): Promise<void> {
    const sent = this.send(text);
    const took = await this.served(sent);
    say();
    say(`${sent.copies} storage nodes tell of one message of ${text.length} bytes: "${shorten(text, 30)}"`);
    for (const receiver of this.receivers) {
      const { text: what } = receiver.open(this.dueTo(receiver) - 1);
      const after = `${(took.get(receiver) ?? 0).toFixed(1)} ms`;
      say(`  ${receiver.service.padEnd(13)} ${after.padStart(9)}   ${what}`);
    }
  }

  /** What came twice, not at all, or to the wrong one; empty when every push has come exactly once. */
  faults(): string[] {
    return this.receivers.flatMap((receiver) => {
      const due = this.#due.get(receiver) ?? [];
      const count = receiver.count();
      if (count !== due.length) return [`${receiver.service}: ${count} pushes instead of ${due.length}`];
      const arrivals = due.map((_, number) => receiver.open(number));
      const isRight = due.every((message) => arrivals.some((arrival) => isOf(message, arrival)));
      return isRight ? [] : [`${receiver.service}: other messages than were sent`];
    });
  }
}

function isOf({ hash, data }: StoredMessage, arrival: Arrival): boolean {
  if (arrival.hash === null) return true;
  const isSame = arrival.data === null ? data.length > MAX_DATA_BYTES : arrival.data.equals(data);
  return arrival.hash === hash && isSame;
}
