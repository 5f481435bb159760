import { Type } from 'typebox';

/**
 * The interface in JSON schema, for the description at /openapi.json only: requests are never checked against it,
 * because the order and the words of refusals are part of the protocol (src/codec/subscribe-request.ts).
 */
const bytes = (count: number, description: string) =>
  Type.String({ description: `${description} (${count} bytes in hex or base64, with or without padding)` });

const signedRequest = {
  pubkey: bytes(33, 'account: network prefix and key'),
  session_ed25519: Type.Optional(bytes(32, 'Ed25519 key; required exactly for accounts that begin with 05')),
  subaccount: Type.Optional(bytes(36, 'subaccount tag; wants subaccount_sig')),
  subaccount_sig: Type.Optional(bytes(64, 'signature of the tag by the account key')),
  sig_ts: Type.Integer({ description: 'time of the signature, unix seconds' }),
  signature: bytes(64, 'signature of the text that the protocol prescribes'),
  service: Type.String({ description: 'name of a configured notifier, such as apns or firebase' }),
  service_info: Type.Unknown({ description: 'which device; its form depends on the service' }),
};

const subscribe = Type.Object({
  ...signedRequest,
  namespaces: Type.Array(Type.Integer({ minimum: -32_768, maximum: 32_767 }), {
    minItems: 1,
    description: 'strictly ascending',
  }),
  data: Type.Boolean({ description: 'whether pushes shall contain the message' }),
  enc_key: bytes(32, 'key that pushes are encrypted with'),
});

const unsubscribe = Type.Object(signedRequest);

const failure = Type.Object({ error: Type.Integer(), message: Type.Optional(Type.String()) });
const subscribed = Type.Object({
  added: Type.Optional(Type.Literal(true)),
  message: Type.String(),
  success: Type.Literal(true),
  updated: Type.Optional(Type.Literal(true)),
});
const unsubscribed = Type.Object({
  message: Type.String(),
  removed: Type.Boolean(),
  success: Type.Literal(true),
});

export const subscribeSchema = {
  summary: 'Ask for pushes of an account to a device, or change how',
  description: 'An object is answered by an object, an array by an array of the same length and order.',
  body: Type.Union([subscribe, Type.Array(subscribe)]),
  response: {
    200: Type.Union([subscribed, failure, Type.Array(Type.Union([subscribed, failure]))]),
  },
};

export const unsubscribeSchema = {
  summary: 'End the pushes of an account to a device',
  description: 'An object is answered by an object, an array by an array of the same length and order.',
  body: Type.Union([unsubscribe, Type.Array(unsubscribe)]),
  response: {
    200: Type.Union([unsubscribed, failure, Type.Array(Type.Union([unsubscribed, failure]))]),
  },
};

export const onionSchema = {
  summary: 'Any of the requests above inside an onion request, version 4',
  description:
    'uint32 little-endian length, ciphertext, JSON metadata. Answered by nonce, ciphertext and tag; 400 for what is ' +
    'no onion request for this server.',
  consumes: ['application/octet-stream'],
  produces: ['application/octet-stream'],
};
