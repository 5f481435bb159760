import { existsSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { launch, type Browser, type CDPSession, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateVapidKey, vapidKeyPem } from '../../src/crypto/vapid-key.js';
import { systemClock } from '../../src/domain/clock.js';
import { createWebpushNotifier, type WebpushNotifier } from '../../src/notifiers/webpush/webpush-notifier.js';
import { CredentialFiles, never, pushFor, serviceName } from '../contract/notifier-fixtures.js';
import { createAuthority } from '../simulators/certificates.js';
import { Http1StandIn } from '../simulators/providers/http1-stand-in.js';

/*
 * A real browser, but not its maker's push service, which no closed network reaches. The page has the keys of a
 * subscription and opens what we send with the browser's own crypto; the developer tools then deliver the text to the
 * service worker, as the browser does once it has opened a message.
 */
const CHROMIUM = '/usr/bin/chromium';
const isThere = existsSync(CHROMIUM);
const mustRun = process.env['CI'] === 'true';
if (!isThere && !mustRun) {
  console.warn('skipped: tests in Chromium; `apt-get install chromium` makes them run');
}

/** Served to the browser, and to it alone. */
const pages: Readonly<Record<string, readonly [type: string, text: string]>> = {
  '/': ['text/html', '<!doctype html><title>Web Push</title>'],
  '/worker.js': [
    'text/javascript',
    `self.addEventListener('install', () => self.skipWaiting());
     self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
     self.addEventListener('push', (event) => {
       const tell = async () => {
         const { enc_payload, spns } = event.data.json();
         for (const client of await self.clients.matchAll()) client.postMessage({ enc_payload, spns });
       };
       event.waitUntil(tell());
     });`,
  ],
  '/page.js': [
    'text/javascript',
    `const text = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
     const bytes = (text) => Uint8Array.from(atob(text), (digit) => digit.charCodeAt(0));
     const utf8 = (words) => new TextEncoder().encode(words);
     const join = (...parts) => new Uint8Array(parts.flatMap((part) => [...new Uint8Array(part)]));
     let pair;
     const auth = crypto.getRandomValues(new Uint8Array(16));
     async function derive(secret, salt, info, byteCount) {
       const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
       return crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, key, byteCount * 8);
     }
     window.subscribe = async () => {
       pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']);
       return { p256dh: text(await crypto.subtle.exportKey('raw', pair.publicKey)), auth: text(auth) };
     };
     window.openMessage = async (body) => {
       const message = bytes(body);
       const [salt, sender, record] = [message.slice(0, 16), message.slice(21, 86), message.slice(86)];
       const own = await crypto.subtle.exportKey('raw', pair.publicKey);
       const curve = { name: 'ECDH', namedCurve: 'P-256' };
       const point = await crypto.subtle.importKey('raw', sender, curve, false, []);
       const shared = await crypto.subtle.deriveBits({ name: 'ECDH', public: point }, pair.privateKey, 256);
       const secret = await derive(shared, auth, join(utf8('WebPush: info\\0'), own, sender), 32);
       const rawKey = await derive(secret, salt, utf8('Content-Encoding: aes128gcm\\0'), 16);
       const iv = await derive(secret, salt, utf8('Content-Encoding: nonce\\0'), 12);
       const key = await crypto.subtle.importKey('raw', rawKey, 'AES-GCM', false, ['decrypt']);
       const padded = new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, record));
       const end = padded.findLastIndex((byte) => byte !== 0);
       if (padded[end] !== 2) throw new Error('wrong delimiter');
       return new TextDecoder().decode(padded.slice(0, end));
     };
     window.listen = async () => {
       window.pushes = [];
       navigator.serviceWorker.onmessage = ({ data }) => window.pushes.push(data);
       await navigator.serviceWorker.register('/worker.js');
       await navigator.serviceWorker.ready;
     };`,
  ],
};

/** What `page.js` gives the page. */
interface PageWindow {
  subscribe(): Promise<{ readonly p256dh: string; readonly auth: string }>;
  openMessage(body: string): Promise<string>;
  listen(): Promise<void>;
  readonly pushes: readonly { readonly enc_payload: string; readonly spns: string }[];
}

describe.skipIf(!isThere && !mustRun)('in Chromium', () => {
  const files = new CredentialFiles();
  const authority = createAuthority();
  let site: Server;
  let origin: string;
  let pushService: Http1StandIn;
  let notifier: WebpushNotifier;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    site = createServer((request, response) => {
      const [type, text] = pages[request.url ?? ''] ?? ['text/plain', ''];
      response.writeHead(text === '' ? 404 : 200, { 'content-type': type });
      response.end(text);
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    pushService = await Http1StandIn.start({ certificate: authority.issueServer() }, () => ({ status: 201 }));
    const built = createWebpushNotifier(
      serviceName('tested'),
      {
        type: 'webpush',
        vapidKeyFiles: [files.write('vapid.pem', vapidKeyPem(generateVapidKey()))],
        subject: 'https://example.org',
        caFile: files.write('ca.pem', authority.certPem),
        allowNetworks: ['127.0.0.0/8'],
        ports: [],
      },
      { clock: systemClock },
    );
    if (!built.ok) throw new Error(built.error);
    notifier = built.value;
    browser = await launch({
      executablePath: CHROMIUM,
      headless: true,
      args: [
        '--no-sandbox',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-dev-shm-usage',
        '--disable-gpu',
        '--no-first-run',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      ],
    });
    page = await browser.newPage();
    await page.goto(`${origin}/`);
    await page.addScriptTag({ url: '/page.js' });
  });

  afterAll(async () => {
    await browser?.close();
    await notifier?.close();
    await pushService?.close();
    site?.closeAllConnections();
    await new Promise((resolve) => site.close(resolve));
    files.remove();
  });

  /** A push on its way: what the push service got for the page's keys. */
  async function sendToPage(payload: Buffer): Promise<Buffer> {
    const keys = await page.evaluate(() => (globalThis as unknown as PageWindow).subscribe());
    const endpoint = `${pushService.endpoint}/${'x'.repeat(40)}`;
    const device = notifier.validate({ endpoint, keys }, 'subscribe');
    if (device instanceof Promise || !device.ok) throw new Error(`refused: ${JSON.stringify(device)}`);
    const push = pushFor('x'.repeat(32), { device: device.value, content: { kind: 'sealed', payload } });
    expect(await notifier.send(push, never)).toEqual({ kind: 'delivered' });
    const request = pushService.recorded.at(-1);
    if (request === undefined) throw new Error('nothing was sent');
    return request.body;
  }

  const openInPage = (body: Buffer): Promise<string> =>
    page.evaluate((text) => (globalThis as unknown as PageWindow).openMessage(text), body.toString('base64'));

  it('the crypto of the browser opens our messages, of every size that we send', async () => {
    for (const size of [0, 1, 296, notifier.capabilities.maxPayloadBytes]) {
      const payload = randomBytes(size);
      const opened = await openInPage(await sendToPage(payload));
      expect(JSON.parse(opened)).toEqual({ enc_payload: payload.toString('base64'), spns: '1' });
    }
  });

  it('a service worker gets the payload that was sealed', async () => {
    const payload = randomBytes(296);
    const opened = await openInPage(await sendToPage(payload));
    const devtools = await page.createCDPSession();
    const registered = nextRegistration(devtools, origin);
    await devtools.send('ServiceWorker.enable');
    await page.evaluate(() => (globalThis as unknown as PageWindow).listen());
    const registrationId = await registered;
    await devtools.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data: opened });
    await page.waitForFunction(() => (globalThis as unknown as PageWindow).pushes.length > 0, {
      timeout: 10_000,
    });
    const pushes = await page.evaluate(() => (globalThis as unknown as PageWindow).pushes);
    expect(pushes).toEqual([{ enc_payload: payload.toString('base64'), spns: '1' }]);
  });
});

/** How the browser names the service worker of our page. */
function nextRegistration(devtools: CDPSession, origin: string): Promise<string> {
  return new Promise((resolve) => {
    devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const ours = registrations.find(({ scopeURL, isDeleted }) => scopeURL.startsWith(origin) && !isDeleted);
      if (ours !== undefined) resolve(ours.registrationId);
    });
  });
}
