import { nowSeconds, type Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import { SIGNATURE_LIFETIME_SECONDS } from '../domain/subscription.js';
import type { Database } from './database.js';
import { statement, textCell } from './statement.js';

export interface ExternalServiceStoreOptions {
  readonly database: Database;
  readonly clock: Clock;
}

const addService = statement(
  'external_services_add',
  `INSERT INTO external_services AS stored (service, registered_at_ms) VALUES ($1::text, $2::bigint)
   ON CONFLICT (service) DO UPDATE
     SET registered_at_ms = greatest(stored.registered_at_ms, excluded.registered_at_ms)`,
);
const removeOldServices = statement(
  'external_services_remove_old',
  'DELETE FROM external_services WHERE registered_at_ms < $1::bigint',
);
const loadServices = statement(
  'external_services_load',
  'SELECT service FROM external_services ORDER BY service',
);

/**
 * The external notifiers that there were. One that was not seen for as long as a subscription can live has none left:
 * nobody could renew one without it. So that is when its name is forgotten.
 */
export class ExternalServiceStore {
  readonly #options: ExternalServiceStoreOptions;

  constructor(options: ExternalServiceStoreOptions) {
    this.#options = options;
  }

  /** Rejects with `StoreUnavailable`. */
  async load(): Promise<readonly string[]> {
    const { database, clock } = this.#options;
    await database.execute(removeOldServices, [(nowSeconds(clock) - SIGNATURE_LIFETIME_SECONDS) * 1000]);
    return (await database.rows(loadServices)).map((row) => textCell(row, 0));
  }

  /** Again for one that is there: it was just seen. Rejects with `StoreUnavailable`. */
  async add(service: ServiceName): Promise<void> {
    const { database, clock } = this.#options;
    await database.execute(addService, [service, clock.nowMs()]);
  }
}
