/** By which a request asks for one of the data-parallel ranks behind an address (vLLM from 0.10 on). */
export const rankHeader = 'x-data-parallel-rank';

type Headers = Readonly<Record<string, string | string[]>>;

/** The request, asking for `rank`; undefined: for none. */
export function askingForRank<Request extends { readonly headers: Headers }>(
  request: Request,
  rank: number | undefined,
): Request {
  if (rank === undefined && !(rankHeader in request.headers)) return request;
  const headers: Record<string, string | string[]> = { ...request.headers };
  if (rank === undefined) delete headers[rankHeader];
  else headers[rankHeader] = `${rank}`;
  return { ...request, headers };
}

/** The rank that headers (lower-case names) ask for; undefined where they do not, or not by a number. */
export function askedRank(headers: Readonly<Record<string, string | string[] | undefined>>): number | undefined {
  const text = headers[rankHeader];
  return typeof text === 'string' && /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}
