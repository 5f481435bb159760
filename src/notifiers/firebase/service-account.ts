import { createPrivateKey, type KeyObject } from 'node:crypto';
import { cert } from 'firebase-admin/app';
import { fail, ok, type Result } from '../../domain/result.js';
import { readCredentialFile } from '../credential-files.js';

/** Google's key of a service account. */
export interface ServiceAccount {
  readonly projectId: string;
  readonly clientEmail: string;
  /** RSA. */
  readonly privateKey: KeyObject;
  readonly privateKeyId: string | null;
  readonly tokenUri: URL;
}

const GOOGLE_TOKEN_URI = 'https://oauth2.googleapis.com/token';

/**
 * Reads Google's JSON key file. firebase-admin checks it; what it then keeps private, and the `token_uri` that it
 * ignores (13.10 always asks oauth2.googleapis.com), are read here.
 */
export function loadServiceAccount(path: string): Result<ServiceAccount, string> {
  const text = readCredentialFile('serviceAccountFile', path);
  if (!text.ok) return text;
  let json: Readonly<Record<string, unknown>>;
  let privateKey: KeyObject;
  try {
    json = JSON.parse(text.value) as Readonly<Record<string, unknown>>;
    cert(json); // throws when a member is missing or the key cannot be parsed
    privateKey = createPrivateKey(String(json['private_key']));
  } catch (error) {
    // A JSON error quotes the file, which holds a key.
    const why =
      error instanceof SyntaxError ? 'not JSON' : error instanceof Error ? error.message : 'not usable';
    return fail(`serviceAccountFile: ${why}`);
  }
  if (privateKey.asymmetricKeyType !== 'rsa')
    return fail('serviceAccountFile: private_key is not an RSA key');
  const tokenUri = parseTokenUri(json['token_uri']);
  if (tokenUri === null) return fail('serviceAccountFile: token_uri is not an https or http address');
  const projectId = String(json['project_id']);
  if (!/^[a-z0-9:.-]+$/i.test(projectId)) return fail('serviceAccountFile: project_id is malformed');
  const keyId = json['private_key_id'];
  return ok({
    projectId,
    clientEmail: String(json['client_email']),
    privateKey,
    privateKeyId: typeof keyId === 'string' ? keyId : null,
    tokenUri,
  });
}

function parseTokenUri(value: unknown): URL | null {
  const text = value ?? GOOGLE_TOKEN_URI;
  if (typeof text !== 'string' || !URL.canParse(text)) return null;
  const url = new URL(text);
  return url.protocol === 'https:' || url.protocol === 'http:' ? url : null;
}
