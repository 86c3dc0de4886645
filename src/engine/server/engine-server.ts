import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, SignalboxError } from '../../base/errors.ts';
import { answerGeneration } from './answer-generation.ts';
import { engineVersion } from './answers.ts';
import { embeddings } from './embeddings.ts';
import { createEngine, tokenize, type Engine, type EngineServerOptions } from './engine.ts';
import { logAccess, statsLogger } from './engine-log.ts';
import { EngineError, unknownModel, validationError } from './errors.ts';
import { noFailures, parseFailures, type Failures } from './failures.ts';
import { checkTokens, parseChat, parseCompletion, parseJson, renderChat } from './generation-request.ts';
import { renderMetrics } from './metrics.ts';
import { readBody, send, sendError, sendJson } from './respond.ts';

export interface EngineServer {
  readonly port: number;
  /** Refuses new requests, lets running ones finish, then closes. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

const statsEveryMs = 10_000;

/** Starts a simulated vLLM; resolves when it listens (which is before it is loaded, with `startupSeconds`). */
export async function startEngineServer(options: EngineServerOptions): Promise<EngineServer> {
  const engine = await createEngine(options, () => port);
  const log = options.log ?? ((): void => {});
  let loaded = (options.startupSeconds ?? 0) === 0;
  let draining = false;
  const inFlight = new Set<ServerResponse>();
  const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0 }, (request, response) => {
    inFlight.add(response);
    response.on('close', () => inFlight.delete(response));
    response.on('finish', () => logAccess(log, request, response));
    const answer = async (): Promise<void> => {
      if (engine.kvTransfer?.handles(request, response) === true) return;
      if (pathOf(request) === '/sim/failures') return handleFailures(engine, request, response);
      await engine.failures.untilNotHanging();
      if (response.destroyed) return;
      const refusal = !loaded ? 'loading' : draining || engine.failures.now.mode === 'drain' ? 'draining' : null;
      await handle(engine, request, response, refusal);
    };
    answer().catch((error: unknown) => sendError(response, error));
  });
  await listen(server, options.port ?? 8000, options.host ?? '127.0.0.1').catch((error: unknown) => {
    for (const { kvPublisher } of engine.ranks) kvPublisher?.close();
    throw error;
  });
  const { port } = server.address() as AddressInfo;

  applyFailures(engine, { ...noFailures, ...options.failures });
  const loadTimer = loaded
    ? null
    : setTimeout(
        () => {
          loaded = true;
          log('INFO:     Application startup complete.');
        },
        (options.startupSeconds ?? 0) * 1000,
      );
  const logStats = engine.ranks.map((each, rank) => statsLogger(each, rank, log, statsEveryMs));
  const statsTimer = setInterval(() => logStats.forEach((write) => write()), statsEveryMs).unref();
  log(`INFO:     Started server process [${process.pid}]`);
  if (loaded) log('INFO:     Application startup complete.');
  log(`INFO:     Uvicorn running on http://${options.host ?? '127.0.0.1'}:${port} (Press CTRL+C to quit)`);

  const close = (): Promise<void> => {
    if (loadTimer !== null) clearTimeout(loadTimer);
    clearInterval(statsTimer);
    engine.kvTransfer?.close();
    for (const { generator, kvPublisher } of engine.ranks) {
      generator.run.stop();
      kvPublisher?.close();
    }
    return new Promise((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  };
  return {
    port,
    close,
    async drain() {
      draining = true;
      log('INFO:     Shutting down: finishing running requests');
      server.closeIdleConnections();
      while (inFlight.size > 0) await new Promise((next) => setTimeout(next, 10));
      await close();
    },
  };
}

const postRoutes = new Set([
  '/v1/completions',
  '/v1/chat/completions',
  '/v1/embeddings',
  '/tokenize',
  '/detokenize',
  '/reset_prefix_cache',
  '/v1/load_lora_adapter',
  '/v1/unload_lora_adapter',
]);
const getRoutes = new Set(['/v1/models', '/health', '/ping', '/load', '/version', '/metrics', '/kv_event_sources']);

async function handle(
  engine: Engine,
  request: IncomingMessage,
  response: ServerResponse,
  refusal: 'loading' | 'draining' | null,
): Promise<void> {
  const path = pathOf(request);
  if (path === '/metrics' && refusal !== 'loading') {
    const [name] = engine.modelNames;
    const ranks = engine.ranks.map(({ generator, histograms }) => ({ model: generator.model, histograms }));
    const text = renderMetrics(ranks, {
      modelName: name!,
      legacyNames: engine.options.legacyMetricNames ?? false,
      expiredTransfers: engine.kvTransfer?.expired ?? null,
      loraEnabled: engine.loras.enabled,
    });
    return send(response, 200, text, 'text/plain; version=0.0.4; charset=utf-8');
  }
  if (refusal !== null || engine.failures.now.status !== null) {
    const status = engine.failures.now.status ?? 503;
    request.resume();
    if (path === '/health' || path === '/ping') return send(response, status, '', null);
    const why = refusal === null ? 'EngineCore encountered an issue.' : `The engine is ${refusal}.`;
    throw new EngineError(status, status === 503 ? 'Service Unavailable' : 'InternalServerError', why);
  }
  const isPost = request.method === 'POST';
  if (!(isPost ? postRoutes : getRoutes).has(path)) {
    request.resume();
    const other = isPost ? getRoutes : postRoutes;
    if (!other.has(path)) return sendJson(response, 404, { detail: 'Not Found' });
    response.setHeader('allow', isPost ? 'GET' : 'POST');
    return sendJson(response, 405, { detail: 'Method Not Allowed' });
  }
  if (!isPost) return handleGet(engine, path, response);
  const body = await readBody(request);
  if (path === '/reset_prefix_cache') {
    for (const { generator } of engine.ranks) generator.model.cache.clear();
    return sendJson(response, 200, { success: true });
  }
  const fields = parseJson(body, request.headers['content-type'] ?? '');
  const model = typeof fields['model'] === 'string' ? fields['model'] : null;
  switch (path) {
    case '/v1/completions':
    case '/v1/chat/completions': {
      const parsed = path === '/v1/completions' ? parseCompletion(fields) : parseChat(fields);
      checkModel(engine, parsed.model);
      return answerGeneration(engine, parsed, request, response);
    }
    case '/v1/load_lora_adapter':
      return send(response, 200, engine.loras.load(fields), 'text/plain; charset=utf-8');
    case '/v1/unload_lora_adapter':
      return send(response, 200, engine.loras.unload(fields), 'text/plain; charset=utf-8');
    case '/v1/embeddings':
      checkModel(engine, model);
      return sendJson(response, 200, await embeddings(engine, fields));
    case '/tokenize':
      checkModel(engine, model);
      return sendJson(response, 200, await tokenizeRoute(engine, fields));
    default: {
      checkModel(engine, model);
      const tokens = fields['tokens'];
      if (!Array.isArray(tokens)) throw validationError('missing', 'body.tokens', 'Field required', fields);
      checkTokens(tokens as number[], engine.tokenizer);
      return sendJson(response, 200, { prompt: engine.tokenizer.decode(tokens as number[], { specialTokens: true }) });
    }
  }
}

function handleGet(engine: Engine, path: string, response: ServerResponse): void {
  switch (path) {
    case '/v1/models':
      return sendJson(response, 200, { object: 'list', data: modelEntries(engine) });
    case '/kv_event_sources':
      return sendJson(
        response,
        200,
        Object.fromEntries(
          engine.ranks.flatMap(({ kvPublisher }, rank) => (kvPublisher === null ? [] : [[rank, kvPublisher.config]])),
        ),
      );
    case '/version':
      return sendJson(response, 200, { version: engineVersion });
    case '/load':
      return sendJson(response, 200, {
        server_load: engine.ranks.reduce((sum, { generator }) => sum + generator.load, 0),
      });
    default:
      return send(response, 200, '', null); // /health, /ping
  }
}

function modelEntries(engine: Engine): object[] {
  const [base] = engine.modelNames;
  return [
    ...engine.modelNames.map((id) => modelEntry(engine, id)),
    ...engine.loras.all.map(({ name, path }) => ({
      ...modelEntry(engine, name),
      root: path,
      parent: base,
      max_model_len: null,
    })),
  ];
}

function modelEntry(engine: Engine, id: string): object {
  return {
    id,
    object: 'model',
    created: engine.bornSeconds,
    owned_by: 'vllm',
    root: engine.options.model,
    parent: null,
    max_model_len: engine.maxModelLen,
    permission: [
      {
        id: `modelperm-${randomBytes(8).toString('hex')}`,
        object: 'model_permission',
        created: engine.bornSeconds,
        allow_create_engine: false,
        allow_sampling: true,
        allow_logprobs: true,
        allow_search_indices: false,
        allow_view: true,
        allow_fine_tuning: false,
        organization: '*',
        group: null,
        is_blocking: false,
      },
    ],
  };
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0]!;
}

function checkModel(engine: Engine, model: string | null): void {
  if (model === null || engine.modelNames.includes(model) || engine.loras.find(model) !== null) return;
  throw unknownModel(model, engine.modelNames);
}

async function tokenizeRoute(engine: Engine, fields: Record<string, unknown>): Promise<object> {
  const { prompt, messages } = fields;
  const isChat = Array.isArray(messages);
  if (!isChat && typeof prompt !== 'string') throw validationError('missing', 'body.prompt', 'Field required', fields);
  // A chat's template writes the special tokens itself.
  const addsBos = !isChat && fields['add_special_tokens'] !== false;
  const tokens = await tokenize(engine.tokenizer, isChat ? renderChat(messages, fields) : (prompt as string), addsBos);
  return {
    count: tokens.length,
    max_model_len: engine.maxModelLen,
    tokens,
    token_strs: fields['return_token_strs'] === true ? tokens.map((id) => engine.tokenizer.nameOf(id)) : null,
  };
}

async function handleFailures(engine: Engine, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'POST') {
    const text = (await readBody(request)).toString();
    let failures: Failures;
    try {
      failures = parseFailures(text);
    } catch (error) {
      return sendJson(response, 400, { error: { message: messageOf(error) } });
    }
    applyFailures(engine, failures);
  }
  sendJson(response, 200, engine.failures.now);
}

function applyFailures(engine: Engine, failures: Failures): void {
  engine.failures.set(failures);
  for (const { generator } of engine.ranks) {
    generator.model.speed = 1 / failures.slowness;
    if (failures.mode === 'hang') generator.run.pause();
    else generator.run.resume();
  }
  if (failures.mode === 'die') (engine.options.die ?? ((): never => process.exit(137)))();
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? `port ${port} on ${host} is taken by another program; choose another with --port N`
          : `cannot listen on ${host}:${port}: ${error.message}`;
      failed(new SignalboxError('environment', why, { cause: error }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      done();
    });
  });
}
