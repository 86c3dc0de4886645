import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EngineRank } from './engine.ts';

/** What routers ask again and again. */
const unlogged = new Set(['/metrics', '/health', '/ping', '/kv_event_sources', '/tokenize']);

/** uvicorn's line for a request. */
export function logAccess(log: (line: string) => void, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '/').split('?', 1)[0]!;
  if (unlogged.has(path)) return;
  const from = `${request.socket.remoteAddress ?? '-'}:${request.socket.remotePort ?? 0}`;
  const status = `${response.statusCode} ${response.statusMessage}`;
  log(`INFO:     ${from} - "${request.method} ${path} HTTP/1.1" ${status}`);
}

/** vLLM's periodic line of a rank, only after traffic. Gives the function that writes it. */
export function statsLogger(
  { histograms, generator }: EngineRank,
  rank: number,
  log: (line: string) => void,
  everyMs: number,
): () => void {
  let promptTokens = 0;
  let generationTokens = 0;
  return () => {
    const { completed } = histograms;
    const { model } = generator;
    const prompt = ((completed.prompt - promptTokens) * 1000) / everyMs;
    const generation = ((completed.generation - generationTokens) * 1000) / everyMs;
    promptTokens = completed.prompt;
    generationTokens = completed.generation;
    if (prompt === 0 && generation === 0 && model.running === 0) return;
    const { prefixQueryTokens, prefixHitTokens } = model.totals;
    const hitRate = prefixQueryTokens === 0 ? 0 : (100 * prefixHitTokens) / prefixQueryTokens;
    log(
      `INFO: Engine ${String(rank).padStart(3, '0')}: Avg prompt throughput: ${prompt.toFixed(1)} tokens/s, ` +
        `Avg generation throughput: ${generation.toFixed(1)} tokens/s, Running: ${model.running} reqs, ` +
        `Waiting: ${model.waiting} reqs, GPU KV cache usage: ${(100 * model.kvUsage).toFixed(1)}%, ` +
        `Prefix cache hit rate: ${hitRate.toFixed(1)}%`,
    );
  };
}
