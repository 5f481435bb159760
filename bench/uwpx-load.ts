import type { LoadFlow, LoadFlowResult } from './load-flow.js';

export interface UwpxLoadRun extends LoadFlow {
  /** Devices are numbered; the same again renew. */
  readonly first: number;
  /** A lane keeps its connection, or makes a new one for each registration, with a whole handshake. */
  readonly connections: 'kept' | 'new';
}

export interface UwpxLoadCalls {
  readonly server: [{ readonly port: number; readonly caPem: string }, null];
  /** A registration: the channel, then three accounts. */
  readonly run: [UwpxLoadRun, LoadFlowResult];
}
