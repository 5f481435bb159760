import { Subject } from 'rxjs';
import { encodeNotifierPush } from '../codec/notifier-push.js';
import { MAX_PAYLOAD_TEXT_BYTES, writeSessionPayload } from '../codec/session-payload.js';
import { pushKey } from '../crypto/push-key.js';
import { seal, type NonceSource } from '../crypto/seal.js';
import type { Clock } from '../domain/clock.js';
import type { AccountId, ServiceName } from '../domain/ids.js';
import type { SwarmNotice } from '../domain/notice.js';
import type { Push, PushContent } from '../domain/push.js';
import type { AccountSlot } from '../subscription-index/port.js';
import type { MatchedDevice } from '../subscription-index/subscription-index.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { DuplicateFilter } from './duplicate-filter.js';
import type { Fingerprint } from './fingerprint-set.js';
import { stage } from './stage.js';

/*
 * The way of a swarm notice, one synchronous step after the other:
 *
 *   decode   bytes → notice                              malformed ones end here, counted
 *   dedupe   copies of what was handed over end here
 *   match    the devices that asked, from the index      notices of strangers and of nobody's accounts end here
 *   seal     one push for each device; unsealed where an external notifier seals by itself
 *   route    offered to the notifier; no credit → outbox; then, and only then, marked as handed over
 *
 * Nothing waits in here: a frame is through, or gone, before the next one is read.
 */

/** A frame and the link it came over; `Link` is whatever the network calls one. */
interface Frame<Link> {
  readonly link: Link;
  readonly bytes: Buffer;
  readonly receivedAtMs: number;
}

interface DecodedFrame<Link> extends Frame<Link> {
  readonly notice: SwarmNotice;
}

interface FreshFrame<Link> extends DecodedFrame<Link> {
  readonly fingerprint: Fingerprint;
}

interface MatchedFrame<Link> extends FreshFrame<Link> {
  readonly devices: readonly MatchedDevice[];
}

interface SealedNotice {
  readonly fingerprint: Fingerprint;
  readonly pushes: readonly Push[];
}

export interface PipelineDeps<Link> {
  /** `decodeNotifyMessage`: a notice, or a word that says what is wrong. */
  readonly decode: (bytes: Buffer) => SwarmNotice | string;
  /** Marks of whole messages: (account, hash). */
  readonly messages: DuplicateFilter;
  /** Marks of single devices; used only for messages that some, but not all, of their devices were handed. */
  readonly devices: DuplicateFilter;
  readonly index: {
    slotOf(account: Buffer): AccountSlot;
    matchSlot(slot: AccountSlot, namespace: number): MatchedDevice[];
  };
  /** Whether this link's node may speak about this account. */
  readonly acceptsFrame: (link: Link, slot: AccountSlot) => boolean;
  /** True when the notifier has taken the push. */
  readonly offer: (push: Push) => boolean;
  /** True when the outbox has taken responsibility; `onLost` if it cannot keep it after all. */
  readonly spill: (push: Push, onLost: () => void) => boolean;
  /**
   * What the service's notifier sends (`capabilities.content`). Asked for every push, so it must be a mere look-up;
   * without it everything is sealed.
   */
  readonly contentOf: (service: ServiceName) => PushContent['kind'];
  readonly nextNonce: NonceSource;
  /** Makes push keys unpredictable for others; 32 bytes, the same after a restart. */
  readonly pushSecret: Buffer;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** A fault of our own in a stage: counted, and logged without the item. */
  readonly onFault: (stageName: string, error: unknown) => void;
}

export interface Pipeline<Link> {
  /** One `notify.message` frame. Never throws. */
  next(link: Link, bytes: Buffer): void;
  complete(): void;
}

export function createPipeline<Link>(deps: PipelineDeps<Link>): Pipeline<Link> {
  const { metrics, messages, devices, index, onFault } = deps;
  const { contentOf } = deps;
  const withData = Buffer.alloc(MAX_PAYLOAD_TEXT_BYTES);
  const withoutData = Buffer.alloc(MAX_PAYLOAD_TEXT_BYTES);
  const deviceMark = Buffer.alloc(0);

  const decode = (frame: Frame<Link>): DecodedFrame<Link> | null => {
    const notice = deps.decode(frame.bytes);
    if (typeof notice === 'string') {
      metrics.framesMalformed.of(notice).add();
      return null;
    }
    return { link: frame.link, bytes: frame.bytes, receivedAtMs: frame.receivedAtMs, notice };
  };

  const dedupe = (frame: DecodedFrame<Link>): FreshFrame<Link> | null => {
    const fingerprint = messages.fingerprint(frame.notice.account, frame.notice.hash);
    if (messages.has(fingerprint)) {
      metrics.framesDuplicate.add();
      return null;
    }
    const { link, bytes, receivedAtMs, notice } = frame;
    return { link, bytes, receivedAtMs, notice, fingerprint };
  };

  const match = (frame: FreshFrame<Link>): MatchedFrame<Link> | null => {
    const { link, bytes, receivedAtMs, notice, fingerprint } = frame;
    const slot = index.slotOf(notice.account);
    if (slot < 0) {
      metrics.framesUnmatched.add();
      return null;
    }
    if (!deps.acceptsFrame(link, slot)) {
      metrics.framesForeign.add();
      return null;
    }
    const matched = index.matchSlot(slot, notice.namespace);
    if (matched.length === 0) {
      metrics.framesUnmatched.add();
      return null;
    }
    return { link, bytes, receivedAtMs, notice, fingerprint, devices: matched };
  };

  const sealAll = ({
    notice,
    devices: matched,
    fingerprint,
    receivedAtMs,
  }: MatchedFrame<Link>): SealedNotice => {
    // The frame belongs to ZeroMQ and is gone soon; the account outlives it in every push.
    const account = Buffer.from(notice.account) as AccountId;
    let withDataBytes = 0;
    let withoutDataBytes = 0;
    const pushes: Push[] = [];
    for (const target of matched) {
      const { service, device, encryptionKey, wantData } = target;
      const dedupeKey = pushKey(service, device.serviceId, notice.hash, deps.pushSecret);
      if (devices.size > 0 && devices.has(devices.fingerprint(dedupeKey, deviceMark))) continue;
      let content: PushContent;
      if (contentOf(service) === 'unsealed') {
        content = { kind: 'unsealed', payload: encodeNotifierPush(notice, target) };
      } else {
        let text: Buffer;
        if (wantData) {
          withDataBytes ||= writeSessionPayload(notice, true, withData);
          text = withData.subarray(0, withDataBytes);
        } else {
          withoutDataBytes ||= writeSessionPayload(notice, false, withoutData);
          text = withoutData.subarray(0, withoutDataBytes);
        }
        content = { kind: 'sealed', payload: seal(text, encryptionKey, deps.nextNonce) };
      }
      pushes.push({
        service,
        account,
        device,
        content,
        priority: 'high',
        expiresAtMs: notice.expiryMs,
        dedupeKey,
        receivedAtMs,
        attempts: 0,
        outboxId: null,
      });
    }
    return { fingerprint, pushes };
  };

  const route = ({ fingerprint, pushes }: SealedNotice): null => {
    let handedOver = 0;
    let waiting: Push[] | null = null;
    for (const push of pushes) {
      if (deps.offer(push)) handedOver += 1;
      else (waiting ??= []).push(push);
    }
    if (waiting !== null) handedOver += spillAll(fingerprint, pushes, waiting);
    if (handedOver === pushes.length) messages.mark(fingerprint);
    return null;
  };

  /**
   * The rare way: some device of the message waits. Each device that was handed over is marked by itself, so that a
   * further copy of the message reaches only those that were not.
   */
  const spillAll = (fingerprint: Fingerprint, pushes: readonly Push[], waiting: readonly Push[]): number => {
    let spilled = 0;
    for (const push of pushes) {
      const mark = devices.fingerprint(push.dedupeKey, deviceMark);
      if (waiting.includes(push)) {
        const taken = deps.spill(push, () => {
          metrics.pushesLost.of(push.service).add();
          messages.forget(fingerprint);
          devices.forget(mark);
        });
        if (!taken) {
          metrics.pushesLost.of(push.service).add();
          continue;
        }
        metrics.pushesSpilled.of(push.service).add();
        spilled += 1;
      }
      devices.mark(mark);
    }
    return spilled;
  };

  const frames = new Subject<Frame<Link>>();
  const subscription = frames
    .pipe(
      stage('decode', decode, onFault),
      stage('dedupe', dedupe, onFault),
      stage('match', match, onFault),
      stage('seal', sealAll, onFault),
      stage('route', route, onFault),
    )
    .subscribe();

  return {
    next(link, bytes) {
      metrics.framesReceived.add();
      frames.next({ link, bytes, receivedAtMs: deps.clock.nowMs() });
    },
    complete() {
      frames.complete();
      subscription.unsubscribe();
    },
  };
}
