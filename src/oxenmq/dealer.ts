import { Dealer, type Context } from 'zeromq';
import type { OxenmqOptions } from './options.js';
import type { KeyPair, OxenmqAddress, OxenmqConnectionLimits } from './port.js';

/** "L", before our public key: the routing id of a liboxenmq peer that wants to be known again. */
const STATIC_ROUTING_ID_PREFIX = Buffer.from('L');

/** A DEALER with every option of spec oxenmq, 1.3 and 8, not yet connected. Throws what ZeroMQ throws (`EMFILE`). */
export function createDealer(
  context: Context,
  address: OxenmqAddress,
  keyPair: KeyPair,
  options: OxenmqOptions,
  limits: OxenmqConnectionLimits,
): Dealer {
  return new Dealer({
    context,
    // A send without a live link must fail, not wait in a queue and be delivered when it is stale (9.2).
    immediate: true,
    sendTimeout: 0,
    linger: 0,
    reconnectInterval: options.reconnectIntervalMs,
    reconnectMaxInterval: options.reconnectMaxIntervalMs,
    connectTimeout: options.tcpConnectTimeoutMs,
    handshakeInterval: options.handshakeIntervalMs,
    heartbeatInterval: options.heartbeatIntervalMs,
    heartbeatTimeout: options.heartbeatTimeoutMs,
    maxMessageSize: limits.maxMessageBytes ?? options.maxMessageBytes,
    sendHighWaterMark: options.sendHighWaterMark,
    receiveHighWaterMark: limits.receiveHighWaterMark ?? options.receiveHighWaterMark,
    ipv6: address.endpoint.startsWith('tcp://['),
    ...(options.routingId === 'static' && {
      routingId: rawBytes(Buffer.concat([STATIC_ROUTING_ID_PREFIX, keyPair.publicKey])),
    }),
    ...(address.serverKey !== null && {
      curveServerKey: rawBytes(address.serverKey),
      curvePublicKey: rawBytes(keyPair.publicKey),
      curveSecretKey: rawBytes(keyPair.secretKey),
    }),
  });
}

/** zeromq.js takes a Buffer where its types say string; a string would be sent as UTF-8, which corrupts keys (1.2). */
const rawBytes = (bytes: Buffer): string => bytes as unknown as string;
