/** The longest sealed payload of the Session protocol: 24 nonce + 2816 padded + 16 tag (spec session-push-v2, 11). */
export const LARGEST_SEALED_BYTES = 2856;
