import { describe, expect, it } from 'vitest';
import { LookUps } from '../../../src/xmpp-devices/look-ups.js';

/** Each question waits until it is answered. */
function setUp(limits = { maxWaiting: 100, maxAtOnce: 10 }) {
  const questions: { readonly nodes: readonly string[]; readonly answer: (error?: Error) => void }[] = [];
  const lookUps = new LookUps(
    (nodes) =>
      new Promise((resolve, reject) => {
        questions.push({ nodes, answer: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
    limits,
  );
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const next = async () => {
    while (questions.length === 0) await turn();
    const question = questions.shift();
    if (question === undefined) throw new Error('no question');
    return question;
  };
  return { lookUps, questions, next };
}

describe('look-ups', () => {
  it('of one moment share a query, and a node is asked for once', async () => {
    const { lookUps, next } = setUp();
    const answers = ['a', 'b', 'a'].map((node) => lookUps.of(node));
    const question = await next();
    expect(question.nodes).toEqual(['a', 'b']);
    question.answer();
    await Promise.all(answers);
  });

  it('that come while a query is under way are asked by the next, of the same node too', async () => {
    const { lookUps, next, questions } = setUp();
    const first = lookUps.of('a');
    const question = await next();
    const later = [lookUps.of('a'), lookUps.of('b')];
    expect(questions).toEqual([]);
    question.answer();
    await first;
    const second = await next();
    expect(second.nodes).toEqual(['a', 'b']);
    second.answer();
    await Promise.all(later);
  });

  it('are asked in portions', async () => {
    const { lookUps, next } = setUp({ maxWaiting: 100, maxAtOnce: 2 });
    const answers = ['a', 'b', 'c'].map((node) => lookUps.of(node));
    for (const nodes of [['a', 'b'], ['c']]) {
      const question = await next();
      expect(question.nodes).toEqual(nodes);
      question.answer();
    }
    await Promise.all(answers);
  });

  it('beyond the limit are refused', async () => {
    const { lookUps, next } = setUp({ maxWaiting: 2, maxAtOnce: 10 });
    const answers = [lookUps.of('a'), lookUps.of('b'), lookUps.of('a')];
    await expect(lookUps.of('c')).rejects.toMatchObject({ name: 'LookUpRefused' });
    (await next()).answer();
    await Promise.all(answers);
    const later = lookUps.of('c');
    (await next()).answer();
    await later;
  });

  it('of a query that fails all hear of it, and the next one is asked', async () => {
    const { lookUps, next } = setUp();
    const first = lookUps.of('a');
    const question = await next();
    const second = lookUps.of('a');
    question.answer(new Error('away'));
    await expect(first).rejects.toThrow('away');
    (await next()).answer();
    await second;
  });
});
