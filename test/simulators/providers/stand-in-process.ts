import { createPublicKey } from 'node:crypto';
import type { TestCertificate } from '../certificates.js';
import { startApnsStandIn } from './apns-stand-in.js';
import { startFcmStandIn } from './fcm-stand-in.js';
import { OauthStandIn } from './oauth-stand-in.js';

/** What the parent says, as JSON in the first argument; keys as PEM, since they cross a process boundary. */
export interface StandInProcessOptions {
  readonly certificate: TestCertificate;
  readonly topic: string;
  readonly tokenKey: { readonly publicKeyPem: string; readonly keyId: string; readonly teamId: string };
  readonly projectId: string;
}

export interface StandInCounts {
  readonly apns: number;
  readonly fcm: number;
  readonly refusals: number;
  readonly connections: number;
}

export type StandInMessage =
  | {
      readonly kind: 'ready';
      readonly apnsEndpoint: string;
      readonly fcmEndpoint: string;
      readonly tokenUri: string;
    }
  | { readonly kind: 'counts'; readonly counts: StandInCounts };

export type StandInCommand =
  | { readonly kind: 'trust'; readonly publicKeyPem: string; readonly clientEmail: string }
  | { readonly kind: 'counts' };

/** The program of a forked process: all stand-ins, nothing recorded, so that a benchmark measures only its own work. */
async function main(options: StandInProcessOptions): Promise<void> {
  const { certificate, projectId, topic, tokenKey } = options;
  const oauth = await OauthStandIn.start();
  const apns = await startApnsStandIn({
    certificate,
    topic,
    record: false,
    tokenKey: { ...tokenKey, publicKey: createPublicKey(tokenKey.publicKeyPem) },
  });
  const fcm = await startFcmStandIn({
    certificate,
    projectId,
    record: false,
    isAccessTokenGood: oauth.isAccessTokenGood,
  });
  const tell = (message: StandInMessage): void => void process.send?.(message);
  process.on('message', (command: StandInCommand) => {
    switch (command.kind) {
      case 'trust':
        oauth.trust({ publicKey: createPublicKey(command.publicKeyPem), clientEmail: command.clientEmail });
        break;
      case 'counts':
        tell({
          kind: 'counts',
          counts: {
            apns: apns.accepted,
            fcm: fcm.accepted,
            refusals: apns.refusals.length + fcm.refusals.length,
            connections: apns.connections + fcm.connections,
          },
        });
    }
  });
  process.on('disconnect', () => process.exit(0));
  tell({ kind: 'ready', apnsEndpoint: apns.endpoint, fcmEndpoint: fcm.endpoint, tokenUri: oauth.tokenUri });
}

await main(JSON.parse(process.argv[2] ?? '{}') as StandInProcessOptions);
