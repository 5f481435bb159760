import { LinkedSet, type Linked } from '../domain/linked-set.js';
import { answerMarkup, errorAnswer, type AnswerAddress, type IqAnswer, type IqRequest } from './iq.js';
import type { IqRouter, Route } from './iq-router.js';
import { parseJid } from './jid.js';
import type { Markup } from './markup.js';
import { ns } from './namespaces.js';
import type { AnswerKind, RequestKind } from './port.js';
import { badRequest, internalServerError, overloaded, serviceUnavailable } from './stanza-error.js';
import type { XmlElement } from './xml-element.js';

/** A request whose answer is not there yet. */
interface OpenRequest extends Linked<OpenRequest> {
  readonly address: AnswerAddress;
  readonly kind: RequestKind;
  /** On the clock of `performance.now()`. */
  readonly startedMs: number;
}

/** Who asks, and where the answer goes. */
interface Asked {
  readonly type: string | null;
  readonly from: IqRequest['from'];
  readonly address: AnswerAddress;
}

/**
 * The requests of one connection. Every IQ of type get or set gets exactly one answer, whatever its handler does: by
 * the handler, by the time-out, or, when the connection is about to end, by `answerRest`. Nothing else is ever
 * answered, so that two programs cannot throw errors at each other. Source: spec xmpp-push, sections 1, 2 and 3.4.
 */
export class IqSession {
  /** In the order of their coming, which is that of their deadlines: all have the same time. */
  readonly #open = new LinkedSet<OpenRequest>();
  #timer: NodeJS.Timeout | null = null;
  #whenIdle: (() => void)[] = [];
  #isTaking = true;
  #isEnded = false;

  /** `send` returns false when the connection is gone. */
  constructor(
    private readonly router: IqRouter,
    private readonly domain: string,
    private readonly send: (markup: Markup) => boolean,
  ) {}

  get openRequests(): number {
    return this.#open.size;
  }

  /** Takes any stanza. Never throws. */
  take(stanza: XmlElement): void {
    const request = this.#requestOf(stanza);
    if (request !== null) this.#takeRequest(stanza, request);
  }

  /**
   * A stanza that was too large to be read. What a server sends may be larger than anything that its users could have
   * sent to it, a publish with a long message in it for one: a `wait` ends nobody's registration.
   */
  takeOversized(stanza: XmlElement | null): void {
    if (this.#isEnded) return;
    const request = stanza === null ? null : this.#requestOf(stanza);
    if (stanza === null) this.router.report.unanswerable();
    else if (request !== null)
      this.#answerNow(request.address, 'other', performance.now(), errorAnswer(overloaded), 'overload');
  }

  /** Null: nobody is to be answered. */
  #requestOf(stanza: XmlElement): Asked | null {
    // Messages, presence and answers are nothing that we wait for.
    if (this.#isEnded || !stanza.is('iq', ns.component)) return null;
    const type = stanza.attribute('type');
    if (type === 'result' || type === 'error') return null;
    const id = stanza.attribute('id');
    const to = stanza.attribute('from');
    const from = to === null ? null : parseJid(to);
    if (id === null || to === null || from === null) {
      this.router.report.unanswerable();
      return null;
    }
    return { type, from, address: { id, to, from: this.#ownAddress(stanza.attribute('to')) } };
  }

  /** From now on new requests are put off with a `wait` error. */
  stopTaking(): void {
    this.#isTaking = false;
  }

  /** No answer can be sent any more. What still comes is handed on all the same: a push without an answer is a push. */
  takeUnanswered(): void {
    this.#isTaking = true;
  }

  /** Resolves when nothing is under way, at once when nothing is. */
  idle(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Answers all that is under way with a `wait` error: the connection is about to be closed. */
  answerRest(): void {
    for (const request of this.#open.toArray())
      this.#answer(request, errorAnswer(internalServerError), 'late');
  }

  /** The connection is gone: whatever is under way has no way back. */
  end(): void {
    this.#isEnded = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const _ of this.#open.takeAll()) this.router.report.answerLost();
    this.#noteIdle();
  }

  #takeRequest(stanza: XmlElement, { type, from, address }: Asked): void {
    const payload = onlyElementOf(stanza);
    const startedMs = performance.now();
    if (payload === null || (type !== 'get' && type !== 'set')) {
      this.#answerNow(address, 'other', startedMs, errorAnswer(badRequest), 'refused');
      return;
    }
    const route = this.router.route(type, payload.namespace, payload.name);
    if (route === null) {
      this.#answerNow(address, 'other', startedMs, errorAnswer(serviceUnavailable), 'refused');
      return;
    }
    if (!this.#isTaking || this.#open.size >= this.router.options.maxOpenRequests) {
      this.#answerNow(address, route.kind, startedMs, errorAnswer(overloaded), 'overload');
      return;
    }
    const deadlineMs = this.router.clock.nowMs() + this.router.options.answerTimeoutMs;
    this.#handle(
      route,
      { address, kind: route.kind, startedMs, before: null, after: null },
      { type, from, domain: this.domain, payload, deadlineMs },
    );
  }

  #handle(route: Route, open: OpenRequest, request: IqRequest): void {
    let answer: IqAnswer | Promise<IqAnswer>;
    try {
      answer = route.handle(request);
    } catch (failure) {
      this.#answerFault(open, failure);
      return;
    }
    if (!(answer instanceof Promise)) {
      this.#answerNow(open.address, open.kind, open.startedMs, answer, kindOf(answer));
      return;
    }
    this.#open.add(open);
    this.#timer ??= setTimeout(this.#answerLate, this.router.options.answerTimeoutMs);
    answer.then(
      (settled) => {
        this.#answer(open, settled, kindOf(settled));
      },
      (failure: unknown) => {
        if (this.#open.has(open)) this.#answerFault(open, failure);
      },
    );
  }

  #answerFault(open: OpenRequest, failure: unknown): void {
    this.router.noteFault(open.kind, failure);
    this.#open.delete(open);
    this.#answerNow(open.address, open.kind, open.startedMs, errorAnswer(internalServerError), 'fault');
    this.#noteIdle();
  }

  /** An answer that comes after the time-out's is dropped. */
  #answer(open: OpenRequest, answer: IqAnswer, kind: AnswerKind): void {
    if (!this.#open.delete(open)) return;
    this.#answerNow(open.address, open.kind, open.startedMs, answer, kind);
    this.#noteIdle();
  }

  #answerNow(
    address: AnswerAddress,
    kind: RequestKind,
    startedMs: number,
    answer: IqAnswer,
    as: AnswerKind,
  ): void {
    const { report } = this.router;
    if (this.send(answerMarkup(address, answer))) report.answered(kind, as, performance.now() - startedMs);
    else report.answerLost();
  }

  readonly #answerLate = (): void => {
    this.#timer = null;
    const { answerTimeoutMs } = this.router.options;
    const dueMs = performance.now() - answerTimeoutMs;
    for (let request = this.#open.first; request !== null; request = this.#open.first) {
      if (request.startedMs > dueMs) {
        this.#timer = setTimeout(this.#answerLate, Math.ceil(request.startedMs - dueMs));
        return;
      }
      this.#answer(request, errorAnswer(internalServerError), 'late');
    }
  };

  #noteIdle(): void {
    if (this.#open.size > 0) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }

  /** An answer from a foreign address would make the server close the stream (`invalid-from`). */
  #ownAddress(to: string | null): string {
    return to !== null && parseJid(to)?.domain === this.domain ? to : this.domain;
  }
}

function onlyElementOf(stanza: XmlElement): XmlElement | null {
  const elements = stanza.elements();
  return elements.length === 1 ? (elements[0] ?? null) : null;
}

function kindOf(answer: IqAnswer): AnswerKind {
  if (answer.kind === 'result') return 'result';
  return answer.error.type === 'wait' ? 'wait' : 'refused';
}
