import { choice, flag, number, waits, wholeNumber, type Option, type OptionsOf } from './options.js';
import type { XmppConfig } from './types-xmpp.js';

const MEBIBYTE = 1024 * 1024;

const seconds = (doc: string, standard: number, max: number): Option<number> =>
  wholeNumber({ doc, unit: 's', default: standard, min: 1, max });

const perMinute = (doc: string, standard: number): Option<number> =>
  wholeNumber({ doc, unit: 'requests/min', default: standard, min: 1, max: 10_000_000 });

/** Components and types have a schema each (xmpp-schema.ts). */
export const xmppSection: OptionsOf<Omit<XmppConfig, 'components' | 'types'>> = {
  enabled: flag({
    doc: 'Whether this process wakes devices for XMPP servers (XEP-0357), as mod_push_appserver and p2 do.',
    default: false,
  }),
  commandStatus: choice({
    doc: 'The status of a command that is done: what XEP-0050 says, or what mod_push_appserver sends (complete). No known client reads it.',
    default: 'completed',
    values: ['completed', 'complete'],
  }),
  bindDomain: choice({
    doc: "Which devices only the server of their own account may wake: those of p2, as p2 does; all whose account's server is known, those of UWPX too (always); none (never).",
    default: 'p2',
    values: ['p2', 'always', 'never'],
  }),
  rateLimitSeconds: number({
    doc: 'From one push to the next of the same device and urgency. The first goes out at once, the second when its time has come, and further ones until then are refused, for it stands for them. 0 = no limit.',
    unit: 's',
    default: 5,
    min: 0,
    max: 3600,
  }),
  rateLimitMaxKeys: wholeNumber({
    doc: 'Devices (with an urgency) whose last push is remembered for that; beyond this the longest idle is forgotten, and its next push goes out at once.',
    unit: 'entries',
    default: 100_000,
    min: 100,
    max: 10_000_000,
  }),
  maxDevices: wholeNumber({
    doc: 'Devices at most; a further new one is refused. All of them are in the memory of every process.',
    unit: 'devices',
    default: 2_000_000,
    min: 1,
    max: 100_000_000,
  }),
  maxDevicesPerDomain: wholeNumber({
    doc: "Of these, devices of one XMPP server's users at most, so that one server cannot take all the room. Those that came over HTTP are of no known server.",
    unit: 'devices',
    default: 1_000_000,
    min: 1,
    max: 100_000_000,
  }),
  maxMemoryBytes: wholeNumber({
    doc: 'Memory for them, about; beyond this, too, nothing new is taken. A device takes some 700 bytes, but clients may choose nodes and tokens many times as long as usual.',
    unit: 'bytes',
    default: 1024 * MEBIBYTE,
    min: MEBIBYTE,
    max: 65_536 * MEBIBYTE,
  }),
  registrationsPerMinutePerDomain: wholeNumber({
    doc: "Registrations and unregistrations of one XMPP server's users, all together; further ones are told to come back later. Clients register at every login.",
    unit: 'requests/min',
    default: 30_000,
    min: 1,
    max: 10_000_000,
  }),
  maxDomainsTracked: wholeNumber({
    doc: 'XMPP servers whose registrations are counted for that; beyond this the one unheard of longest is forgotten.',
    unit: 'domains',
    default: 10_000,
    min: 100,
    max: 10_000_000,
  }),
  maxWaitingRegistrations: wholeNumber({
    doc: 'Registrations and unregistrations that wait for the database; further ones are told to come back later.',
    unit: 'requests',
    default: 5000,
    min: 1,
    max: 1_000_000,
  }),
  maxWaitingLookUps: wholeNumber({
    doc: 'Publishes for nodes that are not in memory, which wait for the database (those of UWPX are among them); the servers of further ones are told to come back later.',
    unit: 'publishes',
    default: 10_000,
    min: 1,
    max: 1_000_000,
  }),
  writePatienceMs: wholeNumber({
    doc: 'A registration that is not committed by then, because the database does not answer, is told to come back later.',
    unit: 'ms',
    default: 10_000,
    min: 100,
    max: 24_000,
  }),
  pollSeconds: seconds(
    'How often every process asks the database for what others have registered. A node that is not in memory is asked for at once.',
    1,
    60,
  ),
  pollRows: wholeNumber({
    doc: 'Rows of one answer to that; while there are more, it asks again at once.',
    unit: 'rows',
    default: 1000,
    min: 10,
    max: 100_000,
  }),
  lastPushFlushSeconds: seconds(
    'How often the times of the last push and the last error of devices are written, for operators; a crash loses what came since.',
    30,
    3600,
  ),
  answerTimeoutSeconds: seconds(
    'A request that is not done by then is answered with an error that harms no registration. ejabberd does not wait much longer than 30 s.',
    25,
    28,
  ),
  maxOpenRequests: wholeNumber({
    doc: 'Requests under way on one connection; further ones are told to come back later.',
    unit: 'requests',
    default: 10_000,
    min: 1,
    max: 1_000_000,
  }),
  maxStanzaChars: wholeNumber({
    doc: 'Largest stanza; a larger one is skipped, and its sender told to come back later. Servers send up to 524288, and a little more where they escape characters.',
    unit: 'characters',
    default: 524_288,
    min: 10_000,
    max: 16 * MEBIBYTE,
  }),
  maxDepth: wholeNumber({
    doc: 'Elements within each other in a stanza at most; one with more is skipped.',
    unit: 'levels',
    default: 32,
    min: 10,
    max: 1000,
  }),
  maxAttributes: wholeNumber({
    doc: 'Attributes of one element at most; a stanza with more is skipped.',
    unit: 'attributes',
    default: 64,
    min: 10,
    max: 1000,
  }),
  maxSendQueueBytes: wholeNumber({
    doc: 'What may wait to be sent on one connection; when it is more, the server does not read, and the connection ends.',
    unit: 'bytes',
    default: 8 * MEBIBYTE,
    min: 65_536,
    max: 1024 * MEBIBYTE,
  }),
  coalesceMs: wholeNumber({
    doc: 'Where stanzas come thick, those of so many milliseconds are worked off together, which takes about half the CPU for each. A stanza that comes alone never waits. 0 = each at once.',
    unit: 'ms',
    default: 4,
    min: 0,
    max: 100,
  }),
  openTimeoutMs: wholeNumber({
    doc: "From the connect to the server's answer to the handshake.",
    unit: 'ms',
    default: 15_000,
    min: 100,
    max: 600_000,
  }),
  closeTimeoutMs: wholeNumber({
    doc: 'For the server to close its side after we have closed ours.',
    unit: 'ms',
    default: 2000,
    min: 100,
    max: 60_000,
  }),
  pingIntervalSeconds: seconds('How often the server is pinged on each connection.', 60, 3600),
  silenceSeconds: seconds(
    'A connection without any sign of life for so long after a ping is dead and is made anew.',
    30,
    3600,
  ),
  stableSeconds: seconds(
    'A connection that was up for so long was no failure: the waits begin anew.',
    10,
    3600,
  ),
  backOffSeconds: waits({
    doc: 'Waits after the first, second, ... failed connection in a row; the last one for all further ones. Each is varied by a fifth.',
    unit: 's',
    default: [0.5, 1, 2, 5, 10],
  }),
  refusedBackOffSeconds: waits({
    doc: 'The same after a wrong secret and an unknown domain, which only you can mend.',
    unit: 's',
    default: [30, 60, 120, 300],
  }),
  conflictBackOffMinSeconds: seconds(
    'When the server says that the component is connected already, it has not noticed the end of the old connection: the wait is a random time from this to conflictBackOffMaxSeconds.',
    5,
    3600,
  ),
  conflictBackOffMaxSeconds: seconds('See conflictBackOffMinSeconds.', 30, 3600),
  drainSeconds: wholeNumber({
    doc: 'At a stop, for the answers under way. In its second half nothing new is taken any more.',
    unit: 's',
    default: 10,
    min: 0,
    max: 600,
  }),
  httpEnabled: flag({
    doc: 'Serve /push_appserver on the listener for clients (http) as well.',
    default: true,
  }),
  httpDebug: flag({
    doc: 'Serve the pages for trying things out, /push_appserver/v1/settings among them, which shows devices with their tokens. Never in production.',
    default: false,
  }),
  httpRegistrationsPerMinute: perMinute(
    'Registrations and unregistrations over HTTP of one client address (IPv6: one /64).',
    60,
  ),
  httpPushesPerMinute: perMinute('Pushes over HTTP of one client address.', 600),
};
