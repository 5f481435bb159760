import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../simulators/certificates.js';
import { freePorts } from '../simulators/xmpp/peer-process.js';
import { startXmppWorld, type XmppWorld } from '../simulators/xmpp-world.js';
import type { DemoXmppServer } from './xmpp-servers.js';

/** Seconds from one push to the next of a device; 5 unless the operator says otherwise. */
export const SPACING_SECONDS = 2;

/** What an operator has who serves an XMPP server's users, and those of UWPX. */
export interface DemoWorld {
  readonly providers: XmppWorld;
  readonly uwpxPort: number;
  /** PEM: whom UWPX trusts. */
  readonly authority: string;
  close(): Promise<void>;
}

export async function startDemoWorld(server: DemoXmppServer): Promise<DemoWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-uwpx-'));
  const authority = createAuthority();
  const { certPem, keyPem } = authority.issueServer();
  const certificateFile = join(directory, 'uwpx.pem');
  await writeFile(certificateFile, certPem + keyPem, { mode: 0o600 });
  // It is to be the same after a restart.
  const [uwpxPort = 0] = await freePorts(1);
  const providers = await startXmppWorld({
    servers: [server],
    config: {
      xmpp: { rateLimitSeconds: SPACING_SECONDS, backOffSeconds: [0.2] },
      uwpx: { enabled: true, host: '127.0.0.1', port: uwpxPort, certificateFile },
      // So that a probe is seen within a short demo.
      delivery: { breakerFailures: 3, breakerProbeSeconds: 1 },
    },
  });
  return {
    providers,
    uwpxPort,
    authority: authority.certPem,
    async close() {
      await providers.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
