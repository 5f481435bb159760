import type { AppServerRecord } from '../xmpp/app-server-port.js';
import { escapeHtml, htmlReply } from './app-server-html.js';
import type { AppServerRequestKind } from './app-server-serve.js';
import type { EndpointReply } from './client-endpoints.js';

/** 97 bytes: monitors know it. Source: spec xmpp-push, section 7. */
export const healthPage = htmlReply(200, 'RUNNING');
export const helloPage = htmlReply(200, '<h1>Hello from mod_push_appserver!</h1>');
export const forbiddenPage = htmlReply(403, '<h1>403 Forbidden</h1>');
export const notFoundPage = htmlReply(404, '<h1>404 Not Found</h1>');
export const badRequestPage = htmlReply(400, '<h1>400 Bad Request</h1>');

/** Nothing on them runs, nobody frames them, nobody keeps them, and no other page reads them. */
const guarded = {
  'content-security-policy':
    "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

const forms: Readonly<Record<AppServerRequestKind, { title: string; fields: readonly string[] }>> = {
  register: { title: 'Register Push Node', fields: ['type', 'node', 'token'] },
  unregister: { title: 'Unregister Push Node', fields: ['type', 'node'] },
  push: { title: 'Send Push Request', fields: ['node', 'secret'] },
};

/** For trying it by hand. */
export function formPage(kind: AppServerRequestKind): EndpointReply {
  const { title, fields } = forms[kind];
  const inputs = fields.map((name) => `<label>${name}: <input type="text" name="${name}"></label><br>`);
  return htmlReply(
    200,
    [
      `<h1>${title}</h1>`,
      '<form method="post">',
      ...inputs,
      '<button type="submit">send request</button>',
      '</form>',
    ].join('\n'),
    guarded,
  );
}

/** `linkPrefix`: what stands before the node in a link, for links are relative. `hasMore`: there are nodes behind these. */
export function nodesPage(nodes: readonly string[], linkPrefix: string, hasMore: boolean): EndpointReply {
  const items = nodes.map((node) => {
    const address = escapeHtml(linkPrefix + encodeURIComponent(node));
    return `<li><a href="${address}">${escapeHtml(node)}</a></li>`;
  });
  const last = nodes.at(-1);
  const next =
    hasMore && last !== undefined
      ? [`<p><a href="?after=${escapeHtml(encodeURIComponent(last))}">next</a></p>`]
      : [];
  return htmlReply(200, ['<h1>List of devices</h1>', '<ul>', ...items, '</ul>', ...next].join('\n'), guarded);
}

/** As many tables as there are devices of this node; one without anything in it when there are none. */
export function recordsPage(records: readonly AppServerRecord[]): EndpointReply {
  const tables = records.length === 0 ? ['{}'] : records.map(luaTable);
  return htmlReply(200, tables.map((table) => `<pre>${escapeHtml(table)}</pre>`).join('\n'), guarded);
}

/** As the original keeps a record, without its secret. Source: spec xmpp-push, section 8. */
function luaTable(record: AppServerRecord): string {
  const fields = [
    ['type', record.type],
    ['node', record.node],
    ['token', record.token],
    ['registered', timeText(record.registeredAtMs)],
    ['renewed', timeText(record.renewedAtMs)],
    ['last_successful_push', timeText(record.lastPushAtMs)],
    ['last_push_error', timeText(record.lastErrorAtMs)],
  ] as const;
  const lines = fields.flatMap(([name, value]) =>
    value === null ? [] : [`\t["${name}"] = ${luaText(value)};\n`],
  );
  return `{\n${lines.join('')}}`;
}

const luaText = (text: string): string =>
  `"${text.replace(/["\\\p{Cc}]/gu, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\${String(character.codePointAt(0)).padStart(3, '0')}`,
  )}"`;

/** `YYYY-MM-DDTHH:MM:SSZ` */
const timeText = (atMs: number | null): string | null =>
  atMs === null ? null : `${new Date(atMs).toISOString().slice(0, 19)}Z`;
