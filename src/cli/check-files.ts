import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { notifierReadiness } from '../config/notifier-credentials.js';
import type { ApnsNotifierConfig, Config, FirebaseNotifierConfig, NotifierConfig } from '../config/types.js';
import { readKeyFile } from '../crypto/key-file.js';
import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import { certificateExpiryMs, loadApnsCredentials } from '../notifiers/apns/credentials.js';
import { loadVapidKeys } from '../notifiers/webpush/vapid.js';
import { parseOxenmqAddress } from '../oxenmq/address.js';
import { readCertificate } from '../uwpx/certificate.js';
import { checkCaFile, checkCertificate } from './check-certificates.js';
import { checkReadable, checkSecretFiles } from './check-secret-files.js';
import { error, warning, type Finding } from './finding.js';

/** Reads everything that a configuration names, with the code that the server itself uses. */
export async function checkFiles(config: Config, clock: Clock): Promise<Finding[]> {
  const findings = [...(await checkKeys(config)), ...checkDatabase(config), ...checkSession(config)];
  for (const entry of Object.values(config.notifiers)) findings.push(...(await checkNotifier(entry, clock)));
  findings.push(...(await checkUwpxFiles(config, clock)), ...checkSecretFiles(config));
  return findings;
}

async function checkKeys({ keys, xmpp, uwpx }: Config): Promise<Finding[]> {
  const named = [
    ['keys.server', keys.server] as const,
    ...keys.onion.map((path) => ['keys.onion', path] as const),
    ...keys.onionByHost.map(({ path }) => ['keys.onionByHost', path] as const),
    ...(xmpp.enabled || uwpx.enabled ? [['keys.registrations', keys.registrations] as const] : []),
  ];
  const findings: Finding[] = [];
  for (const [key, path] of named) {
    const read = await readKeyFile(path);
    if (!read.ok && read.error.kind === 'missing' && key !== 'keys.onionByHost') {
      findings.push(warning(key, `${read.error.message}; the first start makes it`));
    } else if (!read.ok) {
      findings.push(error(key, read.error.message));
    } else if ((statSync(path).mode & 0o077) !== 0) {
      findings.push(warning(key, `${path} is open to others; chmod 600 it`));
    }
  }
  return findings;
}

function* checkDatabase({ database }: Config): Iterable<Finding> {
  if (database.url !== null) {
    if (!URL.canParse(database.url.reveal())) {
      yield error('database.url', 'is not postgresql://USER:PASSWORD@HOST:PORT/NAME');
    }
    return;
  }
  const problem = directoryProblem(database.dataDir);
  if (problem !== null) yield error('database.dataDir', problem);
}

/** A directory that is there and can be written to, or that could be made. */
function directoryProblem(path: string): string | null {
  try {
    if (existsSync(path)) {
      if (!statSync(path).isDirectory()) return `${path} is not a directory`;
      accessSync(path, constants.W_OK | constants.X_OK);
      return null;
    }
  } catch {
    return `${path} may not be written to by this user`;
  }
  const parent = dirname(path);
  return parent === path ? `${path} does not exist` : directoryProblem(parent);
}

function* checkSession({ session }: Config): Iterable<Finding> {
  if (!session.enabled) return;
  if (session.oxend === null) {
    const message = 'not set: there will be no swarm connections, so no pushes to Session clients';
    yield warning('session.oxend', message);
    return;
  }
  const parsed = parseOxenmqAddress(session.oxend);
  if (!parsed.ok) yield error('session.oxend', parsed.error);
}

async function checkNotifier(entry: NotifierConfig, clock: Clock): Promise<Finding[]> {
  const prefix = `notifiers.${entry.name}`;
  const readiness = notifierReadiness(entry);
  const findings: Finding[] = [];
  if (readiness.kind === 'skipped')
    findings.push(warning(prefix, `will not be started: ${readiness.reason}`));
  if ('caFile' in entry && entry.caFile !== null)
    findings.push(...checkCaFile(`${prefix}.caFile`, entry.caFile, clock));
  if (readiness.kind === 'skipped') return findings;
  for (const path of secretFilesOf(entry)) findings.push(...checkReadable(prefix, path));
  switch (entry.type) {
    case 'apns':
      return [...findings, ...checkApns(prefix, entry, clock)];
    case 'firebase':
      return [...findings, ...(await checkFirebase(prefix, entry))];
    case 'webpush':
    case 'unifiedpush':
      return [...findings, ...checkVapidKeys(prefix, entry.vapidKeyFiles)];
    case 'huawei':
    case 'wns':
    case 'dummy':
      return findings;
    default:
      return assertNever(entry);
  }
}

/** Whoever reads one of these can send in our name. */
function secretFilesOf(entry: NotifierConfig): readonly (string | null)[] {
  switch (entry.type) {
    case 'apns':
      return [entry.keyFile ?? entry.certFile, entry.pfxFile];
    case 'firebase':
      return [entry.serviceAccountFile];
    case 'webpush':
    case 'unifiedpush':
      return entry.vapidKeyFiles;
    case 'huawei':
    case 'wns':
    case 'dummy':
      return [];
    default:
      return assertNever(entry);
  }
}

function* checkApns(prefix: string, entry: ApnsNotifierConfig, clock: Clock): Iterable<Finding> {
  const credentials = loadApnsCredentials(entry, clock);
  if (!credentials.ok) {
    yield error(prefix, credentials.error);
    return;
  }
  const key = `${prefix}.${entry.pfxFile === null ? 'certFile' : 'pfxFile'}`;
  yield* checkCertificate(key, certificateExpiryMs(credentials.value), clock);
}

async function checkFirebase(prefix: string, entry: FirebaseNotifierConfig): Promise<Finding[]> {
  // firebase-admin takes its time to load, and most runs need none of it.
  const { loadServiceAccount } = await import('../notifiers/firebase/service-account.js');
  const account = loadServiceAccount(entry.serviceAccountFile ?? '');
  return account.ok ? [] : [error(prefix, account.error)];
}

/** One by one, so that the message says which. */
function* checkVapidKeys(prefix: string, files: readonly string[]): Iterable<Finding> {
  for (const file of files) {
    const keys = loadVapidKeys([file]);
    if (!keys.ok) yield error(prefix, `${keys.error} (${file})`);
  }
}

async function checkUwpxFiles({ uwpx }: Config, clock: Clock): Promise<Finding[]> {
  const { enabled, certificateFile, keyFile, accountJid, accountCaFile } = uwpx;
  if (!enabled) return [];
  const findings = [...checkReadable('uwpx.keyFile', keyFile)];
  if (certificateFile !== null) {
    const read = await readCertificate({ certificateFile, keyFile: keyFile ?? certificateFile });
    if (read.ok) findings.push(...checkCertificate('uwpx.certificateFile', read.value.expiresAtMs, clock));
    else findings.push(error('uwpx', read.error));
  }
  if (accountJid !== null && accountCaFile !== null)
    findings.push(...checkCaFile('uwpx.accountCaFile', accountCaFile, clock));
  return findings;
}
