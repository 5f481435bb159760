import { Type } from 'typebox';

/** For the description at /openapi.json only, as in `schemas.ts`. */
const type = Type.String({ description: 'push service as the operator has named it, such as apns or fcm' });
const node = Type.String({ description: "the client's own choice: stable, not to be guessed by others" });
const token = Type.String({ description: 'of the push service' });
const secret = Type.String({ description: 'what its registration was answered with' });

const register = Type.Object({ type, node, token });
const unregister = Type.Object({ type, node });
const push = Type.Object({ node, secret });

const failure = (description: string) => ({
  description,
  content: {
    'application/json': { schema: Type.Object({ error: Type.String(), message: Type.String() }) },
  },
});
const json = (schema: unknown, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});

const common = {
  400: failure('bad-request'),
  413: failure('too-large'),
  429: failure('rate-limited: after as many seconds as Retry-After says'),
  503: failure('unavailable: the same request again, after as many seconds as Retry-After says'),
};

const lines = (description: string) => ({
  consumes: ['application/x-www-form-urlencoded'],
  response: {
    200: { description, content: { 'text/plain': { schema: Type.String() } } },
  },
});

const tags = ['XMPP app server'];

export const appServerSchemas = {
  register: {
    tags,
    summary: 'Register a device that XMPP servers may have woken',
    description: 'The same type and node again: the device keeps its secret and gets the new token.',
    body: register,
    response: {
      ...common,
      200: json(
        Type.Object({
          node: Type.String(),
          secret: Type.String(),
          jid: Type.Union([Type.String(), Type.Null()], {
            description: 'where the own server is to publish; null: nowhere but over HTTP',
          }),
        }),
        'registered: what goes to the own server when push is enabled there (XEP-0357)',
      ),
      400: failure('bad-request, unknown-type or bad-token'),
    },
  },
  unregister: {
    tags,
    summary: 'End the registration of a device',
    body: unregister,
    response: {
      ...common,
      200: json(Type.Object({ node: Type.String() }), 'unregistered'),
      404: failure('unknown-node: nothing is registered with this type and node'),
    },
  },
  push: {
    tags,
    summary: 'Wake a device',
    body: push,
    response: {
      ...common,
      200: json(Type.Object({ node: Type.String() }), 'the push is delivered or stored'),
      404: failure('unknown-node: nothing is registered with this node and secret, or not any more'),
      503: failure('push-failed or unavailable'),
    },
  },
} as const;

export const appServerTextSchemas = {
  register: {
    tags,
    summary: 'Register a device, for clients of mod_push_appserver',
    body: register,
    ...lines('OK, node and secret, each on a line of its own'),
  },
  unregister: {
    tags,
    summary: 'End the registration of a device, for clients of mod_push_appserver',
    body: unregister,
    ...lines('OK, node and secret, each on a line of its own; or ERROR and why'),
  },
  push: {
    tags,
    summary: 'Wake a device, for clients of mod_push_appserver',
    body: push,
    ...lines('OK and node, each on a line of its own; or ERROR and why'),
  },
} as const;
