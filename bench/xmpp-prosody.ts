import { readdirSync, readFileSync } from 'node:fs';
import { hasProsody, HOW_TO_GET_PROSODY, ProsodyProcess } from '../test/simulators/xmpp/prosody-process.js';
import type { Account } from '../test/simulators/xmpp/real-server.js';
import { XmppUser } from '../test/simulators/xmpp/xmpp-client.js';
import { numberArgument } from './arguments.js';
import { AskedProcess } from './asked-process.js';
import type { LegacyProviderCalls } from './legacy-providers.js';
import { cpuMicros, until } from './process.js';
import { apnsTokenOf, COMPONENT_DOMAIN, COMPONENT_SECRET, SERVER_DOMAIN } from './xmpp-people.js';
import { startXmppServer } from './xmpp-server.js';

/*
 * Messages to users who are away, through a real Prosody (mod_offline, mod_cloud_notify), as fast as it takes them; they
 * register with us by ad-hoc command first. Who is the limit?
 *
 *   --prosody-users=50 --prosody-messages=5000
 */

const WARM_UP = 1000;
/** Prosody always has the next ones while it deals with these, and never many more. */
const AT_ONCE = 100;
const BATCHES_AHEAD = 3;
const ARRIVAL_TIMEOUT_MS = 60_000;

export async function benchXmppProsody(databaseUrl: string, say: (line: string) => void): Promise<void> {
  if (!(await hasProsody())) return say(HOW_TO_GET_PROSODY);
  const users = numberArgument('prosody-users', 50);
  const messages = numberArgument('prosody-messages', 5000);
  const prosody = await ProsodyProcess.start({
    domain: SERVER_DOMAIN,
    components: [{ domain: COMPONENT_DOMAIN, secret: COMPONENT_SECRET }],
  });
  const providers = await AskedProcess.start<LegacyProviderCalls>('legacy-providers-process');
  const facts = await providers.ask('facts', null);
  const xmpp = { rateLimitSeconds: 0 };
  const server = await startXmppServer({ facts, databaseUrl, port: prosody.componentPort, xmpp });
  try {
    const connects = `waggle_xmpp_connects_total{domain="${COMPONENT_DOMAIN}"}`;
    await until(async () => (await server.metric(connects)) > 0, 30_000);
    const away: Account[] = [];
    for (let index = 0; index < users; index += 1) away.push(await registerAndLeave(prosody, index));
    const sender = await XmppUser.connect(prosody, await prosody.addAccount('sender'));
    const prosodyPid = childNamed('prosody.cfg.lua');
    const send = async (count: number): Promise<number> => {
      const startedAt = performance.now();
      const taken: Promise<void>[] = [];
      for (let sent = 0; sent < count;) {
        let text = '';
        for (let n = 0; n < AT_ONCE && sent < count; n += 1, sent += 1) {
          text += `<message to='${away[sent % users]?.jid ?? ''}' type='chat'><body>message ${sent}</body></message>`;
        }
        sender.sendRaw(text);
        taken.push(sender.sync());
        await taken.at(-BATCHES_AHEAD);
      }
      await Promise.all(taken);
      await until(async () => (await providers.ask('count', null)) >= count, ARRIVAL_TIMEOUT_MS).catch(
        () => {},
      );
      const seconds = (performance.now() - startedAt) / 1000;
      const { apns, refusals } = await providers.ask('take', null);
      if (apns !== count || refusals > 0) throw new Error(`${apns} pushes instead of ${count}`);
      return seconds;
    };
    await send(WARM_UP);
    const [before, prosodyBefore] = [cpuMicros(server.pid), cpuMicros(prosodyPid)];
    const seconds = await send(messages);
    const [cpu, prosodyCpu] = [cpuMicros(server.pid) - before, cpuMicros(prosodyPid) - prosodyBefore];
    const share = (micros: number): string => `${(micros / seconds / 10_000).toFixed(0)} %`;
    say(
      `${messages} messages to ${users} users who are away, through one Prosody with mod_cloud_notify: ` +
        `${(messages / seconds).toFixed(0)}/s to the last push at Apple, all of them arrived. CPU per message: Prosody ` +
        `${(prosodyCpu / messages).toFixed(0)} µs (${share(prosodyCpu)} of a core), ours ` +
        `${(cpu / messages).toFixed(0)} µs (${share(cpu)}), the push included.`,
    );
    await sender.goAway();
  } finally {
    await server.stop();
    await prosody.remove();
    providers.stop();
  }
}

async function registerAndLeave(prosody: ProsodyProcess, index: number): Promise<Account> {
  const user = await XmppUser.connect(prosody, await prosody.addAccount(`user${index}`));
  const device = { type: 'apns', node: `device-of-user-${index}`, token: apnsTokenOf(index) };
  await user.enablePush(await user.registerV1(COMPONENT_DOMAIN, device));
  await user.goAway();
  return user.account;
}

/** A process that we have started, by a word of its command line (Linux). */
function childNamed(word: string): number {
  const isIt = (pid: number): boolean => {
    try {
      const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
      return Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(word);
    } catch {
      // It has ended meanwhile.
      return false;
    }
  };
  const pid = readdirSync('/proc')
    .map(Number)
    .find((candidate) => candidate > 0 && isIt(candidate));
  if (pid === undefined) throw new Error(`no process with ${word}`);
  return pid;
}
