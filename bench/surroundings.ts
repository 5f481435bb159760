import { createAuthority, createServiceAccount, createTokenKey } from '../test/simulators/certificates.js';
import { startApnsStandIn, type ApnsStandIn } from '../test/simulators/providers/apns-stand-in.js';
import { startFcmStandIn, type FcmStandIn } from '../test/simulators/providers/fcm-stand-in.js';
import { OauthStandIn } from '../test/simulators/providers/oauth-stand-in.js';
import { startStorageNetwork, type StorageNetwork } from '../test/simulators/storage-network/network.js';
import { TOPIC } from '../test/simulators/world.js';
import type { WorldFacts } from './world.js';

/** The network, Apple and Google as the process of a benchmark has them. */
export interface Surroundings {
  readonly network: StorageNetwork;
  readonly apns: ApnsStandIn;
  readonly fcm: FcmStandIn;
  readonly facts: WorldFacts;
  /** Another stand-in in place of the first, which has gone, on its port. */
  restartApns(): Promise<ApnsStandIn>;
}

export interface SurroundingsOptions {
  /** For `onAccepted` to see the bodies; whoever reads them empties `pushes`. Default false. */
  readonly record?: boolean;
}

export async function startSurroundings({ record = false }: SurroundingsOptions = {}): Promise<Surroundings> {
  const authority = createAuthority();
  const certificate = authority.issueServer();
  const tokenKey = createTokenKey();
  const oauth = await OauthStandIn.start();
  const account = createServiceAccount(oauth.tokenUri);
  oauth.trust(account);
  const { isAccessTokenGood } = oauth;
  const apnsOptions = { certificate, topic: TOPIC, tokenKey, record };
  const apns = await startApnsStandIn(apnsOptions);
  const { port } = apns;
  const fcm = await startFcmStandIn({ certificate, projectId: account.projectId, isAccessTokenGood, record });
  const network = await startStorageNetwork({ swarms: 4, nodesPerSwarm: 5, verify: false });
  return {
    network,
    apns,
    fcm,
    restartApns: () => startApnsStandIn({ ...apnsOptions, port }),
    facts: {
      oxend: network.oxendAddress,
      nodes: network.nodes.map((node) => ({
        address: node.address,
        swarmId: network.swarmIdOf(node).toString(),
      })),
      apnsEndpoint: apns.endpoint,
      fcmEndpoint: fcm.endpoint,
      caPem: authority.certPem,
      p8Pem: tokenKey.p8Pem,
      keyId: tokenKey.keyId,
      teamId: tokenKey.teamId,
      serviceAccountJson: account.json,
    },
  };
}
