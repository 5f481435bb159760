import { onTestFinished } from 'vitest';
import { systemClock } from '../../../src/domain/clock.js';
import { parseOxenmqAddress } from '../../../src/oxenmq/address.js';
import { createOxenmqClient } from '../../../src/oxenmq/client.js';
import type { OxenmqOptions } from '../../../src/oxenmq/options.js';
import type {
  KeyPair,
  OxenmqAddress,
  OxenmqClient,
  OxenmqConnection,
  OxenmqConnectionLimits,
} from '../../../src/oxenmq/port.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';
import { randomKeyPair } from '../../simulators/storage-network/keys.js';
import { OxenmqListener, type ListenerOptions } from '../../simulators/storage-network/listener.js';

/** A connection and everything that it reported. */
export interface Link {
  readonly connection: OxenmqConnection;
  readonly events: string[];
  readonly commands: { readonly command: string; readonly parts: readonly Buffer[] }[];
}

export interface LinkExtras {
  readonly limits?: OxenmqConnectionLimits;
  readonly commands?: readonly string[];
  readonly onCommand?: (command: string, parts: readonly Buffer[]) => void;
}

export interface TestClient {
  readonly client: OxenmqClient;
  readonly metrics: Metrics;
  readonly keyPair: KeyPair;
  readonly link: (address: string | OxenmqAddress, extras?: LinkExtras) => Link;
  /** A link that is up. */
  readonly up: (address: string, extras?: LinkExtras) => Promise<Link>;
}

/** Closed when the test ends. */
export function testClient(options: Partial<OxenmqOptions> = {}, keyPair = randomKeyPair()): TestClient {
  const metrics = new Metrics();
  const client = createOxenmqClient({ keyPair, options, clock: systemClock, log: silentLog(), metrics });
  onTestFinished(() => client.close());
  const link: TestClient['link'] = (address, extras = {}) => {
    const events: string[] = [];
    const commands: { command: string; parts: readonly Buffer[] }[] = [];
    const connection = client.connect(
      typeof address === 'string' ? parsed(address) : address,
      {
        onUp: () => events.push('up'),
        onDown: (reason) => events.push(`down: ${reason}`),
        onClosed: (reason) => events.push(`closed: ${reason}`),
        onCommand: extras.onCommand ?? ((command, parts) => commands.push({ command, parts })),
        ...(extras.commands !== undefined && { commands: extras.commands }),
      },
      extras.limits,
    );
    return { connection, events, commands };
  };
  return {
    client,
    metrics,
    keyPair,
    link,
    up: async (address, extras) => {
      const opened = link(address, extras);
      await eventually(() => opened.connection.isUp, { what: 'the link' });
      return opened;
    },
  };
}

/** Stopped when the test ends. */
export async function testListener(options: ListenerOptions = {}): Promise<OxenmqListener> {
  const listener = await OxenmqListener.start(options);
  onTestFinished(() => listener.stop());
  return listener;
}

export function parsed(address: string): OxenmqAddress {
  const result = parseOxenmqAddress(address);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

/** The only client of a listener, as the listener sees it. */
export function onlyRoute(listener: OxenmqListener): Buffer {
  const [route, ...others] = listener.routes.values();
  if (route === undefined || others.length > 0) throw new Error(`${listener.routes.size} routes`);
  return route;
}
