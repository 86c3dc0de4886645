import type { Clock, Timer } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { PromptKind } from '../../api/request.ts';
import { assetPath } from '../../base/assets.ts';
import type { Fleet } from '../fleet.ts';
import type { HttpGetter } from '../http-get.ts';
import type { PromptIds } from '../prefix-index/prefix-key.ts';
import { hasMedia, renderedPrompt } from './rendered-prompt.ts';
import { tokenizerFolders } from './tokenizer-files.ts';
import { TokenizerWorker } from './tokenizer-worker.ts';

/**
 * Where a model's token ids come from: its own tokenizer here, its engine's `/tokenize`, or nowhere, so that prompts are
 * known by their text.
 */
type TokenSource = 'tokenizer' | 'engine' | 'text';

interface ModelTokens {
  readonly completions: TokenSource;
  readonly chat: TokenSource;
  /** Whether its engine tells the ids of what no tokenizer can know: images and the like (`…/render`). */
  readonly renders: boolean;
  /** The tokenizer's folder, where one is used. */
  readonly folder: string | null;
  /** Whether its ids were held against the engine's. */
  readonly verified: boolean;
  /** Why it is not the tokenizer, in a few words. */
  readonly problem: string | null;
}

interface Known extends ModelTokens {
  readonly againAtMs: number;
}

interface PromptTokensOptions {
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly http: HttpGetter;
  readonly log: Logger;
}

/** A prompt whose ids take longer is placed by its text. */
const patienceMs = 400;
const enginePatienceMs = 150;
const probePatienceMs = 3000;
const lookEveryMs = 250;
const againAfterMs = 60_000;
const againSoonMs = 1000;

/** Letters of several scripts, spaces, numbers and code: what tokenizers and templates differ in. */
const probeText = 'Probe: naïve café 12345, x = {"a": [1, 2]};\n\n  and  spaces — 你好 🙂';
const probeMessages = [
  { role: 'system', content: 'Answer briefly.' },
  { role: 'user', content: probeText },
  { role: 'assistant', content: 'Yes.' },
  { role: 'user', content: 'And then?' },
];

/** Token ids of prompts, for the models whose endpoints tell by events what tokens they have cached. */
export class PromptTokens {
  readonly #options: PromptTokensOptions;
  readonly #worker = new TokenizerWorker();
  readonly #known = new Map<string, Known>();
  readonly #asking = new Set<string>();
  #timer: Timer | null = null;

  constructor(options: PromptTokensOptions) {
    this.#options = options;
  }

  /** What is in use, by model. */
  get models(): ReadonlyMap<string, ModelTokens> {
    return this.#known;
  }

  /** Looks for models whose endpoints have begun to tell, so that their first request finds all ready. */
  start(): void {
    for (const model of this.#options.fleet.models().keys()) {
      if (!this.#known.has(model) && !this.#asking.has(model) && this.#options.fleet.hasEvents(model)) {
        void this.#learn(model);
      }
    }
    this.#timer = this.#options.clock.after(lookEveryMs, () => this.start());
  }

  close(): void {
    this.#timer?.cancel();
    this.#worker.close();
  }

  /** The prompt's ids; null at once where its text has to do, or after a while where they cannot be had in time. */
  idsOf(model: string, kind: PromptKind, body: Buffer): Promise<PromptIds | null> | null {
    const { fleet, clock } = this.#options;
    if (!fleet.hasEvents(model)) return null;
    const known = this.#known.get(model);
    if ((known === undefined || clock.nowMs() >= known.againAtMs) && !this.#asking.has(model)) void this.#learn(model);
    if (known === undefined) return null;
    const source = kind === 'completions' ? known.completions : known.chat;
    if (source === 'text' && !known.renders) return null;
    return this.#within(patienceMs, this.#find(model, known, source, kind, body));
  }

  /** By the tokenizer or the engine, and what neither can tell by the engine's own rendering. */
  async #find(
    model: string,
    known: Known,
    source: TokenSource,
    kind: PromptKind,
    body: Buffer,
  ): Promise<PromptIds | null> {
    let ids: Uint32Array | null = null;
    if (source === 'tokenizer') ({ ids } = await this.#worker.encode(known.folder!, kind, body));
    else if (source === 'engine' && !hasMedia(body)) ids = await this.#byEngine(model, kind, body);
    if (ids !== null) return { bytes: new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength), media: [] };
    const slot = known.renders ? this.#slotOf(model) : null;
    if (slot === null) return null;
    const { fleet, http } = this.#options;
    return renderedPrompt(http, fleet.endpointAt(slot)!.address, kind, body, patienceMs);
  }

  #within(limitMs: number, ids: Promise<PromptIds | null>): Promise<PromptIds | null> {
    return new Promise((done) => {
      const timer = this.#options.clock.after(limitMs, () => done(null));
      const settle = (found: PromptIds | null): void => {
        timer.cancel();
        done(found);
      };
      ids.then(settle, () => settle(null));
    });
  }

  /** Asks an engine, for a model whose tokenizer is not here. */
  async #byEngine(model: string, kind: PromptKind, body: Buffer): Promise<Uint32Array | null> {
    const fields = JSON.parse(body.toString()) as Record<string, unknown>;
    const { prompt, messages, tools, add_generation_prompt: generation, chat_template_kwargs: extra } = fields;
    const text: unknown = Array.isArray(prompt) ? prompt[0] : prompt;
    if (kind === 'completions')
      return typeof text === 'string' ? this.#ask(model, { prompt: text }, enginePatienceMs) : null;
    if (kind !== 'chat' || fields['continue_final_message'] === true) return null;
    const asked = { messages, tools, add_generation_prompt: generation ?? true, chat_template_kwargs: extra };
    return this.#ask(model, asked, enginePatienceMs);
  }

  async #ask(model: string, prompt: object, limitMs: number): Promise<Uint32Array | null> {
    const { fleet, http } = this.#options;
    const slot = this.#slotOf(model);
    if (slot === null) return null;
    const answer = await http.post(fleet.endpointAt(slot)!.address, '/tokenize', { model, ...prompt }, limitMs);
    if (answer.status !== 200) return null;
    const { tokens } = JSON.parse(answer.body) as { tokens?: unknown };
    return Array.isArray(tokens) && tokens.every((token) => Number.isInteger(token))
      ? Uint32Array.from(tokens as number[])
      : null;
  }

  #slotOf(model: string): number | null {
    const { fleet } = this.#options;
    return fleet.slots.find((slot) => fleet.isReady(slot) && fleet.modelsAt(slot).has(model)) ?? null;
  }

  /** Finds out where the model's ids can be had, and whether they are the engine's. */
  async #learn(model: string): Promise<void> {
    const { clock, log } = this.#options;
    this.#asking.add(model);
    const before = this.#known.get(model);
    const found = await this.#look(model).catch(() => null);
    this.#asking.delete(model);
    if (found === null) {
      if (before !== undefined) this.#known.set(model, { ...before, againAtMs: clock.nowMs() + againSoonMs });
      return;
    }
    const isFinal = found.completions === 'tokenizer' && found.chat !== 'text';
    this.#known.set(model, { ...found, againAtMs: isFinal ? Infinity : clock.nowMs() + againAfterMs });
    if (before?.completions === found.completions && before.chat === found.chat) return;
    const level = found.completions === 'text' || found.chat === 'text' ? 'warn' : 'info';
    log[level]({ model, ...found }, 'where token ids come from');
  }

  /** Null when no endpoint could be asked. */
  async #look(model: string): Promise<ModelTokens | null> {
    const { fleet } = this.#options;
    const slot = this.#slotOf(model);
    if (slot === null) return null;
    const served = fleet.modelsAt(slot).get(model)!;
    const base = served.parent === undefined ? served : (fleet.modelsAt(slot).get(served.parent) ?? served);
    const { address } = fleet.endpointAt(slot)!;
    const probe = Buffer.from(JSON.stringify({ model, messages: probeMessages }));
    const [text, chat, rendered] = await Promise.all([
      this.#ask(model, { prompt: probeText }, probePatienceMs),
      this.#ask(model, { messages: probeMessages, add_generation_prompt: true }, probePatienceMs),
      renderedPrompt(this.#options.http, address, 'chat', probe, probePatienceMs).catch(() => null),
    ]);
    const renders = rendered !== null;
    let problem = 'no tokenizer.json was found for it';
    for (const folder of tokenizerFolders(base.id, base.root)) {
      const own = await this.#probe(folder, 'completions', { prompt: probeText });
      if (own.ids === null) {
        problem = `${folder}: ${own.problem ?? 'cannot be used'}`;
        continue;
      }
      // The one that comes along is only right where an engine says so.
      if (text === null && folder === assetPath('tokenizer')) continue;
      if (text !== null && text.join() !== own.ids.join()) {
        problem = `${folder} makes other ids than the engine`;
        continue;
      }
      const ownChat = await this.#probe(folder, 'chat', { messages: probeMessages });
      const agrees = chat === null ? ownChat.ids !== null : ownChat.ids?.join() === chat.join();
      return {
        completions: 'tokenizer',
        chat: agrees ? 'tokenizer' : chat === null ? 'text' : 'engine',
        renders,
        folder,
        verified: text !== null,
        problem: agrees ? null : (ownChat.problem ?? 'its chat template writes otherwise than the engine'),
      };
    }
    return {
      completions: text === null ? 'text' : 'engine',
      chat: chat === null ? 'text' : 'engine',
      renders,
      folder: null,
      verified: text !== null,
      problem,
    };
  }

  #probe(folder: string, kind: PromptKind, body: object): ReturnType<TokenizerWorker['encode']> {
    return this.#worker.encode(folder, kind, Buffer.from(JSON.stringify(body)));
  }
}
