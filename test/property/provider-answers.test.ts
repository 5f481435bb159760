import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apnsOutcome, documentedApnsReasons, parseApnsBody } from '../../src/notifiers/apns/answers.js';
import {
  documentedFcmCodes,
  documentedFcmStatuses,
  fcmOutcome,
  parseFcmError,
} from '../../src/notifiers/firebase/answers.js';

const statuses = fc.integer({ min: 0, max: 999 });
const anyBody = fc.oneof(fc.string(), fc.json());
const knownReasons = new Set(documentedApnsReasons.map((key) => key.split(' ')[1]));

describe('whatever a provider answers', () => {
  it('Apple: there is an outcome, and its reason is a documented word or the status', () => {
    const bodies = fc.oneof(
      anyBody,
      fc
        .record({
          reason: fc.oneof(fc.string(), fc.constantFrom('constructor', '__proto__')),
          timestamp: fc.anything(),
        })
        .map((body) => JSON.stringify(body)),
    );
    fc.assert(
      fc.property(statuses, bodies, (status, body) => {
        const outcome = apnsOutcome({ status, ...parseApnsBody(body), retryAfterMs: null }, () => false);
        if (status === 200) {
          expect(outcome).toEqual({ kind: 'delivered' });
          return;
        }
        if (!('reason' in outcome)) throw new Error('delivered without a 200');
        expect(knownReasons.has(outcome.reason) || outcome.reason === `http-${status}`).toBe(true);
      }),
    );
  });

  it('Google: there is an outcome, and its reason is a documented word or the status', () => {
    const bodies = fc.oneof(
      anyBody,
      fc
        .record({
          error: fc.record({
            status: fc.oneof(
              fc.string(),
              fc.constantFrom('constructor', '__proto__', ...documentedFcmStatuses),
            ),
            message: fc.anything(),
            details: fc.array(fc.object()),
          }),
        })
        .map((body) => JSON.stringify(body)),
    );
    fc.assert(
      fc.property(statuses, bodies, (status, body) => {
        const outcome = fcmOutcome(parseFcmError(status, body, null), () => false);
        if (!('reason' in outcome)) throw new Error('delivered by an error');
        const known =
          documentedFcmCodes.includes(outcome.reason) || documentedFcmStatuses.includes(outcome.reason);
        expect(known || outcome.reason === `http-${status}`).toBe(true);
      }),
    );
  });
});
