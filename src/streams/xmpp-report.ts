import type { Metrics } from '../telemetry/metrics.js';
import type {
  RegisterOutcome,
  Registrations,
  RequestKind,
  UnregisterOutcome,
  XmppReport,
} from '../xmpp/port.js';

/** What happens on the connections to XMPP servers, as metrics. Domains are those of the configuration. */
export function createXmppReport(metrics: Metrics): XmppReport {
  const times = new Map<RequestKind, { observe(seconds: number): void }>();
  const timeOf = (request: RequestKind): { observe(seconds: number): void } => {
    const known = times.get(request) ?? metrics.xmppAnswerTime.labels(request);
    times.set(request, known);
    return known;
  };
  return {
    answered(request, answer, tookMs) {
      metrics.xmppAnswers.of(request, answer).add();
      timeOf(request).observe(tookMs / 1000);
    },
    unanswerable: () => metrics.xmppUnanswerable.add(),
    answerLost: () => metrics.xmppAnswersLost.add(),
    connected: (domain) => metrics.xmppConnects.of(domain).add(),
    ended: (domain, end) => metrics.xmppEnds.of(domain, end).add(),
  };
}

/** The same registrations, counted by the way on which they come. */
export function countRegistrations(
  registrations: Registrations,
  way: 'command' | 'http',
  metrics: Metrics,
): Registrations {
  const counted = async <Outcome extends RegisterOutcome | UnregisterOutcome>(
    request: 'register' | 'unregister',
    outcome: Promise<Outcome>,
  ): Promise<Outcome> => {
    const count = (kind: string): void => metrics.xmppRegistrations.of(way, request, kind).add();
    try {
      const settled = await outcome;
      count(settled.kind);
      return settled;
    } catch (error) {
      count('unavailable');
      throw error;
    }
  };
  return {
    register: (target, token) => counted('register', registrations.register(target, token)),
    unregister: (target) => counted('unregister', registrations.unregister(target)),
  };
}
