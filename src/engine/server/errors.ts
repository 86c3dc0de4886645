/** An error as vLLM words it: status and body are part of what clients rely on. */
export class EngineError extends Error {
  readonly status: number;
  readonly body: string;
  /** Streams are answered 200 and carry this error as their first event (vLLM's full queue does). */
  readonly inStream: boolean;

  constructor(status: number, type: string, message: string, param: string | null = null, inStream = false) {
    super(message);
    this.status = status;
    this.body = JSON.stringify({ error: { message, type, param, code: status } });
    this.inStream = inStream;
  }
}

/** A value vLLM itself refuses; `parameter` and `value` stand in its message. */
export function badRequest(message: string, parameter?: string, value?: number | string): EngineError {
  const shown =
    parameter === undefined ? '' : ` (parameter=${parameter}${value === undefined ? '' : `, value=${value}`})`;
  return new EngineError(400, 'BadRequestError', `${message}${shown}`, parameter ?? null);
}

/** A body that does not fit the schema, in FastAPI's words. */
export function validationError(
  type: string,
  path: string,
  message: string,
  input: unknown,
  context = '',
): EngineError {
  const shown =
    typeof input === 'string' ? input : Array.isArray(input) ? `<list of ${input.length} items>` : describe(input);
  const detail = `{'type': '${type}', 'loc': '${path}', 'msg': '${message}', 'input': '${shown}'${context}}`;
  return new EngineError(400, 'Bad Request', `1 validation error:\n  ${detail}`, path);
}

function describe(input: unknown): string {
  if (typeof input === 'object' && input !== null) return `<dict of ${Object.keys(input).length} items>`;
  return String(input);
}

export function unknownModel(model: string, aliases: readonly string[]): EngineError {
  const message = `The model \`${model}\` does not exist. Valid aliases: ${aliases.join(', ')}.`;
  return new EngineError(404, 'NotFoundError', message, 'model');
}

export function queueFull(): EngineError {
  const message =
    'The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.';
  return new EngineError(503, 'Service Unavailable', message, null, true);
}
