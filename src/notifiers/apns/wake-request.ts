import type { WakeMessage } from '../../codec/wake-content.js';
import type { WakeUrgency } from '../../domain/publish.js';
import { asciiJson } from '../ascii-json.js';
import type { ApnsEntry } from './apns-entry.js';

/** What a push of an XMPP server's publish is at Apple's, but for its device and its time. */
export interface ApnsWakeRequest {
  readonly body: string;
  readonly topic: string;
  readonly pushType: string;
  readonly priority: string;
  /** Null: it takes no other push's place. */
  readonly collapseId: string | null;
}

const VOIP_TOPIC = '.voip';
const SILENT_BODY = '{"aps":{"content-available":1}}';

/** Apple's: an alert at once, a background push when it suits the device, a call at once. */
const headersOf: Readonly<Record<WakeUrgency, { readonly pushType: string; readonly priority: string }>> = {
  high: { pushType: 'alert', priority: '10' },
  silent: { pushType: 'background', priority: '5' },
  voip: { pushType: 'voip', priority: '10' },
};

/** Apple takes 64 bytes; a header takes no control characters. */
const collapseId = /^[\x20-\x7e]{1,64}$/;

/** To a topic of calls Apple takes nothing else. */
export const isTopicOfCalls = (topic: string): boolean => topic.endsWith(VOIP_TOPIC);

/**
 * Writes the requests of spec xmpp-push, 10.3 ("ours"). Push type, priority and texts are the message's, the sound the
 * entry's.
 */
export function createApnsWakeWriter(entry: ApnsEntry): (message: WakeMessage) => ApnsWakeRequest {
  const { topic, sound = 'default' } = entry;
  const topicOfCalls = isTopicOfCalls(topic) ? topic : topic + VOIP_TOPIC;
  const soundMember = sound === null ? '' : `,"sound":${asciiJson(sound)}`;
  return (message) => {
    const { urgency, collapseKey } = message;
    return {
      ...headersOf[urgency],
      body: urgency === 'high' ? alertBodyOf(message, soundMember) : SILENT_BODY,
      topic: urgency === 'voip' ? topicOfCalls : topic,
      collapseId: collapseKey !== null && collapseId.test(collapseKey) ? collapseKey : null,
    };
  };
}

/** The text stands until the app's extension has fetched the message; compact, in the order of the original. */
function alertBodyOf({ alertTitle, alertBody, mutableContent }: WakeMessage, soundMember: string): string {
  const mutable = mutableContent ? '"mutable-content":1,' : '';
  const body = alertBody === null ? '' : `,"body":${asciiJson(alertBody)}`;
  return `{"aps":{${mutable}"alert":{"title":${asciiJson(alertTitle)}${body}}${soundMember}}}`;
}
