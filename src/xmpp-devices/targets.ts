import type { Device } from '../domain/device.js';
import { parseServiceName, type ServiceName } from '../domain/ids.js';
import type { PublishOutcome, PublishSummary, PublishTarget, TargetSource, Wake } from '../domain/publish.js';
import type { PushFate } from '../domain/push.js';
import { isNode } from './device-text.js';
import type { DeviceType } from './device-type.js';
import { keyText } from './device.js';
import type { KnownDevice, XmppDirectory } from './directory.js';
import type { XmppDeviceLimits } from './limits.js';
import { LookUps } from './look-ups.js';
import type { XmppRegistry } from './registry.js';
import { Wakes } from './wakes.js';

/**
 * Which devices only the server of their account may publish to: those of p2, as p2 has it; all whose account is known; none.
 * Source: spec xmpp-push, 3.4.
 */
export type DomainBinding = 'p2' | 'always' | 'never';

export interface XmppTargetsDeps {
  readonly directory: XmppDirectory;
  readonly registry: Pick<XmppRegistry, 'lookUp' | 'note'>;
  readonly types: ReadonlyMap<string, DeviceType>;
  readonly binding: DomainBinding;
  readonly limits: Pick<XmppDeviceLimits, 'lookUpNodes' | 'maxWaitingLookUps'>;
}

/** What stands behind the nodes of XMPP users' devices. */
export class XmppTargets implements TargetSource {
  readonly #sendings: ReadonlyMap<string, Sending>;
  readonly #lookUps: LookUps;

  constructor(private readonly deps: XmppTargetsDeps) {
    const { types, registry, limits } = deps;
    this.#sendings = new Map([...types].map(([name, type]) => [name, sendingOf(type)]));
    this.#lookUps = new LookUps((nodes) => registry.lookUp(nodes), {
      maxWaiting: limits.maxWaitingLookUps,
      maxAtOnce: limits.lookUpNodes,
    });
  }

  find(node: string): readonly PublishTarget[] {
    return this.deps.directory.find(node).map((device) => this.#targetOf(device));
  }

  /** Rejects also when too many wait. */
  async lookUp(node: string): Promise<readonly PublishTarget[]> {
    // Nobody can be registered there, and the database could not be asked.
    if (!isNode(node)) return [];
    await this.#lookUps.of(node);
    return this.find(node);
  }

  #targetOf(device: KnownDevice): PublishTarget {
    const { registry, binding } = this.deps;
    const isBound = binding === 'always' || (binding === 'p2' && device.key.kind === 'p2');
    const domain = isBound ? device.accountDomain : null;
    return new DeviceTarget(device, domain, this.#sendings.get(device.type) ?? unserved, registry);
  }
}

/** How devices of one type are woken. */
interface Sending {
  readonly service: ServiceName;
  /** False: nothing can be sent to them. */
  readonly isServed: boolean;
  readonly wakes: Wakes;
}

const sendingOf = (type: DeviceType): Sending => ({
  service: type.service,
  isServed: type.notifierType !== null,
  wakes: new Wakes(type),
});

/** Of a type that was set up when the device registered, and is no longer. */
const unserved = sendingOf({
  name: 'unserved',
  service: serviceNamed('unserved'),
  notifierType: null,
  priority: 'silent',
  lifetimeMs: 0,
  alertTitle: '',
  alertBody: null,
  mutableContent: false,
  collapse: false,
});

class DeviceTarget implements PublishTarget {
  readonly key: string;

  constructor(
    private readonly known: KnownDevice,
    readonly domain: string | null,
    private readonly sending: Sending,
    private readonly registry: Pick<XmppRegistry, 'note'>,
  ) {
    this.key = keyText(known.key);
  }

  get secretHash(): Buffer {
    return this.known.secretHash;
  }

  get service(): ServiceName {
    return this.sending.service;
  }

  get device(): Device | null {
    const { token: serviceId, serviceData } = this.known;
    return this.sending.isServed ? { serviceId, serviceData } : null;
  }

  compose(summary: PublishSummary): Wake {
    return this.sending.wakes.compose(this.known.key, summary);
  }

  /** That nobody sends for a type is our fault or the operator's, and no reason to end a registration. */
  whenGone(): PublishOutcome {
    return this.sending.isServed ? { kind: 'dead-token' } : { kind: 'failed', text: null };
  }

  note(fate: PushFate, nowMs: number): void {
    this.registry.note(this.known.key, fate, nowMs);
  }
}

function serviceNamed(text: string): ServiceName {
  const name = parseServiceName(text);
  if (name === null) throw new RangeError('not the name of a service');
  return name;
}
