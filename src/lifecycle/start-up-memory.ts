import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives back what loading and registering left behind: hundreds of dead pages and requests, all outside the JavaScript
 * heap, where V8 sees no reason to hurry (it lets 64 MB of them pile up). One full collection, some time after the
 * start, when the rush is over; it holds the event loop for some tens of milliseconds, once.
 */
export function releaseStartUpMemory(afterMs: number): { cancel(): void } {
  const timer = setTimeout(() => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    collect();
  }, afterMs);
  timer.unref();
  return { cancel: () => clearTimeout(timer) };
}
