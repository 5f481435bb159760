import { pino, type DestinationStream, type Logger } from 'pino';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
}

/**
 * Field names that never leave the process, at any depth that we use. Logs are written so that none of these is ever
 * passed; this is the second fence.
 */
const redactedFields = [
  'token',
  'serviceId',
  'service_id',
  'account',
  'pubkey',
  'payload',
  'enc_payload',
  'enc_key',
  'encryptionKey',
  'signature',
  'secret',
  'password',
  'authorization',
  'body',
];

/** JSON lines on stdout (or `destination`). */
export function createLog(options: LogOptions, destination?: DestinationStream): Log {
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    redact: {
      paths: redactedFields.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
      censor: '[redacted]',
    },
  };
  return destination === undefined ? pino(settings) : pino(settings, destination);
}

/** A log that says nothing, for tests. */
export const silentLog = (): Log => pino({ level: 'silent' });
