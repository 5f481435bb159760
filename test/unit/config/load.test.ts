import { afterAll, describe, expect, it } from 'vitest';
import { formatProblem } from '../../../src/config/problem.js';
import { createTestDirectory, load, loadGood, problemsOf } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

describe('precedence', () => {
  const file = directory.write(
    'precedence.yaml',
    'http: { port: 1001, host: 10.0.0.1, rateLimitPerMinute: 7 }\n',
  );

  it('uses the defaults without any source', () => {
    expect(loadGood().http.port).toBe(8080);
    expect(loadGood().notifiers).toEqual({});
  });

  it('lets the environment win over the file and flags over both', () => {
    const env = { WAGGLE_HTTP__PORT: '1002', WAGGLE_HTTP__HOST: '10.0.0.2' };
    const { http } = loadGood({ file, env, argv: ['--http.port', '1003'] });
    expect(http).toMatchObject({ port: 1003, host: '10.0.0.2', rateLimitPerMinute: 7 });
  });

  it('takes the last of several equal flags', () => {
    expect(loadGood({ argv: ['--http.port=1', '--http.port=2'] }).http.port).toBe(2);
  });

  it('takes the file from WAGGLE_CONFIG, an explicit one first', () => {
    const other = directory.write('other.yaml', 'http: { port: 2001 }\n');
    expect(loadGood({ env: { WAGGLE_CONFIG: other } }).http.port).toBe(2001);
    expect(loadGood({ file, env: { WAGGLE_CONFIG: other } }).http.port).toBe(1001);
    expect(loadGood({ env: { WAGGLE_CONFIG: '' } }).http.port).toBe(8080);
  });

  it('does not judge a value that a later one replaces', () => {
    const bad = directory.write('bad.yaml', 'http: { port: many }\n');
    expect(loadGood({ file: bad, argv: ['--http.port=5'] }).http.port).toBe(5);
  });

  it('freezes the result to its leaves', () => {
    const config = loadGood({ env: { WAGGLE_NOTIFIERS__DUMMY__TYPE: 'dummy' } });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.http)).toBe(true);
    expect(Object.isFrozen(config.keys.onion)).toBe(true);
    expect(Object.isFrozen(config.notifiers['dummy'])).toBe(true);
  });
});

describe('values as text', () => {
  it('reads numbers, switches, lists, nulls and texts', () => {
    const config = loadGood({
      env: {
        WAGGLE_SESSION__ENABLED: 'false',
        WAGGLE_KEYS__ONION: '/a.key, /b.key',
        WAGGLE_SESSION__OXEND: 'null',
        WAGGLE_SESSION__LISTEN_CURVE_ADMINS: '',
        WAGGLE_HTTP__TRUST_PROXY: '10.0.0.0/8,::1',
        WAGGLE_SESSION__MAX_PENDING_CONNECTS: '12',
      },
    });
    expect(config.session).toMatchObject({
      enabled: false,
      oxend: null,
      listenCurveAdmins: [],
      maxPendingConnects: 12,
    });
    expect(config.keys.onion).toEqual(['/a.key', '/b.key']);
    expect(config.http.trustProxy).toBe('10.0.0.0/8,::1');
  });

  it('takes an empty variable as null where null is allowed', () => {
    expect(loadGood({ env: { WAGGLE_DATABASE__URL: '' } }).database.url).toBeNull();
    expect(problemsOf({ env: { WAGGLE_HTTP__PORT: '' } })).toHaveLength(1);
  });

  it.each(['12abc', '1.5', '1e3', ' 7', '0x10', '99999999999999999999', '-1', 'true'])(
    'refuses %j as a port',
    (text) => {
      expect(problemsOf({ env: { WAGGLE_HTTP__PORT: text } })).toMatchObject([{ key: 'http.port' }]);
    },
  );

  it.each(['yes', '1', 'TRUE', ''])('refuses %j as a switch', (text) => {
    expect(problemsOf({ argv: [`--session.enabled=${text}`] })).toMatchObject([{ key: 'session.enabled' }]);
  });

  it('takes a flag without a value for a switch and for nothing else', () => {
    expect(loadGood({ argv: ['--session.enabled', '--http.port=1'] }).session.enabled).toBe(true);
    expect(problemsOf({ argv: ['--http.host'] })).toMatchObject([
      { key: 'http.host', origin: 'flag --http.host' },
    ]);
  });
});

describe('the YAML file', () => {
  it('keeps the spelling of identifiers that look like numbers', () => {
    const file = directory.write(
      'numbers.yaml',
      'notifiers:\n  apns: { keyFile: k.p8, keyId: 12E4567890, teamId: 0012345678 }\n  huawei: { type: huawei, appId: 104567890123456789012 }\n',
    );
    const { notifiers } = loadGood({ file });
    expect(notifiers['apns']).toMatchObject({ keyId: '12E4567890', teamId: '0012345678' });
    expect(notifiers['huawei']).toMatchObject({ appId: '104567890123456789012' });
  });

  it('does not take a quoted number for a number', () => {
    const file = directory.write('quoted.yaml', 'http: { port: "80" }\n');
    expect(problemsOf({ file })).toMatchObject([{ key: 'http.port', origin: `${file}:1` }]);
  });

  it('takes empty files, empty sections and aliases', () => {
    expect(loadGood({ file: directory.write('empty.yaml', '# nothing\n') }).http.port).toBe(8080);
    const file = directory.write(
      'alias.yaml',
      'http:\nadmin: {}\nkeys:\n  server: &key ./k\n  onion: [*key]\n',
    );
    expect(loadGood({ file }).keys.onion).toEqual([`${directory.path}/k`]);
  });

  it('names the line of every problem', () => {
    const file = directory.write('lines.yaml', 'http:\n  port: 70000\nlog:\n  # a comment\n  level: loud\n');
    expect(problemsOf({ file })).toMatchObject([
      { key: 'http.port', origin: `${file}:2` },
      { key: 'log.level', origin: `${file}:5` },
    ]);
  });

  it.each([
    ['a syntax error', 'http: {\n  port: 1\n', ''],
    ['a duplicate key', 'http: { port: 1 }\nhttp: { port: 2 }\n', ''],
    ['a list at the top', '- http\n', ''],
    ['a value in place of a section', 'http: 5\n', 'http'],
    ['a mapping in place of a value', 'http:\n  host: { name: x }\n', 'http.host.name'],
    ['a list in place of a value', 'http:\n  host: [x]\n', 'http.host'],
    ['a list of mappings', 'keys:\n  onion: [{ a: b }]\n', 'keys.onion'],
    ['an empty list of keys', 'keys:\n  onion: []\n', 'keys.onion'],
    ['null for an option that needs a value', 'http:\n  port:\n', 'http.port'],
    ['a value in place of the notifiers', 'notifiers: 5\n', 'notifiers'],
    ['a value in place of a notifier', 'notifiers: { apns: 5 }\n', 'notifiers.apns'],
  ])('refuses %s', (_, text, key) => {
    expect(problemsOf({ file: directory.write('refused.yaml', text) })).toMatchObject([{ key }]);
  });

  it('says when it does not exist, is a directory or far too large', () => {
    expect(problemsOf({ file: '/nowhere/waggle.yaml' })[0]?.message).toContain('does not exist');
    expect(problemsOf({ file: directory.path })[0]?.message).toContain('is a directory');
    const large = directory.write('large.yaml', `# ${'x'.repeat(1024 * 1024)}\n`);
    expect(problemsOf({ file: large })[0]?.message).toContain('larger than');
  });
});

describe('unknown options', () => {
  it('are errors that name the nearest known one, in the spelling of their place', () => {
    const file = directory.write('unknown.yaml', 'htpp:\n  port: 1\nhttp:\n  prt: 1\n');
    const problems = problemsOf({
      file,
      env: { WAGGLE_HTTP__PORTS: '1', WAGGLE_SESION__OXEND: 'x' },
      argv: ['--log.levl', 'info', '--http.port.x=1'],
    });
    expect(problems.map(formatProblem)).toEqual([
      `htpp.port: unknown option; the nearest is http.port (${file}:2)`,
      'sesion.oxend: unknown option; the nearest is session.oxend (WAGGLE_SESSION__OXEND) (environment variable WAGGLE_SESION__OXEND)',
      `http.prt: unknown option; the nearest is http.port (${file}:4)`,
      'http.ports: unknown option; the nearest is http.port (WAGGLE_HTTP__PORT) (environment variable WAGGLE_HTTP__PORTS)',
      'http.port.x: unknown option; the nearest is http.port (flag --http.port.x)',
      'log.levl: unknown option; the nearest is log.level (flag --log.levl)',
    ]);
  });

  it('are found at the top level and for names with one underscore', () => {
    const [problem] = problemsOf({ env: { WAGGLE_HTTP_PORT: '9000' } });
    expect(problem?.message).toContain('WAGGLE_HTTP__PORT');
    const file = directory.write('top.yaml', 'port: 1\n');
    expect(problemsOf({ file })[0]?.message).toContain('http.port');
  });

  it('do not bring control characters to the terminal', () => {
    const file = directory.write('control.yaml', '"\\e[31mred": 1\n');
    expect(formatProblem(problemsOf({ file })[0] ?? { key: '', origin: '', message: '' })).not.toContain(
      '\u001b',
    );
  });

  it('are not what Kubernetes announces about a service called waggle', () => {
    const env = {
      WAGGLE_SERVICE_HOST: '10.0.0.1',
      WAGGLE_SERVICE_PORT: '8080',
      WAGGLE_SERVICE_PORT_HTTP: '8080',
      WAGGLE_PORT: 'tcp://10.0.0.1:8080',
      WAGGLE_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      WAGGLE_PORT_8080_TCP_ADDR: '10.0.0.1',
      WAGGLE_ADMIN_SERVICE_HOST: '10.0.0.2',
    };
    expect(load({ env }).ok).toBe(true);
    expect(problemsOf({ env: { WAGGLE_PORT: '8080' } })).toHaveLength(1);
  });
});

describe('what belongs together', () => {
  it('needs an admin token where others can reach the listener', () => {
    expect(problemsOf({ argv: ['--admin.host', '0.0.0.0'] })).toMatchObject([{ key: 'admin.token' }]);
    expect(loadGood({ argv: ['--admin.host=0.0.0.0', '--admin.token=abc'] }).admin.token?.reveal()).toBe(
      'abc',
    );
    for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
      expect(problemsOf({ argv: ['--admin.host', host] })).toEqual([]);
    }
  });

  it('refuses limits that cross and two listeners on one port', () => {
    const argv = ['--session.renewMinSeconds=3400', '--delivery.retryBaseMs=400000', '--admin.port=8080'];
    expect(problemsOf({ argv }).map(({ key }) => key)).toEqual([
      'admin.port',
      'session.renewMinSeconds',
      'delivery.retryBaseMs',
    ]);
    expect(problemsOf({ argv: ['--admin.port=0', '--http.port=0'] })).toEqual([]);
  });

  it('keeps the window in order', () => {
    const argv = ['--delivery.windowMin=9', '--delivery.maxInFlight=8'];
    expect(problemsOf({ argv })).toMatchObject([{ key: 'delivery.windowMin' }]);
  });

  it('gives every listener an address of its own, and the one for admins somebody who may come', () => {
    const key = 'ab'.repeat(32);
    const address = 'tcp://0.0.0.0:22030';
    const listeners = (curve: string, curveAdmin: string) =>
      problemsOf({
        argv: [
          '--session.listen=ipc:///run/hive',
          `--session.listenCurve=${curve}`,
          `--session.listenCurveAdmin=${curveAdmin}`,
          `--session.listenCurveAdmins=${key}`,
        ],
      }).map((problem) => problem.key);
    expect(listeners(address, 'tcp://0.0.0.0:22031')).toEqual([]);
    expect(listeners(address, address)).toEqual(['session.listenCurveAdmin']);
    expect(listeners('ipc:///run/hive', address)).toEqual(['session.listenCurve']);
    expect(problemsOf({ argv: [`--session.listenCurveAdmin=${address}`] })).toMatchObject([
      { key: 'session.listenCurveAdmin' },
    ]);
  });

  it('does not complain about a pair when one of the two is wrong by itself', () => {
    const argv = ['--session.renewMinSeconds=3400', '--session.renewMaxSeconds=x'];
    expect(problemsOf({ argv }).map(({ key }) => key)).toEqual(['session.renewMaxSeconds']);
  });

  it.each([
    'tcp://127.0.0.1:22029',
    'ipc:///run/oxend.sock',
    'curve://h:1/aa',
    'tcp+curve://h:1/aa',
    'ipc+curve://p/aa',
  ])('takes oxend at %s', (oxend) =>
    expect(problemsOf({ env: { WAGGLE_SESSION__OXEND: oxend } })).toEqual([]),
  );

  it.each(['http://h:1', 'h:1', 'tcp://', 'inproc://x'])('refuses oxend at %s', (oxend) => {
    expect(problemsOf({ env: { WAGGLE_SESSION__OXEND: oxend } })).toMatchObject([{ key: 'session.oxend' }]);
  });

  it('reports everything at once', () => {
    const argv = [
      '--http.port=x',
      '--log.level=x',
      '--admin.host=0.0.0.0',
      '--nope.nope=1',
      '--notifiers.a.type=b',
    ];
    expect(problemsOf({ argv })).toHaveLength(5);
  });
});

describe('paths', () => {
  it('are relative to the file', () => {
    const file = directory.write(
      'paths.yaml',
      'database: { dataDir: ./d }\nkeys: { server: k/s, onion: [o, /abs/o], onionByHost: [Push.Example.org=h, b=/abs/h=x] }\nsession: { oxend: ipc://run/oxend.sock, listen: ipc:///run/x }\nnotifiers: { apns: { certFile: c.pem } }\n',
    );
    const { database, keys, session, notifiers } = loadGood({ file, cwd: '/elsewhere' });
    expect(database.dataDir).toBe(`${directory.path}/d`);
    expect(keys).toEqual({
      server: `${directory.path}/k/s`,
      onion: [`${directory.path}/o`, '/abs/o'],
      onionByHost: [
        { host: 'push.example.org', path: `${directory.path}/h` },
        { host: 'b', path: '/abs/h=x' },
      ],
      registrations: `${directory.path}/data/keys/registrations.key`,
    });
    expect(session).toMatchObject({
      oxend: `ipc://${directory.path}/run/oxend.sock`,
      listen: 'ipc:///run/x',
    });
    expect(notifiers['apns']).toMatchObject({ certFile: `${directory.path}/c.pem` });
  });

  it('are relative to the working directory without a file', () => {
    const { database, session } = loadGood({
      cwd: '/srv',
      env: { WAGGLE_SESSION__OXEND: 'ipc://@abstract' },
    });
    expect(database.dataDir).toBe('/srv/data');
    expect(session.oxend).toBe('ipc://@abstract');
  });
});
