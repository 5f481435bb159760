import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { noSummary } from '../../../src/domain/publish.js';
import { countOf, pushBody, testPushBody } from '../../../src/uwpx/push-body.js';

const bodies = (
  JSON.parse(readFileSync(new URL('../../vectors/xmpp-push.json', import.meta.url), 'utf8')) as {
    uwpx: { wns: { bodies: Readonly<Record<string, string>> } };
  }
).uwpx.wns.bodies;

describe('the body of a push', () => {
  it('is as recorded for the second version', () => {
    expect(pushBody(2, 'acc-2', { messageCount: 3, pendingSubscriptionCount: 2 })).toBe(bodies['v2_push']);
    expect(
      pushBody(2, 'acc-2', { messageCount: countOf('abc'), pendingSubscriptionCount: countOf('7x') }),
    ).toBe(bodies['v2_push_from_summary_with_message_count_abc_and_pending_7x']);
    expect(pushBody(2, 'a"b', noSummary)).toBe(
      '{"account_id":"a\\"b","action":"push","message_count":0,"pending_subscription_count":0,"version":2}',
    );
  });

  it('is as recorded for the first version and for an unknown one, without sender and text', () => {
    const recorded = bodies['v1_push'] ?? '';
    const expected = recorded.replace(
      /<field type="text-single" var="last-message-(sender|body)">.*?<\/field>/g,
      '',
    );
    expect(expected).not.toContain('secret text');
    for (const version of [1, null] as const) {
      expect(pushBody(version, 'acc-1', { messageCount: 3, pendingSubscriptionCount: 2 })).toBe(expected);
      expect(pushBody(version, 'acc-1', noSummary)).toBe(bodies['v1_push_without_summary']);
    }
  });

  it('has no text of strangers in its XML', () => {
    expect(
      pushBody(1, '"><a b=\'&\n\u0001', {
        messageCount: countOf('1<script/>'),
        pendingSubscriptionCount: null,
      }),
    ).toBe(
      '<notification xmlns="urn:xmpp:push:0"><x xmlns="jabber:x:data" type="form">' +
        '<field type="hidden" var="FORM_TYPE"><value>urn:xmpp:push:summary</value></field>' +
        '<field type="text-single" var="message-count"><value>1</value></field></x>' +
        '<account id="&quot;&gt;&lt;a b=\'&amp;&#10;"/></notification>',
    );
  });

  it('is a text where the XML would be longer than the client reads', () => {
    expect(pushBody(1, 'a'.repeat(4_100), noSummary)).toBe('New message received!');
  });

  it('is the recorded one of a test', () => {
    expect(testPushBody(2)).toBe(bodies['v2_test']);
    expect([testPushBody(1), testPushBody(null)]).toEqual([bodies['v1_test'], bodies['v1_test']]);
  });
});

describe('a count', () => {
  it.each([
    ['3', 3],
    ['7x', 7],
    ['007', 7],
    ['', 0],
    ['abc', 0],
    ['-1', 0],
    [' 1', 0],
    ['9'.repeat(500), 2_147_483_647],
  ])('in %j is %d', (text, count) => expect(countOf(text)).toBe(count));
});
