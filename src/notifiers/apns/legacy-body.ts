import type { LegacyMessage } from '../../codec/legacy-content.js';
import { asciiJson } from '../ascii-json.js';
import type { ApnsEntry } from './apns-entry.js';
import { MAX_BODY_BYTES } from './body.js';

const END = ',"remote":1}';

/**
 * Writes the bodies of older clients' pushes: always alerts, with title and text of the app whose client it is and the
 * rest as the entry says; ASCII, compact, which leaves room for more data. Data that does not fit Apple's limit is left
 * out: the app then shows the alert as it is. Spec session-push-v1, 4.1 and 12 #15.
 */
export function createLegacyApnsBody(entry: ApnsEntry): (message: LegacyMessage) => string {
  const { badge = 1, sound = 'default', category = 'SECRET', mutableContent = true } = entry;
  const rest = [
    ...(badge === null ? [] : [`,"badge":${badge}`]),
    ...(sound === null ? [] : [`,"sound":${asciiJson(sound)}`]),
    ...(mutableContent ? [',"mutable-content":1'] : []),
    ...(category === null ? [] : [`,"category":${asciiJson(category)}`]),
  ].join('');
  return ({ alertTitle, alertBody, data }) => {
    const aps = `{"aps":{"alert":{"title":${asciiJson(alertTitle)},"body":${asciiJson(alertBody)}}${rest}}`;
    const room = MAX_BODY_BYTES.alert - aps.length - END.length;
    // What is too long as it stands need not be escaped to find out.
    const carried = data === null || data.length > room ? '' : `,"ENCRYPTED_DATA":${asciiJson(data)}`;
    return aps + (carried.length > room ? '' : carried) + END;
  };
}
