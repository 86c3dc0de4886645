/**
 * The one table of errors that reach a user. A code is stable; its row says how each door words it:
 * the HTTP status and the `type` of the OpenAI error body, and whether a caller may try again.
 */
export const errorTable = {
  body_malformed: { status: 400, type: 'invalid_request_error' },
  request_invalid: { status: 400, type: 'invalid_request_error' },
  unauthorized: { status: 401, type: 'authentication_error' },
  forbidden: { status: 403, type: 'permission_error' },
  model_unknown: { status: 404, type: 'not_found_error' },
  route_unknown: { status: 404, type: 'not_found_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  saturated: { status: 429, type: 'rate_limit_error' },
  rate_limited: { status: 429, type: 'rate_limit_error' },
  client_gone: { status: 499, type: 'client_error' },
  internal: { status: 500, type: 'server_error' },
  endpoint_failed: { status: 502, type: 'server_error' },
  overloaded: { status: 503, type: 'server_error' },
  no_endpoint: { status: 503, type: 'server_error' },
  endpoint_timeout: { status: 504, type: 'server_error' },
  /** Command line and files: never sent over HTTP. */
  usage: { status: 400, type: 'usage' },
  config_invalid: { status: 400, type: 'config' },
  environment: { status: 500, type: 'environment' },
} as const;

export type ErrorCode = keyof typeof errorTable;

/** An error in the user's terms: what is wrong, where, and what to do. */
export class SignalboxError extends Error {
  readonly code: ErrorCode;
  /** The field or place at fault, e.g. `messages` or `values.yaml:5:13`. */
  readonly param: string | null;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterSeconds: number | null;

  constructor(
    code: ErrorCode,
    message: string,
    options: { param?: string; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'SignalboxError';
    this.code = code;
    this.param = options.param ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get type(): string {
    return errorTable[this.code].type;
  }
}

/** What went wrong, as one line, for logs and exit messages. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
