import { readFileSync } from 'node:fs';

const load = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8'));

export interface SignatureVector {
  readonly name: string;
  readonly endpoint: 'subscribe' | 'unsubscribe';
  readonly now: number;
  readonly signed_message: string;
  readonly request: Record<string, unknown>;
  readonly expect_ok: boolean;
  readonly response_observed: Record<string, unknown>;
}

export interface EncodingVector {
  readonly name: string;
  readonly field: string;
  readonly value: string;
  readonly accepted: boolean;
  readonly decoded_hex: string | null;
  readonly request: Record<string, unknown>;
  readonly response_observed: Record<string, unknown>;
}

export interface SessionVectors {
  readonly keys: Record<string, { seed_hex: string; ed25519_pub_hex: string; account_hex: string | null }>;
  readonly signatures: readonly SignatureVector[];
  readonly encodings: readonly EncodingVector[];
  readonly malformed: readonly { name: string; body: string; response_observed: unknown }[];
  readonly client_requests: readonly {
    name: string;
    body: string;
    endpoint: string;
    v4_plaintext_latin1: string;
  }[];
  readonly payloads: readonly {
    name: string;
    account_hex: string;
    hash: string;
    namespace: number;
    timestamp_ms: number;
    expiry_ms: number;
    data_hex: string | null;
    enc_key_hex: string;
    plaintext_latin1: string;
    padded_length: number;
    enc_payload: string;
  }[];
}

interface OnionVector {
  readonly name: string;
  readonly route: string;
  readonly encryption: 'aes-gcm' | 'xchacha20';
  readonly client: string;
  readonly plaintext_base64: string;
  readonly http_body_base64: string;
}

interface OnionReplyVector {
  readonly nonce_hex: string;
  readonly plaintext_base64: string;
}

export interface OnionV4Vector extends OnionVector {
  readonly framing: 'v4';
  readonly expect: {
    readonly method: string;
    readonly path: string;
    readonly query: string;
    readonly headers: Record<string, string>;
    readonly body_base64: string;
  };
  readonly reply?: (OnionReplyVector & { readonly http_body_base64: string }) | null;
}

export interface OnionV2Vector extends OnionVector {
  readonly framing: 'v2';
  readonly expect: { readonly endpoint: string; readonly args: Record<string, unknown> };
  readonly reply?: (OnionReplyVector & { readonly result_base64: string }) | null;
}

/** Not served. */
export interface OnionV3Vector extends OnionVector {
  readonly framing: 'v3';
}

export interface OnionMalformedVector {
  readonly name: string;
  readonly route: string;
  readonly http_body_base64?: string;
  readonly http_body_synthetic?: { base_request: string; pad_byte_hex: string; total_bytes: number };
  readonly client?: string;
  readonly encryption?: 'aes-gcm' | 'xchacha20';
  readonly expect: {
    readonly http_status: number | readonly number[];
    readonly encrypted: boolean;
    readonly inner_code?: number | readonly number[];
    readonly inner_content_type?: string;
    readonly inner_body_utf8?: string;
    readonly reply_form?: 'v2';
    readonly inner_status?: number;
    readonly inner_body_code?: number;
    readonly original_message?: string;
    readonly also_allowed?: string;
    readonly accepted_as?: string;
  };
}

export interface OnionVectors {
  readonly server: { x25519_private_hex: string; x25519_public_hex: string };
  readonly clients: readonly {
    name: string;
    ephemeral_private_hex: string;
    ephemeral_public_hex: string;
    shared_secret_hex: string;
    key_aes_gcm_salt_LOKI_hex: string;
    key_aes_gcm_salt_BELDEX_hex: string;
    key_xchacha20_hex: string;
  }[];
  readonly requests: readonly (OnionV4Vector | OnionV2Vector | OnionV3Vector)[];
  readonly full_paths: readonly {
    name: string;
    encryption: 'aes-gcm' | 'xchacha20';
    ephemeral_private_hex_in_order_of_use: readonly string[];
    http_post_to_push_server: { body_base64: string };
    plaintext_base64: string;
  }[];
  readonly malformed: readonly OnionMalformedVector[];
}

export const sessionVectors = load('session-push-v2.json') as SessionVectors;
export const onionVectors = load('onion-requests.json') as OnionVectors;
