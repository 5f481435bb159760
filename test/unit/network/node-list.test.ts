import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NODE_LIST_MAX_BYTES, nodeListRequest, parseNodeList } from '../../../src/network/node-list.js';
import { listed, nodeListBody } from './support/fakes.js';

const { oxend } = JSON.parse(
  readFileSync(new URL('../../vectors/monitor-messages.json', import.meta.url), 'utf8'),
) as {
  oxend: {
    reply_parts: string[];
    expected_nodes: { pubkey_x25519: string; address: string; swarm_id_hex: string }[];
  };
};

const parse = (text: string) => {
  const parsed = parseNodeList(Buffer.from(text), 'oxend');
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};
const good = `{"pubkey_x25519":"${'ab'.repeat(32)}","public_ip":"10.0.0.1","storage_lmq_port":22020,"swarm_id":7}`;
const withEntries = (...entries: string[]): string => `{"service_node_states":[${entries.join(',')}]}`;

describe('the node list', () => {
  it('is read like the vector says', () => {
    const list = parse(oxend.reply_parts[3] ?? '');
    expect(
      list.nodes.map((node) => ({
        pubkey_x25519: node.publicKeyHex,
        address: `tcp://${node.ip}:${node.port}`,
        swarm_id_hex: node.swarmId.toString(16).padStart(16, '0'),
      })),
    ).toEqual(oxend.expected_nodes);
    expect(list.skippedEntries).toBe(2);
    expect(list.blockHeight).toBe(1_800_000);
    expect([...list.swarms.ids()]).toEqual([0x20000000000001n, 0xf4fdc269380bffffn]);
  });

  it('keeps 64-bit swarm ids exact, whatever the white space', () => {
    const list = parse(withEntries(good.replace('"swarm_id":7', '"swarm_id" :\n\t 18446744073709551614 ')));
    expect(list.nodes[0]?.swarmId).toBe(18446744073709551614n);
  });

  it('reads the hexadecimal form where the decimal one is absent', () => {
    expect(parse(withEntries(good.replace('"swarm_id":7', '"swarm":"f4ff"'))).nodes[0]?.swarmId).toBe(
      0xf4ffn,
    );
  });

  it.each([
    ['no key', good.replace('pubkey_x25519', 'other')],
    ['a short key', good.replace('ab', '')],
    ['a key of other characters', good.replace('ab', 'zz')],
    ['no address', good.replace('public_ip', 'other')],
    ['an empty address', good.replace('10.0.0.1', '')],
    ['0.0.0.0', good.replace('10.0.0.1', '0.0.0.0')],
    ['a host name', good.replace('10.0.0.1', 'evil.example')],
    ['port 0', good.replace('22020', '0')],
    ['port 65536', good.replace('22020', '65536')],
    ['a port that is text', good.replace('22020', '"22020"')],
    ['a negative swarm id', good.replace('"swarm_id":7', '"swarm_id":-7')],
    ['a swarm id that is a fraction', good.replace('"swarm_id":7', '"swarm_id":7.5')],
    ['a swarm id with an exponent', good.replace('"swarm_id":7', '"swarm_id":1e19')],
    ['a swarm id beyond 64 bits', good.replace('"swarm_id":7', '"swarm_id":99999999999999999999')],
    ['no swarm', good.replace('"swarm_id":7', '"swarm_id":18446744073709551615')],
    ['null', 'null'],
    ['a list', '[]'],
    ['a number', '7'],
  ])('skips only the entry with %s', (_name, bad) => {
    const other = good.replaceAll('ab', 'cd').replace('"swarm_id":7', '"swarm_id":9');
    const list = parse(withEntries(bad, other));
    expect(list.nodes.map(({ publicKeyHex }) => publicKeyHex)).toEqual(['cd'.repeat(32)]);
    expect(list.skippedEntries).toBe(1);
  });

  it('maps accounts by the swarms of unusable nodes as well', () => {
    const list = parse(withEntries(good.replace('10.0.0.1', '0.0.0.0'), '{"swarm_id":8}'));
    expect(list.nodes).toEqual([]);
    expect([...list.swarms.ids()]).toEqual([7n, 8n]);
  });

  it('takes a key once', () => {
    const list = parse(withEntries(good, good.replaceAll('ab', 'AB')));
    expect(list.nodes).toHaveLength(1);
    expect(list.skippedEntries).toBe(1);
  });

  it.each([
    ['text', 'hello', 'not-json'],
    ['a list', '[]', 'not-json'],
    ['no nodes', '{"status":"OK","unchanged":true}', 'no-list'],
    ['deep nesting', '['.repeat(100_000), 'not-json'],
  ])('refuses %s', (_name, text, error) => {
    expect(parseNodeList(Buffer.from(text), 'oxend')).toEqual({ ok: false, error });
  });

  it('refuses a body beyond the limit unread', () => {
    expect(parseNodeList(Buffer.alloc(NODE_LIST_MAX_BYTES + 1), 'oxend')).toEqual({
      ok: false,
      error: 'too-large',
    });
  });

  it('reads two thousand nodes in a few milliseconds', () => {
    const body = nodeListBody(Array.from({ length: 2000 }, (_, n) => listed(n, BigInt(n % 300) << 50n)));
    const start = performance.now();
    expect(parse(body.toString()).nodes).toHaveLength(2000);
    expect(performance.now() - start).toBeLessThan(200);
  });

  it('of a fork has another name, and the same nodes in it', () => {
    const forks = `{"master_node_states":[${good}],"height":7}`;
    const parsed = parseNodeList(Buffer.from(forks), 'beldexd');
    expect(parsed).toMatchObject({ ok: true, value: { blockHeight: 7, nodes: [{ swarmId: 7n }] } });
    expect(parseNodeList(Buffer.from(forks), 'oxend')).toEqual({ ok: false, error: 'no-list' });
    expect(parseNodeList(Buffer.from(withEntries(good)), 'beldexd')).toEqual({ ok: false, error: 'no-list' });
  });

  it('asks with one non-empty part of JSON', () => {
    expect(JSON.parse(nodeListRequest.toString())).toMatchObject({ active_only: true });
  });
});
