import { readWakeMessage, type WakeMessage } from '../codec/wake-content.js';
import { asciiJson } from './ascii-json.js';
import { ContentWriter } from './content-writer.js';

/** What a notifier makes of the pushes of XMPP servers' publishes. */
export const wakeWriter = <Made>(write: (message: WakeMessage) => Made): ContentWriter<Made> =>
  new ContentWriter((payload) => {
    const message = readWakeMessage(payload);
    return message === null ? null : write(message);
  });

/**
 * What a data message of Google's or Huawei's says, as JSON in ASCII: which account the device is woken for, and which
 * room of it (spec xmpp-push, 11.4); where there is neither, one constant member, because nobody promises that a message
 * with nothing in it is delivered (11.3).
 */
export function wakeData({ account, channel }: WakeMessage): string {
  const members = [...member('account', account), ...member('channel', channel)];
  return `{${members.length === 0 ? '"wake":"1"' : members.join(',')}}`;
}

/**
 * What a device reads that is handed a body and nothing else (WNS, Web Push, UnifiedPush): the text that its protocol
 * fixes (UWPX); otherwise JSON in ASCII, how it is woken and what `wakeData` says.
 */
export function wakeText({ raw, urgency, account, channel }: WakeMessage): string {
  if (raw !== null) return raw;
  const members = [...member('wake', urgency), ...member('account', account), ...member('channel', channel)];
  return `{${members.join(',')}}`;
}

const member = (name: string, value: string | null): string[] =>
  value === null ? [] : [`"${name}":${asciiJson(value)}`];
