import { createHash } from 'node:crypto';
import { eventually } from '../simulators/eventually.js';
import { databaseOptionsFor } from '../simulators/database-options.js';
import { SessionAccount, SessionDevice } from '../simulators/session-client.js';
import type { StorageNetwork } from '../simulators/storage-network/network.js';
import { nowInSeconds, postPlain } from '../simulators/world.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';

export const added = { added: true, message: 'Subscription successful', success: true };
export const updated = { message: 'Resubscription successful', success: true, updated: true };
export const internalError = {
  error: 5,
  message: 'An internal error occurred while processing your request',
};

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** An account and the phone that wants to hear of it. */
export interface Subscriber {
  readonly account: SessionAccount;
  readonly phone: SessionDevice;
}

export const newSubscriber = (platform: 'ios' | 'android' = 'ios'): Subscriber => ({
  account: SessionAccount.user(),
  phone: new SessionDevice(platform),
});

export const newSubscribers = (count: number, platform: 'ios' | 'android' = 'ios'): Subscriber[] =>
  Array.from({ length: count }, () => newSubscriber(platform));

/** The answer to the one request (Android asks with an array and is answered with one). */
export async function subscribe(httpAddress: string, { account, phone }: Subscriber): Promise<unknown> {
  return only(
    await postPlain(httpAddress, '/subscribe', phone, [phone.subscription(account, nowInSeconds())]),
  );
}

export async function unsubscribe(httpAddress: string, { account, phone }: Subscriber): Promise<unknown> {
  return only(
    await postPlain(httpAddress, '/unsubscribe', phone, [phone.unsubscription(account, nowInSeconds())]),
  );
}

const only = (answer: unknown): unknown => (Array.isArray(answer) ? answer[0] : answer);

/** Every node of the account's swarm that runs has been asked to tell of it. */
export const isRegistered = (network: StorageNetwork, account: Buffer): boolean =>
  network.swarmNodesOf(account).every((node) => !node.isRunning || node.subscriptionsOf(account).length > 0);

export const untilRegistered = (network: StorageNetwork, accounts: readonly Buffer[]): Promise<unknown> =>
  eventually(() => accounts.every((account) => isRegistered(network, account)), {
    timeoutMs: 20_000,
    what: 'registration with every node of the swarms',
  });

/** How often each token was pushed to. */
export function countByToken(pushes: readonly { readonly token: string }[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { token } of pushes) counts.set(token, (counts.get(token) ?? 0) + 1);
  return counts;
}

/** Runs `task` for every item, at most `width` at once. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  task: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await task(items[index] as T, index);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** Opens the server's database beside it (PostgreSQL) or after it (embedded). */
export async function withDatabase<T>(
  location: { readonly url: string | null; readonly dataDir: string },
  use: (database: Database) => Promise<T>,
): Promise<T> {
  const database = await openDatabase({ ...databaseOptionsFor(location.url, location.dataDir), poolSize: 2 });
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The subscription number `index` of those that `insertSubscriptions` makes; its signature is no good. */
export const insertedAccount = (index: number): Buffer =>
  Buffer.concat([Buffer.from([3]), sha256(`account ${index}`)]);
export const insertedToken = (index: number): string => sha256(`token ${index}`).toString('hex');

/** Fills a new database: `count` accounts of one iPhone each, as the rows of a server that has run for long. */
export async function insertSubscriptions(
  location: { readonly url: string | null; readonly dataDir: string },
  count: number,
): Promise<void> {
  const nowSeconds = nowInSeconds();
  await withDatabase(location, async (database) => {
    await migrate(database);
    await database.transaction((transaction) =>
      transaction.script(
        `INSERT INTO subscriptions (account, signature, signature_ts, want_data, enc_key, namespaces, service, svcid,
                                    created_at_ms, renewed_at_ms)
         SELECT '\\x03'::bytea || sha256(convert_to('account ' || i, 'UTF8')),
                sha256(convert_to('one ' || i, 'UTF8')) || sha256(convert_to('two ' || i, 'UTF8')),
                ${nowSeconds - 3600}, true, sha256(convert_to('key ' || i, 'UTF8')), '{0,11}', 'apns',
                encode(sha256(convert_to('token ' || i, 'UTF8')), 'hex'),
                ${nowSeconds - 3600}::bigint * 1000, ${nowSeconds - 3600}::bigint * 1000
           FROM generate_series(0, ${count - 1}) AS i`,
      ),
    );
  });
}
