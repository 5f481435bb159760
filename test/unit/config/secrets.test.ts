import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { describeConfig } from '../../../src/config/describe.js';
import { formatProblem } from '../../../src/config/problem.js';
import { redactDatabaseUrl } from '../../../src/config/secret.js';
import { createLog } from '../../../src/telemetry/log.js';
import { createTestDirectory, load, loadGood, problemsOf } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const SECRETS = [
  'tok3n-of-the-admin',
  'pa55word',
  'query-pa55',
  'app-s3cret',
  'wns-s3cret',
  'p12-pa55',
  'component-s3cret',
  'account-pa55',
];
const env = {
  WAGGLE_ADMIN__TOKEN: 'tok3n-of-the-admin',
  WAGGLE_DATABASE__URL: 'postgresql://waggle:pa55word@db.example:5433/waggle?password=query-pa55',
  WAGGLE_NOTIFIERS__HUAWEI__APP_SECRET: 'app-s3cret',
  WAGGLE_NOTIFIERS__WNS__CLIENT_SECRET: 'wns-s3cret',
  WAGGLE_NOTIFIERS__APNS__PFX_PASSPHRASE: 'p12-pa55',
  WAGGLE_XMPP__COMPONENTS__MAIN__SECRET: 'component-s3cret',
  WAGGLE_UWPX__ACCOUNT_PASSWORD: 'account-pa55',
};

describe('secrets', () => {
  const config = loadGood({ env });

  it('are given to whoever asks for them by name', () => {
    expect(config.admin.token?.reveal()).toBe(SECRETS[0]);
    expect(config.database.url?.reveal()).toBe(env.WAGGLE_DATABASE__URL);
  });

  it('are redacted wherever the configuration is shown', () => {
    let logged = '';
    createLog({ level: 'info' }, { write: (line) => (logged += line) }).info(
      { config, url: config.database.url },
      'x',
    );
    const shown = [
      describeConfig(config),
      JSON.stringify(config),
      inspect(config, { depth: 10, showHidden: true }),
      `${String(config.database.url)} ${String(config.admin.token)}`,
      logged,
    ];
    for (const text of shown) {
      for (const secret of SECRETS) expect(text).not.toContain(secret);
    }
    expect(describeConfig(config)).toContain('postgresql://waggle:[redacted]@db.example:5433/waggle');
  });

  it('are not repeated in problems', () => {
    const file = directory.write(
      'secrets.yaml',
      'admin: { token: [tok3n-of-the-admin] }\ndatabase: { url: "mysql://u:pa55word@h" }\nnotifiers: { huawei: { appSecret: { x: app-s3cret } } }\n',
    );
    const text = problemsOf({ file }).map(formatProblem).join('\n');
    expect(text).toContain('admin.token');
    expect(text).toContain('database.url');
    for (const secret of SECRETS) expect(text).not.toContain(secret);
  });

  it('are not repeated when the file is not even YAML', () => {
    const file = directory.write('broken.yaml', 'admin:\n  token: "tok3n-of-the-admin\n  - : {{ pa55word\n');
    const text = problemsOf({ file }).map(formatProblem).join('\n');
    expect(text).toContain('YAML syntax error');
    for (const secret of SECRETS) expect(text).not.toContain(secret);
  });

  it.each([
    ['postgresql://u:p@h/d', 'postgresql://u:[redacted]@h/d'],
    ['postgresql://u@h:1/d', 'postgresql://u@h:1/d'],
    ['postgresql:///d?host=/run&password=p', 'postgresql:///d?[redacted]'],
    ['postgresql://u:p@h1:1,h2:2/d', '[redacted]'],
  ])('shows of %s only %s', (url, shown) => expect(redactDatabaseUrl(url)).toBe(shown));
});

describe('file:PATH', () => {
  it('reads a secret from a file relative to the configuration, without the line end', () => {
    directory.write('token', 'from-a-file\n');
    const file = directory.write('with-file.yaml', 'admin: { token: "file:token" }\n');
    expect(loadGood({ file }).admin.token?.reveal()).toBe('from-a-file');
    const flag = ['--admin.token', `file:${directory.path}/token`];
    expect(loadGood({ argv: flag }).admin.token?.reveal()).toBe('from-a-file');
  });

  it('is checked as if it had been written there', () => {
    const path = directory.write('url', 'mysql://u:pa55word@h/d\n');
    const problems = problemsOf({ env: { WAGGLE_DATABASE__URL: `file:${path}` } });
    expect(problems).toMatchObject([{ key: 'database.url' }]);
    expect(JSON.stringify(problems)).not.toContain('pa55word');
  });

  it('complains about files that are missing, empty or endless', () => {
    const tokenOf = (path: string) => problemsOf({ argv: ['--admin.token', `file:${path}`] })[0]?.message;
    expect(tokenOf('/nowhere/token')).toBe('the file /nowhere/token does not exist');
    expect(tokenOf(directory.write('empty', '\n'))).toContain('is empty');
    expect(tokenOf('/dev/zero')).toContain('larger than');
  });

  it('means nothing for options that are no secrets', () => {
    expect(loadGood({ argv: ['--keys.server', 'file:x'], cwd: '/srv' }).keys.server).toBe('/srv/file:x');
  });
});

describe('whatever is written', () => {
  it('is a configuration or a list of problems, never a throw', () => {
    const name = fc.string({ unit: fc.constantFrom(...'HTTPNOIFERS_APKY'.split('')), maxLength: 24 });
    fc.assert(
      fc.property(
        fc.dictionary(
          name.map((text) => `WAGGLE_${text}`),
          fc.string(),
          { maxKeys: 5 },
        ),
        (variables) => {
          const { WAGGLE_CONFIG: _, ...rest } = variables;
          const loaded = load({ env: rest });
          expect(loaded.ok || loaded.error.length > 0).toBe(true);
        },
      ),
    );
  });

  it('as YAML, too', () => {
    const scalar = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(fc.string()),
    );
    const section = fc.oneof(
      scalar,
      fc.dictionary(fc.constantFrom('port', 'host', 'apns', '__proto__', 'x', 'components', 'types'), scalar),
    );
    const keys = fc.constantFrom('http', 'notifiers', 'xmpp', 'keys', 'constructor', '__proto__', '<<');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.dictionary(keys, section).map((value) => JSON.stringify(value)),
        ),
        (text) => {
          const loaded = load({ file: directory.write('any.yaml', text) });
          expect(loaded.ok || loaded.error.length > 0).toBe(true);
        },
      ),
    );
  });
});
