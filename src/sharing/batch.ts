import type { BlockHashes } from '../base/block-hash.ts';
import type { Failure } from '../fleet/health.ts';
import type { Others } from '../fleet/ledger.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import { WireReader, WireWriter } from './wire.ts';

/** Those of another version are not understood. Up to 2 they were JSON, which begins with another byte. */
const version = 3;
const failures = [
  'connect',
  'reset',
  'timeout',
  'server-error',
  'unresponsive',
  'unhealthy',
] as const satisfies Failure[];
const kinds = ['completions', 'chat', 'embeddings', 'other'] as const satisfies SchedulingRequest['kind'][];
/** Where a number stands for none. */
const none = -1;

/** Who tells a batch, and to whom. */
export interface Header {
  readonly from: string;
  /** What tells the secret start of its block hashes from others: those of another start mean nothing here. */
  readonly start: string;
  /** Milliseconds since the epoch, by the clock of whoever tells. Other times are told as so many before it. */
  readonly atMs: number;
  /** For one replica alone; for all when null. */
  readonly to: string | null;
}

/** What a replica has on its way to an endpoint; times as so many milliseconds ago. */
export interface EndpointLevels extends Omit<Others, 'headPlacedAtMs' | 'doneAtMs'> {
  readonly name: string;
  readonly headAgeMs: number;
  readonly doneAgoMs: number;
}

/** A prompt that was seen to be computed. */
interface Prefilled {
  readonly name: string;
  /** At reference speed. */
  readonly cost: number;
  readonly sinceAgoMs: number;
  readonly doneAgoMs: number;
}

/** Blocks of prompts at an endpoint, one run after another. */
export interface EndpointBlocks {
  readonly name: string;
  /** Of one block, on average; 0 where it does not matter. */
  readonly tokensPerBlock: number;
  readonly runs: readonly BlockHashes[];
}

/** A request's own facts and where it went: whoever reads it can say where it would have sent it. */
export interface Question {
  readonly model: string;
  readonly kind: SchedulingRequest['kind'];
  readonly streaming: boolean;
  readonly promptTokens: number;
  readonly maxOutputTokens: number | null;
  readonly splittable: boolean;
  readonly promptBytes: number;
  readonly seed: number;
  readonly picked: string;
  readonly hashes: BlockHashes;
}

/** What one replica tells the others. */
export interface News {
  /** It has just begun and knows nothing: who is asked tells it what is cached where. */
  readonly hello: boolean;
  /** It ends in good order. */
  readonly bye: boolean;
  /** What is not listed in `endpoints` is nothing. */
  readonly full: boolean;
  readonly endpoints: readonly EndpointLevels[];
  readonly prefilled: readonly Prefilled[];
  /** Endpoints that it has taken out, and why. */
  readonly out: readonly (readonly [name: string, failure: Failure])[];
  /** Tokens of service. */
  readonly charges: readonly { readonly priority: number; readonly fairnessId: string; readonly tokens: number }[];
  /** Of keys: requests and tokens of the last minute, requests under way. */
  readonly keys: readonly {
    readonly name: string;
    readonly requests: number;
    readonly tokens: number;
    readonly inFlight: number;
  }[];
  /** Blocks that were sent somewhere, and those that were not computed there after all. */
  readonly sent: readonly EndpointBlocks[];
  readonly withdrawn: readonly EndpointBlocks[];
  readonly question: Question | null;
}

export const noNews: News = {
  ...{ hello: false, bye: false, full: false },
  ...{ endpoints: [], prefilled: [], out: [], charges: [], keys: [], sent: [], withdrawn: [] },
  question: null,
};

export function encodeBatch({ from, start, atMs, to }: Header, news: News): Buffer {
  const wire = new WireWriter();
  wire.byte(version);
  wire.text(from);
  wire.text(start);
  wire.number(atMs);
  wire.text(to ?? '');
  wire.byte(Number(news.hello) | (Number(news.bye) << 1) | (Number(news.full) << 2));
  wire.list(news.endpoints, (each) => {
    wire.name(each.name);
    wire.number(each.inFlight);
    wire.number(each.prefillTokens);
    wire.number(each.prefillCost);
    wire.number(each.contextTokens);
    wire.number(each.headCost);
    wire.number(each.headAgeMs);
    wire.number(each.doneAgoMs);
  });
  wire.list(news.prefilled, (each) => {
    wire.name(each.name);
    wire.number(each.cost);
    wire.number(each.sinceAgoMs);
    wire.number(each.doneAgoMs);
  });
  wire.list(news.out, ([name, failure]) => {
    wire.name(name);
    wire.byte(failures.indexOf(failure));
  });
  wire.list(news.charges, (each) => {
    wire.number(each.priority);
    wire.text(each.fairnessId);
    wire.number(each.tokens);
  });
  wire.list(news.keys, (each) => {
    wire.text(each.name);
    wire.number(each.requests);
    wire.number(each.tokens);
    wire.number(each.inFlight);
  });
  for (const list of [news.sent, news.withdrawn]) {
    wire.list(list, (each) => {
      wire.name(each.name);
      wire.number(each.tokensPerBlock);
      wire.hashes(each.runs);
    });
  }
  wire.list(news.question === null ? [] : [news.question], (question) => writeQuestion(wire, question));
  return wire.take();
}

/** A batch whose sender is known and whose content is not read yet. */
export interface SealedBatch extends Header {
  /** @throws RangeError where it is cut short or is no batch after all */
  open(): News;
}

/** Null for what is no batch of this version. @throws RangeError where it is cut short */
export function readBatch(bytes: Buffer): SealedBatch | null {
  if (bytes[0] !== version) return null;
  const wire = new WireReader(bytes);
  wire.byte();
  const header = { from: wire.text(), start: wire.text(), atMs: wire.count(), to: wire.text() };
  return { ...header, to: header.to === '' ? null : header.to, open: () => readNews(wire) };
}

function readNews(wire: WireReader): News {
  const flags = wire.byte();
  return {
    hello: (flags & 1) !== 0,
    bye: (flags & 2) !== 0,
    full: (flags & 4) !== 0,
    endpoints: wire.list(readLevels),
    prefilled: wire.list(readPrefilled),
    out: wire.list((from) => [from.name(), from.oneOf(failures)]),
    charges: wire.list((from) => ({ priority: from.number(), fairnessId: from.text(), tokens: from.number() })),
    keys: wire.list(readKey),
    sent: wire.list(readBlocks),
    withdrawn: wire.list(readBlocks),
    question: wire.list(readQuestion)[0] ?? null,
  };
}

function readLevels(wire: WireReader): EndpointLevels {
  return {
    name: wire.name(),
    inFlight: wire.count(),
    prefillTokens: wire.count(),
    prefillCost: wire.count(),
    contextTokens: wire.count(),
    headCost: wire.count(),
    headAgeMs: wire.count(),
    doneAgoMs: wire.count(),
  };
}

function readPrefilled(wire: WireReader): Prefilled {
  return { name: wire.name(), cost: wire.count(), sinceAgoMs: wire.count(), doneAgoMs: wire.count() };
}

function readKey(wire: WireReader): News['keys'][number] {
  return { name: wire.text(), requests: wire.number(), tokens: wire.number(), inFlight: wire.number() };
}

function readBlocks(wire: WireReader): EndpointBlocks {
  return { name: wire.name(), tokensPerBlock: wire.count(), runs: [wire.hashes()] };
}

function writeQuestion(wire: WireWriter, question: Question): void {
  wire.text(question.model);
  wire.byte(kinds.indexOf(question.kind));
  wire.byte(Number(question.streaming) | (Number(question.splittable) << 1));
  wire.number(question.promptTokens);
  wire.number(question.maxOutputTokens ?? none);
  wire.number(question.promptBytes);
  wire.number(question.seed);
  wire.name(question.picked);
  wire.hashes([question.hashes]);
}

function readQuestion(wire: WireReader): Question {
  const [model, kind, flags, promptTokens] = [wire.text(), wire.oneOf(kinds), wire.byte(), wire.count()];
  const maxOutputTokens = wire.number();
  return {
    ...{ model, kind, streaming: (flags & 1) !== 0, splittable: (flags & 2) !== 0, promptTokens },
    maxOutputTokens: maxOutputTokens === none ? null : maxOutputTokens,
    ...{ promptBytes: wire.count(), seed: wire.count(), picked: wire.name(), hashes: wire.hashes() },
  };
}
