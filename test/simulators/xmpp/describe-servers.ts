import { afterAll, beforeAll, describe, test } from 'vitest';
import {
  EjabberdProcess,
  findEjabberd,
  HOW_TO_GET_EJABBERD,
  type EjabberdSettings,
} from './ejabberd-process.js';
import { hasProsody, HOW_TO_GET_PROSODY, ProsodyProcess, type ProsodySettings } from './prosody-process.js';
import type { RealServerSettings, RealXmppServer } from './real-server.js';

/**
 * Runs the suite against a real Prosody, one for all its tests, where it is installed (always under CI=true); each test
 * makes accounts of its own. `server()` is for inside the tests.
 */
export function describeWithProsody(
  name: string,
  suite: (server: () => ProsodyProcess) => void,
  settings: ProsodySettings = {},
): void {
  describeWith(`${name} (Prosody)`, suite, {
    isInstalled: hasProsody,
    howToGet: HOW_TO_GET_PROSODY,
    start: () => ProsodyProcess.start(settings),
  });
}

/** The same against a real ejabberd. */
export function describeWithEjabberd(
  name: string,
  suite: (server: () => EjabberdProcess) => void,
  settings: EjabberdSettings = {},
): void {
  describeWith(`${name} (ejabberd)`, suite, {
    isInstalled: async () => (await findEjabberd()) !== null,
    howToGet: HOW_TO_GET_EJABBERD,
    start: () => EjabberdProcess.start(settings),
  });
}

/** Both of them, for what they have in common. */
export function describeWithXmppServers(
  name: string,
  suite: (server: () => RealXmppServer) => void,
  settings: RealServerSettings = {},
): void {
  describeWithProsody(name, suite, settings);
  describeWithEjabberd(name, suite, settings);
}

interface Peer<S extends RealXmppServer> {
  readonly isInstalled: () => Promise<boolean>;
  readonly howToGet: string;
  readonly start: () => Promise<S>;
}

function describeWith<S extends RealXmppServer>(
  name: string,
  suite: (server: () => S) => void,
  { isInstalled, howToGet, start }: Peer<S>,
): void {
  describe(name, async () => {
    if (!(await isInstalled())) {
      if (process.env.CI === 'true') {
        test('finds the XMPP server', () => Promise.reject(new Error(howToGet)));
      } else {
        console.log(`${name}: ${howToGet}`);
        test.skip(howToGet, () => {});
      }
      return;
    }
    let server: S | undefined;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.remove());
    suite(() => {
      if (server === undefined) throw new Error('the XMPP server is started before the first test');
      return server;
    });
  });
}
