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

const frame = 'uint32 little-endian length, ciphertext, JSON metadata. ';
const notOurs = '400 for what is no onion request for this server.';
const methods =
  'register, unregister, register_legacy_groups_only, subscribe_closed_group, unsubscribe_closed_group or notify';

export const onionSchemas = {
  v4: {
    summary: 'Any of the requests above inside an onion request, version 4, or a method of older clients',
    description:
      `${frame}The text inside names an endpoint or, where older clients are served, one of ${methods}. ` +
      `Answered by nonce, ciphertext and tag; ${notOurs}`,
    consumes: ['application/octet-stream'],
    produces: ['application/octet-stream'],
  },
  v2: {
    summary: 'A method of older clients inside an onion request, version 2',
    description:
      `${frame}The text inside is JSON: "endpoint" is ${methods}, "body" the arguments as JSON text. Answered by ` +
      `nonce, ciphertext and tag in base64, with {"status", "body": {"code", "message"}} inside; ${notOurs}`,
    consumes: ['application/octet-stream'],
    response: { 200: Type.Object({ result: Type.String({ description: 'base64' }) }) },
  },
};

const day = (description: string) =>
  Type.Optional(Type.String({ description: `${description}: YYYY-MM-DD or YYYY-MM-DD HH:MM:SS` }));
const column = Type.Optional(
  Type.Unknown({ description: 'whether rows have this column; absent: yes; 0, false and "0": no' }),
);
const count = Type.Optional(Type.Integer());

export const statisticsDataSchema = {
  summary: 'Counters of older clients by period, and how many devices there are',
  description: 'HTTP Basic: the password says for which app; any user name will do.',
  body: Type.Object({
    start_date: day('periods that began then or later'),
    end_date: day('periods that ended then or earlier'),
    ios_pn_number: column,
    android_pn_number: column,
    closed_group_message_number: column,
    total_message_number: column,
  }),
  response: {
    200: Type.Object({
      code: Type.Literal(0),
      data: Type.Object(
        {
          data: Type.Array(
            Type.Object({
              start_date: Type.String(),
              end_date: Type.String(),
              ios_pn_number: count,
              android_pn_number: count,
              total_message_number: count,
              closed_group_message_number: count,
              untracked_message_number: count,
              deduplicated_1_1_message_number: count,
            }),
          ),
          ios_device_number: Type.Integer(),
          android_device_number: Type.Integer(),
        },
        { description: 'and the number of accounts, under a name of the app' },
      ),
    }),
  },
};
