import {
  choice,
  flag,
  host,
  peerPort,
  secretWords,
  serviceName,
  wholeNumber,
  words,
  xmppDomain,
  type OptionsOf,
} from './options.js';
import type { XmppComponentConfig, XmppTypeConfig } from './types-xmpp.js';

/** As written: what an entry takes from its name is null. */
type Written<Entry, Unnamed extends keyof Entry> = {
  readonly [Key in keyof Omit<Entry, 'name'>]: Key extends Unnamed ? Entry[Key] | null : Entry[Key];
};

/** The usual port. Source: spec xmpp-push, section 1. */
const COMPONENT_PORT = 5347;

export const componentSchema: OptionsOf<Written<XmppComponentConfig, 'domain'>> = {
  host: host({ doc: 'Where the XMPP server listens for components.', default: '127.0.0.1' }),
  port: peerPort({ doc: 'Its port.', default: COMPONENT_PORT }),
  domain: xmppDomain({
    doc: "The component's domain, as the server's configuration names it; null = the name of the entry.",
    default: null,
  }),
  secret: secretWords({
    doc: "The component's secret, as the server's configuration has it. file:PATH reads it from a file.",
    default: null,
  }),
  connections: wholeNumber({
    doc: 'Connections for this domain. Prosody takes one. ejabberd takes several and ends the registrations of users who get a message while there is none: 2 are right there.',
    unit: 'connections',
    default: 1,
    min: 1,
    max: 16,
  }),
  pingDomain: xmppDomain({
    doc: "Whom to ping, so that a dead connection is noticed; null = the domain above the component's (push.example.org: example.org).",
    default: null,
  }),
};

type Standard = Pick<Written<XmppTypeConfig, 'service'>, 'service' | 'priority' | 'collapse'>;

/** Source: spec xmpp-push, 10.1 and 11.1. */
const presets = {
  apns: { service: null, priority: 'auto', collapse: false },
  fcm: { service: 'firebase', priority: 'high', collapse: true },
} as const satisfies Record<string, Standard>;

/** Those that no original has: a device that was away for long needs one push, not all of them. */
const others: Standard = { service: null, priority: 'auto', collapse: true };

/** They are there though nobody mentions them. */
export const standardTypes = ['apns', 'fcm', 'webpush', 'unifiedpush', 'huawei', 'wns'] as const;

const hasPreset = (name: string): name is keyof typeof presets => Object.hasOwn(presets, name);

/** The options of one type. `name`: one of `standardTypes`, or any other for the operator's own. */
export function typeSchema(name: string): OptionsOf<Written<XmppTypeConfig, 'service'>> {
  const standard: Standard = hasPreset(name) ? presets[name] : others;
  return {
    enabled: flag({
      doc: 'Whether devices of this type may register, and are woken.',
      default: true,
    }),
    service: serviceName({
      doc: 'The notifier that wakes them; null = the one with the name of the type.',
      default: standard.service,
    }),
    priority: choice({
      doc: 'auto: with an alert when there is a message to show, else silently. high: always with an alert (firebase: high priority). silent: never. voip: as a call; needs a notifier of type apns.',
      default: standard.priority,
      values: ['auto', 'high', 'silent', 'voip'],
    }),
    ttlSeconds: wholeNumber({
      doc: 'How long the provider keeps a push for a device that is away; 0 = not at all.',
      unit: 's',
      default: 2_419_200,
      min: 0,
      max: 2_419_200,
    }),
    collapse: flag({
      doc: 'Whether a push that is not delivered yet is replaced by the next one of its urgency.',
      default: standard.collapse,
    }),
    mutableContent: flag({
      doc: "apns: let the app's notification service extension put the message in the place of the alert.",
      default: true,
    }),
    alertTitle: words({
      doc: 'Title of what the device shows (apns; wns with notificationType toast) until the app has fetched the message.',
      default: 'New Message',
    }),
    alertBody: words<string | null>({
      doc: 'The same: the text; null = the title is all.',
      default: 'New Message',
      nullable: true,
    }),
  };
}

export const typeKeys: readonly string[] = Object.keys(typeSchema(''));
