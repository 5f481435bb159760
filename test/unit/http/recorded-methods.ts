import type { BrandServices } from '../../../src/http/brand-doors.js';
import type { LegacyMethods, LegacyReply } from '../../../src/legacy/methods-port.js';
import { bchatBrand, sessionBrand } from '../../simulators/legacy-brands.js';

export const legacyMethodNames = [
  'register',
  'unregister',
  'register_legacy_groups_only',
  'subscribe_closed_group',
  'unsubscribe_closed_group',
  'notify',
] as const;

export const success: LegacyReply = { status: 200, body: { code: 1, message: 'Success' } };

/** Says "Success" to every method that it has (but wants `data` for a notify), and remembers what was asked. */
export class RecordedMethods implements LegacyMethods {
  readonly calls: { readonly name: string; readonly args: Readonly<Record<string, unknown>> }[] = [];
  /** What the next calls are answered by instead; rejects when it is an error. */
  answer: LegacyReply | Error | null = null;

  has(name: string): boolean {
    return (legacyMethodNames as readonly string[]).includes(name);
  }

  async call(name: string, args: Readonly<Record<string, unknown>>): Promise<LegacyReply> {
    this.calls.push({ name, args });
    if (this.answer instanceof Error) throw this.answer;
    if (this.answer !== null) return this.answer;
    if (!this.has(name)) return { status: 400, body: { code: 0, message: 'unknown' } };
    if (name === 'notify' && args['data'] === undefined) {
      return { status: 400, body: { code: 0, message: 'Missing parameter' } };
    }
    return success;
  }
}

export interface RecordedBrand extends BrandServices {
  readonly methods: RecordedMethods;
}

export const recordedBrands = (): { readonly session: RecordedBrand; readonly bchat: RecordedBrand } => ({
  session: { brand: sessionBrand, methods: new RecordedMethods() },
  bchat: { brand: bchatBrand, methods: new RecordedMethods() },
});
