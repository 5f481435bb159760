/** What a method answers: v2 puts `status` and `body` into its reply, v4 takes them as code and body. */
export interface LegacyReply {
  /** 200 also where `code` is 0 without an error; 400 = the request is wrong; 429 and 503 = come back later. */
  readonly status: 200 | 400 | 429 | 503;
  readonly body: { readonly code: 0 | 1; readonly message: string };
}

/** The methods of one brand. Source: spec session-push-v1, section 3. */
export interface LegacyMethods {
  has(name: string): boolean;
  /** `name`: without a slash; an unknown one is answered with 400. Never rejects; settles within `answerTimeoutMs`. */
  call(name: string, args: Readonly<Record<string, unknown>>): Promise<LegacyReply>;
}
