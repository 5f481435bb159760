/**
 * bt-encoding: canonical encoder, strict and lenient decoder. Source: spec oxenmq, section 7.
 * The hot path does not come here: see `notify-message.ts`.
 */
export {
  BencodeDict,
  BencodeError,
  type BencodeFault,
  type BencodeValue,
  type Encodable,
} from './bencode-value.js';
export { decode, type DecodeOptions } from './bencode-decode.js';
export { encode } from './bencode-encode.js';
