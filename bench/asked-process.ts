import { fork, type ChildProcess } from 'node:child_process';

/** What can be asked of a process: for each name the argument and the answer. */
export type CallTable<Calls> = Readonly<Record<keyof Calls, readonly [unknown, unknown]>>;

interface Call {
  readonly id: number;
  readonly name: string;
  readonly given: unknown;
}

type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: string };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * For processes whose pauses would be taken for the server's. Their collector does little at a
 * time and has no helping threads, which would wait for a core that the others have.
 */
export const SHORT_PAUSES = ['--max-semi-space-size=2', '--single-threaded-gc'] as const;

/** A part of a benchmark in a process of its own, so that its work is not in the way of what is measured. */
export class AskedProcess<Calls extends CallTable<Calls>> {
  #next = 1;
  readonly #waiting = new Map<number, Waiting>();

  private constructor(
    private readonly child: ChildProcess,
    private readonly name: string,
  ) {
    child.on('message', (message) => {
      const reply = message as Reply;
      if (reply.kind === 'ready') return;
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.kind === 'reply') waiting?.resolve(reply.value);
      else waiting?.reject(new Error(`${this.name}: ${reply.error}`));
    });
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${this.name} ended`));
    });
  }

  /** `name`: of the file beside this one, without its ending. `flags`: Node's. */
  static async start<Calls extends CallTable<Calls>>(
    name: string,
    flags: readonly string[] = [],
  ): Promise<AskedProcess<Calls>> {
    const child = fork(new URL(`./${name}.ts`, import.meta.url), [], {
      execArgv: [...flags, '--import', 'tsx'],
      // Times that are not there are NaN, which JSON has no word for.
      serialization: 'advanced',
    });
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`${name} ended`)));
      child.once('message', () => resolve());
    });
    return new AskedProcess<Calls>(child, name);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  ask<Name extends keyof Calls & string>(name: Name, given: Calls[Name][0]): Promise<Calls[Name][1]> {
    const id = this.#next++;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.child.send({ id, name, given } satisfies Call);
    return answer;
  }

  /** It ends as it should: a profile that it was asked for is written. */
  stop(): void {
    this.child.disconnect();
  }
}

export type CallHandlers<Calls extends CallTable<Calls>> = {
  readonly [Name in keyof Calls]: (given: Calls[Name][0]) => Calls[Name][1] | Promise<Calls[Name][1]>;
};

/** The other side: answers until whoever asked is gone. */
export function answerCalls<Calls extends CallTable<Calls>>(handlers: CallHandlers<Calls>): void {
  const answer = async ({ id, name, given }: Call): Promise<Reply> => {
    try {
      const handle = handlers[name as keyof Calls];
      return { kind: 'reply', id, value: await handle(given) };
    } catch (error) {
      return { kind: 'failed', id, error: String(error) };
    }
  };
  process.on('message', (message) => {
    void answer(message as Call).then((reply) => process.send?.(reply));
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ kind: 'ready' } satisfies Reply);
}
