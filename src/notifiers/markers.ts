import { fail, ok, type Result } from '../domain/result.js';

/**
 * Keys beside `enc_payload` by which an app knows the push for one of the v2 protocol; which ones it looks for depends on
 * the app: `spns`, in Bchat's code also `pns` (spec bchat-push, section 4 and 5 #3).
 */
export const DEFAULT_MARKERS: readonly string[] = ['spns'];

const MAX_MARKERS = 8;
/** Members of the bodies themselves, and what FCM keeps for itself ("REST Resource: projects.messages", `data`). */
const taken =
  /^(aps|enc_payload|encrypted_data|remote|from|message_type|collapse_key|notification|google.*|gcm.*)$/i;

/** The option `markers` of an entry, checked; the error is a text for the operator. */
export function parseMarkers(given: readonly string[] | null | undefined): Result<readonly string[], string> {
  const markers = given ?? DEFAULT_MARKERS;
  if (markers.length > MAX_MARKERS) return fail(`markers: at most ${MAX_MARKERS}`);
  for (const [index, marker] of markers.entries()) {
    if (!/^[A-Za-z]\w{0,31}$/.test(marker)) return fail('markers: letters, digits and _ only, 32 at most');
    if (taken.test(marker)) return fail(`markers: ${marker} has a meaning already`);
    if (markers.indexOf(marker) !== index) return fail(`markers: ${marker} is there twice`);
  }
  return ok(markers);
}
