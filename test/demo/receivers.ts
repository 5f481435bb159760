import { randomBytes } from 'node:crypto';
import type { AppUnderTest } from '../simulators/app-under-test.js';
import { createProviderDevice, ProviderDevice, type DeviceService } from '../simulators/provider-devices.js';
import { EXTERNAL_SERVICE, type ProviderWorld } from '../simulators/provider-world.js';
import type { PythonNotifier } from '../simulators/python-notifier.js';
import type { Platform } from '../simulators/session-client.js';
import { decodePush, show } from '../simulators/session-push.js';
import { shorten } from './output.js';

/** A message as it came out at the far end of a push service. */
export interface Arrival {
  /** Null where only the number of pushes can be seen. */
  readonly hash: string | null;
  /** Null: a message that was too long for a push, or that the receiver does not open. */
  readonly data: Buffer | null;
  /** For the reader. */
  readonly text: string;
}

/** One device, whatever it is reached by. */
export interface Receiver {
  readonly service: string;
  readonly device: ProviderDevice;
  count(): number;
  /** The one with this number, from 0. Throws when the device cannot open it. */
  open(number: number): Arrival;
}

const providerServices: readonly DeviceService[] = [
  'apns',
  'apns-sandbox',
  'firebase',
  'huawei',
  'wns',
  'webpush',
  'unifiedpush',
];

/** One device for every type of notifier. */
export function createReceivers(
  world: ProviderWorld,
  app: AppUnderTest,
  external: PythonNotifier,
): Receiver[] {
  return [
    ...providerServices.map((service) => throughProvider(createProviderDevice(world, service))),
    throughExternal(external),
    throughDummy(app),
  ];
}

function throughProvider(device: ProviderDevice): Receiver {
  return {
    service: device.service,
    device,
    count: () => device.arrived().length,
    open(number) {
      const push = device.arrived()[number];
      if (push === undefined) throw new Error(`${device.service}: no push ${number}`);
      const decoded = decodePush(push.encPayload, device.encryptionKey);
      const shown = show(decoded, device.platform);
      const data = shown.kind === 'message' ? shown.data : null;
      const opened = data === null ? 'that there is a message too long for a push' : quote(data);
      const sealed = `${shorten(push.encPayload, 10)} (${push.encPayload.length} characters)`;
      return { hash: decoded.hash, data, text: `sealed ${sealed}, the device reads ${opened}` };
    },
  };
}

/** The process gets the message as the storage node told it, with the device's key, to seal it by itself. */
function throughExternal(external: PythonNotifier): Receiver {
  const device = quietDevice(EXTERNAL_SERVICE, 'android', { token: randomBytes(32).toString('hex') });
  return {
    service: EXTERNAL_SERVICE,
    device,
    count: () => external.pushes.length,
    open(number) {
      const dict = external.dicts[number];
      const [key, token, data] = ['^', '&', '~'].map((name) => dict?.getBytes(name) ?? null);
      if (key?.equals(device.encryptionKey) !== true || token?.toString() !== device.token) {
        throw new Error('external: not what its notifier needs');
      }
      const hash = dict?.getBytes('#')?.toString() ?? null;
      return {
        hash,
        data: data ?? null,
        text: `not sealed, its process gets ${quote(data ?? Buffer.alloc(0))}`,
      };
    },
  };
}

function throughDummy(app: AppUnderTest): Receiver {
  return {
    service: 'dummy',
    device: quietDevice('dummy', 'android', { foo: `TEST-${randomBytes(8).toString('hex')}`, bar: 1 }),
    count: () => app.log().split('"dummy push"').length - 1,
    open: () => ({ hash: null, data: null, text: 'a line in the log' }),
  };
}

/** Nothing reaches it by a stand-in. */
const quietDevice = (
  service: string,
  platform: Platform,
  serviceInfo: Readonly<Record<string, unknown>>,
): ProviderDevice => new ProviderDevice(service, platform, serviceInfo, () => []);

const quote = (data: Buffer): string => `"${shorten(data.toString('utf8'), 24)}" (${data.length} bytes)`;
