/**
 * What the admin API answers, as types: the console and the command line read them from here. Numbers that are not
 * known are null, never 0; seconds, tokens, bytes and shares (0..1) as the names say; times are ISO 8601 unless `…Ms`.
 */
import type { DecisionRowJson } from '../journal/decision-row.ts';
import type { PolicyShape } from '../scheduler/policy-shape.ts';

export type { DecisionRowJson } from '../journal/decision-row.ts';
export type { DecisionJson, FlipJson, FlipsJson } from '../journal/decision-schema.ts';

/** An entry of `GET /api/endpoints`. */
export interface EndpointJson {
  name: string;
  address: string;
  labels: Record<string, string>;
  /** May be given requests: `state` is "ready". */
  ready: boolean;
  /**
   * starting: it has not yet said what it serves, or does so no more; failing: out, after requests to it failed;
   * withdrawn: whoever runs it says that it is not ready.
   */
  state: 'ready' | 'starting' | 'failing' | 'withdrawn';
  models: string[];
  /** Sent to it and not ended. */
  inFlight: number;
  queuedPrefillTokens: number;
  queuedPrefillSeconds: number;
  /** Tokens that the requests in flight keep in its KV cache. */
  contextTokens: number;
  /** As the engine says, `gaugeAgeMs` ago. */
  waiting: number | null;
  running: number | null;
  kvUsage: number | null;
  gaugeAgeMs: number | null;
  /** Of what it was sent, thought to be in its cache. */
  cachedTokens: number;
  /** Learned prefill speed, 1 being the reference. */
  speed: number | null;
  secondsPerOutputToken: number | null;
  /** Since this process knows it; tokens as the engine reported them. */
  totals: EndpointTotalsJson;
}

export interface EndpointTotalsJson {
  /** Answers and failures that it was the last to be tried for. */
  requests: number;
  failed: number;
  promptTokens: number;
  /** Of the prompt tokens, those of answers that said how many were cached, and how many were. */
  measuredTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/**
 * `GET /api/prefixes`: what is known to be cached where, how exactly it is known and how true it has been, how often
 * blocks are held by several endpoints, and the prefixes that requests are placed for most.
 */
export interface PrefixesJson {
  /** Blocks that some endpoint holds; all their copies; and copies a block. */
  blocks: number;
  copies: number;
  duplication: number | null;
  blocksByHolders: { holders: number; blocks: number }[];
  /** Memory of the index and its bound, and of what translates engines' own hashes. */
  indexBytes: number;
  indexLimitBytes: number;
  engineHashBytes: number;
  endpoints: EndpointPrefixesJson[];
  /** Where the token ids come from by which prompts are held against events, by model. */
  models: ModelTokensJson[];
  /** The hottest first. */
  prefixes: HotPrefixJson[];
}

interface ModelTokensJson {
  model: string;
  /** The model's own tokenizer here, its engine's `/tokenize`, or none: prompts are known by their text then. */
  completions: 'tokenizer' | 'engine' | 'text';
  chat: 'tokenizer' | 'engine' | 'text';
  folder: string | null;
  /** Its ids were held against the engine's. */
  /** Whether its engine is asked for prompts that no tokenizer can know, such as those with images. */
  renders: boolean;
  verified: boolean;
  problem: string | null;
}

interface EndpointPrefixesJson {
  name: string;
  blocks: number;
  tokens: number;
  /**
   * How far its cache is known by its KV events: not at all, so that it is what was sent there; from some moment on,
   * beside what was sent; or in whole.
   */
  knowledge: 'none' | 'partial' | 'complete';
  blockTokens: number;
  kvEvents: KvEventsJson | null;
  /**
   * Predicted less reported cached tokens as a share of the prompt, averaged over the last reports: with its sign
   * (`bias`) and without (`error`).
   */
  prediction: { reports: number; error: number | null; bias: number | null };
}

/** What is heard of an endpoint's cache; counts since it was first heard. */
interface KvEventsJson {
  connected: boolean;
  /** Nothing that it said is missing. */
  complete: boolean;
  /** It can be asked for what it said before. */
  replay: boolean;
  sources: readonly string[];
  /** Blocks that it has, and the memory that knowing their names takes. */
  blocks: number;
  bytes: number;
  blockTokens: number | null;
  stored: number;
  removed: number;
  cleared: number;
  /** Blocks whose beginning is not known, so that they say nothing. */
  orphaned: number;
  gaps: number;
  restarts: number;
  replayed: number;
  unreadable: number;
  /** Why it is not heard, in a few words. */
  problem: string | null;
}

interface HotPrefixJson {
  /** A hash that tells it from others. */
  id: string;
  model: string;
  tokens: number;
  /** Requests placed where it was cached, ever and with a half-life of five minutes. */
  hits: number;
  heat: number;
  usedSecondsAgo: number;
  endpoints: { name: string; tier: 'fast' | 'slower' }[];
}

/** `GET /api/policies`, and the answer to `POST /api/reload`. */
export interface PoliciesJson extends PolicyShape {
  /** The how-many-th policy since the start. */
  generation: number;
  /** Null before the configuration was first read again. */
  lastReload: {
    readonly outcome: 'applied' | 'unchanged' | 'rejected';
    readonly error: string | null;
    readonly time: string;
  } | null;
  /** Plugins from files of the user's, and how they fare; `off` says why one runs no more. */
  plugins: readonly {
    readonly type: string;
    readonly file: string;
    readonly runs: number;
    readonly failures: number;
    readonly slowRuns: number;
    readonly lastFailure: string | null;
    readonly off: string | null;
  }[];
  name: string;
  hash: string;
}

/** The columns of the pool's time series; rates are of requests that ended in a step. */
export type PoolColumn =
  | 'requestsPerSecond'
  | 'failedPerSecond'
  | 'promptTokensPerSecond'
  | 'cachedTokensPerSecond'
  | 'completionTokensPerSecond'
  | 'inFlight'
  | 'held'
  | 'queuedPrefillTokens'
  | 'ttftP50Seconds'
  | 'ttftP90Seconds'
  | 'e2eP50Seconds'
  | 'e2eP90Seconds'
  | 'schedulerP50Seconds';

export type EndpointColumn =
  'requestsPerSecond' | 'inFlight' | 'queuedPrefillTokens' | 'waiting' | 'running' | 'kvUsage' | 'cachedShare';

/**
 * `GET /api/series?after=MS`: the last ten minutes of the pool and two of each endpoint, a point per step, oldest first;
 * with `after` only the steps that ended later. Columns are parallel to `endedAtMs` of their own part.
 */
export interface SeriesJson {
  stepMs: number;
  pool: { endedAtMs: number[]; columns: Record<PoolColumn, (number | null)[]> };
  endpoints: { endedAtMs: number[]; columns: Record<string, Record<EndpointColumn, (number | null)[]>> };
  /** Endpoints past the 64 that are written out. */
  endpointsLeftOut: number;
}

/** `GET /api/admission`: what waits in the gateway, and why. */
export interface AdmissionJson {
  /** Requests held now, and the most that may be; null where the policy holds none. */
  held: number;
  maxHeld: number | null;
  heldBytes: number;
  /** How full the pool is, 1 being where requests begin to wait; null without a ready endpoint. */
  saturation: number | null;
  /** Endpoints that would do what there is to do, for whoever scales. */
  desiredReplicas: number;
  /** Priorities of which something waits or waited, highest first, with their tenants that wait (100 at most). */
  bands: BandJson[];
  /** The first 100, next first. */
  queue: HeldRequestJson[];
  /** Since the start. */
  totals: {
    placed: number;
    /** Of all that arrived, those that had to wait. */
    held: number;
    /** Clients that left while they waited. */
    left: number;
    /** Sent, and taken back for a higher priority before anything of an answer had come. */
    takenBack: number;
    /** Turned away because the fleet is full, by why (`Decision.admission.shed`). */
    shed: Record<string, number>;
    /** By error code; those of `shed` are among them. */
    refused: Record<string, number>;
  };
}

interface BandJson {
  priority: number;
  held: number;
  heldBytes: number;
  prefillSeconds: number;
  maxRequests: number;
  maxBytes: number;
  ttlSeconds: number;
  /** Names of the objectives that have this priority. */
  objectives: string[];
  /** Tokens that it is due for what was served above it. */
  owedTokens: number;
  tenants: {
    fairnessId: string;
    held: number;
    weight: number;
    /** Service by weight beyond that of the tenant that got least, in tokens. */
    aheadTokens: number;
  }[];
}

interface HeldRequestJson {
  requestId: string;
  priority: number;
  fairnessId: string;
  /** When it came: how many waited ahead, and in how many seconds it was thought to be placed. */
  ahead: { requests: number; seconds: number | null } | null;
  model: string;
  promptTokens: number;
  heldSeconds: number;
  /** What it waits for, in a few words; null until it has been tried. */
  reason: string | null;
}

/** `GET /api/keys`: who may send requests, and what they have used. Null where something is not bounded. */
export interface KeysJson {
  /** False where everybody may. */
  asked: boolean;
  /** How many there are whose name has the `text` asked for. */
  count: number;
  /** In the file's order, then subjects of issuers; with a `limit` below their count those used last, the latest first. */
  keys: KeyJson[];
}

interface KeyJson {
  name: string;
  expires: string | null;
  limits: { requestsPerMinute: number | null; tokensPerMinute: number | null; maxConcurrent: number | null };
  priority: number | null;
  objective: string | null;
  models: readonly string[] | null;
  /** By all gateways together where they share. */
  now: { requestsThisMinute: number; tokensThisMinute: number; inFlight: number };
  /** Here, since the start. */
  totals: {
    requests: number;
    refused: Record<string, number>;
    promptTokens: number;
    cachedTokens: number;
    completionTokens: number;
  };
  lastUsed: string | null;
}

/** `GET /api/sharing`: other replicas of this gateway or endpoint picker. */
export type SharingJson =
  | { shares: false }
  | {
      shares: true;
      id: string;
      /** False: this one is alone. */
      up: boolean;
      problem: string | null;
      aloneSeconds: number;
      peers: readonly string[];
      /** Picks of others that this one was asked about, and would have made too; `recent` is the share of late. */
      agreement: { compared: number; agreed: number; recent: number | null };
      /** From telling to hearing. */
      lagSeconds: number | null;
      told: { batches: number; bytes: number; droppedBlocks: number };
    };

/** `GET /api/shadow`: policies that decide on live traffic without effect, beside the one that does. */
export interface ShadowJson {
  live: { name: string; hash: string };
  /** All shadows together may take this share of the scheduler's time, and took that. */
  limitShare: number;
  share: number | null;
  policies: ShadowPolicyJson[];
}

interface ShadowPolicyJson {
  name: string;
  hash: string;
  /** Decisions that it was asked about, and where it picked the same endpoint. */
  compared: number;
  agreed: number;
  /** Not asked: its share of time was used up, or the process was busy. */
  skipped: { overShare: number; busy: number };
  /** Means over the decisions compared where both are known, as predicted at the decision. */
  ttftSeconds: ShadowMeansJson;
  cachedTokens: ShadowMeansJson;
  /** How often each picked it. */
  picks: Record<string, { live: number; shadow: number }>;
  /** Those with the largest predicted difference in TTFT first. */
  disagreements: ShadowDisagreementJson[];
}

export interface ShadowMeansJson {
  compared: number;
  live: number | null;
  shadow: number | null;
}

interface ShadowDisagreementJson {
  id: string;
  requestId: string;
  time: string;
  model: string;
  promptTokens: number;
  live: ShadowPickJson;
  shadow: ShadowPickJson;
}

export interface ShadowPickJson {
  endpoint: string | null;
  ttftSeconds: number | null;
  cachedTokens: number | null;
}

/**
 * `GET /api/events`: server-sent events named `decisions`, at most four a second: the decisions made or ended since the
 * last one, each as it stands now. A listener that is behind gets fewer; `leftOut` counts what it was not told of.
 */
export interface DecisionsEventJson {
  decisions: DecisionRowJson[];
  leftOut: number;
}
