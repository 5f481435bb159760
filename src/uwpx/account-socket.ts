import { resolveSrv as resolveSrvOfNode } from 'node:dns/promises';
import type { SrvRecord } from 'node:dns';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { xml, type LibraryElement, type ParserClass } from '@xmpp/client';
import { fail, ok, type Result } from '../domain/result.js';
import { codeOf, type AccountEnd } from './account-end.js';
import { ns } from './account-namespaces.js';
import { domainOf, type AccountEntry } from './account-options.js';

export interface SocketTools {
  readonly Parser: ParserClass;
  /** Rejects when there is nothing. */
  readonly resolveSrv: (name: string) => Promise<readonly SrvRecord[]>;
}

export const resolveSrv = resolveSrvOfNode;

type Opened = Result<Socket, AccountEnd>;
interface Address {
  readonly host: string;
  readonly port: number;
}

/** A header and a few features. */
const DIALOGUE_MAX_CHARS = 65_536;
const MAX_ADDRESSES = 4;

/**
 * A connection that a password may go over: TCP, then TLS by STARTTLS with the server's certificate checked against the
 * domain of the account, or else to this very machine. The library would go on without TLS when none is offered, and
 * knows no trust anchors. Source: RFC 6120, 5.4 and 13.7.1. Never rejects; aborting ends it (`stopped`).
 */
export async function openAccountSocket(
  entry: AccountEntry,
  tools: SocketTools,
  signal: AbortSignal,
): Promise<Opened> {
  let last: Opened = fail({ kind: 'unreachable', code: 'ENOTFOUND' });
  for (const address of await addressesOf(entry, tools)) {
    if (signal.aborted) return fail({ kind: 'stopped' });
    last = await connected(address, signal);
    if (last.ok) break;
  }
  if (!last.ok) return last;
  const socket = last.value;
  if (!entry.plainOnLoopback) return secured(socket, entry, tools.Parser, signal);
  if (isLoopback(socket.remoteAddress)) return ok(socket);
  socket.destroy();
  return fail({ kind: 'insecure' });
}

/** Source: RFC 6120, 3.2.1. */
async function addressesOf(
  { host, jid, port }: AccountEntry,
  { resolveSrv: resolve }: SocketTools,
): Promise<Address[]> {
  if (host !== null) return [{ host, port }];
  const domain = domainOf(jid);
  const itself = [{ host: domain, port }];
  if (isIP(domain) !== 0) return itself;
  try {
    const records = await resolve(`_xmpp-client._tcp.${domain}`);
    const sorted = records.toSorted((a, b) => a.priority - b.priority || b.weight - a.weight);
    const named = sorted.slice(0, MAX_ADDRESSES).map((record) => ({ host: record.name, port: record.port }));
    return named.length === 0 ? itself : named;
  } catch {
    return itself;
  }
}

function connected(address: Address, signal: AbortSignal): Promise<Opened> {
  const socket = connectTcp(address);
  socket.setNoDelay(true);
  return settled(socket, signal, (settle) => {
    socket.once('connect', () => settle(ok(socket)));
    socket.once('error', (error) => settle(fail({ kind: 'unreachable', code: codeOf(error) ?? 'unknown' })));
  });
}

export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(?:::1|(?:::ffff:)?127\.\d+\.\d+\.\d+)$/.test(address);
}

async function secured(
  socket: Socket,
  entry: AccountEntry,
  Parser: ParserClass,
  signal: AbortSignal,
): Promise<Opened> {
  const domain = domainOf(entry.jid);
  const ready = await startedTls(socket, domain, Parser, signal);
  if (!ready.ok) return ready;
  const name = isIP(domain) === 0 ? { servername: domain } : {};
  const tls: TLSSocket = connectTls({
    ...name,
    socket,
    host: domain,
    ca: entry.trustAnchors?.slice(),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  });
  const opened = await settled(tls, signal, (settle) => {
    tls.once('secureConnect', () => settle(ok(tls)));
    tls.once('error', (error) => settle(fail({ kind: 'tls-failed', code: codeOf(error) ?? 'unknown' })));
    tls.once('close', () => settle(fail({ kind: 'tls-failed', code: 'closed' })));
  });
  if (!opened.ok) socket.destroy();
  return opened;
}

/**
 * Asks for TLS. What comes in the packet of the server's consent is thrown away with the parser: somebody on the way may
 * have put it there.
 */
function startedTls(
  socket: Socket,
  domain: string,
  Parser: ParserClass,
  signal: AbortSignal,
): Promise<Opened> {
  return settled(socket, signal, (settle) => {
    const refuse = (end: AccountEnd): void => settle(fail(end));
    const parser = new Parser();
    let chars = 0;
    parser.on('element', (element: LibraryElement) => {
      if (element.is('proceed', ns.tls)) {
        socket.removeAllListeners('data');
        // Whatever follows is for TLS.
        socket.pause();
        settle(ok(socket));
      } else if (element.getChild('starttls', ns.tls) === undefined) refuse({ kind: 'insecure' });
      else socket.write(xml('starttls', { xmlns: ns.tls }).toString());
    });
    parser.on('error', () => refuse({ kind: 'bad-xml' }));
    parser.on('end', () => refuse({ kind: 'closed-by-server' }));
    socket.on('data', (bytes: Buffer) => {
      chars += bytes.length;
      try {
        if (chars <= DIALOGUE_MAX_CHARS) parser.write(bytes.toString('latin1'));
        else refuse({ kind: 'bad-xml' });
      } catch {
        refuse({ kind: 'bad-xml' });
      }
    });
    socket.once('close', () => refuse({ kind: 'closed-by-server' }));
    socket.write(streamHeader(domain));
  });
}

const streamHeader = (domain: string): string =>
  "<?xml version='1.0'?>" +
  xml('stream:stream', { to: domain, version: '1.0', xmlns: ns.client, 'xmlns:stream': ns.stream })
    .toString()
    .replace(/\/>$/, '>');

/** The first thing that settles it counts; a socket that did not get through is destroyed. */
function settled(
  socket: Socket,
  signal: AbortSignal,
  listen: (settle: (opened: Opened) => void) => void,
): Promise<Opened> {
  return new Promise((resolve) => {
    let isSettled = false;
    const settle = (opened: Opened): void => {
      if (isSettled) return;
      isSettled = true;
      signal.removeEventListener('abort', onAbort);
      if (!opened.ok) socket.destroy();
      resolve(opened);
    };
    const onAbort = (): void => settle(fail({ kind: 'stopped' }));
    // One that stays: an error after the end of all this must find somebody.
    socket.on('error', () => undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    listen(settle);
    if (signal.aborted) onAbort();
  });
}
