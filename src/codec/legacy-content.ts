/**
 * What a push of an older client's message shows and carries. As stored in a push (`LegacyContent.payload`): the
 * bencoded dict `b` alert body, `d` data (left out when there is none), `t` alert title.
 */
export interface LegacyMessage {
  readonly alertTitle: string;
  readonly alertBody: string;
  /** Base64 of the sender's; null when it was too long for the server: the device then shows the alert alone. */
  readonly data: string | null;
}
