import { isIPv4 } from 'node:net';
import { fail, ok, type Result } from '../domain/result.js';
import { INVALID_SWARM_ID, SwarmMap } from './swarm-map.js';

/** A storage node that can be connected to. */
export interface StorageNode {
  /** The CURVE key, 64 lower-case hex digits: the node's name everywhere here. */
  readonly publicKeyHex: string;
  /** Dotted IPv4. */
  readonly ip: string;
  readonly port: number;
  readonly swarmId: bigint;
}

export interface NodeList {
  /** Usable nodes, each key once. */
  readonly nodes: readonly StorageNode[];
  /** From all listed nodes, the unusable ones as well. */
  readonly swarms: SwarmMap;
  /** Entries that named no usable node. */
  readonly skippedEntries: number;
  /** 64 hex digits; empty when oxend did not say. */
  readonly blockHash: string;
  /** 0 when oxend did not say. */
  readonly blockHeight: number;
}

/** Which chain daemon it is: forks of Session's network call the same things differently. */
export type Daemon = 'oxend' | 'beldexd';

interface DaemonWords {
  readonly listCommand: string;
  /** The key of the list in the answer; what is inside is the same. */
  readonly listKey: string;
}

/** Source: spec storage-server, 2.2; spec bchat-push, section 2. `sub.block` and `notify.block` are common to all. */
const daemonWords: Readonly<Record<Daemon, DaemonWords>> = {
  oxend: { listCommand: 'rpc.get_service_nodes', listKey: 'service_node_states' },
  beldexd: { listCommand: 'rpc.get_master_nodes', listKey: 'master_node_states' },
};

/** The command that asks for the list. */
export const nodeListCommand = (daemon: Daemon): string => daemonWords[daemon].listCommand;

export type NodeListError = 'too-large' | 'not-json' | 'no-list';

/** Some 2,000 nodes make 400 kB. */
export const NODE_LIST_MAX_BYTES = 10 * 1024 * 1024;

/** What the daemon is asked for; `swarm` is the hexadecimal form that newer daemons add. */
export const nodeListRequest: Buffer = Buffer.from(
  JSON.stringify({
    active_only: true,
    fields: {
      pubkey_x25519: true,
      public_ip: true,
      storage_lmq_port: true,
      swarm_id: true,
      swarm: true,
      block_hash: true,
      height: true,
    },
  }),
);

/**
 * Reads the body of a reply to `nodeListCommand`. One bad entry is skipped alone; an entry without a usable
 * address still contributes its swarm id, because the mapping of accounts rests on the ids of all listed nodes.
 * Source: spec storage-server, section 2.2.
 */
export function parseNodeList(body: Buffer, daemon: Daemon): Result<NodeList, NodeListError> {
  if (body.length > NODE_LIST_MAX_BYTES) return fail('too-large');
  const root = parseLosslessly(body.toString('utf8'));
  if (!isRecord(root)) return fail('not-json');
  const entries = root[daemonWords[daemon].listKey];
  if (!Array.isArray(entries)) return fail('no-list');

  const nodes = new Map<string, StorageNode>();
  const swarmIds = new Set<bigint>();
  let skippedEntries = 0;
  for (const entry of entries as readonly unknown[]) {
    const swarmId = isRecord(entry) ? parseSwarmId(entry) : null;
    if (swarmId !== null) swarmIds.add(swarmId);
    const node = isRecord(entry) && swarmId !== null ? parseNode(entry, swarmId) : null;
    if (node === null || nodes.has(node.publicKeyHex)) skippedEntries += 1;
    else nodes.set(node.publicKeyHex, node);
  }
  return ok({
    nodes: [...nodes.values()],
    swarms: new SwarmMap(swarmIds),
    skippedEntries,
    blockHash: parseHex(root['block_hash'], 64) ?? '',
    blockHeight: parseHeight(root['height']),
  });
}

/**
 * JSON.parse rounds integers above 2^53, and most swarm ids are larger: the digits are put in quotation marks first.
 * A string value cannot contain the pattern, because quotation marks inside strings are escaped.
 */
function parseLosslessly(text: string): unknown {
  try {
    return JSON.parse(text.replace(/("swarm_id"\s*:\s*)(-?\d[\d.eE+-]*)/g, '$1"$2"')) as unknown;
  } catch {
    return null;
  }
}

type JsonRecord = Record<string, unknown>;

const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseSwarmId(entry: JsonRecord): bigint | null {
  const decimal = entry['swarm_id'];
  const hex = entry['swarm'];
  let id: bigint | null = null;
  if (typeof decimal === 'string' && /^\d{1,20}$/.test(decimal)) id = BigInt(decimal);
  else if (decimal === undefined && typeof hex === 'string' && /^[0-9a-f]{1,16}$/i.test(hex))
    id = BigInt(`0x${hex}`);
  return id !== null && id < INVALID_SWARM_ID ? id : null;
}

function parseNode(entry: JsonRecord, swarmId: bigint): StorageNode | null {
  const publicKeyHex = parseHex(entry['pubkey_x25519'], 64);
  const ip = entry['public_ip'];
  const port = entry['storage_lmq_port'];
  if (publicKeyHex === null) return null;
  if (typeof ip !== 'string' || ip === '0.0.0.0' || !isIPv4(ip)) return null;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) return null;
  return { publicKeyHex, ip, port, swarmId };
}

function parseHex(value: unknown, digits: number): string | null {
  if (typeof value !== 'string' || value.length !== digits || !/^[0-9a-f]+$/i.test(value)) return null;
  return value.toLowerCase();
}

const parseHeight = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
