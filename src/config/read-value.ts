import { assertNever } from '../domain/assert-never.js';
import { fail, ok, type Result } from '../domain/result.js';
import { formatOf, type ValueKind } from './formats.js';
import type { Option } from './options.js';
import type { GivenValue, YamlScalar } from './setting.js';

const unreadable = Symbol('unreadable');
type Reading = unknown;

/**
 * Turns what was given into a value of the option's kind; the error is a phrase such as "must be true or false" and
 * never repeats the value. `null` is let through for options that may be null. Whether the value is good (range,
 * form) is for `complaintAbout` to say.
 */
export function readValue(option: Option, given: GivenValue): Result<unknown, string> {
  const value = read(option, given);
  return value === unreadable ? fail(`must be ${describeOption(option)}`) : ok(value);
}

/** What is wrong with a value, null when nothing is. */
export function complaintAbout(option: Option, value: unknown): string | null {
  if (value === null) return option.nullable ? null : `must be ${describeOption(option)}`;
  return formatOf(option.formatName).accepts(value, option) ? null : `must be ${describeOption(option)}`;
}

/** "a whole number from 1 to 100 (rows)", "null or a path". */
export function describeOption(option: Option): string {
  const unit = option.unit === null ? '' : ` (${option.unit})`;
  return `${option.nullable ? 'null or ' : ''}${formatOf(option.formatName).describe(option)}${unit}`;
}

function read(option: Option, given: GivenValue): Reading {
  const { kind } = formatOf(option.formatName);
  switch (given.kind) {
    case 'text':
      return fromText(option, kind, given.text);
    case 'bare':
      return kind === 'boolean' || kind === 'boolean-or-text' ? true : unreadable;
    case 'scalar':
      return fromScalar(kind, given.scalar);
    case 'list': {
      if (kind !== 'list' && kind !== 'number-list') return unreadable;
      const items = given.items.map((item) => fromScalar(kind === 'list' ? 'text' : 'number', item));
      return items.every((item) => item !== null && item !== unreadable) ? items : unreadable;
    }
    case 'other':
      return unreadable;
    default:
      return assertNever(given);
  }
}

function fromText(option: Option, kind: ValueKind, text: string): Reading {
  // Container files pass on variables that nobody set as empty ones.
  if (option.nullable && (text === '' || text === 'null')) return null;
  switch (kind) {
    case 'number':
      return readNumber(text);
    case 'boolean':
      return readBoolean(text) ?? unreadable;
    case 'boolean-or-text':
      return readBoolean(text) ?? text;
    case 'text':
      return text;
    case 'list':
      return splitList(text);
    case 'number-list': {
      const items = splitList(text).map(readNumber);
      return items.includes(unreadable) ? unreadable : items;
    }
    default:
      return assertNever(kind);
  }
}

const splitList = (text: string): string[] =>
  text.split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()]));

const readNumber = (text: string): number | typeof unreadable =>
  /^-?\d{1,15}(\.\d{1,6})?$/.test(text) ? Number(text) : unreadable;

const readBoolean = (text: string): boolean | null =>
  text === 'true' ? true : text === 'false' ? false : null;

function fromScalar(kind: ValueKind, { value, source }: YamlScalar): Reading {
  if (value === null) return null;
  switch (kind) {
    case 'number':
      return typeof value === 'number' ? value : unreadable;
    case 'boolean':
      return typeof value === 'boolean' ? value : unreadable;
    case 'boolean-or-text':
      return typeof value === 'boolean' || typeof value === 'string' ? value : unreadable;
    case 'text':
      if (typeof value === 'string') return value;
      return typeof value === 'number' && source !== null ? source : unreadable;
    case 'list':
      // One item may stand without its brackets.
      return typeof value === 'string' ? [value] : unreadable;
    case 'number-list':
      return typeof value === 'number' ? [value] : unreadable;
    default:
      return assertNever(kind);
  }
}
