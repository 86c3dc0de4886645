/** Asks the admin API. Every failure is an `Error` whose message a person can read. */
export async function ask<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(path, { cache: 'no-store', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Error('the gateway does not answer', { cause: error });
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok && body !== null) return body as Answer;
  const { error } = (body ?? {}) as { error?: { message?: string } };
  throw Object.assign(new Error(error?.message ?? `the gateway answered ${response.status}`), {
    status: response.status,
  });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
