import { createNetwork, type Network } from '../actors/network.js';
import type { ActorSystem } from '../actors/spawn.js';
import { decodeNotifyMessage } from '../codec/notify-message.js';
import { blake2b } from '../crypto/keyed-hash.js';
import { randomNonces } from '../crypto/seal.js';
import type { Hive } from '../hive/hive.js';
import type { NodeLink } from '../network/node-link.js';
import { createOxenmqClient } from '../oxenmq/client.js';
import { DuplicateFilter } from '../streams/duplicate-filter.js';
import { createPipeline, type Pipeline } from '../streams/pipeline.js';
import type { SubscriptionIndex } from '../subscription-index/subscription-index.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { Devices } from './devices.js';
import type { Identity } from './identity.js';
import * as options from './options.js';
import { faultName, type Surroundings } from './surroundings.js';

export interface Notices {
  readonly network: Network;
  readonly pipeline: Pipeline<NodeLink>;
}

/** The way of a notice: node links → pipeline → notifier actors, or the outbox. */
export function createNotices(
  around: Surroundings,
  identity: Identity,
  index: SubscriptionIndex,
  system: ActorSystem,
  { delivery }: Pick<Devices, 'delivery'>,
  hive: Pick<Hive, 'notifier'>,
): Notices {
  const { config, clock, random, randomBytes, log, metrics, parts } = around;
  const stageFaults = new SampledLog(clock);
  const marks = options.duplicateFilterOptions(config, randomBytes);
  const pipeline = createPipeline<NodeLink>({
    decode: decodeNotifyMessage,
    messages: new DuplicateFilter(marks, clock),
    devices: new DuplicateFilter(marks, clock),
    index,
    contentOf: (service) => hive.notifier(service)?.capabilities.content ?? 'sealed',
    acceptsFrame: (link, slot) => network.acceptsFrame(link, slot),
    offer: (push) => delivery.offer(push),
    spill: (push, onLost) => delivery.spill(push, onLost),
    nextNonce: randomNonces(),
    pushSecret: blake2b(32, [identity.server.secretKey], Buffer.from('waggle push keys')),
    clock,
    metrics,
    onFault(stage, error) {
      metrics.stageFailures.of(stage).add();
      stageFaults.note(stage, (occurrences) =>
        log.error({ stage, fault: faultName(error), occurrences }, 'a frame was lost to a fault of ours'),
      );
    },
  });

  const keyPair = identity.server;
  const client = createOxenmqClient({ keyPair, options: options.oxenmqOptions(config), clock, log, metrics });
  parts.add(() => client.close());
  const oxend = options.oxendAddress(config);
  if (config.session.enabled && oxend === null)
    log.warn('session.oxend is not set: no connections to storage nodes');
  const network = createNetwork(
    {
      client,
      oxend,
      accounts: index,
      system,
      clock,
      random,
      log,
      metrics,
      onFrame: (link, frame) => pipeline.next(link, frame),
      onRefused({ slot, reason, isWhole }) {
        if (reason === 'invalid' && isWhole) index.rejectMonitorEntries(slot);
      },
    },
    options.networkOptions(config),
  );
  return { network, pipeline };
}
