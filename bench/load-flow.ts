import { performance } from 'node:perf_hooks';
import { sleep } from './process.js';

/** Bounded by `count` and by `seconds`. */
export interface LoadFlow {
  readonly count: number;
  readonly seconds: number;
  /** null: as many as there can be, each of `lanes` with its next as soon as it has its answer. */
  readonly perSecond: number | null;
  /** At most so many without an answer. */
  readonly lanes: number;
}

/** Latencies: from the time at which one should have gone out to its answer. */
export interface LoadFlowResult {
  readonly sent: number;
  readonly done: number;
  /** Of the others, and how often. */
  readonly refusals: readonly string[];
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** `send`: with the number of the request (from 0) and of its lane; null when it was done, else why not. */
export async function runLoadFlow(
  { count, seconds, perSecond, lanes }: LoadFlow,
  send: (index: number, lane: number) => Promise<string | null>,
): Promise<LoadFlowResult> {
  const latenciesMs: number[] = [];
  const refusals = new Map<string, number>();
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  const total = perSecond === null ? count : Math.min(count, Math.floor(perSecond * seconds));
  const idle = Array.from({ length: lanes }, (_, lane) => lane);
  let next = 0;
  const dueAt = (): number =>
    perSecond === null ? performance.now() : startedAt + (next * 1000) / perSecond;
  const isDue = (): boolean =>
    next < total && (perSecond === null ? performance.now() < endAt : dueAt() <= performance.now());
  const work = async (lane: number): Promise<void> => {
    while (isDue()) {
      const due = dueAt();
      const index = next;
      next += 1;
      const refusal = await send(index, lane);
      latenciesMs.push(performance.now() - due);
      if (refusal !== null) refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1);
    }
    idle.push(lane);
  };
  for (;;) {
    while (isDue()) {
      const lane = idle.pop();
      if (lane === undefined) break;
      void work(lane);
    }
    const isOver = next >= total || (perSecond === null && performance.now() >= endAt);
    if (isOver && idle.length === lanes) break;
    await sleep(next < total ? 1 : 2);
  }
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? NaN;
  const refused = [...refusals.values()].reduce((sum, each) => sum + each, 0);
  return {
    sent: next,
    done: next - refused,
    refusals: [...refusals].map(([what, times]) => `${times} x ${what}`),
    seconds: (performance.now() - startedAt) / 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

export function mustBeDone(result: LoadFlowResult): LoadFlowResult {
  if (result.done !== result.sent) throw new Error(`refused: ${result.refusals.join(', ')}`);
  return result;
}
