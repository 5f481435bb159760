import { dispatch, spawn, start, stop, type Ref } from 'nact';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { Clock } from '../domain/clock.js';

/*
 * The only door to nact. What is behind it cures the faults listed in docs/adr/0001: handlers never throw into nact
 * (its default prints the whole message to the console), the mailbox's length is known, nothing is sent to a stopped
 * actor, stopping waits for what is queued, and no actor has nact children, because nact copies an actor's whole list
 * of children for every message and does not stop them with their parent.
 */

/** A reference that only carries its own kind of message. */
export interface Actor<Message> {
  readonly name: string;
  /** Messages told but not yet handled. */
  readonly pending: number;
  readonly isStopped: boolean;
  /** Queues a message; it is handled in a later turn of the event loop. False when the actor has stopped. */
  tell(message: Message): boolean;
  /** Takes no more messages, and settles when those already queued are handled. */
  stop(): Promise<void>;
}

export interface ActorDefinition<Message, State> {
  /** Unique among living actors; letters, digits and `-_.` only. */
  readonly name: string;
  /** For metrics and logs: a word of ours (`swarm`, `subscription`, `notifier`). */
  readonly kind: string;
  readonly initial: State;
  /** One message at a time. A fault is counted and logged without the message, and the state is kept. */
  readonly handle: (state: State, message: Message) => State | Promise<State>;
  /** The mailbox is empty: a virtual actor may stop itself here (nothing can be lost in this moment). */
  readonly onIdle?: (self: Actor<Message>) => void;
}

export interface ActorSystem {
  spawn<Message, State>(definition: ActorDefinition<Message, State>): Actor<Message>;
  /** Stops every actor, each after what it has queued. */
  stop(): Promise<void>;
  readonly size: number;
}

export interface ActorSystemDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

let systems = 0;

export function createActorSystem({ log, metrics, clock }: ActorSystemDeps): ActorSystem {
  // Two systems of one name overwrite each other silently, and tests make many.
  systems += 1;
  const root = (start as (options: { name: string }) => Ref<never>)({ name: `waggle-${systems}` });
  const living = new Set<ActorCell<unknown, unknown>>();
  const faults = new SampledLog(clock, 10_000);

  const onFault = (kind: string, error: unknown): void => {
    metrics.actorFailures.of(kind).add();
    // The message of an error may quote what a peer sent; its name and place are ours.
    const where = error instanceof Error ? error.stack?.split('\n').slice(1, 4).join(' ').trim() : undefined;
    faults.note(kind, (occurrences) =>
      log.error(
        { actor: kind, fault: error instanceof Error ? error.name : typeof error, where, occurrences },
        'actor handler failed',
      ),
    );
  };

  return {
    get size() {
      return living.size;
    },
    spawn<Message, State>(definition: ActorDefinition<Message, State>): Actor<Message> {
      const cell = new ActorCell<Message, State>(root, definition, {
        handled: metrics.actorMessages.of(definition.kind),
        onFault,
        onStopped: (stopped) => living.delete(stopped as ActorCell<unknown, unknown>),
      });
      living.add(cell as ActorCell<unknown, unknown>);
      return cell;
    },
    async stop() {
      await Promise.all([...living].map((cell) => cell.stop()));
      stop(root);
    },
  };
}

interface CellHooks {
  readonly handled: { add(): void };
  readonly onFault: (kind: string, error: unknown) => void;
  readonly onStopped: (cell: unknown) => void;
}

class ActorCell<Message, State> implements Actor<Message> {
  readonly name: string;
  readonly #ref: Ref<Message>;
  #pending = 0;
  #state: State;
  #isStopped = false;
  #whenDrained: (() => void)[] = [];

  constructor(
    root: Ref<never>,
    private readonly definition: ActorDefinition<Message, State>,
    private readonly hooks: CellHooks,
  ) {
    this.name = definition.name;
    this.#state = definition.initial;
    const run = async (_state: null, message: Message): Promise<null> => this.#handle(message);
    this.#ref = spawn(root, run, definition.name, {
      initialState: null,
      onCrash: (_message, _error, ctx) => ctx.resume,
    });
  }

  get pending(): number {
    return this.#pending;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  tell(message: Message): boolean {
    if (this.#isStopped) return false;
    this.#pending += 1;
    dispatch(this.#ref, message);
    return true;
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#pending === 0) {
      this.#end();
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#whenDrained.push(resolve));
  }

  async #handle(message: Message): Promise<null> {
    try {
      const next = this.definition.handle(this.#state, message);
      this.#state = next instanceof Promise ? await next : next;
    } catch (error) {
      this.hooks.onFault(this.definition.kind, error);
    }
    this.hooks.handled.add();
    this.#pending -= 1;
    if (this.#pending === 0) {
      if (this.#isStopped) this.#end();
      else this.definition.onIdle?.(this);
    }
    return null;
  }

  #end(): void {
    this.hooks.onStopped(this);
    // nact forgets a message that was taken from the mailbox but not started; there is none now. At once, so that the
    // name is free again.
    stop(this.#ref);
    for (const resolve of this.#whenDrained.splice(0)) resolve();
  }
}
