/** A process that takes an instance lock, says what came of it on stdout, and holds it until it is killed. */
import { acquireInstanceLock } from '../../src/lifecycle/lock.js';

const lock = await acquireInstanceLock(process.argv[2] ?? '');
console.log(lock.ok ? 'locked' : lock.error);
if (lock.ok) setInterval(() => {}, 1000);
