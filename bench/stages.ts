import { decodeNotifyMessage } from '../src/codec/notify-message.js';
import { MAX_PAYLOAD_TEXT_BYTES, writeSessionPayload } from '../src/codec/session-payload.js';
import { pushKey } from '../src/crypto/push-key.js';
import { randomNonces, seal } from '../src/crypto/seal.js';
import type { EncryptionKey } from '../src/domain/ids.js';
import type { SwarmNotice } from '../src/domain/notice.js';
import { DuplicateFilter } from '../src/streams/duplicate-filter.js';
import { createPipeline } from '../src/streams/pipeline.js';
import { SubscriptionIndex } from '../src/subscription-index/subscription-index.js';
import { Metrics } from '../src/telemetry/metrics.js';
import { accountOf, makeSubscription } from '../test/simulators/subscriptions.js';
import { encodeMessage } from '../test/simulators/storage-network/stored-message.js';
import { makeMessage } from '../test/simulators/world.js';

const ACCOUNTS = 100_000;
const FRAMES = 20_000;
const clock = { nowMs: () => Date.now() };

function cpuPerItem(items: number, work: () => void): string {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) / items).toFixed(2);
}

/** What each stage of the pipeline costs by itself, in this process. */
export function benchStages(say: (line: string) => void): Promise<void> {
  const index = new SubscriptionIndex(12_345);
  for (let i = 0; i < ACCOUNTS; i += 1) index.upsert(makeSubscription(`${i}`));
  const filter = (): DuplicateFilter =>
    new DuplicateFilter({ lifetimeMs: 300_000, maxEntries: 4_000_000, seeds: [1, 2] }, clock);
  say(`µs of CPU per frame (${ACCOUNTS} subscriptions, ${FRAMES} frames, second round of two):`);
  say('| message | decode | dedupe | match | seal | whole pipeline, first copy | further copy |');
  say('|---|---|---|---|---|---|---|');
  for (const bytes of [200, 1000, 2400]) {
    const data = Buffer.alloc(bytes, 0x61);
    let row = '';
    for (let round = 0; round < 2; round += 1) {
      const frames = Array.from(
        { length: FRAMES },
        (_, i) => encodeMessage(makeMessage(accountOf(`${i}`), data)).withData,
      );
      const notices: SwarmNotice[] = [];
      const decode = cpuPerItem(FRAMES, () => {
        for (const frame of frames) {
          const notice = decodeNotifyMessage(frame);
          if (typeof notice !== 'string') notices.push(notice);
        }
      });
      const seen = filter();
      const dedupe = cpuPerItem(FRAMES, () => {
        for (const { account, hash } of notices) {
          const mark = seen.fingerprint(account, hash);
          if (!seen.has(mark)) seen.mark(mark);
        }
      });
      const match = cpuPerItem(FRAMES, () => {
        for (const { account } of notices) index.match(account, 0);
      });
      const nextNonce = randomNonces();
      const scratch = Buffer.alloc(MAX_PAYLOAD_TEXT_BYTES);
      const key = Buffer.alloc(32, 7) as EncryptionKey;
      const secret = Buffer.alloc(32, 8);
      const sealing = cpuPerItem(FRAMES, () => {
        for (const notice of notices) {
          pushKey('apns', 'ab'.repeat(32), notice.hash, secret);
          seal(scratch.subarray(0, writeSessionPayload(notice, true, scratch)), key, nextNonce);
        }
      });
      const pipeline = createPipeline<null>({
        decode: decodeNotifyMessage,
        messages: filter(),
        devices: filter(),
        index,
        acceptsFrame: () => true,
        contentOf: () => 'sealed',
        offer: () => true,
        spill: () => false,
        nextNonce,
        pushSecret: secret,
        clock,
        metrics: new Metrics(),
        onFault: (_stage, error) => {
          throw error;
        },
      });
      const first = cpuPerItem(FRAMES, () => frames.forEach((frame) => pipeline.next(null, frame)));
      const further = cpuPerItem(FRAMES, () => frames.forEach((frame) => pipeline.next(null, frame)));
      row = `| ${bytes} B | ${decode} | ${dedupe} | ${match} | ${sealing} | ${first} | ${further} |`;
    }
    say(row);
  }
  return Promise.resolve();
}
