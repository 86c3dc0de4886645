import { SignalboxError } from '../base/errors.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

const ours = 'x-request-timeout';
/** Who else says how long a client waits, and in which unit: Envoy to what is behind it, and OpenAI's own clients. */
const others = [
  { name: 'x-envoy-expected-rq-timeout-ms', perSecond: 1000 },
  { name: 'x-stainless-timeout', perSecond: 1 },
] as const;

/**
 * How many seconds the client of a request with these headers (lower-case names) waits for its answer to begin; null where
 * nobody says. @throws SignalboxError `request_invalid`
 */
export function timeoutOf(headers: Headers): number | null {
  const said = headers[ours];
  if (said !== undefined) {
    const seconds = Number(said);
    if (seconds > 0 && seconds < Infinity) return seconds;
    const shown = String(said).slice(0, 40);
    throw new SignalboxError('request_invalid', `${ours} must be a number of seconds above 0, not "${shown}".`, {
      param: ours,
    });
  }
  for (const { name, perSecond } of others) {
    const seconds = Number(headers[name]) / perSecond;
    if (seconds > 0 && seconds < Infinity) return seconds;
  }
  return null;
}
