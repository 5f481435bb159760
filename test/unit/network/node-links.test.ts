import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseNodeList, type StorageNode } from '../../../src/network/node-list.js';
import { NodeLinks, type NodeLinksOptions } from '../../../src/network/node-links.js';
import type { NodeLink } from '../../../src/network/node-link.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { endpointOf, FakeClient, listed, nodeListBody, type ListedNode } from './support/fakes.js';

const nodesOf = (nodes: readonly ListedNode[]): readonly StorageNode[] => {
  const parsed = parseNodeList(nodeListBody(nodes), 'oxend');
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value.nodes;
};
const some = (count: number, from = 1): ListedNode[] =>
  Array.from({ length: count }, (_, n) => listed(n + from, 1n));

function setUp(options: Partial<NodeLinksOptions> = {}, random = () => 0) {
  const client = new FakeClient();
  const metrics = new Metrics();
  const news: string[] = [];
  const frames: { link: NodeLink; frame: Buffer }[] = [];
  const links = new NodeLinks(
    {
      client,
      clock: { nowMs: () => Date.now() },
      random,
      log: silentLog(),
      metrics,
      swarmIndexOf: () => 0,
      handlers: {
        onUp: (link) => news.push(`up ${Number(`0x${link.publicKeyHex}`)}`),
        onDown: (link) => news.push(`down ${Number(`0x${link.publicKeyHex}`)}`),
        onFrame: (link, frame) => frames.push({ link, frame }),
      },
    },
    { maxPendingConnects: 100, connectTimeoutSeconds: 10, ...options },
  );
  return { client, metrics, links, news, frames };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the links to storage nodes', () => {
  it('connect by CURVE to the address of the list', () => {
    const { client, links } = setUp();
    const node = listed(7, 1n);
    links.update(nodesOf([node]));
    expect(client.connections[0]?.address).toEqual({
      endpoint: endpointOf(node),
      serverKey: Buffer.from(node.key, 'hex'),
    });
  });

  it('never open more attempts at once than allowed, and go on as attempts end', () => {
    const { client, links } = setUp({ maxPendingConnects: 3 });
    links.update(nodesOf(some(10)));
    expect(client.openEndpoints).toHaveLength(3);
    expect(links.pendingCount).toBe(3);
    client.connections[0]?.up();
    expect(client.connections).toHaveLength(4);
    client.connections[1]?.end();
    expect(client.connections).toHaveLength(5);
    expect(links.pendingCount).toBe(3);
    expect(links.upCount).toBe(1);
  });

  it('open none at all when the limit is 0', () => {
    const { client, links } = setUp({ maxPendingConnects: 0 });
    links.update(nodesOf(some(5)));
    vi.advanceTimersByTime(600_000);
    expect(client.connections).toEqual([]);
  });

  it('reach the live node behind dead ones with a single attempt at a time', () => {
    const { client, links, news } = setUp({ maxPendingConnects: 1 });
    links.update(nodesOf(some(4)));
    const live = endpointOf(listed(4, 1n));
    for (let second = 0; second < 31; second += 1) {
      const connection = client.connections.at(-1);
      if (connection?.address.endpoint === live && !connection.isUp) connection.up();
      vi.advanceTimersByTime(1000);
    }
    expect(news).toEqual(['up 4']);
  });

  it('try new nodes before those that have failed', () => {
    const { client, links } = setUp({ maxPendingConnects: 1 });
    links.update(nodesOf(some(1)));
    client.connections[0]?.end();
    vi.advanceTimersByTime(9_999);
    links.update(nodesOf([...some(1), ...some(2, 10)]));
    vi.advanceTimersByTime(5);
    client.connections[1]?.end();
    client.connections[2]?.end();
    expect(client.connections.map((c) => c.address.endpoint)).toEqual(
      [1, 10, 11, 1].map((n) => endpointOf(listed(n, 1n))),
    );
  });

  it('wait 10, 30, 60, 120 and again 120 seconds after failures, and a new list changes nothing', () => {
    const { client, links } = setUp();
    const nodes = nodesOf(some(1));
    links.update(nodes);
    for (const [index, seconds] of [10, 30, 60, 120, 120].entries()) {
      client.connections[index]?.end();
      vi.advanceTimersByTime(seconds * 1000 - 1);
      links.update(nodes);
      expect(client.connections, `after ${seconds} s`).toHaveLength(index + 1);
      vi.advanceTimersByTime(2);
      expect(client.connections).toHaveLength(index + 2);
    }
  });

  it('spread the attempts of nodes that failed together', () => {
    const values = [0, 0.5, 1];
    const { client, links } = setUp({}, () => values.shift() ?? 0);
    links.update(nodesOf(some(3)));
    for (const connection of [...client.connections]) connection.end();
    vi.advanceTimersByTime(10_001);
    expect(client.connections).toHaveLength(4);
    vi.advanceTimersByTime(1000);
    expect(client.connections).toHaveLength(5);
    vi.advanceTimersByTime(1000);
    expect(client.connections).toHaveLength(6);
  });

  it('give up an attempt that leads nowhere', () => {
    const { client, links, metrics } = setUp();
    links.update(nodesOf(some(1)));
    vi.advanceTimersByTime(10_000);
    expect(client.connections[0]?.isClosed).toBe(true);
    expect(metrics.linkFailures.value).toBe(1);
    expect(links.pendingCount).toBe(0);
  });

  it('try a changed address at once, and forget the failures of the old one', () => {
    const { client, links } = setUp();
    const node = listed(1, 1n);
    links.update(nodesOf([node]));
    client.connections[0]?.end();
    links.update(nodesOf([{ ...node, ip: '10.9.9.9' }]));
    expect(client.openEndpoints).toEqual(['tcp://10.9.9.9:22020']);
  });

  it('leave a node that changed its address while it was up, and say so', () => {
    const { client, links, news } = setUp();
    const node = listed(1, 1n);
    links.update(nodesOf([node]));
    client.connections[0]?.up();
    links.update(nodesOf([{ ...node, ip: '10.9.9.9' }]));
    expect(client.connections[0]?.isClosed).toBe(true);
    client.connections[1]?.up();
    expect(news).toEqual(['up 1', 'down 1', 'up 1']);
  });

  it('close nodes that are no longer listed and hear nothing of them any more', () => {
    const { client, links, news, frames } = setUp();
    links.update(nodesOf(some(2)));
    const [first, second] = client.connections;
    first?.up();
    links.update([]);
    expect([first?.isClosed, second?.isClosed]).toEqual([true, true]);
    expect(news).toEqual(['up 1', 'down 1']);
    first?.say('notify.message', Buffer.from('de'));
    first?.down();
    second?.up();
    second?.end();
    vi.advanceTimersByTime(600_000);
    expect(frames).toEqual([]);
    expect(news).toHaveLength(2);
    expect(client.connections).toHaveLength(2);
    expect(links.pendingCount).toBe(0);
  });

  it('tell of every time a node comes up again by itself', () => {
    const { client, links, news } = setUp();
    links.update(nodesOf(some(1)));
    const [connection] = client.connections;
    connection?.up();
    connection?.down();
    expect(links.upCount).toBe(0);
    connection?.up();
    expect(news).toEqual(['up 1', 'down 1', 'up 1']);
    expect(client.connections).toHaveLength(1);
  });

  it('replace a link that does not recover', () => {
    const { client, links } = setUp();
    links.update(nodesOf(some(1)));
    client.connections[0]?.up();
    client.connections[0]?.down();
    vi.advanceTimersByTime(30_000);
    expect(client.connections[0]?.isClosed).toBe(true);
    vi.advanceTimersByTime(10_001);
    expect(client.connections).toHaveLength(2);
  });

  it('let a node that breaks again and again wait', () => {
    const { client, links, news } = setUp();
    links.update(nodesOf(some(1)));
    const [connection] = client.connections;
    for (let n = 0; n < 20; n += 1) {
      connection?.up();
      connection?.down();
    }
    expect(connection?.isClosed).toBe(true);
    expect(news.filter((word) => word.startsWith('up')).length).toBeLessThanOrEqual(5);
  });

  it('survive a client that cannot open any more sockets', () => {
    const { client, links } = setUp();
    const connect = vi.spyOn(client, 'connect').mockImplementation(() => {
      throw new Error('EMFILE');
    });
    links.update(nodesOf(some(3)));
    expect(links.pendingCount).toBe(0);
    connect.mockRestore();
    vi.advanceTimersByTime(10_001);
    expect(client.connections).toHaveLength(3);
  });

  it('hand on frames of exactly one part and count the rest', () => {
    const { client, links, frames, metrics } = setUp();
    links.update(nodesOf(some(1)));
    const [connection] = client.connections;
    connection?.up();
    const frame = Buffer.from('d1:@0:e');
    connection?.say('notify.message', frame);
    connection?.say('notify.message');
    connection?.say('notify.message', frame, frame);
    connection?.say('notify.block', frame);
    expect(frames).toHaveLength(1);
    expect(frames[0]?.frame).toBe(frame);
    expect(metrics.framesMalformed.total()).toBe(2);
    expect(metrics.oxenmqMalformed.of('unexpected-command').value).toBe(1);
  });

  it('remember the swarm from before', () => {
    const { links } = setUp();
    links.update(nodesOf([listed(1, 5n)]));
    const change = links.update(nodesOf([listed(1, 6n)]));
    expect(change.moved[0]?.fromSwarmId).toBe(5n);
    expect(change.moved[0]?.link).toMatchObject({ swarmId: 6n, previousSwarmId: 5n });
  });

  it('are all closed at the end, and no timer is left', () => {
    const { client, links } = setUp();
    links.update(nodesOf(some(5)));
    client.connections[0]?.up();
    client.connections[1]?.end();
    links.stop();
    expect(client.openEndpoints).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
