import type { UwpxAccount } from './port.js';

/** The texts of the C++ server, to the letter. Source: spec uwpx-push, section 3. */
export const uwpxErrors = {
  malformed: 'Malformed JSON.',
  invalid: 'Invalid JSON message.',
  unknownDevice: 'Device id unknown.',
  badChannel: "Invalid channel URI. Has to use the domain 'notify.windows.com'.",
  testPushFailed: 'Failed to send test push. Something went wrong...',
  unsupported: 'Unsupported message type.',
  failed: 'Internal server error... Failed to process received JSON message.',
} as const;

export type UwpxErrorName = keyof typeof uwpxErrors;

/** An account of the answer, in the form in which the client asked for it. */
export type AnsweredAccount =
  | { readonly kind: 'account-id'; readonly stored: UwpxAccount }
  | { readonly kind: 'bare-jid'; readonly bareJid: string; readonly stored: UwpxAccount };

/** One JSON text and the NUL behind it, in one buffer so that it leaves in one write. */
const terminated = (json: string): Buffer => Buffer.from(`${json}\0`);

const errorAnswers = Object.fromEntries(
  Object.entries(uwpxErrors).map(([name, text]) => [
    name,
    terminated(`{"action":"response","error":${JSON.stringify(text)},"status":0,"version":2}`),
  ]),
) as Record<UwpxErrorName, Buffer>;

/** Version 2 in any case: clients of the second version throw at any other, those of the first do not look. */
export const errorAnswer = (name: UwpxErrorName): Buffer => errorAnswers[name];

export const successAnswer = terminated('{"action":"response","status":1,"version":2}');

/** Keys in alphabetical order. Source: spec uwpx-push, 2.2 and 2.3. */
export const accountsAnswer = (pushAddress: string, accounts: readonly AnsweredAccount[]): Buffer =>
  terminated(
    JSON.stringify({
      accounts: accounts.map(accountMembers),
      action: 'response',
      push_bare_jid: pushAddress,
      status: 1,
      version: 2,
    }),
  );

function accountMembers(account: AnsweredAccount): Record<string, unknown> {
  const { node, secret, accountId } = account.stored;
  return account.kind === 'bare-jid'
    ? { bare_jid: account.bareJid, node, secret }
    : { account_id: accountId, node, secret, success: true };
}
