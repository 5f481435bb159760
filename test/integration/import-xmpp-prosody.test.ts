import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findProsodyStores, readProsodyStore } from '../../src/import/prosody-store.js';
import { utf8Of, type LuaValue } from '../../src/import/lua-value.js';
import { readPushAppserverRecord } from '../../src/import/push-appserver-record.js';
import { eventually } from '../simulators/eventually.js';
import {
  luaString,
  ProsodyFiles,
  prosodyValue,
  pushAppserverRecord,
} from '../simulators/prosody-store-files.js';
import { hasProsody, HOW_TO_GET_PROSODY, ProsodyProcess } from '../simulators/xmpp/prosody-process.js';
import { createTestDirectory } from '../unit/config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const isThere = await hasProsody();
if (!isThere) {
  if (process.env['CI'] === 'true') throw new Error(HOW_TO_GET_PROSODY);
  console.log(`Prosody's own files: ${HOW_TO_GET_PROSODY}`);
}

const DOMAIN = 'push.example-host.org';
const every = Array.from({ length: 255 }, (_, byte) => String.fromCodePoint(byte + 1)).join('');
const records = [
  pushAppserverRecord('3F2504E0-4F89-41D3-9A0C-0305E82C3301', { type: 'apns' }),
  pushAppserverRecord('with / % . and blanks', { type: 'fcm', token: 'dQw4:APA91b_x-Y' }),
  pushAppserverRecord('Ünïcode 😀 €', { token: `"quotes" 'and' \\ back\\slashes` }),
  pushAppserverRecord('line\nbreak\r\n\ttab', { secret: `ü${'x'.repeat(60)}` }),
  pushAppserverRecord('every', { token: every, last_push_error: '2024-05-06T07:08:09Z' }),
];

/** As the original keeps its records: one value for each key, under the module's own name. */
const MODULE = `
  local store = module:open_store();
  for _, record in ipairs({ ${records.map((record) => prosodyValue(record).replace(/^return|;\n$/g, '')).join(', ')} }) do
    assert(store:set(record.node, record));
  end
  assert(store:set("kinds", {
    1.5, -3, 1e300, true, false; nested = { { a = { "b" } } }; [10] = 1/0; ["end"] = 2 ^ 53; bytes = "\\0\\255\\x80";
  }));
  assert(store:set("unregistered", { node = "unregistered" }));
  assert(store:set("unregistered", nil));
  module:log("info", "the records are stored");
`;

const LIFELINE = `
  module:set_global();
  require "net.server".watchfd(0, function () os.exit(1); end);
`;

const plain = (value: LuaValue): unknown =>
  value !== null && typeof value === 'object'
    ? Object.fromEntries([...value].map(([key, member]) => [key, plain(member)]))
    : value;

test.skipIf(!isThere)('what a real Prosody has written is read, and written alike by ours', async () => {
  const [modules, data] = [join(directory.path, 'modules'), join(directory.path, 'data')];
  for (const path of [modules, data]) await mkdir(path);
  await writeFile(join(modules, 'mod_push_appserver.lua'), MODULE);
  await writeFile(join(modules, 'mod_lifeline.lua'), LIFELINE);
  const prosody = await ProsodyProcess.start({
    domain: DOMAIN,
    modules: ['push_appserver'],
    lines: [
      `data_path = ${luaString(data)}`,
      `plugin_paths = { ${luaString(modules)} }`,
      'storage = "internal"',
    ],
  });
  try {
    await eventually(async () => (await prosody.log()).includes('the records are stored'), {
      what: 'the records in the store',
    });
  } finally {
    await prosody.remove();
  }

  const files = new ProsodyFiles(data);
  const stores = await findProsodyStores(data, 'push_appserver');
  expect(stores).toEqual({
    ok: true,
    value: [{ path: files.storeDirectory(DOMAIN, 'push_appserver'), host: 'push%2eexample%2dhost%2eorg' }],
  });
  const [store] = stores.ok ? stores.value : [];
  if (store === undefined) return;
  const found = new Map<string, LuaValue>();
  for await (const { content } of readProsodyStore(store)) {
    if (!content.ok) throw new Error(content.error);
    found.set(content.value.key, content.value.value);
  }
  const nodes = records.map(({ node }) => String(node));
  expect([...found.keys()].sort()).toEqual([...nodes, 'kinds'].sort());
  for (const record of records) {
    const node = String(record['node']);
    const value = found.get(node) ?? null;
    const read = value !== null && typeof value === 'object' ? [...value] : [];
    expect(
      Object.fromEntries(
        read.map(([key, member]) => [key, typeof member === 'string' ? utf8Of(member) : member]),
      ),
    ).toEqual(record);
    expect(readPushAppserverRecord(node, value, Date.now())).toMatchObject({
      ok: true,
      value: { node, token: record['token'], secret: record['secret'] },
    });
    await access(files.fileOf(DOMAIN, 'push_appserver', node));
  }
  expect(plain(found.get('kinds') ?? null)).toEqual({
    1: 1.5,
    2: -3,
    3: 1e300,
    4: true,
    5: false,
    10: Infinity,
    nested: { 1: { a: { 1: 'b' } } },
    end: 2 ** 53,
    bytes: '\0\xff\x80',
  });
});
