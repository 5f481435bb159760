import { afterAll, describe, expect, it } from 'vitest';
import { describeConfig } from '../../../src/config/describe.js';
import type { Config } from '../../../src/config/types.js';
import { createTestDirectory, loadGood, problemsOf } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

let files = 0;
const file = (text: string): string => directory.write(`${(files += 1)}.yaml`, text);
const loadText = (text: string, more: Parameters<typeof loadGood>[0] = {}): Config =>
  loadGood({ file: file(text), ...more });
const keysOf = (text: string, argv: readonly string[] = []) =>
  problemsOf({ file: file(text), argv }).map(({ key }) => key);

describe('components', () => {
  it('are none, and nothing is served, until somebody says so', () => {
    expect(loadGood().xmpp).toMatchObject({ enabled: false, components: {} });
    expect(loadGood().uwpx.enabled).toBe(false);
  });

  it('have the name of their domain, or any other with a domain', () => {
    const text = `xmpp:
  enabled: true
  components:
    Push.Example.org: { secret: a }
    ejabberd: { domain: Push.Example.COM, host: 10.0.0.1, port: 5348, secret: b, connections: 2, pingDomain: Example.com }
`;
    const { components } = loadText(text).xmpp;
    expect(components).toMatchObject({
      'Push.Example.org': { domain: 'push.example.org', host: '127.0.0.1', port: 5347, connections: 1 },
      ejabberd: { domain: 'push.example.com', host: '10.0.0.1', port: 5348, pingDomain: 'example.com' },
    });
    expect(Object.keys(components)).toEqual(['Push.Example.org', 'ejabberd']);
    expect(components['ejabberd']?.secret?.reveal()).toBe('b');
  });

  it('are found by the environment though their name has dots, and by flags', () => {
    const text =
      'xmpp: { enabled: true, components: { push.example.org: , b: { domain: b.example.org } } }\n';
    const env = {
      WAGGLE_XMPP__COMPONENTS__PUSH_EXAMPLE_ORG__SECRET: 's3cret',
      WAGGLE_XMPP__COMPONENTS__PUSH_EXAMPLE_ORG__HOST: '10.0.0.1',
    };
    const argv = ['--xmpp.components.push.example.org.host=10.0.0.2', '--xmpp.components.b.secret=t'];
    const { components } = loadText(text, { env, argv }).xmpp;
    expect(Object.keys(components)).toEqual(['push.example.org', 'b']);
    expect(components['push.example.org']).toMatchObject({ domain: 'push.example.org', host: '10.0.0.2' });
    expect(components['push.example.org']?.secret?.reveal()).toBe('s3cret');
    expect(components['b']?.secret?.reveal()).toBe('t');
  });

  it('can be made of environment variables alone', () => {
    const env = {
      WAGGLE_XMPP__ENABLED: 'true',
      WAGGLE_XMPP__COMPONENTS__MAIN__DOMAIN: 'push.example.org',
      WAGGLE_XMPP__COMPONENTS__MAIN__SECRET: 's3cret',
    };
    expect(loadGood({ env }).xmpp.components).toMatchObject({ main: { domain: 'push.example.org' } });
  });

  it('read their secret from a file, remember which, and never show it', () => {
    const path = directory.write('secret', 's3cret\n');
    const config = loadText(
      'xmpp: { enabled: true, components: { push.example.org: { secret: "file:secret" } } }\nuwpx: { accountPassword: pa55word }\n',
    );
    const secret = config.xmpp.components['push.example.org']?.secret;
    expect(secret?.reveal()).toBe('s3cret');
    expect(secret?.file).toBe(path);
    expect(config.uwpx.accountPassword?.file).toBeNull();
    const shown = describeConfig(config) + JSON.stringify(config);
    expect(shown).not.toMatch(/s3cret|pa55word/);
  });

  it('must be complete once they are used', () => {
    const entry = 'components: { prosody: { host: 127.0.0.1 } }';
    expect(keysOf(`xmpp: { enabled: true, ${entry} }\n`)).toEqual([
      'xmpp.components.prosody.domain',
      'xmpp.components.prosody.secret',
    ]);
    expect(keysOf(`xmpp: { ${entry} }\n`)).toEqual([]);
  });

  it('must not be the same domain at the same server twice', () => {
    const both = (second: string) =>
      `xmpp: { enabled: true, components: { push.example.org: { secret: a }, b: { secret: a, ${second} } } }\n`;
    expect(keysOf(both('domain: PUSH.example.org'))).toEqual(['xmpp.components.b.domain']);
    expect(keysOf(both('domain: push.example.org, host: 127.0.0.2'))).toEqual([]);
    expect(keysOf(both('domain: push.example.org, port: 5348'))).toEqual([]);
  });

  it('name the nearest option for one that there is not, in the spelling of its place', () => {
    const text = 'xmpp: { components: { push.example.org: { secrt: a } } }\n';
    const env = { WAGGLE_XMPP__COMPONENTS__PUSH_EXAMPLE_ORG__HOTS: 'b' };
    expect(problemsOf({ file: file(text), env }).map(({ message }) => message)).toEqual([
      'unknown option; the nearest is xmpp.components.push.example.org.secret',
      'unknown option; the nearest is xmpp.components.push.example.org.host (WAGGLE_XMPP__COMPONENTS__PUSH_EXAMPLE_ORG__HOST)',
    ]);
    expect(problemsOf({ argv: ['--xmpp.component.a.host=x'] })[0]?.message).toContain('xmpp.components.');
    expect(problemsOf({ argv: ['--xmpp.rateLimitSecond=x'] })[0]?.message).toContain('xmpp.rateLimitSeconds');
  });

  it.each([
    ['xmpp: 5', 'xmpp'],
    ['xmpp: { components: 5 }', 'xmpp.components'],
    ['xmpp: { components: { a.b: 5 } }', 'xmpp.components.a.b'],
    ['xmpp: { components: { "a b": { port: 1 } } }', 'xmpp.components.a b.port'],
    ['xmpp: { components: { "17": { port: 1 } } }', 'xmpp.components.17.port'],
    ['xmpp: { components: { a.b: { port: 0 } } }', 'xmpp.components.a.b.port'],
    ['xmpp: { components: { a.b: { domain: "a@b" } } }', 'xmpp.components.a.b.domain'],
    ['xmpp: { components: { a.b: { domain: "a..b" } } }', 'xmpp.components.a.b.domain'],
    ['xmpp: { components: { a.b: { secret: { x: y } } } }', 'xmpp.components.a.b.secret'],
    ['xmpp: { components: { a.b: { port: 1 }, A-b: { port: 2 } } }', 'xmpp.components.A-b'],
    ['xmpp: { enabled: { a: { b: { c: d } } } }', 'xmpp.enabled.a'],
  ])('%s is refused', (text, key) => {
    expect(keysOf(`${text}\n`)[0]).toBe(key);
  });
});

describe('types of devices', () => {
  const preset = {
    enabled: true,
    ttlSeconds: 2_419_200,
    mutableContent: true,
    alertTitle: 'New Message',
    alertBody: 'New Message',
  };

  it('are there without being mentioned', () => {
    const { types } = loadGood().xmpp;
    expect(types['apns']).toEqual({
      ...preset,
      name: 'apns',
      service: 'apns',
      priority: 'auto',
      collapse: false,
    });
    expect(types['fcm']).toEqual({
      ...preset,
      name: 'fcm',
      service: 'firebase',
      priority: 'high',
      collapse: true,
    });
    for (const name of ['webpush', 'unifiedpush', 'huawei', 'wns']) {
      expect(types[name]).toEqual({ ...preset, name, service: name, priority: 'auto', collapse: true });
    }
    expect(Object.keys(types)).toEqual(['apns', 'fcm', 'webpush', 'unifiedpush', 'huawei', 'wns']);
  });

  it('can be switched off and changed, and there may be others', () => {
    const text =
      'xmpp: { types: { huawei: { enabled: false }, Calls: { service: apns, priority: voip, alertBody: ~ } } }\n';
    const env = {
      WAGGLE_XMPP__TYPES__FCM__TTL_SECONDS: '60',
      WAGGLE_XMPP__TYPES__CALLS__ALERT_TITLE: 'Ring',
    };
    const { types } = loadText(text, { env, argv: ['--xmpp.types.apns.service=xmpp-apns'] }).xmpp;
    expect(types).toMatchObject({
      apns: { service: 'xmpp-apns' },
      fcm: { ttlSeconds: 60, priority: 'high' },
      huawei: { enabled: false },
      Calls: { service: 'apns', priority: 'voip', alertTitle: 'Ring', alertBody: null },
    });
  });

  it.each([
    ['{ "5": { priority: high } }', 'xmpp.types.5.priority'],
    ['{ apns: { priority: loud } }', 'xmpp.types.apns.priority'],
    ['{ apns: { service: "a b" } }', 'xmpp.types.apns.service'],
    ['{ apns: { ttlSeconds: 2419201 } }', 'xmpp.types.apns.ttlSeconds'],
    ['{ apns: { alertTitle: ~ } }', 'xmpp.types.apns.alertTitle'],
    ['{ Apns: { priority: high } }', 'xmpp.types.Apns'],
  ])('%s is refused', (text, key) => {
    expect(keysOf(`xmpp: { types: ${text} }\n`)).toEqual([key]);
  });

  it('ring at Apple only', () => {
    const text = (service: string) =>
      `xmpp: { enabled: true, types: { calls: { service: ${service}, priority: voip } } }\nnotifiers: { apns: , firebase: , dummy: }\n`;
    expect(keysOf(text('firebase'))).toEqual(['xmpp.types.calls.priority']);
    for (const service of ['apns', 'dummy', 'nothing']) expect(keysOf(text(service))).toEqual([]);
  });
});

describe('numbers about XMPP', () => {
  it.each([
    ['0', 0],
    ['0.25', 0.25],
    ['5', 5],
  ])('the rate limit may be %s s', (text, rateLimitSeconds) => {
    const env = { WAGGLE_XMPP__RATE_LIMIT_SECONDS: text };
    expect(loadGood({ env }).xmpp).toMatchObject({ rateLimitSeconds });
    expect(loadText(`xmpp: { rateLimitSeconds: ${text} }\n`).xmpp).toMatchObject({ rateLimitSeconds });
  });

  it.each(['-1', '3601', '1e3', '1.', '.5', '1.5.5', 'NaN', '""'])('%s s is no rate limit', (text) => {
    expect(keysOf('', [`--xmpp.rateLimitSeconds=${text}`])).toEqual(['xmpp.rateLimitSeconds']);
  });

  it('waits are a list of seconds, in the environment too', () => {
    const env = { WAGGLE_XMPP__BACK_OFF_SECONDS: '0.1, 2' };
    const { xmpp } = loadText('xmpp: { refusedBackOffSeconds: [60, 90.5] }\n', { env });
    expect(xmpp).toMatchObject({ backOffSeconds: [0.1, 2], refusedBackOffSeconds: [60, 90.5] });
  });

  it.each(['', '0', '3601', 'a', '1,,a'])('%j are no waits', (text) => {
    expect(keysOf('', [`--xmpp.backOffSeconds=${text}`])).toEqual(['xmpp.backOffSeconds']);
  });

  it.each([
    ['waits after a conflict that cross', '{ conflictBackOffMinSeconds: 31 }', 'conflictBackOffMinSeconds'],
    [
      'a write that outlasts its answer',
      '{ writePatienceMs: 6000, answerTimeoutSeconds: 5 }',
      'writePatienceMs',
    ],
    ['an answer that ejabberd does not wait for', '{ answerTimeoutSeconds: 29 }', 'answerTimeoutSeconds'],
  ])('%s are refused', (_, text, key) => {
    expect(keysOf(`xmpp: ${text}\n`)).toEqual([`xmpp.${key}`]);
  });
});

describe('UWPX', () => {
  const component = 'xmpp: { enabled: true, components: { push.example.org: { secret: s } } }';
  const notifier = 'notifiers: { wns: }';
  const uwpx = (options: string) => `uwpx: { enabled: true, certificateFile: c.pem${options} }`;
  const text = (...parts: readonly string[]) => `${parts.join('\n')}\n`;

  it('has certificate and key in one file, or in two', () => {
    const keyFileOf = (options: string) => loadText(text(uwpx(options), component, notifier)).uwpx.keyFile;
    expect(keyFileOf('')).toBe(`${directory.path}/c.pem`);
    expect(keyFileOf(', keyFile: k.pem')).toBe(`${directory.path}/k.pem`);
  });

  it('may do with an account in place of a component', () => {
    const account = ', accountJid: Push@Example.org, accountPassword: pa55word';
    const config = loadText(text(uwpx(account), notifier));
    expect(config.uwpx).toMatchObject({
      accountJid: 'push@example.org',
      accountHost: null,
      accountPort: 5222,
    });
    expect(config.uwpx.accountPassword?.reveal()).toBe('pa55word');
  });

  it.each([
    ['no certificate', ['uwpx: { enabled: true }', component, notifier], 'uwpx.certificateFile'],
    ['no notifier', [uwpx(''), component], 'uwpx.service'],
    [
      'a notifier of another type',
      [uwpx(', service: apns'), component, 'notifiers: { apns: }'],
      'uwpx.service',
    ],
    ['nowhere to publish to', [uwpx(''), notifier], 'uwpx.enabled'],
    [
      'a component that is not connected',
      [uwpx(''), component.replace('true', 'false'), notifier],
      'uwpx.enabled',
    ],
    ['an account without password', [uwpx(', accountJid: a@b.org'), notifier], 'uwpx.accountPassword'],
    ['no account', [uwpx(', accountJid: b.org, accountPassword: x'), component, notifier], 'uwpx.accountJid'],
    [
      'an account without TLS elsewhere',
      [
        uwpx(', accountJid: a@b.org, accountPassword: x, accountPlainOnLoopback: true, accountHost: b.org'),
        notifier,
      ],
      'uwpx.accountPlainOnLoopback',
    ],
    ['no address', [uwpx(', pushAddress: "a@b@c"'), component, notifier], 'uwpx.pushAddress'],
    ['a resource', [uwpx(', pushAddress: "a@b.org/c"'), component, notifier], 'uwpx.pushAddress'],
  ])('with %s is refused', (_, parts, key) => {
    expect(keysOf(text(...parts))).toEqual([key]);
  });

  it('is not blamed for what is wrong elsewhere', () => {
    const wrong = 'xmpp: { enabled: true, components: { push.example.org: { secret: s, port: 0 } } }';
    expect(keysOf(text(uwpx(''), wrong, notifier))).toEqual(['xmpp.components.push.example.org.port']);
    expect(keysOf(text(uwpx(''), component, 'notifiers: { wns: { cache: 5 } }'))).toEqual([
      'notifiers.wns.cache',
    ]);
  });

  it('asks for nothing while it is not enabled', () => {
    expect(keysOf('uwpx: { accountJid: a@b.org }\n')).toEqual([]);
  });
});
