/**
 * Errors of the subscription API: the number and text that clients see.
 * Source: spec session-push-v2, section 7.
 */
export const clientErrorCode = {
  badInput: 1,
  serviceNotAvailable: 2,
  serviceTimeout: 3,
  error: 4,
  internalError: 5,
} as const;

export interface ClientError {
  readonly code: number;
  readonly message: string;
}

export const clientError = (code: number, message: string): ClientError => ({ code, message });

export const badInput = (message: string): ClientError => clientError(clientErrorCode.badInput, message);
export const badValue = (message: string): ClientError => clientError(clientErrorCode.error, message);

/** The misspelling is the original's. */
export const PROCESSING_ERROR_MESSAGE = 'An error occured while processing your request';
export const INTERNAL_ERROR_MESSAGE = 'An internal error occurred while processing your request';
