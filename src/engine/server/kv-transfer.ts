import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { sendJson } from './respond.ts';

/** As vLLM's NixlConnector writes it into an answer, in pull mode; it stands whole in the decode request. */
type TransferParams = Readonly<Record<string, unknown>>;

interface KvTransferOptions {
  /** Where other engines find this one. */
  readonly host: string;
  readonly port: () => number;
  readonly leaseSeconds: number;
  /** Frees the blocks kept of a request. */
  readonly letGo: (id: string) => void;
}

interface Lease {
  readonly keptAs: string;
  readonly prompt: string;
  expiry: NodeJS.Timeout;
}

const route = '/sim/kv-transfer';
/** Without all of these vLLM waits for ever, and dies when the client stops waiting. */
const needed = ['remote_engine_id', 'remote_block_ids', 'remote_host', 'remote_port', 'remote_request_id'];

/**
 * Caches on their way from this engine to others and back: each is kept under a lease, which the other engine renews
 * while it waits, and is fetched once. In place of NIXL's side channel stands a route of the engine's own port.
 */
export class KvTransfer {
  expired = 0;
  readonly #options: KvTransferOptions;
  readonly #engineId = randomUUID();
  readonly #leases = new Map<string, Lease>();

  constructor(options: KvTransferOptions) {
    this.#options = options;
  }

  /** Caches kept for others. */
  get leases(): number {
    return this.#leases.size;
  }

  /** Keeps the cache of a finished request for whoever comes with what this returns. */
  grant(
    keptAs: string,
    answerId: string,
    promptTokens: readonly number[],
    cached: number,
    blockSize: number,
  ): TransferParams {
    const id = `${answerId}-${randomBytes(4).toString('hex')}`;
    this.#leases.set(id, { keptAs, prompt: fingerprint(promptTokens), expiry: this.#expiry(id) });
    const blocks = Array.from({ length: Math.ceil(promptTokens.length / blockSize) }, (_, block) => block + 1);
    return {
      do_remote_prefill: true,
      do_remote_decode: false,
      remote_block_ids: [blocks],
      remote_engine_id: this.#engineId,
      remote_request_id: id,
      remote_host: this.#options.host,
      remote_port: this.#options.port(),
      tp_size: 1,
      dcp_size: 1,
      pp_size: 1,
      remote_num_tokens: promptTokens.length,
      remote_blocks_expiry_time: null,
      transfer_mode: 'pull',
      remote_prefill_cached_tokens: cached,
    };
  }

  /** Answers other engines: GET renews a lease and tells whose cache it is, DELETE says that it was fetched. */
  handles(request: IncomingMessage, response: ServerResponse): boolean {
    const path = request.url ?? '';
    if (path === route) {
      sendJson(response, 200, { leases: this.leases, expired: this.expired });
      return true;
    }
    if (!path.startsWith(`${route}/`)) return false;
    const id = path.slice(route.length + 1);
    const lease = this.#leases.get(id);
    if (lease === undefined) sendJson(response, 404, { error: 'nothing is kept under this id' });
    else if (request.method === 'DELETE') {
      this.#end(id, lease);
      sendJson(response, 200, {});
    } else {
      clearTimeout(lease.expiry);
      lease.expiry = this.#expiry(id);
      sendJson(response, 200, { prompt: lease.prompt });
    }
    return true;
  }

  close(): void {
    for (const { expiry } of this.#leases.values()) clearTimeout(expiry);
  }

  #expiry(id: string): NodeJS.Timeout {
    return setTimeout(() => {
      const lease = this.#leases.get(id);
      if (lease === undefined) return;
      this.expired += 1;
      this.#end(id, lease);
    }, this.#options.leaseSeconds * 1000).unref();
  }

  #end(id: string, { expiry, keptAs }: Lease): void {
    clearTimeout(expiry);
    this.#leases.delete(id);
    this.#options.letGo(keptAs);
  }
}

/** Whether this engine is to keep the prompt's cache for another. */
export function keepsCache(params: TransferParams | null): boolean {
  return params?.['do_remote_decode'] === true;
}

/** Whether the prompt's cache is to come from another engine, and whether that is said in full. */
export function comesFromElsewhere(params: TransferParams | null): 'no' | 'yes' | 'incomplete' {
  if (params?.['do_remote_prefill'] !== true) return 'no';
  return needed.every((name) => params[name] !== null && params[name] !== undefined) ? 'yes' : 'incomplete';
}

/** One prompt's cache on its way from another engine to this one. */
export class Fetch {
  /** True when what is kept there is no longer this prompt's: the parameters were used before. */
  readonly isAnothers: boolean;
  readonly #url: string;
  readonly #heartbeat: NodeJS.Timeout;
  #reachable: boolean;
  #over = false;

  private constructor(url: string, reachable: boolean, isAnothers: boolean) {
    this.#url = url;
    this.#reachable = reachable;
    this.isAnothers = isAnothers;
    this.#heartbeat = setInterval(() => void look(url), heartbeatMs).unref();
  }

  /** Asks the other engine, which renews the lease. */
  static async open(params: TransferParams, promptTokens: readonly number[]): Promise<Fetch> {
    const host = String(params['remote_host']);
    const authority = `${host.includes(':') ? `[${host}]` : host}:${String(params['remote_port'])}`;
    const url = `http://${authority}${route}/${String(params['remote_request_id'])}`;
    const found = await look(url);
    return new Fetch(url, found !== null, found !== null && found.prompt !== fingerprint(promptTokens));
  }

  /** The time of the transfer has passed: tells the other engine. False when that one is gone. */
  async fetched(): Promise<boolean> {
    if (this.isAnothers) {
      this.#stop();
      return true;
    }
    await this.abandon();
    return this.#reachable;
  }

  /** The other engine may free what it keeps, whether it was fetched or not. */
  async abandon(): Promise<void> {
    if (this.#over) return;
    this.#stop();
    if (!this.#reachable) return;
    const answer = await fetch(this.#url, { method: 'DELETE', signal: AbortSignal.timeout(answerMs) }).catch(
      () => null,
    );
    this.#reachable = answer?.status === 200;
    await answer?.body?.cancel();
  }

  #stop(): void {
    this.#over = true;
    clearInterval(this.#heartbeat);
  }
}

const heartbeatMs = 5000;
const answerMs = 10_000;

/** Null when nobody answers. */
async function look(url: string): Promise<{ prompt: unknown } | null> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(answerMs) }).catch(() => null);
  if (answer === null) return null;
  return (await answer.json().catch(() => null)) as { prompt: unknown } | null;
}

function fingerprint(tokens: readonly number[]): string {
  return createHash('sha256').update(Int32Array.from(tokens)).digest('hex').slice(0, 16);
}
