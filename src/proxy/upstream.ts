export interface UpstreamRequest {
  readonly method: string;
  /** Path with its query. */
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer | null;
}

/** What became of a request on its way, before or within its answer; `local`: it is for want of something here. */
export type TransportFailure = 'connect' | 'reset' | 'timeout' | 'local';

/** Hears of one request, in this order: its head, its data, and one of end and failure. */
export interface UpstreamHandler {
  head(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void;
  /** `chunk` is there only until this returns. */
  data(chunk: Buffer): void;
  end(): void;
  failed(failure: TransportFailure, reason: string): void;
}

/** A request that was sent. */
export interface UpstreamCall {
  /** Ends it, at whatever stage; nothing is heard of it afterwards. */
  abort(): void;
  /** No more data until `resume`, which the engine feels as a slow reader. */
  pause(): void;
  resume(): void;
}

/** What sends requests to endpoints. */
export interface Sender {
  /** Sends to `address` (`host:port`); the handler hears what becomes of it, never before this returns. */
  send(address: string, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
}

/** TLS to the endpoints. */
export interface Security {
  /** Whether their certificates must be signed by somebody known; self-signed ones are not. */
  readonly verifies: boolean;
  /** Who that is, in PEM; whoever the system knows when left out. */
  readonly ca?: string;
  /** Our own certificate and its key, in PEM, for those that ask for one. */
  readonly cert?: string;
  readonly key?: string;
}

/** What of it TLS itself is told. */
export function secureContext({
  verifies,
  ...files
}: Security): { rejectUnauthorized: boolean } & Omit<Security, 'verifies'> {
  return { rejectUnauthorized: verifies, ...files };
}

export interface UpstreamLimits {
  readonly connectMs: number;
  /** Longest silence before the head and between pieces of the body. */
  readonly silenceMs: number;
  /** How long a connection is kept that nobody uses: below the 5 s after which uvicorn (vLLM, SGLang) closes it. */
  readonly keepAliveMs: number;
}

export const upstreamLimits: UpstreamLimits = { connectMs: 2000, silenceMs: 600_000, keepAliveMs: 4000 };

/** Kept-alive connections to engines. */
export interface Upstream extends Sender {
  /** Closes connections to addresses that `keep` no longer names. */
  retain(keep: ReadonlySet<string>): void;
  /** For connections from now on; requests under way end on those that they have. */
  setSecurity(security: Security): void;
  destroy(): Promise<void>;
}

/** What a transport error says about the endpoint. */
export function failureOf(error: Error): { failure: TransportFailure; reason: string } {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  switch (code) {
    case 'ECONNREFUSED':
      return { failure: 'connect', reason: 'connection refused' };
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return { failure: 'connect', reason: 'connecting timed out' };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return { failure: 'connect', reason: `cannot be reached (${code})` };
    case 'EMFILE':
    case 'ENFILE':
      return { failure: 'local', reason: 'no file descriptor is left for a connection to it (ulimit -n)' };
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return { failure: 'timeout', reason: 'silent for too long' };
    default:
      // An AggregateError of several addresses tried has its code on the parts.
      if (error instanceof AggregateError) return { failure: 'connect', reason: 'connection refused' };
      return { failure: 'reset', reason: 'connection lost' };
  }
}
