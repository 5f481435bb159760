import {
  encodeOnionV2Answer,
  encodeOnionV2Reply,
  parseOnionV2Request,
  type OnionV2Reply,
} from '../codec/onion-v2.js';
import type { OnionSalt } from '../crypto/onion.js';
import { INTERNAL_ERROR_MESSAGE } from '../domain/errors.js';
import type { LegacyMethods } from '../legacy/methods-port.js';
import type { OnionAnswer, OnionDialect } from './serve-onion.js';
import { BUSY_MESSAGE } from './serve-plain.js';

/** Version 2: the methods of the older clients and nothing else. Source: spec session-push-v1, 2.1. */
export function createOnionV2(salt: OnionSalt, methods: LegacyMethods): OnionDialect {
  return {
    version: 'v2',
    salt,
    unopened: invalid,
    failed,
    async answer(text, isBusy): Promise<OnionAnswer> {
      if (isBusy) return { result: 'busy', text: busy };
      const request = parseOnionV2Request(text);
      if (request === null) return { result: 'bad-request', text: invalid };
      const reply = await methods.call(request.endpoint, request.args);
      return { result: reply.status === 200 ? 'ok' : 'refused', text: encodeOnionV2Reply(reply) };
    },
    wrap: (sealed) => ({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: encodeOnionV2Answer(sealed),
    }),
  };
}

const notDone = (status: OnionV2Reply['status'], message: string): Buffer =>
  encodeOnionV2Reply({ status, body: { code: 0, message } });

/** The same for a wrong tag and for a wrong text. */
const invalid = notDone(400, 'Invalid request');
/** Clients repeat whatever has code 0. */
const busy = notDone(503, BUSY_MESSAGE);
const failed = notDone(500, INTERNAL_ERROR_MESSAGE);
