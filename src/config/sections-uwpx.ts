import {
  bareJid,
  flag,
  host,
  path,
  peerPort,
  port,
  secretWords,
  serviceName,
  wholeNumber,
  xmppAddress,
  type Option,
  type OptionsOf,
} from './options.js';
import type { UwpxConfig } from './types-xmpp.js';

const DAY_SECONDS = 24 * 3600;

const count = (doc: string, unit: string, standard: number, max = 1_000_000): Option<number> =>
  wholeNumber({ doc, unit, default: standard, min: 1, max });

const milliseconds = (doc: string, standard: number, min = 100): Option<number> =>
  wholeNumber({ doc, unit: 'ms', default: standard, min, max: 600_000 });

export const uwpxSection: OptionsOf<UwpxConfig> = {
  enabled: flag({ doc: 'Whether this process serves UWPX clients.', default: false }),
  host: host({ doc: 'Address to listen on; :: is every one, IPv4 too.', default: '::' }),
  port: port({ doc: 'Port to listen on, with TLS. The clients have 1997 built in.', default: 1997 }),
  certificateFile: path<string | null>({
    doc: 'PEM file with the certificate for the host name that the clients have built in, and those of its issuers. A change of the file is noticed while the server runs.',
    default: null,
  }),
  keyFile: path<string | null>({
    doc: "PEM file with the certificate's key; null = it is in certificateFile.",
    default: null,
  }),
  service: serviceName<string>({ doc: 'The notifier that wakes them, of type wns.', default: 'wns' }),
  pushAddress: xmppAddress({
    doc: "What clients give their XMPP server to publish to (push_bare_jid); null = the domain of the first of xmpp.components, or else accountJid. Either must be ours: a component's domain, an address in one, or accountJid.",
    default: null,
  }),
  ttlSeconds: wholeNumber({
    doc: 'How long a push is kept for a device that is away.',
    unit: 's',
    default: 2_419_200,
    min: 0,
    max: 2_419_200,
  }),
  maxDevices: count('Devices at most; a further new one is refused.', 'devices', 1_000_000, 100_000_000),
  maxAccountsPerDevice: count(
    'Accounts of one device at most; for further ones the client switches push off.',
    'accounts',
    50,
    10_000,
  ),
  maxIdBytes: count('Longest id of a device or an account. UWPX uses 64.', 'bytes', 256, 1024),
  newDevicesBurst: count('New devices that one address (IPv6: one /64) may bring at once.', 'devices', 30),
  newDevicesPerHour: count('And in the long run.', 'devices/h', 60),
  messagesBurst: count('Messages that one address may send at once.', 'messages', 120),
  messagesPerMinute: count(
    'And in the long run. Of connections it may make twice as many.',
    'messages/min',
    120,
  ),
  testPushesBurst: count('Test pushes of one device at once.', 'pushes', 5),
  testPushesPerHour: count('And in the long run.', 'pushes/h', 30),
  maxSendersTracked: wholeNumber({
    doc: 'Addresses, and devices, that are counted for that; beyond this the longest unseen is forgotten. Addresses in http.rateLimitExempt are not counted.',
    unit: 'entries',
    default: 100_000,
    min: 100,
    max: 10_000_000,
  }),
  maxMessagesInProgress: count(
    'Messages that wait for the database or for WNS; further ones are refused.',
    'messages',
    1000,
    100_000,
  ),
  maxWaitingLookUps: count(
    'Publishes that wait for the database; the servers of further ones are told to come back later.',
    'publishes',
    10_000,
  ),
  answerTimeoutMs: milliseconds(
    'A message that is not done by then, because the database or WNS does not answer, has failed.',
    10_000,
  ),
  maxMessageBytes: wholeNumber({
    doc: 'Largest message; a larger one is refused and its connection closed.',
    unit: 'bytes',
    default: 65_536,
    min: 4096,
    max: 1_048_576,
  }),
  maxConnections: count(
    'Open connections at once; fewer where the limit of open files is too low for all.',
    'connections',
    4096,
  ),
  maxConnectionsPerAddress: count('And of one address.', 'connections', 64),
  maxHandshakes: count(
    'Connections whose TLS handshake is not done; a further one takes the place of the oldest.',
    'connections',
    512,
    100_000,
  ),
  handshakeTimeoutMs: milliseconds('From the connection to the end of its TLS handshake.', 10_000),
  idleTimeoutMs: milliseconds(
    'From the handshake, or an answer, to the end of the next message; then the connection is closed.',
    30_000,
  ),
  quietMs: milliseconds(
    'A message that is whole but for the NUL at its end is taken after so long a silence.',
    1000,
    10,
  ),
  writeTimeoutMs: milliseconds('For the client to take an answer.', 10_000),
  maxFaults: count('Refused messages in a row; then the connection is closed.', 'messages', 10, 10_000),
  certificateCheckSeconds: wholeNumber({
    doc: 'How often certificateFile and keyFile are looked at for a change.',
    unit: 's',
    default: 60,
    min: 1,
    max: DAY_SECONDS,
  }),
  ticketLifetimeHours: wholeNumber({
    doc: 'How long a client may come back without a full TLS handshake.',
    unit: 'h',
    default: 24,
    min: 1,
    max: 168,
  }),
  drainMs: wholeNumber({
    doc: 'At a stop, for messages that are being answered.',
    unit: 'ms',
    default: 3000,
    min: 0,
    max: 60_000,
  }),
  outdatedDays: wholeNumber({
    doc: 'A device that gave no sign of life for so long (a message, a push that was delivered) is removed, with its accounts.',
    unit: 'days',
    default: 210,
    min: 1,
    max: 3650,
  }),
  lostChannelGraceDays: wholeNumber({
    doc: 'A device whose channel WNS called dead is removed after so long; when it comes back before, it keeps its accounts.',
    unit: 'days',
    default: 7,
    min: 1,
    max: 365,
  }),
  cleanUpSeconds: wholeNumber({
    doc: 'How often such devices are removed.',
    unit: 's',
    default: 3600,
    min: 1,
    max: DAY_SECONDS,
  }),
  accountJid: bareJid({
    doc: "An account at an XMPP server to which clients of the original server still publish (its xmpp.bareJid): it is logged in and answers for them, until their account lists have changed. New clients are told a component's address.",
    default: null,
  }),
  accountPassword: secretWords({
    doc: 'Its password. file:PATH reads it from a file.',
    default: null,
  }),
  accountHost: host<string | null>({
    doc: "Its server; null = what DNS says of the account's domain, or else that domain itself.",
    default: null,
  }),
  accountPort: peerPort({
    doc: "The server's port for clients; not used where DNS names one.",
    default: 5222,
  }),
  accountCaFile: path<string | null>({
    doc: "PEM file with trust anchors for that server. Its certificate is checked for the account's domain.",
    default: null,
  }),
  accountPlainOnLoopback: flag({
    doc: 'Log in without TLS, to a server on this machine (accountHost 127.0.0.1, ::1 or localhost) and to no other.',
    default: false,
  }),
};
