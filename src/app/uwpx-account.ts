import { setTimeout as sleep } from 'node:timers/promises';
import { readOptionalFile } from '../notifiers/credential-files.js';
import { trustAnchors } from '../notifiers/endpoint.js';
import type { AdvisoryLock } from '../store/advisory-lock.js';
import type { XmppPipeline } from '../streams/xmpp-pipeline.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { AccountClient } from '../uwpx/account-client.js';
import { defaultAccountOptions } from '../uwpx/account-options.js';
import type {
  AccountNodes,
  OnEvent,
  UwpxNewNodes,
  UwpxNodeStore,
  WhenAccountReady,
} from '../uwpx/account-port.js';
import { NodeNews } from '../uwpx/node-news.js';
import type { UwpxTargets } from '../uwpx/targets.js';
import * as options from './options.js';
import { StartError } from './start-error.js';
import type { Storage } from './storage.js';
import { faultName, type Surroundings } from './surroundings.js';
import type { UwpxAccountOptions } from './uwpx-options.js';

/** The account of an ordinary XMPP server that clients of the original UWPX server let their servers publish to. */
export interface UwpxAccount {
  /** To be told of what is registered here. */
  readonly nodes: AccountNodes;
  /** Events come from here on. */
  start(pipeline: XmppPipeline): void;
  stop(): Promise<void>;
}

/** How long others' registrations wait for their nodes, about. */
const NEWS_SECONDS = 2;

/** Throws `StartError` for a file that cannot be read. */
export function createUwpxAccount(
  around: Surroundings,
  storage: Pick<Storage, 'database'>,
  settings: UwpxAccountOptions,
  store: UwpxNodeStore & UwpxNewNodes,
  targets: UwpxTargets,
): UwpxAccount {
  const { clock, random, randomBytes, log, metrics, parts, repeat } = around;
  const ca = readOptionalFile('uwpx.accountCaFile', settings.caFile);
  if (!ca.ok) throw new StartError(ca.error);
  const faults = new SampledLog(clock);
  let pipeline: XmppPipeline | null = null;

  /** Its server has its answer already: what cannot be found out now is lost, as with the original. */
  const onEvent: OnEvent = (node, summary) => {
    const wake = async (): Promise<void> => {
      const [target] = await targets.lookUp(node);
      if (target === undefined) client.changed({ added: [], removed: [node] });
      else await pipeline?.wake(node, target, summary);
    };
    wake().catch((error: unknown) => {
      faults.note('wake', (occurrences) =>
        log.warn(
          { fault: faultName(error), occurrences },
          'UWPX: a publish to the account was lost, the database did not answer',
        ),
      );
    });
  };

  const client = new AccountClient(
    {
      jid: settings.jid,
      password: settings.password,
      host: settings.host,
      port: settings.port,
      trustAnchors: trustAnchors(ca.value),
      plainOnLoopback: settings.plainOnLoopback,
    },
    {
      store,
      onEvent,
      whenReady: whenAlone(around, storage, settings.jid),
      clock,
      random,
      randomBytes,
      log,
      report: {
        connected: () => metrics.uwpxAccountConnects.add(),
        ended: (end) => metrics.uwpxAccountEnds.of(end).add(),
        message: (kind) => metrics.uwpxAccountMessages.of(kind).add(),
        node: (result) => metrics.uwpxAccountNodes.of(result).add(),
      },
    },
    defaultAccountOptions,
  );
  parts.add(() => client.stop());
  const news = new NodeNews({ store, nodes: client, clock });
  // Nobody else has the embedded database.
  if (storage.database.kind === 'postgresql') repeat(NEWS_SECONDS, () => news.look());
  return {
    nodes: news,
    start(to) {
      pipeline = to;
      client.start();
    },
    stop: () => client.stop(),
  };
}

/**
 * Of several processes one uses the account; another one when that is gone. The lock ends with its connection: whoever
 * lost it stays online and tries for it again, and when another process was quicker, its login ends our session, and we
 * wait here for our turn.
 */
function whenAlone(
  { log, parts }: Surroundings,
  { database }: Pick<Storage, 'database'>,
  jid: string,
): WhenAccountReady {
  const key = Buffer.from(`uwpx account ${jid}`);
  const stopping = new AbortController();
  let lock: AdvisoryLock | null = null;
  parts.add(async () => {
    stopping.abort();
    await lock?.release();
  });

  const take = async (): Promise<void> => {
    let isLost = false;
    const taken = await database.holdAdvisoryLock(key, () => {
      isLost = true;
      // A connection that breaks before the lock was taken shows as a rejection.
      if (lock === null) return;
      lock = null;
      log.warn('the lock on the account of UWPX was lost with its database connection');
      void regain();
    });
    if (!taken.ok || isLost) return;
    if (stopping.signal.aborted) await taken.value.release();
    else lock = taken.value;
  };
  const regain = async (): Promise<void> => {
    while (lock === null && !stopping.signal.aborted) {
      await sleep(options.LOCK_RETRY_MS, undefined, { ref: false });
      // The database is away, and says so itself.
      if (lock === null && !stopping.signal.aborted) await take().catch(() => undefined);
    }
  };
  return async (signal) => {
    while (lock === null) {
      signal.throwIfAborted();
      await take();
      if (lock === null) await sleep(options.LOCK_RETRY_MS, undefined, { signal });
    }
    signal.throwIfAborted();
  };
}
