import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { fcmError } from '../simulators/providers/fcm-stand-in.js';
import type { ScriptedAnswer } from '../simulators/providers/scripted-answers.js';
import { ServerProcess } from '../simulators/server-process.js';
import { startWorld, type World } from '../simulators/world.js';
import { NumberedFlow, quantile } from './numbered-flow.js';
import { added, inParallel, newSubscribers, pause, subscribe, untilRegistered } from './support.js';

const RETRY_AFTER_MS = 2000;
/** What was under way when the provider began to refuse arrives within this. */
const IN_FLIGHT_MS = 250;
/** The provider refuses for so long, which is shorter than the pause it asks for. */
const REFUSES_MS = 1000;
const BACKLOG = 1500;
const CATCHES_UP_WITHIN_MS = 5000;
const PER_SECOND = 300;
const OTHER_PER_SECOND = 50;
const DEVICES = 50;

interface Refusal {
  readonly atMs: number;
  /** No request may come before this. */
  readonly notBeforeMs: number;
}

/** Keeps account of the refusals; each says anew when the provider wants to hear of us again. */
function throttling(
  answer: ScriptedAnswer,
  form: 'seconds' | 'date',
  onRefusal: (refusal: Refusal) => void,
): ScriptedAnswer {
  return {
    ...answer,
    get headers() {
      const atMs = Date.now();
      // A date has whole seconds: the next one after the two seconds.
      const endMs = atMs + RETRY_AFTER_MS;
      const notBeforeMs = form === 'seconds' ? endMs : Math.ceil(endMs / 1000) * 1000;
      onRefusal({ atMs, notBeforeMs });
      const value = form === 'seconds' ? String(RETRY_AFTER_MS / 1000) : new Date(notBeforeMs).toUTCString();
      return { ...answer.headers, 'retry-after': value };
    },
  };
}

describe('a provider that says 429 and Retry-After', () => {
  let world: World;
  let server: ServerProcess;
  let flows: Readonly<Record<'apns' | 'firebase', NumberedFlow>>;

  beforeAll(async () => {
    world = await startWorld({ config: { delivery: { maxAttempts: 1000 } } });
    server = await ServerProcess.start(world.configFile);
    const [iphones, androids] = [newSubscribers(DEVICES, 'ios'), newSubscribers(DEVICES, 'android')];
    const everybody = [...iphones, ...androids];
    await inParallel(everybody, 16, async (one) =>
      expect(await subscribe(server.httpAddress, one)).toEqual(added),
    );
    await untilRegistered(
      world.network,
      everybody.map(({ account }) => account.id),
    );
    flows = { apns: new NumberedFlow(world, iphones), firebase: new NumberedFlow(world, androids) };
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  it.each([
    {
      service: 'firebase',
      other: 'apns',
      form: 'seconds',
      answer: fcmError(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED'),
    },
    {
      service: 'apns',
      other: 'firebase',
      form: 'date',
      answer: { status: 429, body: { reason: 'TooManyRequests' } },
    },
  ] as const)(
    'hears nothing of $service until then ($form), and everything soon afterwards; $other goes on',
    async ({ service, other, form, answer }) => {
      const provider = service === 'apns' ? world.apns : world.fcm;
      const [flow, otherFlow] = [flows[service], flows[other]];
      const of = (metric: string): Promise<number> => server.metric(`${metric}{notifier="${service}"}`);
      const requestsAtMs: number[] = [];
      provider.onRequest = () => requestsAtMs.push(Date.now());

      flow.start(PER_SECOND);
      otherFlow.start(OTHER_PER_SECOND);
      const warm = otherFlow.sent + OTHER_PER_SECOND; // The first messages of a process are slower.
      await eventually(() => otherFlow.sent - otherFlow.missing > warm + OTHER_PER_SECOND);
      const [otherFrom, sentBefore] = [otherFlow.sent, flow.sent];

      const refusals: Refusal[] = [];
      provider.answers.standing = throttling(answer, form, (refusal) => refusals.push(refusal));
      const first = await eventually(() => refusals[0] ?? null);
      await eventually(async () => (await of('waggle_notifier_paused')) === 1, { everyMs: 50 });
      flow.send(Math.max(0, BACKLOG - (flow.sent - sentBefore)));
      await pause(first.atMs + REFUSES_MS - Date.now());
      provider.answers.standing = null;
      const last = refusals.at(-1) ?? first;
      await flow.stop();
      const backlog = flow.sent - sentBefore;
      expect(backlog).toBeGreaterThanOrEqual(BACKLOG);
      await eventually(async () => (await of('waggle_outbox_waiting')) > 0.9 * flow.missing, { everyMs: 50 });

      await eventually(() => flow.missing === 0, { what: 'every push' });
      const allAtMs = Date.now();
      await otherFlow.stop();
      expect(allAtMs - last.notBeforeMs).toBeLessThan(CATCHES_UP_WITHIN_MS);
      const tooEarly = requestsAtMs.filter(
        (atMs) => atMs > first.atMs + IN_FLIGHT_MS && atMs < last.notBeforeMs,
      );
      expect(tooEarly.map((atMs) => atMs - last.notBeforeMs)).toEqual([]);
      expect(last.atMs - first.atMs).toBeLessThanOrEqual(IN_FLIGHT_MS);

      await eventually(() => otherFlow.missing === 0);
      const otherMeanwhile = otherFlow.latenciesMs(otherFrom);
      expect(otherMeanwhile.length).toBeGreaterThan(OTHER_PER_SECOND);
      // On a machine that also runs all the rest of this; whoever shared the pause would wait for most of it.
      expect(quantile(otherMeanwhile, 0.5)).toBeLessThan(RETRY_AFTER_MS / 4);
      expect(quantile(otherMeanwhile, 0.99)).toBeLessThan(RETRY_AFTER_MS);

      const total = flow.sent + otherFlow.sent;
      await eventually(async () => (await server.metric('waggle_pushes_delivered_total')) === total);
      await eventually(async () => (await server.metric('waggle_outbox_waiting')) === 0);
      expect([flow.repeated(), otherFlow.repeated()]).toEqual([[], []]);
      expect(await of('waggle_notifier_paused')).toBe(0);
      expect(await of('waggle_pushes_retried_total')).toBe(refusals.length);
      expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
      expect(await server.metric('waggle_pushes_dropped_total')).toBe(0);
      provider.onRequest = null;
    },
  );
});
