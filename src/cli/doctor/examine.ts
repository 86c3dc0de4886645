import { randomUUID } from 'node:crypto';
import { wallClock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { Fleet, type ServedModel } from '../../fleet/fleet.ts';
import { PrometheusText } from '../../fleet/gauges/prometheus-text.ts';
import { getterLimits, HttpGetter } from '../../fleet/http-get.ts';
import { connectUpstream } from '../../proxy/http-engine.ts';
import { KvEvents } from '../../fleet/kv-events/kv-events.ts';
import { tokenCount, tokenKeyOf } from '../../fleet/prefix-index/prefix-key.ts';
import { PromptTokens } from '../../fleet/tokens/prompt-tokens.ts';

/** One thing looked at: whether it is as it should be, what was seen, and what to change where it is not. */
export interface Finding {
  readonly check: string;
  /** `warn`: it works, but something is not known or not on. */
  readonly result: 'ok' | 'warn' | 'fail';
  readonly seen: string;
  /** A flag or a step; null where nothing needs changing. */
  readonly advice: string | null;
}

const askMs = 3000;
const completionMs = 60_000;
/** How long events may take after an answer. */
const eventsMs = 5000;
const kvEventsFlag = `--kv-events-config '{"enable_kv_cache_events":true,"publisher":"zmq","endpoint":"tcp://*:5557","replay_endpoint":"tcp://*:5558"}'`;

/** Looks at one engine from end to end, as a router would meet it. Findings come as they are made. */
export async function* examine(address: string): AsyncGenerator<Finding> {
  const http = new HttpGetter(connectUpstream('own', null, getterLimits));
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  const log = createLogger('doctor', { write: () => undefined });
  const events = new KvEvents({ fleet, clock: wallClock, http, log });
  const tokens = new PromptTokens({ fleet, clock: wallClock, http, log });
  try {
    yield* examineWith({ address, http, fleet, events, tokens });
  } finally {
    events.close();
    tokens.close();
    http.close();
  }
}

interface Tools {
  readonly address: string;
  readonly http: HttpGetter;
  readonly fleet: Fleet;
  readonly events: KvEvents;
  readonly tokens: PromptTokens;
}

const ok = (check: string, seen: string): Finding => ({ check, result: 'ok', seen, advice: null });
const warn = (check: string, seen: string, advice: string): Finding => ({ check, result: 'warn', seen, advice });
const fail = (check: string, seen: string, advice: string): Finding => ({ check, result: 'fail', seen, advice });

async function* examineWith({ address, http, fleet, events, tokens }: Tools): AsyncGenerator<Finding> {
  let served: ServedModel[];
  try {
    const { status, body } = await http.get(address, '/v1/models', askMs);
    if (status !== 200) throw new Error(`GET /v1/models answers ${status}`);
    const { data } = JSON.parse(body) as { data: { id: string; root?: string; parent?: string | null }[] };
    served = data.map(({ id, root, parent }) => ({ id, root, parent: parent ?? undefined }));
  } catch (error) {
    yield fail(
      'reachable',
      messageOf(error),
      `start the engine, or name where it listens: --endpoint http://HOST:PORT`,
    );
    return;
  }
  yield ok('reachable', `answers at ${address}`);
  const model = served.find(({ parent }) => parent === undefined)?.id;
  if (model === undefined) {
    yield fail('model', 'it lists no model', 'wait until it has loaded, or give it --model');
    return;
  }
  const adapters = served.flatMap(({ id, parent }) => (parent === undefined ? [] : [id]));
  yield ok('model', model + (adapters.length > 0 ? `, adapters ${adapters.join(', ')}` : ''));
  yield await examineVersion(http, address);
  yield* examineMetrics(await pageOf(http, address, '/metrics'));

  const slot = fleet.add({ name: address, address, labels: {} });
  fleet.setModels(slot, served);
  events.start();
  tokens.start();
  const isFollowed = await within(eventsMs, () => fleet.eventKnowledge(slot) !== 'none');
  const status = events.status(slot);
  if (!isFollowed || status === null || !status.connected) {
    const seen = status === null ? 'it publishes none' : `cannot be heard: ${status.problem ?? 'not connected'}`;
    yield fail(
      'KV events',
      seen,
      status === null ? `start vLLM with ${kvEventsFlag}` : `let ${status.sources.join(', ')} be reached`,
    );
  } else {
    yield ok('KV events', `heard at ${status.sources.join(', ')}`);
    yield status.replay
      ? ok('replay', 'what was published before can be had again')
      : warn(
          'replay',
          'off: after a lost message or a late start the cache is known only in part',
          '"replay_endpoint":"tcp://*:5558" in --kv-events-config',
        );
  }
  await within(askMs * 3, () => !fleet.hasEvents(model) || tokens.models.has(model));
  yield tokensFinding(tokens, model);
  yield* examineCaching({ address, http, fleet, events, tokens }, slot, model);
}

async function examineVersion(http: HttpGetter, address: string): Promise<Finding> {
  try {
    const { status, body } = await http.get(address, '/version', askMs);
    const { version } = JSON.parse(body) as { version?: unknown };
    if (status === 200 && typeof version === 'string') return ok('version', `vLLM ${version}`);
  } catch {
    // Not every engine says.
  }
  return warn('version', 'it does not say', 'none is needed; vLLM says it at /version');
}

async function pageOf(http: HttpGetter, address: string, path: string): Promise<string> {
  try {
    const { status, body } = await http.get(address, path, askMs);
    return status === 200 ? body : '';
  } catch {
    return '';
  }
}

function* examineMetrics(page: string): Generator<Finding> {
  const known = ['vllm:num_requests_waiting', 'sglang:num_queue_reqs', 'llamacpp:requests_deferred'];
  const found = known.find((name) => page.includes(name));
  if (found === undefined) {
    yield fail(
      'metrics',
      'no load of an engine that is known at /metrics',
      'SGLang: --enable-metrics; llama.cpp: --metrics',
    );
    return;
  }
  yield ok('metrics', `load is told by ${found} and others`);
  const [cache] = new PrometheusText(page).samples('vllm:cache_config_info');
  if (cache === undefined) return;
  const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(cache.labels)?.[1] ?? '';
  yield label('enable_prefix_caching') === 'True'
    ? ok('prefix caching', 'on')
    : fail('prefix caching', 'off: nothing is ever found in the cache', '--enable-prefix-caching');
  yield ok('block size', `${label('block_size')} tokens, ${label('num_gpu_blocks')} blocks`);
}

function tokensFinding(tokens: PromptTokens, model: string): Finding {
  const found = tokens.models.get(model);
  if (found === undefined)
    return warn('tokens', 'not needed without KV events: prompts are known by their text', 'turn KV events on');
  const { completions, chat, folder, verified, problem } = found;
  if (completions === 'tokenizer' && chat === 'tokenizer') {
    return verified
      ? ok('tokens', `${folder!} makes the engine's own ids, of texts and of chats`)
      : warn('tokens', `${folder!} is used, and could not be held against the engine`, 'an engine with /tokenize');
  }
  const seen = `texts by ${completions}, chats by ${chat}${problem === null ? '' : `: ${problem}`}`;
  const advice = `have tokenizer.json and tokenizer_config.json of ${model} in Hugging Face's cache, or at its --model path`;
  return completions === 'text' || chat === 'text' ? fail('tokens', seen, advice) : warn('tokens', seen, advice);
}

/** Sends a prompt that nobody ever sent, twice, and sees what was predicted and reported. */
async function* examineCaching(
  { address, http, fleet, events, tokens }: Tools,
  slot: number,
  model: string,
): AsyncGenerator<Finding> {
  const body = {
    model,
    prompt: `${randomUUID()} says the doctor, and goes on. `.repeat(24),
    max_tokens: 1,
    temperature: 0,
  };
  const ids = await tokens.idsOf(model, 'completions', Buffer.from(JSON.stringify(body)));
  const predicted = (): number | null => {
    if (ids === null) return null;
    const key = tokenKeyOf(ids, null, null, fleet.prefixSeed);
    return fleet.view(model, tokenCount(ids), key, wallClock.nowMs(), new Set()).cachedTokens()[slot]!;
  };
  const send = async (): Promise<{ promptTokens: number; cachedTokens: number | null }> => {
    const { status, body: answer } = await http.post(address, '/v1/completions', body, completionMs);
    if (status !== 200) throw new Error(`POST /v1/completions answers ${status}: ${answer.slice(0, 200)}`);
    const { usage } = JSON.parse(answer) as {
      usage: { prompt_tokens: number; prompt_tokens_details?: { cached_tokens?: number | null } | null };
    };
    return { promptTokens: usage.prompt_tokens, cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? null };
  };
  try {
    const before = events.status(slot)?.stored ?? 0;
    const first = await send();
    if (ids !== null && first.promptTokens !== tokenCount(ids)) {
      const seen = `the engine counts ${first.promptTokens} tokens where ${tokenCount(ids)} were made here`;
      yield fail('token count', seen, 'a tokenizer of the same revision as the engine serves');
    }
    if (events.status(slot) !== null) {
      const arrived = await within(eventsMs, () => (events.status(slot)?.stored ?? 0) > before);
      yield arrived
        ? ok('events arrive', `${(events.status(slot)?.stored ?? 0) - before} blocks stored by one prompt`)
        : fail('events arrive', `nothing within ${eventsMs / 1000} s of an answer`, `check ${kvEventsFlag}`);
    }
    const expected = predicted();
    const second = await send();
    if (second.cachedTokens === null) {
      const advice = 'vLLM: --enable-prompt-tokens-details; SGLang: --enable-cache-report';
      yield warn('cached tokens', 'it does not report them, so that predictions cannot be checked', advice);
    } else if (second.cachedTokens === 0) {
      yield fail('cached tokens', 'a prompt sent twice was computed twice', '--enable-prefix-caching');
    } else
      yield ok('cached tokens', `${second.cachedTokens} of ${second.promptTokens} at the second time, as it reports`);
    if (expected === null || second.cachedTokens === null) return;
    yield expected === second.cachedTokens
      ? ok('prediction', `${expected} were predicted`)
      : fail('prediction', `${expected} were predicted, ${second.cachedTokens} reported`, 'see what failed above');
  } catch (error) {
    yield fail('a prompt sent twice', messageOf(error), 'see the log of the engine');
  }
}

async function within(limitMs: number, condition: () => boolean): Promise<boolean> {
  for (const end = wallClock.nowMs() + limitMs; wallClock.nowMs() < end;) {
    if (condition()) return true;
    await new Promise((next) => setTimeout(next, 20));
  }
  return condition();
}
