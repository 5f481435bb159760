import { expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { atRealServer, isOnline } from '../simulators/xmpp/at-real-server.js';
import { describeWithXmppServers } from '../simulators/xmpp/describe-servers.js';

const at = atRealServer();

const DEPTH = 60;
const times = (count: number, of: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => of(index)).join('');

/** What any user may send to any address, and a server passes on as it is. */
const payloads: readonly (readonly [string, string])[] = [
  ['deep XML', `<a xmlns='x'>${times(DEPTH, () => '<b>')}${times(DEPTH, () => '</b>')}</a>`],
  ['an element of many attributes', `<a xmlns='x' ${times(100, (index) => `a${index}='' `)}/>`],
  [
    'attributes of many namespaces',
    `<a xmlns='x' ${times(50, (index) => `xmlns:p${index}='y:${index}' p${index}:b='' `)}/>`,
  ],
  ['very many elements', `<a xmlns='x'>${times(20_000, () => '<b/>')}</a>`],
  // A server writes it three times as long as it was: &quot; is six characters, a reference like &#34; five.
  ['a text that grows on the way', `<a xmlns='x'>${'"'.repeat(150_000)}</a>`],
  ['a prefix', `<p:a xmlns:p='x' p:b='c'><p:d/><e xmlns=''/></p:a>`],
  [
    'character data and references',
    `<a xmlns='x' b='&#10;&#9;&lt;'><![CDATA[<b>]]]]>&#x1F4F1;&#13;]]&gt;</a>`,
  ],
  [
    'characters at the edge of what is allowed',
    `<a xmlns='x' é-·='\u{10ffff}\ud7ff'>\u{fdd0}\u0085\u2028</a>`,
  ],
];

describeWithXmppServers('users who send nonsense to the component', (server) => {
  it('do not end its connection, on which the pushes of all others come', async () => {
    const underTest = await at.component(server());
    const { domain } = server().component;
    for (const [what, payload] of payloads) {
      const user = await at.user(server());
      const before = underTest.report.answers.length;
      user.sendRaw(`<iq type='get' to='${domain}' id='evil'>${payload}</iq>`);
      const end = await eventually(() => underTest.report.ends[0] ?? underTest.report.answers[before], {
        what: `an answer to ${what}`,
      });
      expect([what, end]).toEqual([what, expect.stringMatching(/^other (refused|overload)$/)]);
      await user.vanish();
    }
    // In messages, presence and attributes of the stanza itself, which nobody answers.
    const user = await at.user(server());
    for (const [, payload] of payloads.slice(0, 5)) {
      user.sendRaw(
        `<message to='${domain}'>${payload}</message><presence to='${domain}'>${payload}</presence>`,
      );
    }
    user.sendRaw(
      `<iq type='get' to='${domain}' id='i' ${times(100, (index) => `a${index}='' `)}><a xmlns='x'/></iq>`,
    );
    await eventually(
      () => underTest.report.unanswerables > 0 || underTest.report.answers.length > payloads.length,
    );
    await user.sync();
    expect(underTest.report.ends).toEqual([]);
    expect(isOnline(underTest)).toBe(true);
  });
});
