import { randomUUID } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { answerCalls } from './asked-process.js';
import { runLoadFlow, type LoadFlow, type LoadFlowResult } from './load-flow.js';
import { PostConnection } from './post-connection.js';
import { until } from './process.js';
import type { XmppLoadCalls, XmppSubject } from './xmpp-load.js';
import {
  apnsTokenOf,
  COMPONENT_DOMAIN,
  fcmTokenOf,
  SERVER_DOMAIN,
  xmppPhoneOf,
  type XmppPhone,
  type XmppPhoneKind,
} from './xmpp-people.js';
import { publishIq } from './xmpp-stanzas.js';

/*
 * The XMPP server with one component connection, as lean as it can be: it writes stanzas of Prosody's and ejabberd's
 * forms, and of the answers it looks at type and id. That they are well-formed, and right, is what the tests are for.
 */

const COMMANDS = 'http://jabber.org/protocol/commands';
/** As our component writes them. */
const iq = /<iq type='([a-z]+)' from='[^']*' to='[^']*' id='([^']*)'(?:\/>|>(.*?)<\/iq>)/gs;

class Component {
  readonly #waiting = new Map<string, (refusal: string | null) => void>();
  #rest = '';
  #isOnline = false;
  #outgoing = '';

  constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.setNoDelay(true);
    socket.on('data', (text) => this.#onData(text.toString()));
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const answered of this.#waiting.values()) answered('the connection was lost');
      this.#waiting.clear();
      this.#isOnline = false;
    });
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  ask(id: string, stanza: string): Promise<string | null> {
    // What is due at the same time leaves in one packet, as from a server that is busy.
    if (this.#outgoing === '') setImmediate(() => this.#flush());
    this.#outgoing += stanza;
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  #flush(): void {
    this.socket.write(this.#outgoing);
    this.#outgoing = '';
  }

  #onData(text: string): void {
    this.#rest += text;
    if (!this.#isOnline) return this.#greet();
    iq.lastIndex = 0;
    let end = 0;
    for (let found = iq.exec(this.#rest); found !== null; found = iq.exec(this.#rest)) {
      end = iq.lastIndex;
      this.#take(found[1] ?? '', found[2] ?? '', found[3] ?? '');
    }
    this.#rest = this.#rest.slice(end);
  }

  #take(type: string, id: string, inside: string): void {
    if (type === 'get') {
      this.socket.write(`<iq type='result' from='${SERVER_DOMAIN}' to='${COMPONENT_DOMAIN}' id='${id}'/>`);
      return;
    }
    const condition = /<([a-z-]+) xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/.exec(inside)?.[1];
    this.#waiting.get(id)?.(type === 'result' ? null : (condition ?? 'an error'));
    this.#waiting.delete(id);
  }

  #greet(): void {
    if (this.#rest.includes('<handshake>')) {
      if (!this.#rest.includes('</handshake>')) return;
      this.#rest = '';
      this.#isOnline = true;
      this.socket.write('<handshake/>');
    } else if (/<stream:stream[^>]*>/.test(this.#rest)) {
      this.#rest = '';
      this.socket.write(
        `<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' ` +
          `xmlns='jabber:component:accept' from='${COMPONENT_DOMAIN}' id='${randomUUID()}'>`,
      );
    }
  }
}

let component: Component | null = null;
let httpUrl: URL | null = null;
let runs = 0;

/** Made once: the load must not be what is measured. */
const phones = new Map<XmppPhoneKind, XmppPhone[]>();
function phonesOf(kind: XmppPhoneKind, count: number): readonly XmppPhone[] {
  const made = phones.get(kind) ?? [];
  phones.set(kind, made);
  while (made.length < count) made.push(xmppPhoneOf(kind, made.length));
  return made;
}

/** What a new phone would send, over whatever way; half iPhones, half Android. */
const newPhone = (index: number): { type: string; node: string; token: string } => ({
  type: index % 2 === 0 ? 'apns' : 'fcm',
  node: `new-device-${index}`.padEnd(40, '0'),
  token: index % 2 === 0 ? apnsTokenOf(index) : fcmTokenOf(index),
});

const commandIq = (
  id: string,
  index: number,
  node: string,
  fields: Readonly<Record<string, string>>,
): string => {
  const form = Object.entries(fields).map(
    ([name, value]) => `<field var='${name}'><value>${value}</value></field>`,
  );
  return (
    `<iq type='set' id='${id}' from='user${index}@${SERVER_DOMAIN}/phone' to='${COMPONENT_DOMAIN}'>` +
    `<command xmlns='${COMMANDS}' node='${node}' action='execute'>` +
    `<x xmlns='jabber:x:data' type='submit'>${form.join('')}</x></command></iq>`
  );
};

function stanzaOf(subject: XmppSubject, id: string, index: number): string {
  switch (subject.kind) {
    case 'publish': {
      const phone = phonesOf(subject.phones, subject.devices)[index % subject.devices];
      if (phone === undefined) throw new Error('no phone');
      return publishIq(index, id, phone);
    }
    case 'register-v1':
      return commandIq(id, subject.first + index, 'v1-register-push', newPhone(subject.first + index));
    case 'register-p2': {
      const at = subject.first + index;
      const token = fcmTokenOf(2_000_000_000 + at);
      return commandIq(id, at, 'register-push-fcm', {
        token,
        'android-id': at.toString(16).padStart(16, '0'),
      });
    }
    case 'register-http':
      throw new Error('not over the component');
  }
}

async function runHttp(flow: LoadFlow, first: number): Promise<LoadFlowResult> {
  const url = httpUrl;
  if (url === null) throw new Error('no address');
  const open = Array.from({ length: flow.lanes }, () => PostConnection.open(url));
  const connections = await Promise.all(open);
  const result = await runLoadFlow(flow, async (index, lane) => {
    const { type, node, token } = newPhone(first + index);
    const body = `type=${type}&node=${node}&token=${encodeURIComponent(token)}`;
    const request =
      `POST /push_appserver/v1/register HTTP/1.1\r\nhost: ${url.host}\r\n` +
      `content-type: application/x-www-form-urlencoded\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const answer = await connections[lane]?.send(Buffer.from(request));
    if (answer === null || answer === undefined) return 'the connection was lost';
    if (answer.status !== 200) return `HTTP ${answer.status}`;
    return answer.body.latin1Slice(0, 3) === 'OK\n' ? null : 'another answer';
  });
  for (const connection of connections) connection.end();
  return result;
}

answerCalls<XmppLoadCalls>({
  open: async () => {
    const server = createServer((socket) => (component = new Component(socket)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  },
  online: async () => {
    await until(async () => component?.isOnline ?? false, 30_000);
    return null;
  },
  http: (url) => {
    httpUrl = new URL(url);
    return null;
  },
  run: ({ subject, ...flow }) => {
    if (subject.kind === 'register-http') return runHttp(flow, subject.first);
    if (subject.kind === 'publish') phonesOf(subject.phones, subject.devices);
    const connected = component;
    if (connected === null) throw new Error('no component');
    const run = (runs += 1);
    return runLoadFlow(flow, (index) => {
      // As long as Prosody's, which are hashes.
      const id = `${run}-${index}-`.padEnd(
        64,
        '6ac6bb924d2707017de3208ec90eca82bf626ed0ecfc2fef7d855c2c0edc2603',
      );
      return connected.ask(id, stanzaOf(subject, id, index));
    });
  },
});
