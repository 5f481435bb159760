import type { UndeleteReport } from '../actors/undelete.js';
import type { DeletedLegacyDevices } from '../legacy/deleted-devices.js';
import type { DeletedXmppDevices } from '../xmpp-devices/deleted-devices.js';

/** What can be brought back. */
export interface Deleted {
  /** Subscriptions. */
  readonly services: ReadonlyMap<string, number>;
  readonly legacy: readonly DeletedLegacyDevices[];
  readonly xmpp: readonly DeletedXmppDevices[];
}

/** In lines for standard output. */
export function describeDeleted({ services, legacy, xmpp }: Deleted): string[] {
  const lines = [
    ...[...services].sort().map(([service, count]) => `${service} ${count}`),
    ...legacy.map(
      ({ brand, service, devices }) => `${service} ${devices} devices of older clients (${brand})`,
    ),
    ...xmpp.map(({ service, devices }) => `${service} ${devices} devices of XMPP users`),
  ];
  return lines.length === 0
    ? ['no subscriptions of dead devices, and no dead devices of older clients or XMPP users']
    : lines;
}

/** What came back, or with `dryRun` would; in lines for standard output. */
export function describeReport(report: UndeleteReport, dryRun: boolean): string[] {
  const { restored, skipped, legacyRestored, xmppRestored } = report;
  const verb = dryRun ? 'would restore' : 'restored';
  const done = `${verb} ${restored} subscriptions`;
  const lines = [
    skipped === 0
      ? done
      : `${done}; left out ${skipped} whose signature has run out or that have subscribed anew`,
  ];
  if (legacyRestored > 0) lines.push(`${verb} ${legacyRestored} devices of older clients`);
  if (xmppRestored > 0) lines.push(`${verb} ${xmppRestored} devices of XMPP users`);
  return lines;
}

/** Of the server's answer. An older server says nothing of older clients and XMPP users. Null: it is none. */
export function reportIn(body: Readonly<Record<string, unknown>>): UndeleteReport | null {
  const { restored, skipped, legacyRestored = 0, xmppRestored = 0 } = body;
  return typeof restored === 'number' &&
    typeof skipped === 'number' &&
    typeof legacyRestored === 'number' &&
    typeof xmppRestored === 'number'
    ? { restored, skipped, legacyRestored, xmppRestored }
    : null;
}

/** As `reportIn`. */
export function deletedIn(body: Readonly<Record<string, unknown>>): Deleted | null {
  const { services, legacy = [], xmpp = [] } = body;
  if (typeof services !== 'object' || services === null) return null;
  const counts = new Map<string, number>();
  for (const [service, count] of Object.entries(services)) {
    if (typeof count !== 'number') return null;
    counts.set(service, count);
  }
  return isListOf(isLegacyCount, legacy) && isListOf(isXmppCount, xmpp)
    ? { services: counts, legacy, xmpp }
    : null;
}

const isListOf = <Item>(isItem: (value: unknown) => value is Item, value: unknown): value is Item[] =>
  Array.isArray(value) && value.every(isItem);

function isXmppCount(value: unknown): value is DeletedXmppDevices {
  if (typeof value !== 'object' || value === null) return false;
  const { service, devices } = value as Record<string, unknown>;
  return typeof service === 'string' && typeof devices === 'number';
}

const isLegacyCount = (value: unknown): value is DeletedLegacyDevices =>
  isXmppCount(value) && 'brand' in value && typeof value.brand === 'string';
