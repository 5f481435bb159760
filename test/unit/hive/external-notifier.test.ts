import { expect, it } from 'vitest';
import { systemClock } from '../../../src/domain/clock.js';
import { ExternalNotifier } from '../../../src/hive/external-notifier.js';
import { legacyPushFor, never, pushFor, serviceName, wakePushFor } from '../../contract/notifier-fixtures.js';

it('an external notifier is handed nothing that it could not seal: no sealed push, none of an older client or an XMPP server', async () => {
  const notifier = new ExternalNotifier(
    serviceName('tested'),
    {
      notifierTimeoutMs: 1000,
      notifierAwayMs: 1000,
      maxInFlight: 10,
      roomTimeoutMs: 1000,
      awayRetryMs: 1000,
    },
    systemClock,
  );
  expect(await notifier.send(pushFor('x'), never)).toEqual({ kind: 'dropped', reason: 'sealed' });
  expect(await notifier.send(legacyPushFor('x'), never)).toEqual({
    kind: 'dropped',
    reason: 'legacy-content',
  });
  expect(await notifier.send(wakePushFor('x'), never)).toEqual({ kind: 'dropped', reason: 'wake-content' });
});
