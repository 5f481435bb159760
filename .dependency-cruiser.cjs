// Who may import whom (docs/architecture.md). Each room lists the rooms it may look into; itself is always allowed.
const rooms = {
  domain: [],
  'delivery-rules': ['domain'],
  telemetry: ['domain'],
  codec: ['domain'],
  crypto: ['domain', 'codec'],
  'subscription-index': ['domain', 'codec', 'crypto'],
  oxenmq: ['domain', 'codec', 'crypto'],
  notifiers: ['domain', 'delivery-rules', 'codec', 'crypto'],
  legacy: ['domain', 'delivery-rules', 'codec', 'crypto'],
  xmpp: ['domain', 'delivery-rules', 'codec', 'crypto'],
  // Who registered to be woken by XMPP servers; it implements what xmpp asks for.
  'xmpp-devices': ['domain', 'delivery-rules', 'codec', 'crypto', 'xmpp'],
  uwpx: ['domain', 'delivery-rules', 'codec', 'crypto'],
  // It implements the ports of legacy, xmpp-devices and uwpx.
  store: ['domain', 'codec', 'crypto', 'legacy', 'xmpp-devices', 'uwpx'],
  outbox: ['domain', 'codec', 'crypto', 'store'],
  network: ['domain', 'codec', 'crypto', 'subscription-index', 'oxenmq'],
  streams: [
    'domain',
    'delivery-rules',
    'codec',
    'crypto',
    'subscription-index',
    'notifiers',
    'outbox',
    'legacy',
    'xmpp',
  ],
  actors: [
    'domain',
    'codec',
    'crypto',
    'delivery-rules',
    'subscription-index',
    'oxenmq',
    'notifiers',
    'store',
    'outbox',
    'legacy',
    'xmpp-devices',
    'uwpx',
    'network',
    'streams',
  ],
  // The doors for external notifiers and local tools over OxenMQ.
  hive: ['domain', 'codec', 'crypto', 'oxenmq', 'notifiers'],
  // The stores of other servers.
  import: ['domain', 'codec', 'crypto', 'legacy', 'xmpp', 'xmpp-devices', 'uwpx', 'store'],
  lifecycle: ['domain'],
  config: ['domain'],
  http: ['domain', 'codec', 'crypto', 'notifiers', 'legacy', 'xmpp'],
  cli: null,
};
const everybody = ['telemetry', 'config'];
const only = (pkg, room) => ({
  name: `only-${room}-imports-${pkg}`,
  severity: 'error',
  from: { path: '^src/', pathNot: `^src/${room}` },
  to: { path: `node_modules/${pkg}(/|$)` },
});
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not-from-tests', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|bench)/' } },
    {
      name: 'only-main-and-cli-import-app',
      severity: 'error',
      from: { path: '^src/(?!main|cli|app)' },
      to: { path: '^src/(app/|(app|main)\\.ts)' },
    },
    ...Object.entries(rooms)
      .filter(([, allowed]) => allowed !== null)
      .map(([room, allowed]) => ({
        name: `${room}-keeps-its-direction`,
        severity: 'error',
        from: { path: `^src/${room}/` },
        to: {
          path: '^src/',
          pathNot: `^src/(${[room, ...allowed, ...(room === 'domain' ? [] : everybody)].join('|')})/`,
        },
      })),
    only('nact', 'actors/spawn\\.ts'),
    only('rxjs', 'streams/'),
    only('zeromq', 'oxenmq/'),
    only('pg-promise', 'store/'),
    only('@electric-sql/pglite', 'store/'),
    only('sodium-native', 'crypto/'),
    only('sql.js', 'import/'),
    only('undici', 'notifiers/'),
    only('@xmpp/component', 'xmpp/'),
    only('@xmpp/client', 'uwpx/'),
    only('node-apn', 'notifiers/apns/'),
    only('firebase-admin', 'notifiers/firebase/'),
    only('fastify', 'http/'),
    only('convict', 'config/'),
    only('prom-client', 'telemetry/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
