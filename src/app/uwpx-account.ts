import { setTimeout as sleep } from 'node:timers/promises';
import { readOptionalFile } from '../notifiers/credential-files.js';
import { trustAnchors } from '../notifiers/endpoint.js';
import { keepAdvisoryLock } from '../store/kept-lock.js';
import type { XmppPipeline } from '../streams/xmpp-pipeline.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { AccountClient } from '../uwpx/account-client.js';
import { defaultAccountOptions } from '../uwpx/account-options.js';
import type { OnEvent, UwpxNodeStore, WhenAccountReady } from '../uwpx/account-port.js';
import type { UwpxTargets } from '../uwpx/targets.js';
import * as options from './options.js';
import { StartError } from './start-error.js';
import type { Storage } from './storage.js';
import { faultName, type Surroundings } from './surroundings.js';
import type { UwpxAccountOptions } from './uwpx-options.js';

/** The account of an ordinary XMPP server that clients of the original UWPX server let their servers publish to. */
export interface UwpxAccount {
  readonly nodes: AccountClient;
  /** Events come from here on. */
  start(pipeline: XmppPipeline): void;
}

/** Throws `StartError` for a file that cannot be read. */
export function createUwpxAccount(
  around: Surroundings,
  storage: Pick<Storage, 'database'>,
  settings: UwpxAccountOptions,
  store: UwpxNodeStore,
  targets: UwpxTargets,
): UwpxAccount {
  const { clock, random, randomBytes, log, metrics, parts } = around;
  const ca = readOptionalFile('uwpx.accountCaFile', settings.caFile);
  if (!ca.ok) throw new StartError(ca.error);
  const faults = new SampledLog(clock);
  let pipeline: XmppPipeline | null = null;

  /** Its server has its answer already: what cannot be found out now is lost, as with the original. */
  const onEvent: OnEvent = (node, summary) => {
    const wake = async (): Promise<void> => {
      const [target] = await targets.lookUp(node);
      if (target === undefined) nodes.changed({ added: [], removed: [node] });
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

  const nodes = new AccountClient(
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
  parts.add(() => nodes.stop());
  return {
    nodes,
    start(to) {
      pipeline = to;
      nodes.start();
    },
  };
}

/** Of several processes one uses the account; another one when that is gone. */
function whenAlone(
  { log, parts }: Surroundings,
  { database }: Pick<Storage, 'database'>,
  jid: string,
): WhenAccountReady {
  let isHeld = false;
  let release = async (): Promise<void> => {};
  parts.add(() => release());
  return async (signal) => {
    while (!isHeld) {
      const lock = await keepAdvisoryLock({
        database,
        key: Buffer.from(`uwpx account ${jid}`),
        what: 'the account of UWPX',
        retryMs: options.LOCK_RETRY_MS,
        log,
      });
      if (lock.ok) {
        isHeld = true;
        release = () => lock.value.release();
      } else await sleep(options.LOCK_RETRY_MS, undefined, { signal });
    }
    signal.throwIfAborted();
  };
}
