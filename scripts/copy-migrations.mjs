// tsc copies no SQL: the build takes the numbered migrations along itself.
import { cp } from 'node:fs/promises';

await cp('src/store/migrations', 'dist/store/migrations', { recursive: true });
