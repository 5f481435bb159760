import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { post, startTestServer, type TestServer } from './harness.js';
import { sessionVectors } from './vectors.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.server.close());

async function ask(endpoint: string, body: string): Promise<unknown> {
  const answer = await post(`${server.url}${endpoint}`, body);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/json');
  return JSON.parse(answer.body.toString());
}

const SUBSCRIBED = [
  '{"added":true,"message":"Subscription successful","success":true}',
  '{"message":"Resubscription successful","success":true,"updated":true}',
];
const UNSUBSCRIBED = [
  '{"message":"Device unsubscribed from push notifications","removed":true,"success":true}',
  '{"message":"Device was not subscribed to push notifications","removed":false,"success":true}',
];

/** Shape errors have code 1 and texts of our own where the original shows its JSON library (section 21, 29). */
function expectLikeOriginal(answer: unknown, observed: unknown): void {
  if (Array.isArray(observed)) {
    expect(Array.isArray(answer)).toBe(true);
    expect(answer).toHaveLength(observed.length);
    observed.forEach((element, index) => expectLikeOriginal((answer as unknown[])[index], element));
    return;
  }
  const { error, message } = observed as { error?: number; message: string };
  if (error === undefined) {
    expect(SUBSCRIBED).toContain(JSON.stringify(answer));
  } else if (message.startsWith('[json.exception')) {
    expect(answer).toEqual({ error: 1, message: expect.any(String) as string });
    expect((answer as { message: string }).message).not.toContain('json');
  } else {
    expect(JSON.stringify(answer)).toBe(JSON.stringify({ error, message }));
  }
}

describe('signatures', () => {
  it.each(sessionVectors.signatures.map((vector) => [vector.name, vector] as const))(
    '%s',
    async (_name, vector) => {
      const answer = await ask(`/${vector.endpoint}`, JSON.stringify(vector.request));
      if (vector.expect_ok) {
        const allowed = vector.endpoint === 'subscribe' ? SUBSCRIBED : UNSUBSCRIBED;
        expect(allowed).toContain(JSON.stringify(answer));
      } else if (String(vector.response_observed['message']).startsWith('An error occured')) {
        expect(answer).toEqual({
          error: 4,
          message: expect.stringMatching(/^Unsubscribe: sig_ts timestamp is too/) as string,
        });
      } else {
        expect(answer).toEqual(vector.response_observed);
      }
    },
  );
});

describe('encodings', () => {
  it.each(sessionVectors.encodings.map((vector) => [vector.name, vector] as const))(
    '%s',
    async (_name, vector) => {
      const answer = await ask('/subscribe', JSON.stringify(vector.request));
      if (vector.accepted) expect(SUBSCRIBED).toContain(JSON.stringify(answer));
      else expect(answer).toEqual(vector.response_observed);
    },
  );
});

describe('malformed', () => {
  it.each(sessionVectors.malformed.map((vector) => [vector.name, vector] as const))(
    '%s',
    async (_name, vector) => {
      expectLikeOriginal(await ask('/subscribe', vector.body), vector.response_observed);
    },
  );
});

describe('client requests', () => {
  it.each(sessionVectors.client_requests.map((vector) => [vector.name, vector] as const))(
    '%s',
    async (_name, vector) => {
      const answer = await ask(vector.endpoint, vector.body);
      const isArray = vector.body.startsWith('[');
      expect(Array.isArray(answer)).toBe(isArray);
      const answers = isArray ? (answer as unknown[]) : [answer];
      expect(answers).toHaveLength(isArray ? (JSON.parse(vector.body) as unknown[]).length : 1);
      for (const element of answers) expect(SUBSCRIBED).toContain(JSON.stringify(element));
    },
  );
});
