import { StoreUnavailable } from './errors.js';

const MAX_ATTEMPTS = 3;

/** Two writers that got into each other's way (a deadlock, a serialization failure) are nobody's fault: again. */
export async function againAfterCollision<Value>(write: () => Promise<Value>): Promise<Value> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write();
    } catch (error) {
      const collided = error instanceof StoreUnavailable && error.reason === 'busy' && error.code !== null;
      if (!collided || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
