import { afterAll, describe, expect, it } from 'vitest';
import { fitOpenFiles } from '../../../src/app/open-files.js';
import { openFilesLimit } from '../../../src/lifecycle/open-files.js';
import { createTestDirectory, loadGood } from '../config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const config = loadGood({
  argv: [
    '--http.maxConnections',
    '3000',
    '--uwpx.maxConnections',
    '1000',
    '--uwpx.certificateFile',
    '/c.pem',
  ],
  env: {},
});
const withUwpx = { ...config, uwpx: { ...config.uwpx, enabled: true } };

describe('the limit of open files', () => {
  it('changes nothing where there is room for all, or where there is none', () => {
    expect(fitOpenFiles(config, null)).toEqual({ config, shortage: null });
    expect(fitOpenFiles(config, 100_000)).toEqual({ config, shortage: null });
  });

  it('lets fewer clients in where it is too low, of each door in proportion, and keeps the rest free', () => {
    const { config: fitted, shortage } = fitOpenFiles(withUwpx, 3_000);
    const doors = fitted.http.maxConnections + fitted.uwpx.maxConnections;
    expect(fitted.http.maxConnections / fitted.uwpx.maxConnections).toBeCloseTo(3, 1);
    expect(doors).toBeLessThan(2_500);
    expect(shortage).toMatchObject({
      limit: 3_000,
      lowered: {
        'http.maxConnections': fitted.http.maxConnections,
        'uwpx.maxConnections': fitted.uwpx.maxConnections,
      },
    });
    const others = (shortage?.wanted ?? 0) - 4_000;
    expect(3_000 - others - doors).toBeGreaterThanOrEqual(0);
    expect(3_000 - others - doors).toBeLessThan(5);
  });

  it('counts no door that is shut, what the network of storage nodes takes, and each notifier', () => {
    const wanted = (of: typeof config) => fitOpenFiles(of, 1).shortage?.wanted ?? 0;
    expect(wanted(withUwpx) - wanted(config)).toBe(1_000);
    expect(Object.keys(fitOpenFiles(config, 1).shortage?.lowered ?? {})).toEqual(['http.maxConnections']);
    const networked = { ...config, session: { ...config.session, oxend: 'tcp://127.0.0.1:1' } };
    expect(wanted(networked) - wanted(config)).toBeGreaterThan(5_000);
    const notifiers = (yaml: string) =>
      wanted(loadGood({ file: directory.write(`${yaml.length}.yaml`, `notifiers: {${yaml}}`) }));
    expect(notifiers('a: { type: apns, connections: 7 }') - notifiers('')).toBe(7);
    expect(notifiers('w: { type: webpush, maxInFlight: 9 }') - notifiers('')).toBe(9 + 256);
  });

  it('leaves some clients in, however low it is', () => {
    const { config: fitted } = fitOpenFiles(withUwpx, 10);
    expect(fitted.http.maxConnections).toBeGreaterThan(10);
    expect(fitted.uwpx.maxConnections).toBeGreaterThan(10);
    const small = { ...config, http: { ...config.http, maxConnections: 5 } };
    expect(fitOpenFiles(small, 10).config.http.maxConnections).toBe(5);
  });

  it('is read from the system, where that tells it', () => {
    const file = directory.write(
      'limits',
      'Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 4096                 files     \n',
    );
    expect(openFilesLimit(file)).toBe(1024);
    const none = directory.write(
      'none',
      'Max open files            unlimited            unlimited            files\n',
    );
    expect(openFilesLimit(none)).toBeNull();
    expect(openFilesLimit(`${directory.path}/missing`)).toBeNull();
  });
});
