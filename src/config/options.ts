import { conventionalName, type FormatName, type FormatRule } from './formats.js';
import type { HostPath } from './types.js';
import type { Secret } from './secret.js';

/** What a value looks like before secrets are wrapped. */
export type Plain<T> = T extends Secret ? string : T;

/** One option: a property of the convict schema with what the documentation and the loaders need besides. */
export interface Option<T = unknown> extends FormatRule {
  readonly doc: string;
  /** `ms`, `s`, `bytes`, `rows`, ...; null when the value has none. */
  readonly unit: string | null;
  readonly default: T;
  readonly nullable: boolean;
  readonly sensitive: boolean;
  /** The name that convict knows the format by. */
  readonly format: string;
  readonly formatName: FormatName;
}

/** Keeps a schema and types.ts in step: an option that one has and the other has not does not compile. */
export type OptionsOf<Section> = { readonly [Key in keyof Section]: Option<Plain<Section[Key]>> };

type Details<T> = FormatRule & {
  readonly doc: string;
  readonly default: T;
  readonly unit?: string;
  /** When it may be null though its default is not. */
  readonly nullable?: boolean;
};
type WithValues = { readonly values: readonly string[] };
type TextOrNull = string | null;

function option<T>(formatName: FormatName, details: Details<T>, sensitive = false): Option<T> {
  return {
    unit: null,
    ...details,
    nullable: details.nullable ?? details.default === null,
    sensitive,
    format: conventionalName(formatName),
    formatName,
  };
}

export const wholeNumber = <T extends number | null = number>(
  details: Details<T> & { readonly min: number; readonly max: number; readonly unit: string },
): Option<T> => option('whole-number', details);

/** Fractions allowed. */
export const number = (
  details: Details<number> & { readonly min: number; readonly max: number; readonly unit: string },
): Option<number> => option('number', details);
/** Seconds, one after the other. */
export const waits = (details: Details<readonly number[]>): Option<readonly number[]> =>
  option('waits', details);

export const port = (details: Details<number>): Option<number> => option('port', details);
/** Of somebody else, to connect to. */
export const peerPort = (details: Details<number>): Option<number> => option('peer-port', details);
export const flag = (details: Details<boolean>): Option<boolean> => option('switch', details);
export const host = <T extends TextOrNull = string>(details: Details<T>): Option<T> =>
  option('host', details);
export const proxies = (details: Details<boolean | string>): Option<boolean | string> =>
  option('proxies', details);

export const words = <T extends TextOrNull = string>(details: Details<T>): Option<T> =>
  option('words', details);
export const choice = <T extends string>(
  details: Details<T> & { readonly values: readonly T[] },
): Option<T> => option('choice', details);

/** `values` are the numbers in digits. */
export const numberChoice = <T extends number | null>(details: Details<T> & WithValues): Option<T> =>
  option('number-choice', details);

/** Made absolute: relative to the directory of the configuration file. */
export const path = <T extends TextOrNull = string>(details: Details<T>): Option<T> =>
  option('path', details);
export const paths = (details: Details<readonly string[]>): Option<readonly string[]> =>
  option('paths', details);
/** May be empty. */
export const optionalPaths = (details: Details<readonly string[]>): Option<readonly string[]> =>
  option('optional-paths', details);
export const hexKeys = (details: Details<readonly string[]>): Option<readonly string[]> =>
  option('hex-keys', details);
export const networks = (details: Details<readonly string[]>): Option<readonly string[]> =>
  option('networks', details);
export const ports = (details: Details<readonly number[]>): Option<readonly number[]> =>
  option('ports', details);
export const webOrigins = (details: Details<readonly string[]>): Option<readonly string[]> =>
  option('web-origins', details);
export const serviceNames = (details: Details<readonly string[]>): Option<readonly string[]> =>
  option('service-names', details);

export const serviceName = <T extends TextOrNull = TextOrNull>(details: Details<T>): Option<T> =>
  option('service-name', details);
/** `HOST=PATH`; the path is made absolute. */
export const hostPaths = (details: Details<readonly HostPath[]>): Option<readonly HostPath[]> =>
  option('host-paths', details);
export const onionPath = (details: Details<TextOrNull>): Option<TextOrNull> =>
  option('onion-path', { ...details, nullable: true });
/** Two hex digits, made lower case. */
export const accountPrefix = (details: Details<TextOrNull>): Option<TextOrNull> =>
  option('account-prefix', details);
export const markers = <T extends readonly string[] | null>(details: Details<T>): Option<T> =>
  option('markers', details);

/** Made lower case, as the two below. */
export const xmppDomain = (details: Details<TextOrNull>): Option<TextOrNull> =>
  option('xmpp-domain', details);
export const bareJid = (details: Details<TextOrNull>): Option<TextOrNull> => option('bare-jid', details);
export const xmppAddress = (details: Details<TextOrNull>): Option<TextOrNull> =>
  option('xmpp-address', details);

/** `mailto:ADDRESS` or `https://…`. */
export const contact = (details: Details<TextOrNull>): Option<TextOrNull> => option('contact', details);
export const httpsOrigin = (details: Details<TextOrNull>): Option<TextOrNull> =>
  option('https-origin', details);
export const httpsUrl = (details: Details<TextOrNull>): Option<TextOrNull> => option('https-url', details);
/** `values` are the schemes; the path of an ipc address is made absolute. */
export const address = (details: Details<TextOrNull> & WithValues): Option<TextOrNull> =>
  option('address', details);

/** Secrets may be given as `file:PATH`. */
export const secretWords = (details: Details<TextOrNull>): Option<TextOrNull> =>
  option('words', details, true);
export const secretAddress = (details: Details<TextOrNull> & WithValues): Option<TextOrNull> =>
  option('address', details, true);
