import { fork, type ChildProcess } from 'node:child_process';

export interface BenchDevice {
  /** Hex. */
  readonly account: string;
  readonly token: string;
}

export interface Load {
  readonly devices: readonly BenchDevice[];
  readonly messages: number;
  /** 0 = all at once. */
  readonly perSecond: number;
  readonly copies: number;
  readonly bytes: number;
}

export interface LoadResult {
  readonly delivered: number;
  /** Frames that left the nodes. */
  readonly told: number;
  readonly sentForMs: number;
  readonly tookMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface WorldFacts {
  readonly oxend: string;
  readonly nodes: readonly { readonly address: string; readonly swarmId: string }[];
  readonly apnsEndpoint: string;
  readonly fcmEndpoint: string;
  readonly caPem: string;
  readonly p8Pem: string;
  readonly keyId: string;
  readonly teamId: string;
  readonly serviceAccountJson: string;
}

export type WorldCommand =
  | { readonly kind: 'run'; readonly load: Load }
  | {
      readonly kind:
        'registered' | 'accepted' | 'monitor-entries' | 'move-node' | 'new-block' | 'restart-node' | 'stop';
    };

export type WorldReply =
  | { readonly kind: 'ready'; readonly facts: WorldFacts }
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown };

/** The world process, seen from the benchmark. */
export class BenchWorld {
  #next = 1;
  readonly #waiting = new Map<number, (value: unknown) => void>();

  private constructor(
    private readonly child: ChildProcess,
    readonly facts: WorldFacts,
  ) {
    child.on('message', (message) => {
      const reply = message as WorldReply;
      if (reply.kind !== 'reply') return;
      this.#waiting.get(reply.id)?.(reply.value);
      this.#waiting.delete(reply.id);
    });
  }

  static async start(): Promise<BenchWorld> {
    const child = fork(new URL('./world-process.ts', import.meta.url), [], { execArgv: ['--import', 'tsx'] });
    const facts = await new Promise<WorldFacts>((resolve, reject) => {
      child.once('exit', () => reject(new Error('the world process ended')));
      child.once('message', (message) => {
        const reply = message as WorldReply;
        if (reply.kind === 'ready') resolve(reply.facts);
      });
    });
    return new BenchWorld(child, facts);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  run(load: Load): Promise<LoadResult> {
    return this.#ask({ kind: 'run', load }) as Promise<LoadResult>;
  }

  ask(kind: Exclude<WorldCommand['kind'], 'run' | 'stop'>): Promise<number> {
    return this.#ask({ kind }) as Promise<number>;
  }

  stop(): void {
    this.child.kill();
  }

  #ask(command: WorldCommand): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.child.send({ id, command });
    });
  }
}
