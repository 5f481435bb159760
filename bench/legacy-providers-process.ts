import { answerCalls } from './asked-process.js';
import type { LegacyProviderCalls } from './legacy-providers.js';
import { startSurroundings } from './surroundings.js';

/** Apple and Google, who count what each device gets. */

const { apns, fcm, facts } = await startSurroundings();
let byToken = new Map<string, number>();
let before = { apns: 0, fcm: 0, refusals: 0 };

let isByToken = true;
const arrive = ({ token }: { token: string }): void => {
  if (!isByToken) return;
  byToken.set(token, (byToken.get(token) ?? 0) + 1);
};
apns.onAccepted = arrive;
fcm.onAccepted = arrive;

answerCalls<LegacyProviderCalls>({
  facts: () => facts,
  count: () => apns.accepted + fcm.accepted - before.apns - before.fcm,
  countOnly: () => {
    isByToken = false;
    return null;
  },
  take: () => {
    const now = {
      apns: apns.accepted,
      fcm: fcm.accepted,
      refusals: apns.refusals.length + fcm.refusals.length,
    };
    const devicesByPushes = new Map<number, number>();
    for (const pushes of byToken.values())
      devicesByPushes.set(pushes, (devicesByPushes.get(pushes) ?? 0) + 1);
    const arrivals = {
      apns: now.apns - before.apns,
      fcm: now.fcm - before.fcm,
      refusals: now.refusals - before.refusals,
      devicesByPushes,
    };
    before = now;
    byToken = new Map();
    return arrivals;
  },
});
