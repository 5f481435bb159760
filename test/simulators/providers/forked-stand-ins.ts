import { fork, type ChildProcess } from 'node:child_process';
import { createAuthority, createServiceAccount, createTokenKey } from '../certificates.js';
import type {
  StandInCommand,
  StandInCounts,
  StandInMessage,
  StandInProcessOptions,
} from './stand-in-process.js';

/** The stand-ins of Apple and Google in a process of their own, and the files that a notifier needs to reach them. */
export interface ForkedStandIns {
  readonly apnsEndpoint: string;
  readonly fcmEndpoint: string;
  readonly topic: string;
  readonly keyId: string;
  readonly teamId: string;
  /** File contents. */
  readonly caPem: string;
  readonly p8Pem: string;
  readonly serviceAccountJson: string;
  counts(): Promise<StandInCounts>;
  stop(): void;
}

export async function forkStandIns(topic = 'com.loki-project.loki-messenger'): Promise<ForkedStandIns> {
  const authority = createAuthority();
  const tokenKey = createTokenKey();
  const projectId = 'waggle-test';
  const options: StandInProcessOptions = {
    certificate: authority.issueServer(),
    topic,
    tokenKey: {
      publicKeyPem: tokenKey.publicKey.export({ format: 'pem', type: 'spki' }).toString(),
      keyId: tokenKey.keyId,
      teamId: tokenKey.teamId,
    },
    projectId,
  };
  const file = new URL('./stand-in-process.ts', import.meta.url);
  const child = fork(file, [JSON.stringify(options)], { execArgv: ['--import', 'tsx'] });
  const ready = await nextMessage(child, 'ready');
  const account = createServiceAccount(ready.tokenUri, projectId);
  send(child, {
    kind: 'trust',
    publicKeyPem: account.publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    clientEmail: account.clientEmail,
  });
  return {
    apnsEndpoint: ready.apnsEndpoint,
    fcmEndpoint: ready.fcmEndpoint,
    topic,
    keyId: tokenKey.keyId,
    teamId: tokenKey.teamId,
    caPem: authority.certPem,
    p8Pem: tokenKey.p8Pem,
    serviceAccountJson: account.json,
    counts: async () => {
      const reply = nextMessage(child, 'counts');
      send(child, { kind: 'counts' });
      return (await reply).counts;
    },
    stop: () => child.disconnect(),
  };
}

function send(child: ChildProcess, command: StandInCommand): void {
  child.send(command);
}

function nextMessage<Kind extends StandInMessage['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<StandInMessage, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void =>
      reject(new Error(`the stand-ins ended with ${String(code)}`));
    const onMessage = (message: unknown): void => {
      if ((message as StandInMessage).kind !== kind) return;
      child.off('exit', onExit);
      child.off('message', onMessage);
      resolve(message as Extract<StandInMessage, { kind: Kind }>);
    };
    child.once('exit', onExit);
    child.on('message', onMessage);
  });
}
