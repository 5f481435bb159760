import { afterAll, describe, expect, it } from 'vitest';
import { apnsCredentials, notifierReadiness } from '../../../src/config/notifier-credentials.js';
import { notifierTypes } from '../../../src/config/notifier-schema.js';
import type { ApnsNotifierConfig, Config } from '../../../src/config/types.js';
import { createTestDirectory, loadGood, problemsOf } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

function entryOf(config: Config, name: string) {
  const entry = config.notifiers[name];
  if (entry === undefined) throw new Error(`no entry ${name}`);
  return entry;
}

function apns(argv: readonly string[]): ApnsNotifierConfig {
  const entry = entryOf(loadGood({ argv: ['--notifiers.apns.type=apns', ...argv] }), 'apns');
  if (entry.type !== 'apns') throw new Error('not apns');
  return entry;
}

describe('notifier entries', () => {
  it('can be made of environment variables alone; the type may be that of the name', () => {
    const env = {
      WAGGLE_NOTIFIERS__APNS__KEY_FILE: '/k.p8',
      WAGGLE_NOTIFIERS__APNS_SANDBOX__TYPE: 'apns',
      WAGGLE_NOTIFIERS__APNS_SANDBOX__SANDBOX: 'true',
    };
    expect(loadGood({ env }).notifiers).toMatchObject({
      apns: { type: 'apns', name: 'apns', keyFile: '/k.p8', sandbox: false },
      'apns-sandbox': { type: 'apns', name: 'apns-sandbox', sandbox: true },
    });
  });

  it('are found by the environment whatever the case, - and _ of their name', () => {
    const file = directory.write('case.yaml', 'notifiers:\n  My_Apns: { type: apns, topic: a }\n');
    const { notifiers } = loadGood({ file, env: { WAGGLE_NOTIFIERS__MY_APNS__TOPIC: 'b' } });
    expect(notifiers).toMatchObject({ My_Apns: { topic: 'b' } });
    expect(Object.keys(notifiers)).toEqual(['My_Apns']);
  });

  it('must not differ only in case, - and _', () => {
    const file = directory.write(
      'twice.yaml',
      'notifiers:\n  my-apns: { type: apns }\n  my_apns: { type: apns }\n',
    );
    expect(problemsOf({ file })[0]?.message).toContain('notifiers.my-apns');
  });

  it('are checked by the schema of their type', () => {
    const argv = ['--notifiers.firebase.keyId=x', '--notifiers.apns.topc=x'];
    expect(problemsOf({ argv }).map(({ key, message }) => `${key}: ${message}`)).toEqual([
      expect.stringMatching(
        /^notifiers\.firebase\.keyId: unknown option; the nearest is notifiers\.firebase\./,
      ),
      'notifiers.apns.topc: unknown option; the nearest is notifiers.apns.topic',
    ]);
  });

  it('of an unknown type are refused with the types that there are', () => {
    const [problem] = problemsOf({ argv: ['--notifiers.x.type=firebse'] });
    expect(problem).toMatchObject({ key: 'notifiers.x.type', origin: 'flag --notifiers.x.type' });
    expect(problem?.message).toContain(
      'apns, firebase, huawei, wns, webpush, unifiedpush, dummy; the nearest is firebase',
    );
  });

  it('need a type unless their name is one', () => {
    const [problem] = problemsOf({ argv: ['--notifiers.phones.topic=x'] });
    expect(problem).toMatchObject({ key: 'notifiers.phones.type' });
  });

  it('need a plain name', () => {
    const file = directory.write(
      'name.yaml',
      `notifiers:\n  "a b": { type: apns }\n  ${'x'.repeat(33)}: { type: apns }\n`,
    );
    expect(problemsOf({ file })).toHaveLength(2);
  });

  it('use delivery.maxInFlight unless they say otherwise', () => {
    const argv = [
      '--delivery.maxInFlight=77',
      '--notifiers.apns.topic=a',
      '--notifiers.firebase.maxInFlight=5',
    ];
    expect(loadGood({ argv }).notifiers).toMatchObject({
      apns: { maxInFlight: 77 },
      firebase: { maxInFlight: 5 },
    });
  });

  it.each(['https://127.0.0.1:2197', 'https://[::1]:1', 'https://push.example'])(
    'take the endpoint %s',
    (endpoint) => {
      expect(apns([`--notifiers.apns.endpoint=${endpoint}`]).endpoint).toBe(endpoint);
    },
  );

  it.each([
    'http://h:1',
    'https://h:1/path',
    'https://user:pass@h:1',
    'h:1',
    'https://h:1#x',
    'https://h:1?x=1',
  ])('refuse the endpoint %s without repeating it', (endpoint) => {
    const problems = problemsOf({ argv: [`--notifiers.apns.endpoint=${endpoint}`] });
    expect(problems).toHaveLength(1);
    expect(JSON.stringify(problems)).not.toContain(endpoint);
  });
});

describe('lists in an entry', () => {
  const endpoints = {
    vapidKeyFiles: ['/a.key', '/b.key'],
    allowNetworks: ['10.0.0.0/8', 'fd00::/8'],
    ports: [443, 8443],
  };

  it('are split at commas where they are text', () => {
    const env = {
      WAGGLE_NOTIFIERS__WEBPUSH__VAPID_KEY_FILES: '/a.key, /b.key',
      WAGGLE_NOTIFIERS__WEBPUSH__ALLOW_NETWORKS: '10.0.0.0/8,fd00::/8',
      WAGGLE_NOTIFIERS__WEBPUSH__PORTS: '443, 8443',
    };
    expect(loadGood({ env }).notifiers['webpush']).toMatchObject(endpoints);
  });

  it('are lists in YAML, or a single item', () => {
    const file = directory.write(
      'lists.yaml',
      'notifiers:\n  webpush: { vapidKeyFiles: [/a.key, /b.key], allowNetworks: [10.0.0.0/8, "fd00::/8"], ports: [443, 8443] }\n  unifiedpush: { ports: 8443, vapidKeyFiles: v.key }\n',
    );
    const { notifiers } = loadGood({ file });
    expect(notifiers['webpush']).toMatchObject(endpoints);
    expect(notifiers['unifiedpush']).toMatchObject({
      ports: [8443],
      vapidKeyFiles: [`${directory.path}/v.key`],
    });
  });

  it('may be empty', () => {
    const env = {
      WAGGLE_NOTIFIERS__UNIFIEDPUSH__PORTS: '',
      WAGGLE_NOTIFIERS__UNIFIEDPUSH__ALLOW_NETWORKS: '',
    };
    expect(loadGood({ env }).notifiers['unifiedpush']).toMatchObject({ ports: [], allowNetworks: [] });
  });

  it.each([
    ['ports', '0'],
    ['ports', '65536'],
    ['ports', '443,x'],
    ['ports', '443,,8443.5'],
    ['ports', Array(101).fill('1').join(',')],
    ['allowNetworks', '10.0.0.0/33'],
    ['allowNetworks', 'push.example'],
  ])('refuse %s of %s', (key, text) => {
    expect(problemsOf({ argv: [`--notifiers.webpush.${key}=${text}`] })).toMatchObject([
      { key: `notifiers.webpush.${key}` },
    ]);
  });

  it.each(['ports: ["443"]', 'ports: [~]', 'ports: [[443]]', 'ports: "443"', 'ports: true', 'ports: ~'])(
    'refuse %s in YAML',
    (text) => {
      const file = directory.write('bad-list.yaml', `notifiers: { webpush: { ${text} } }\n`);
      expect(problemsOf({ file })).toMatchObject([{ key: 'notifiers.webpush.ports' }]);
    },
  );
});

describe('the subject', () => {
  it.each(['mailto:push@example.org', 'https://example.org/contact'])('may be %s', (subject) => {
    expect(loadGood({ argv: [`--notifiers.webpush.subject=${subject}`] }).notifiers['webpush']).toMatchObject(
      {
        subject,
      },
    );
  });

  it.each([
    'push@example.org',
    'mailto: push@example.org',
    'mailto:<push@example.org>',
    'http://example.org',
  ])('may not be %s', (subject) => {
    expect(problemsOf({ argv: [`--notifiers.webpush.subject=${subject}`] })).toMatchObject([
      { key: 'notifiers.webpush.subject' },
    ]);
  });
});

describe('pacing', () => {
  it.each(notifierTypes)('can be asked of type %s and is off by default', (type) => {
    expect(loadGood({ argv: [`--notifiers.x.type=${type}`] }).notifiers['x']).toMatchObject({
      paceSeconds: 0,
    });
    const env = { WAGGLE_NOTIFIERS__X__TYPE: type, WAGGLE_NOTIFIERS__X__PACE_SECONDS: '30' };
    expect(loadGood({ env }).notifiers['x']).toMatchObject({ paceSeconds: 30 });
  });
});

describe('credentials', () => {
  it('are a certificate with its key, in one file or two', () => {
    expect(apnsCredentials(apns(['--notifiers.apns.certFile=/c', '--notifiers.apns.keyFile=/k']))).toEqual({
      kind: 'certificate',
      certFile: '/c',
      keyFile: '/k',
    });
    expect(apnsCredentials(apns(['--notifiers.apns.certFile=/c']))).toMatchObject({
      certFile: '/c',
      keyFile: '/c',
    });
  });

  it('are a token key with its two identifiers', () => {
    const argv = ['--notifiers.apns.keyFile=/k', '--notifiers.apns.keyId=A', '--notifiers.apns.teamId=B'];
    expect(apnsCredentials(apns(argv))).toEqual({ kind: 'token', keyFile: '/k', keyId: 'A', teamId: 'B' });
  });

  it('are not both', () => {
    const argv = ['--notifiers.apns.certFile=/c', '--notifiers.apns.keyId=A'];
    expect(problemsOf({ argv })).toMatchObject([
      { key: 'notifiers.apns.certFile', origin: 'flag --notifiers.apns.certFile' },
    ]);
  });

  it('are a PKCS #12 file by itself, with nothing beside it', () => {
    expect(apnsCredentials(apns(['--notifiers.apns.pfxFile=/p']))).toEqual({ kind: 'pfx', pfxFile: '/p' });
    const argv = ['--notifiers.apns.pfxFile=/p', '--notifiers.apns.keyFile=/k'];
    expect(problemsOf({ argv })).toMatchObject([{ key: 'notifiers.apns.pfxFile' }]);
  });

  it('may be missing: the entry is skipped with a reason', () => {
    const reasons = [
      ['apns', ['--notifiers.apns.topic=t'], 'no credentials: none of keyFile, certFile and pfxFile is set'],
      ['apns', ['--notifiers.apns.keyFile=/k'], 'no credentials: keyId and teamId not set'],
      ['firebase', ['--notifiers.firebase.type=firebase'], 'no credentials: serviceAccountFile not set'],
      ['huawei', ['--notifiers.huawei.appId=1'], 'no credentials: appSecret not set'],
      [
        'huawei',
        ['--notifiers.huawei.appId=1', '--notifiers.huawei.appSecret=s', '--notifiers.huawei.apiVersion=v2'],
        'no credentials: projectId not set',
      ],
      ['wns', ['--notifiers.wns.tenantId=t'], 'no credentials: packageSid and clientSecret not set'],
      ['unifiedpush', ['--notifiers.unifiedpush.vapidKeyFiles=/v'], 'no credentials: subject not set'],
      ['webpush', ['--notifiers.webpush.vapidKeyFiles=/v'], 'no credentials: subject not set'],
      ['webpush', ['--notifiers.webpush.topic=false'], 'no credentials: vapidKeyFiles and subject not set'],
    ] as const;
    for (const [name, argv, reason] of reasons) {
      expect(notifierReadiness(entryOf(loadGood({ argv }), name))).toEqual({ kind: 'skipped', reason });
    }
  });

  it('are there, or not needed', () => {
    const argv = [
      '--notifiers.dummy.type=dummy',
      '--notifiers.firebase.serviceAccountFile=/s',
      '--notifiers.apns.certFile=/c',
      '--notifiers.p12.type=apns',
      '--notifiers.p12.pfxFile=/p',
      '--notifiers.huawei.appId=1',
      '--notifiers.huawei.appSecret=s',
      '--notifiers.wns.packageSid=ms-app://s',
      '--notifiers.wns.clientSecret=s',
      '--notifiers.webpush.vapidKeyFiles=/v',
      '--notifiers.webpush.subject=mailto:push@example.org',
      '--notifiers.unifiedpush.type=unifiedpush',
    ];
    const { notifiers } = loadGood({ argv });
    expect(Object.values(notifiers).map(notifierReadiness)).toEqual(Array(8).fill({ kind: 'ready' }));
  });
});
