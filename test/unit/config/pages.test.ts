import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { notifierTypes } from '../../../src/config/notifier-schema.js';
import { fillOptionTables } from '../../../src/config/option-tables.js';
import { documentedApnsReasons } from '../../../src/notifiers/apns/answers.js';
import { documentedFcmCodes } from '../../../src/notifiers/firebase/answers.js';
import { documentedHmsCodes, documentedHmsTokenReasons } from '../../../src/notifiers/huawei/answers.js';
import { documentedStatuses } from '../../../src/notifiers/unifiedpush/answers.js';
import { documentedAnswers } from '../../../src/notifiers/webpush/answers.js';
import { documentedWnsStatuses } from '../../../src/notifiers/wns/answers.js';

const docs = fileURLToPath(new URL('../../../docs/', import.meta.url));
const pages = ['delivery.md', ...readdirSync(`${docs}notifiers`).map((name) => `notifiers/${name}`)];
/** Every page that has a table of options in it. */
const pagesWithTables = readdirSync(docs, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md') && read(name).includes('<!-- options: '))
  .sort();
function read(page: string): string {
  return readFileSync(`${docs}${page}`, 'utf8');
}

/** Every answer that the program has a rule for. */
const answers: Readonly<Record<string, readonly string[]>> = {
  apns: documentedApnsReasons,
  firebase: documentedFcmCodes,
  huawei: [...documentedHmsCodes, ...documentedHmsTokenReasons],
  wns: documentedWnsStatuses.map(String),
  webpush: documentedAnswers,
  unifiedpush: documentedStatuses.map(String),
};

describe('the pages about delivery and notifiers', () => {
  it.each(pagesWithTables)(
    'docs/%s has the options as they are (npx vitest run test/unit/config -u rewrites it)',
    async (page) => {
      const options = { ...(await resolveConfig(docs)), parser: 'markdown' };
      const filled = await format(fillOptionTables(read(page)), options);
      await expect(filled).toMatchFileSnapshot(`${docs}${page}`);
    },
  );

  it.each(notifierTypes)('there is one for the type %s, with all of its options', (type) => {
    expect(read(`notifiers/${type}.md`)).toContain(`<!-- options: notifiers.${type} -->`);
  });

  it('there is one for external notifiers', () => {
    expect(pages).toContain('notifiers/external.md');
  });

  it.each(pages.filter((page) => page !== 'delivery.md'))(
    'docs/%s has the same parts as the others',
    (page) => {
      for (const part of ['Credentials', 'Configuration', 'What clients send', 'Options', 'Answers']) {
        expect(read(page)).toContain(`\n## ${part}\n`);
      }
    },
  );

  it.each(Object.entries(answers))(
    'the page about %s names every answer that there is a rule for',
    (type, all) => {
      const page = read(`notifiers/${type}.md`);
      for (const answer of all) {
        // "400 BadTopic" may stand there as two: the status is given once for several reasons.
        const parts = answer.split(' ');
        for (const part of parts) expect(page).toMatch(new RegExp(`\\b${part}\\b`));
      }
    },
  );

  it.each(pages)('docs/%s links to what is there', (page) => {
    for (const [, target = ''] of read(page).matchAll(/\]\((?!https:)([^)#]*)(?:#[^)]*)?\)/g)) {
      if (target === '') continue;
      const url = new URL(target, `file://${docs}${page}`);
      expect(() => readFileSync(fileURLToPath(url))).not.toThrow();
    }
  });

  it('the README lists every page', () => {
    const readme = readFileSync(`${docs}../README.md`, 'utf8');
    for (const page of pages) expect(readme).toContain(`docs/${page}`);
  });
});
