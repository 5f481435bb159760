import { expect, test } from 'vitest';
import { ExternalServiceStore } from '../../src/store/external-services.js';
import { serviceNamed } from '../simulators/store-examples.js';
import { describeWithDatabases } from '../simulators/databases.js';

const DAY_MS = 24 * 3600 * 1000;

describeWithDatabases('the names of external notifiers', (fixture) => {
  test('are kept for as long as a subscription can live since they were last seen', async () => {
    const database = await fixture.open();
    let nowMs = 1_700_000_000_000;
    const store = new ExternalServiceStore({ database, clock: { nowMs: () => nowMs } });
    expect(await store.load()).toEqual([]);
    await store.add(serviceNamed('ünïcode'));
    await store.add(serviceNamed('huawei'));
    await store.add(serviceNamed('huawei'));
    expect(await store.load()).toEqual(['huawei', 'ünïcode']);
    nowMs += 13 * DAY_MS;
    await store.add(serviceNamed('huawei'));
    nowMs += 2 * DAY_MS;
    expect(await store.load()).toEqual(['huawei']);
  });
});
