import type { RandomBytes } from '../crypto/sodium.js';
import type { Clock } from '../domain/clock.js';
import type { IqRequest } from './iq.js';
import type { Registrations } from './port.js';

export interface CommandOptions {
  /** XEP-0050 says `completed`, mod_push_appserver said `complete`; no client seen reads it. Source: spec xmpp-push, 5.1. */
  readonly statusWord: 'completed' | 'complete';
}

/** What the commands need of the world. */
export interface CommandTools {
  readonly options: CommandOptions;
  readonly registrations: Registrations;
  readonly randomBytes: RandomBytes;
  readonly clock: Clock;
}

/** A command that is to be executed, its form read. `fields` is null when there was no form. */
export interface Command {
  readonly node: string;
  readonly fields: ReadonlyMap<string, string | null> | null;
  readonly request: IqRequest;
}
