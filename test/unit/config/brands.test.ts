import { afterAll, describe, expect, it } from 'vitest';
import { alertOf, brandsOf, markersOf, serviceOf } from '../../../src/config/brand-services.js';
import { describeConfig } from '../../../src/config/describe.js';
import type { BrandConfig, Config } from '../../../src/config/types.js';
import { createTestDirectory, loadGood, problemsOf } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

let files = 0;
const file = (text: string): string => directory.write(`${(files += 1)}.yaml`, text);
const loadText = (text: string): Config => loadGood({ file: file(text) });
const problemsIn = (text: string) => problemsOf({ file: file(text) });

function brandOf(config: Config, name: string): BrandConfig {
  const brand = config.brands[name];
  if (brand === undefined) throw new Error(`no brand ${name}`);
  return brand;
}

describe('brands', () => {
  it('session and bchat are there without being mentioned', () => {
    expect(loadGood().brands).toEqual({
      session: {
        name: 'session',
        enabled: true,
        v2Path: '/loki/v2/lsrpc',
        v4Path: '/oxen/v4/lsrpc',
        onionSalt: 'LOKI',
        accountPrefix: '05',
        appName: 'Session',
        alertTitle: 'Session',
        alertBody: "You've got a new message",
        groupsOnlySilencesAccount: true,
        statisticsTotalKey: 'total_session_id_number',
        statisticsPassword: null,
        markers: ['spns'],
        apns: null,
        firebase: null,
        huawei: null,
      },
      bchat: {
        name: 'bchat',
        enabled: true,
        v2Path: '/beldex/v2/lsrpc',
        v4Path: '/beldex/v4/lsrpc',
        onionSalt: 'BELDEX',
        accountPrefix: 'bd',
        appName: 'Bchat',
        alertTitle: 'Bchat',
        alertBody: "You've got a new message",
        groupsOnlySilencesAccount: false,
        statisticsTotalKey: 'total_bchat_id_number',
        statisticsPassword: null,
        markers: ['spns', 'pns'],
        apns: null,
        firebase: null,
        huawei: null,
      },
    });
  });

  it('keep what is not mentioned of them', () => {
    const { brands } = loadText('brands: { bchat: { alertTitle: Hello }, session: , }\n');
    expect(brands['bchat']).toEqual({ ...loadGood().brands['bchat'], alertTitle: 'Hello' });
    expect(brands['session']).toEqual(loadGood().brands['session']);
  });

  it('can be disabled and changed by the environment and by flags', () => {
    const env = {
      WAGGLE_BRANDS__BCHAT__STATISTICS_PASSWORD: 's3cret',
      WAGGLE_BRANDS__BCHAT__MARKERS: 'pns',
      WAGGLE_BRANDS__SESSION__V2_PATH: '',
    };
    const { brands } = loadGood({ env, argv: ['--brands.session.enabled=false'] });
    expect(brands).toMatchObject({ bchat: { markers: ['pns'] }, session: { enabled: false, v2Path: null } });
    expect(brands['bchat']?.statisticsPassword?.reveal()).toBe('s3cret');
  });

  it('read passwords from files and never show them', () => {
    directory.write('password', 's3cret\n');
    const config = loadText('brands: { session: { statisticsPassword: "file:password" } }\n');
    expect(config.brands['session']?.statisticsPassword?.reveal()).toBe('s3cret');
    expect(describeConfig(config)).not.toContain('s3cret');
  });

  it('take a prefix that looks like a number, in any letter case', () => {
    const text = `brands:
  session: { accountPrefix: 15 }
  bchat: { accountPrefix: BD }
  own: { appName: Own, accountPrefix: 05, v4Path: /own/v4/lsrpc }
`;
    const prefixes = Object.values(loadText(text).brands).map(({ accountPrefix }) => accountPrefix);
    expect(prefixes).toEqual(['15', 'bd', '05']);
  });

  it('name the nearest option for one that there is not', () => {
    expect(
      problemsOf({ argv: ['--brands.bchat.v2Pth=/x'], env: { WAGGLE_BRANDS__BCHAT__MARKER: 'x' } }).map(
        ({ message }) => message,
      ),
    ).toEqual([
      'unknown option; the nearest is brands.bchat.markers (WAGGLE_BRANDS__BCHAT__MARKERS)',
      'unknown option; the nearest is brands.bchat.v2Path',
    ]);
    expect(problemsOf({ argv: ['--brnds.bchat.v2Path=/x'] })[0]?.message).toContain('brands.bchat.v2Path');
  });

  it.each([
    ['brands: 5', 'brands'],
    ['brands: { bchat: 5 }', 'brands.bchat'],
    ['brands: { Bchat: { enabled: false } }', 'brands.Bchat'],
    ['brands: { "a b": { enabled: false } }', 'brands.a b.enabled'],
    [`brands: { ${'x'.repeat(21)}: { enabled: false } }`, `brands.${'x'.repeat(21)}.enabled`],
    ['brands: { bchat: { appName: ~ } }', 'brands.bchat.appName'],
    ['brands: { bchat: { onionSalt: loki } }', 'brands.bchat.onionSalt'],
    ['brands: { bchat: { apns: "a b" } }', 'brands.bchat.apns'],
    ['brands: { bchat: { v2Path: ~, v4Path: ~ } }', 'brands.bchat'],
  ])('%s is refused', (text, key) => {
    expect(problemsIn(`${text}\n`)).toMatchObject([{ key }]);
  });

  it.each(['5', '005', 'x5', '0x05', '03', '""'])('%s is no account prefix', (prefix) => {
    expect(problemsIn(`brands: { bchat: { accountPrefix: ${prefix} } }\n`)).toMatchObject([
      { key: 'brands.bchat.accountPrefix' },
    ]);
  });

  it.each([
    'beldex/v2/lsrpc',
    '/beldex/v2',
    '/beldex/v2/lsrpc?',
    '/beldex/v2/lsrpc/',
    '/beldex//lsrpc',
    '/beldex/../lsrpc',
    '/beldex/*/lsrpc',
    '/:brand/lsrpc',
    '/beldex/xlsrpc',
    `/${'a'.repeat(200)}/lsrpc`,
  ])('%s is no path of onion requests', (path) => {
    expect(problemsOf({ argv: [`--brands.bchat.v2Path=${path}`] })).toMatchObject([
      { key: 'brands.bchat.v2Path' },
    ]);
  });

  it.each([
    ['the v2 path of both', 'v2Path: /loki/v2/lsrpc', 'brands.bchat.v2Path', 'brands.session.v2Path'],
    ['both paths of one', 'v4Path: /beldex/v2/lsrpc', 'brands.bchat.v4Path', 'brands.bchat.v2Path'],
    ['the prefix', 'accountPrefix: "05"', 'brands.bchat.accountPrefix', 'brands.session.accountPrefix'],
  ])('must differ in %s', (_, option, key, other) => {
    expect(problemsIn(`brands: { bchat: { ${option} } }\n`)).toMatchObject([
      { key, message: `is the same as ${other}` },
    ]);
    expect(problemsIn(`brands: { bchat: { ${option}, enabled: false } }\n`)).toEqual([]);
  });
});

describe("a brand of the operator's own", () => {
  it('is as Session where it says nothing, and is called as it says', () => {
    const config = loadText(
      'brands: { My-App: { appName: My App, accountPrefix: a1, v4Path: /oxen/my/v4/lsrpc } }\n',
    );
    expect(brandOf(config, 'My-App')).toEqual({
      name: 'My-App',
      enabled: true,
      v2Path: null,
      v4Path: '/oxen/my/v4/lsrpc',
      onionSalt: 'LOKI',
      accountPrefix: 'a1',
      appName: 'My App',
      alertTitle: 'My App',
      alertBody: "You've got a new message",
      groupsOnlySilencesAccount: true,
      statisticsTotalKey: 'total_my-app_id_number',
      statisticsPassword: null,
      markers: ['spns'],
      apns: null,
      firebase: null,
      huawei: null,
    });
    expect(Object.keys(config.brands)).toEqual(['session', 'bchat', 'My-App']);
  });

  it('must say who it is and where it is reached', () => {
    expect(problemsIn('brands: { own: { alertTitle: x } }\n').map(({ key }) => key)).toEqual([
      'brands.own.appName',
      'brands.own.accountPrefix',
      'brands.own',
    ]);
    expect(problemsIn('brands: { own: { enabled: false } }\n')).toEqual([]);
  });

  it('can be made of environment variables alone', () => {
    const env = {
      WAGGLE_BRANDS__MY_APP__APP_NAME: 'My App',
      WAGGLE_BRANDS__MY_APP__ACCOUNT_PREFIX: 'A1',
      WAGGLE_BRANDS__MY_APP__V2_PATH: '/loki/my/lsrpc',
    };
    expect(brandOf(loadGood({ env }), 'my-app')).toMatchObject({ accountPrefix: 'a1', appName: 'My App' });
  });
});

describe('services of a brand', () => {
  const config = loadText(`notifiers:
  apns:
  firebase:
  bchat-apns: { type: apns }
  Bchat_Huawei: { type: huawei }
brands: { bchat: { firebase: special } }
`);

  it('are its own entries where there are some, else those of everybody; what it names wins', () => {
    const bchat = brandOf(config, 'bchat');
    const services = (['apns', 'firebase', 'huawei'] as const).map((client) =>
      serviceOf(config, bchat, client),
    );
    expect(services).toEqual(['bchat-apns', 'special', 'Bchat_Huawei']);
    const session = brandOf(config, 'session');
    expect(serviceOf(config, session, 'apns')).toBe('apns');
    expect(serviceOf(config, session, 'huawei')).toBe('huawei');
  });

  it('belong to the enabled brands whose clients mean them', () => {
    const names = (service: string) => brandsOf(config, service).map(({ name }) => name);
    expect(names('bchat-apns')).toEqual(['bchat']);
    expect(names('apns')).toEqual(['session']);
    expect(names('apns-sandbox')).toEqual([]);
    expect(brandsOf(loadGood(), 'apns').map(({ name }) => name)).toEqual(['session', 'bchat']);
  });
});

describe('markers of a service', () => {
  const own = 'own: { appName: Own, accountPrefix: a1, v4Path: /oxen/own/lsrpc, markers: [own] }';

  it.each([
    ["Session's", '{}', ['spns']],
    ["Session's, though Bchat uses it too", 'brands: { bchat: { enabled: true } }', ['spns']],
    ["Bchat's where only Bchat uses it", 'brands: { session: { enabled: false } }', ['spns', 'pns']],
    [
      'of all who use it, where Session does not',
      `brands: { session: { enabled: false }, ${own} }`,
      ['spns', 'pns', 'own'],
    ],
    [
      "Session's where nobody uses it",
      'brands: { session: { enabled: false }, bchat: { enabled: false } }',
      ['spns'],
    ],
    ['what the brand says', 'brands: { session: { markers: [mine] } }', ['mine']],
  ])('are %s', (_, text, markers) => {
    expect(markersOf(loadText(`${text}\n`), 'apns')).toEqual(markers);
  });

  it.each(['apns', 'firebase', 'huawei'])('can be said by an entry of type %s', (type) => {
    const argv = [`--notifiers.x.type=${type}`];
    expect(loadGood({ argv }).notifiers['x']).toMatchObject({ markers: null });
    expect(loadGood({ argv: [...argv, '--notifiers.x.markers=a,b'] }).notifiers['x']).toMatchObject({
      markers: ['a', 'b'],
    });
  });

  it.each(['[]', '[a, a]', '[aps]', '[enc_payload]', '[google.x]', '[gcmx]', '["a b"]', '[a-b]', '[1]'])(
    'may not be %s',
    (text) => {
      expect(problemsIn(`notifiers: { firebase: { markers: ${text} } }\n`)).toMatchObject([
        { key: 'notifiers.firebase.markers' },
      ]);
    },
  );
});

describe('options about older clients', () => {
  it.each([1, 2, 3, 4, 6, 8, 12, 24, 48, 168])('periods of %i h begin at midnight', (hours) => {
    const { legacy } = loadGood({ argv: [`--legacy.statisticsPeriodHours=${hours}`] });
    expect(legacy.statisticsPeriodHours).toBe(hours);
  });

  it.each([0, 5, 7, 23, 25, 36, 745])('periods of %i h do not', (hours) => {
    expect(problemsOf({ argv: [`--legacy.statisticsPeriodHours=${hours}`] })).toMatchObject([
      { key: 'legacy.statisticsPeriodHours' },
    ]);
  });

  it('a write may not outlast the answer', () => {
    const argv = ['--legacy.writePatienceMs=5000', '--legacy.answerTimeoutMs=4000'];
    expect(problemsOf({ argv })).toMatchObject([{ key: 'legacy.writePatienceMs' }]);
  });

  it.each(['push.example.org', 'push.example.org=', '=key', 'h:80=key', '::1=key', 'a=k,A=l', 'a b=k'])(
    '%s names no key by host',
    (text) => {
      expect(problemsOf({ argv: [`--keys.onionByHost=${text}`] })).toMatchObject([
        { key: 'keys.onionByHost' },
      ]);
    },
  );

  it('keys by host come from the environment too', () => {
    const { keys } = loadGood({ env: { WAGGLE_KEYS__ONION_BY_HOST: 'A.example=k, b.example=/l' } });
    expect(keys.onionByHost).toEqual([
      { host: 'a.example', path: '/srv/k' },
      { host: 'b.example', path: '/l' },
    ]);
  });

  it.each(['oxend', 'beldexd'])('the daemon may be %s', (daemon) => {
    expect(loadGood({ argv: [`--session.daemon=${daemon}`] }).session.daemon).toBe(daemon);
  });
});

describe("the text of encrypted pushes on Apple's devices", () => {
  it.each([
    ["Session's", '{}', 'apns', 'Session'],
    ["Session's, though Bchat uses the service too", 'brands: { bchat: { apns: apns } }', 'apns', 'Session'],
    ["Bchat's at a service of its own", 'notifiers: { bchat-apns: { type: apns } }', 'bchat-apns', 'Bchat'],
    ["Bchat's where only Bchat uses it", 'brands: { session: { enabled: false } }', 'apns', 'Bchat'],
    ["Session's where nobody uses it", 'notifiers: { own: { type: apns } }', 'own', 'Session'],
    ['what the brand says', 'brands: { session: { alertTitle: Mine } }', 'apns', 'Mine'],
  ])('is %s', (_, text, service, alertTitle) => {
    const alertBody = "You've got a new message";
    expect(alertOf(loadText(`${text}\n`), service)).toEqual({ alertTitle, alertBody });
  });

  it('can be said by the entry', () => {
    const argv = ['--notifiers.x.type=apns', '--notifiers.x.alertTitle=Mine'];
    expect(loadGood({ argv }).notifiers['x']).toMatchObject({ alertTitle: 'Mine', alertBody: null });
  });
});
