import { describe, expect, it } from 'vitest';
import { decodePush, show } from '../../simulators/session-push.js';
import { sessionVectors } from '../http/vectors.js';

// The simulated client is what the whole chain is judged by: it is held against the golden payloads itself.
describe('the simulated client', () => {
  it.each(sessionVectors.payloads.map((vector) => [vector.name, vector] as const))(
    'reads the golden payload %s',
    (_name, vector) => {
      const push = decodePush(vector.enc_payload, Buffer.from(vector.enc_key_hex, 'hex'));
      expect(push.account).toBe(vector.account_hex);
      expect(push.hash).toBe(vector.hash);
      expect(push.timestampMs).toBe(vector.timestamp_ms);
      expect(push.expiryMs).toBe(vector.expiry_ms);
      expect(push.paddedBytes).toBe(vector.padded_length);
      expect(push.form).toBe(vector.plaintext_latin1.startsWith('ld') ? 'dict' : 'json');
      if (push.data !== null) {
        expect(push.data.toString('hex')).toBe(vector.data_hex);
        expect(show(push, 'ios')).toMatchObject({ kind: 'message' });
        expect(show(push, 'android')).toMatchObject({ kind: 'message' });
      } else {
        expect(show(push, 'android')).toEqual({ kind: 'generic' });
      }
    },
  );
});
