import { NODE_MAX_CHARS, TOKEN_MAX_CHARS, TYPE_MAX_CHARS } from '../xmpp/commands-v1.js';

/** Half a surrogate pair would become another text in the database, a zero byte would be refused by it. */
const isText = (text: string): boolean => !/\0|\p{Surrogate}/u.test(text);

/** Whether a device may be registered under this node: what is not, nobody needs to look up. */
export const isNode = (node: string): boolean => node !== '' && node.length <= NODE_MAX_CHARS && isText(node);

export const isTypeName = (type: string): boolean =>
  type !== '' && type.length <= TYPE_MAX_CHARS && isText(type);

/** Whether it may be looked at as a token, or as the JSON text of one. */
export const isTokenText = (token: string): boolean =>
  token !== '' && token.length <= TOKEN_MAX_CHARS && isText(token);
