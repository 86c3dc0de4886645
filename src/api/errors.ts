import { errorTable, messageOf, SignalboxError } from '../base/errors.ts';

/** OpenAI's error shape: `{"error":{message,type,param,code}}`, with our stable code. */
function errorBody(error: SignalboxError): string {
  return JSON.stringify({
    error: { message: error.message, type: error.type, param: error.param, code: error.code },
  });
}

/** The error as the last event of a stream whose head has gone out already. */
export function errorEvent(error: SignalboxError): string {
  return `data: ${errorBody(error)}\n\ndata: [DONE]\n\n`;
}

/** Anything thrown, in the user's terms. What we did not foresee is `internal`, without its inner details. */
export function asSignalboxError(error: unknown): SignalboxError {
  if (error instanceof SignalboxError) return error;
  return new SignalboxError('internal', `Signalbox failed on this request: ${messageOf(error)}. Please report it.`, {
    cause: error,
  });
}

/** Headers and body of a JSON error answer. */
export function errorResponse(error: SignalboxError): {
  status: number;
  headers: Record<string, string>;
  body: string;
} {
  const body = errorBody(error);
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  };
  if (error.retryAfterSeconds !== null) headers['retry-after'] = String(Math.ceil(error.retryAfterSeconds));
  return { status: errorTable[error.code].status, headers, body };
}
