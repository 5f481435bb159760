import { readLegacyContent, type LegacyMessage } from '../codec/legacy-content.js';
import { ContentWriter } from './content-writer.js';

/** What a notifier makes of older clients' messages; one buffer is shared by all pushes of a notice. */
export const legacyWriter = <Made>(write: (message: LegacyMessage) => Made): ContentWriter<Made> =>
  new ContentWriter((payload) => {
    const message = readLegacyContent(payload);
    return message === null ? null : write(message);
  });
