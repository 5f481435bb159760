/** A message as somebody deposits it. */
export interface StoredMessage {
  /** 33 bytes. */
  readonly account: Buffer;
  readonly namespace: number;
  /** 43 characters of base64. */
  readonly hash: string;
  readonly data: Buffer;
  readonly timestampMs: number;
  readonly expiryMs: number;
}

/** Its two notifications, made once for all nodes and routes. */
export interface EncodedMessage {
  readonly accountKey: string;
  readonly namespace: number;
  readonly withoutData: Buffer;
  readonly withData: Buffer;
}

/** How the maps of the simulator name an account: its bytes, one character each. */
export const accountKeyOf = (account: Buffer): string => account.latin1Slice();

/** Keys and order of spec storage-server, section 5; written by hand, so that it checks the codec of the program. */
export function encodeMessage(message: StoredMessage): EncodedMessage {
  const { account, namespace, hash, data, timestampMs, expiryMs } = message;
  const body = Buffer.concat([
    Buffer.from(`d1:@${account.length}:`),
    account,
    Buffer.from(`1:h${hash.length}:${hash}1:ni${namespace}e1:ti${timestampMs}e1:zi${expiryMs}e`),
  ]);
  return {
    accountKey: accountKeyOf(account),
    namespace,
    withoutData: Buffer.concat([body, Buffer.from('e')]),
    withData: Buffer.concat([body, Buffer.from(`1:~${data.length}:`), data, Buffer.from('e')]),
  };
}
