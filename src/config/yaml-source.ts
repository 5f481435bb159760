import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import { entrySectionOf, levelsOf } from './entry-sections.js';
import { printableKey } from './names.js';
import type { ConfigProblem } from './problem.js';
import type { GivenValue, Setting, YamlScalar } from './setting.js';

/** The depth at which a value stands at the latest: `notifiers.apns.topic`, `xmpp.types.apns.service`. */
function maxLevels(path: readonly string[]): number {
  const section = entrySectionOf(path);
  return 2 + (section === null ? 1 : levelsOf(section));
}

interface Reading {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly fileName: string;
  readonly problems: ConfigProblem[];
  readonly settings: Setting[];
}

/**
 * The settings of a YAML text, each with its line. Syntax errors and duplicate keys become problems. The messages of
 * the parser carry no piece of the text (`prettyErrors` off): the text may hold secrets.
 */
export function readYaml(text: string, fileName: string, problems: ConfigProblem[]): Setting[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const reading: Reading = { document, lines, fileName, problems, settings: [] };
  for (const error of document.errors) {
    problems.push({
      key: '',
      origin: originAt(reading, error.pos[0]),
      message: describeSyntaxError(error.code),
    });
  }
  if (document.errors.length > 0) return [];
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return [];
  if (!isMap(root)) {
    problems.push({ key: '', origin: `${fileName}:1`, message: 'the file must be a mapping of sections' });
    return [];
  }
  readMapping(reading, root, []);
  return reading.settings;
}

function readMapping(reading: Reading, node: Node, path: readonly string[]): void {
  if (!isMap(node)) return;
  for (const pair of node.items) {
    const key = isScalar(pair.key) ? String(pair.key.value) : '';
    const offset = isScalar(pair.key) ? pair.key.range?.[0] : undefined;
    readValue(reading, resolve(reading, pair.value), [...path, key], offset);
  }
}

function readValue(
  reading: Reading,
  node: unknown,
  path: readonly string[],
  offset: number | undefined,
): void {
  if (isMap(node) && path.length < maxLevels(path) && node.items.length > 0) {
    readMapping(reading, node, path);
    return;
  }
  const isEmptyMapping = isMap(node) && node.items.length === 0;
  reading.settings.push({
    path,
    origin: originAt(reading, offset ?? 0),
    // An empty mapping is a section that says nothing, as one without anything behind the colon.
    given: isEmptyMapping ? { kind: 'scalar', scalar: nothing } : toGiven(reading, node),
  });
}

const nothing: YamlScalar = { value: null, source: null };

function toGiven(reading: Reading, node: unknown): GivenValue {
  if (node === null) return { kind: 'scalar', scalar: nothing };
  if (isScalar(node)) return { kind: 'scalar', scalar: toScalar(node) };
  if (!isSeq(node)) return { kind: 'other' };
  const items: YamlScalar[] = [];
  for (const item of node.items) {
    const resolved = resolve(reading, item);
    if (!isScalar(resolved)) return { kind: 'other' };
    items.push(toScalar(resolved));
  }
  return { kind: 'list', items };
}

function toScalar(node: { value: unknown; source?: string }): YamlScalar {
  return { value: node.value, source: node.source ?? null };
}

const resolve = (reading: Reading, node: unknown): unknown =>
  isAlias(node) ? (node.resolve(reading.document) ?? null) : node;

function originAt(reading: Reading, offset: number): string {
  return `${reading.fileName}:${Math.max(1, reading.lines.linePos(offset).line)}`;
}

/** `BAD_INDENT` → "YAML syntax error: bad indent". */
const describeSyntaxError = (code: string): string =>
  code === 'DUPLICATE_KEY'
    ? 'the same key stands here twice'
    : `YAML syntax error: ${printableKey(code).toLowerCase().replaceAll('_', ' ')}`;
