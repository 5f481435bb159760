import { describe, expect, it } from 'vitest';
import { brandKeys } from '../../../src/config/brand-schema.js';
import { sectionKeys } from '../../../src/config/load.js';
import { fromEnvironmentName, toEnvironmentName } from '../../../src/config/names.js';
import { editDistance, nearestKey } from '../../../src/config/nearest.js';
import { notifierSchemas } from '../../../src/config/notifier-schema.js';
import { componentSchema, typeKeys } from '../../../src/config/xmpp-schema.js';

describe('names in the environment', () => {
  it('lead back to every option', () => {
    const entryKeys = Object.entries(notifierSchemas).flatMap(([type, options]) =>
      Object.keys(options).map((key) => `notifiers.${type}.${key}`),
    );
    const ofBrands = brandKeys.map((key) => `brands.my-app.${key}`);
    const ofTypes = typeKeys.map((key) => `xmpp.types.my-type.${key}`);
    const ofComponents = Object.keys(componentSchema).map((key) => `xmpp.components.push-example-org.${key}`);
    for (const key of [...sectionKeys, ...entryKeys, ...ofBrands, ...ofTypes, ...ofComponents]) {
      expect(fromEnvironmentName(toEnvironmentName(key.split('.'))).join('.')).toBe(key);
    }
  });

  it('split words by one underscore and levels by two', () => {
    expect(toEnvironmentName(['session', 'maxPendingConnects'])).toBe('WAGGLE_SESSION__MAX_PENDING_CONNECTS');
    expect(fromEnvironmentName('WAGGLE_NOTIFIERS__APNS_SANDBOX__KEY_ID')).toEqual([
      'notifiers',
      'apns-sandbox',
      'keyId',
    ]);
    expect(toEnvironmentName(['xmpp', 'components', 'push.example.org', 'secret'])).toBe(
      'WAGGLE_XMPP__COMPONENTS__PUSH_EXAMPLE_ORG__SECRET',
    );
  });
});

describe('the nearest key', () => {
  const known = ['http.host', 'http.port', 'admin.port', 'log.level', 'session.oxend', 'config', 'help'];

  it.each([
    ['htpp.port', 'http.port'],
    ['http.prot', 'http.port'],
    ['prot', 'http.port'],
    ['oxend', 'session.oxend'],
    ['LOG.LEVEL', 'log.level'],
    ['confg', 'config'],
  ])('of %s is %s', (key, nearest) => expect(nearestKey(key, known)).toBe(nearest));

  it('counts edits', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('', 'abc')).toBe(3);
    expect(editDistance('abc', 'abc')).toBe(0);
  });

  it('takes its time with nobody: a key of a megabyte is cut', () => {
    expect(nearestKey('x'.repeat(1_000_000), known)).not.toBeNull();
  });
});
