import apn from 'node-apn';
import { Dealer } from 'zeromq';
import { decodeNotifyMessage } from '../src/codec/notify-message.js';
import { MAX_PAYLOAD_TEXT_BYTES, writeSessionPayload } from '../src/codec/session-payload.js';
import { randomNonces, seal } from '../src/crypto/seal.js';
import type { EncryptionKey } from '../src/domain/ids.js';
import { mendAsyncResourceBind } from '../src/lifecycle/async-resource-bind.js';
import { parseOxenmqAddress } from '../src/oxenmq/address.js';
import { randomKeyPair } from '../test/simulators/storage-network/keys.js';
import { swarmOf } from '../test/simulators/storage-network/swarm-space.js';
import { TOPIC } from '../test/simulators/world.js';
import type { BenchDevice, WorldFacts } from './world.js';

/*
 * The same calls without a server around them: receive, decode, Set, Map, seal, node-apn. No index, no checks, no
 * backpressure, no retries, no database: what remains is what no push server on these libraries can save.
 */

export interface BareSetup {
  readonly facts: WorldFacts;
  readonly devices: readonly (BenchDevice & {
    readonly monitorEntry: string;
    readonly encryptionKey: string;
  })[];
}

// As the server has it.
mendAsyncResourceBind();
process.once('message', (message) => void main(message as BareSetup));

async function main({ facts, devices }: BareSetup): Promise<void> {
  const address = new URL(facts.apnsEndpoint);
  const provider = new apn.Provider({
    token: { key: facts.p8Pem, keyId: facts.keyId, teamId: facts.teamId },
    production: false,
    address: address.hostname,
    port: Number(address.port),
    ca: [facts.caPem],
  });
  const byAccount = new Map(
    devices.map(({ account, token, encryptionKey }) => [
      account,
      { token, key: Buffer.from(encryptionKey, 'hex') as EncryptionKey },
    ]),
  );
  const seen = new Set<string>();
  const nextNonce = randomNonces();
  const scratch = Buffer.alloc(MAX_PAYLOAD_TEXT_BYTES);
  const own = randomKeyPair();

  const onNotice = (frame: Buffer): void => {
    const notice = decodeNotifyMessage(frame);
    if (typeof notice === 'string') return;
    const hash = notice.hash.latin1Slice();
    if (seen.has(hash)) return;
    const device = byAccount.get(notice.account.hexSlice());
    if (device === undefined) return;
    seen.add(hash);
    const text = scratch.subarray(0, writeSessionPayload(notice, true, scratch));
    const notification = new apn.Notification();
    notification.topic = TOPIC;
    notification.pushType = 'alert';
    notification.expiry = Math.floor(notice.expiryMs / 1000);
    notification.alert = { title: 'Session', body: "You've got a new message" };
    notification.badge = 1;
    notification.sound = 'default';
    notification.mutableContent = true;
    (notification as unknown as { category: string }).category = 'SECRET';
    notification.payload = { spns: 1, enc_payload: seal(text, device.key, nextNonce).base64Slice() };
    void provider.send(notification, device.token);
  };

  const swarmIds = [...new Set(facts.nodes.map(({ swarmId }) => BigInt(swarmId)))];
  for (const node of facts.nodes) {
    const parsed = parseOxenmqAddress(node.address);
    if (!parsed.ok || parsed.value.serverKey === null) throw new Error('bad address');
    const socket = new Dealer({
      curveServerKey: parsed.value.serverKey as unknown as string,
      curvePublicKey: own.publicKey as unknown as string,
      curveSecretKey: own.secretKey as unknown as string,
      linger: 0,
      receiveHighWaterMark: 0,
    });
    socket.connect(parsed.value.endpoint);
    void receive(socket, onNotice);
    const mine = devices.filter(
      ({ account }) => swarmOf(Buffer.from(account, 'hex'), swarmIds) === BigInt(node.swarmId),
    );
    const list = Buffer.concat([
      Buffer.from('l'),
      ...mine.map(({ monitorEntry }) => Buffer.from(monitorEntry, 'hex')),
      Buffer.from('e'),
    ]);
    await socket.send(['monitor.messages', 'tag-of-bench', list]);
  }
  process.send?.('ready');
}

async function receive(socket: Dealer, onNotice: (frame: Buffer) => void): Promise<void> {
  for await (const [command, frame] of socket) {
    if (frame !== undefined && command?.latin1Slice() === 'notify.message') onNotice(frame);
  }
}
