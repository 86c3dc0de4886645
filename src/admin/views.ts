import { knownOrNull } from '../base/unknown.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import { scaleSignal } from '../dispatch/scale-signal.ts';
import { shadowShare } from '../dispatch/shadows.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { KvEvents } from '../fleet/kv-events/kv-events.ts';
import type { PromptTokens } from '../fleet/tokens/prompt-tokens.ts';
import type { Keys } from '../keys/keys.ts';
import type {
  AdmissionJson,
  EndpointJson,
  KeysJson,
  PrefixesJson,
  ShadowJson,
  SharingJson,
  ShadowMeansJson,
  ShadowPickJson,
} from './json.ts';
import type { Sharing } from '../sharing/sharing.ts';
import type { Series } from './series.ts';

/** `/api/endpoints`: an entry per endpoint; unknown numbers are null. */
export function endpointsJson(fleet: Fleet, series: Series, nowMs: number): EndpointJson[] {
  const { ledger, gauges, speed } = fleet;
  return fleet.slots.map((slot) => {
    const { name, address, labels } = fleet.endpointAt(slot)!;
    ledger.refresh(slot);
    return {
      name,
      address,
      labels,
      ready: fleet.isReady(slot),
      state: fleet.stateAt(slot),
      models: [...fleet.modelsAt(slot).keys()].sort(),
      inFlight: ledger.inFlight[slot]!,
      queuedPrefillTokens: ledger.queuedPrefillTokens[slot]!,
      queuedPrefillSeconds: fleet.queuedPrefillSecondsAt(slot, nowMs),
      contextTokens: ledger.contextTokens[slot]!,
      waiting: knownOrNull(gauges.waiting[slot]),
      running: knownOrNull(gauges.running[slot]),
      kvUsage: knownOrNull(gauges.kvUsage[slot]),
      gaugeAgeMs: knownOrNull(nowMs - gauges.scrapedAtMs[slot]!),
      cachedTokens: fleet.cachedTokensAt(slot),
      speed: knownOrNull(speed.relative[slot]),
      secondsPerOutputToken: knownOrNull(speed.secondsPerOutputToken[slot]),
      totals: series.totalsOf(name),
    };
  });
}

/** `/api/keys`: whom requests are taken from, what they may use and what they have used; no keys and no hashes. */
export function keysJson(
  keys: Keys | null,
  clock: Dispatch['clock'],
  { text, limit }: { readonly text: string; readonly limit: number },
): KeysJson {
  keys?.lookAtOthers();
  const part = text.toLowerCase();
  const all = keys === null ? [] : [...keys.all()].filter(({ name }) => name.toLowerCase().includes(part));
  const count = all.length;
  if (count > limit) {
    all.sort(({ usage: one }, { usage: other }) =>
      other.lastUsedMs === one.lastUsedMs ? 0 : other.lastUsedMs - one.lastUsedMs,
    );
    all.length = Math.max(0, Math.floor(limit));
  }
  const nowMs = clock.nowMs();
  return {
    asked: keys !== null,
    count,
    keys: all.map((key) => {
      const { rights, usage, others, expiresEpochMs } = key;
      const { requests, tokens, inFlight } = key.levels(nowMs);
      return {
        name: key.name,
        expires: expiresEpochMs === Infinity ? null : new Date(expiresEpochMs).toISOString(),
        limits: {
          requestsPerMinute: rights.requestsPerMinute ?? null,
          tokensPerMinute: rights.tokensPerMinute ?? null,
          maxConcurrent: rights.maxConcurrent ?? null,
        },
        priority: rights.priority ?? null,
        objective: rights.objective ?? null,
        models: rights.models ?? null,
        now: {
          requestsThisMinute: requests + others.requests,
          tokensThisMinute: tokens + others.tokens,
          inFlight: inFlight + others.inFlight,
        },
        totals: {
          requests: usage.requests,
          refused: Object.fromEntries(usage.refused),
          promptTokens: usage.promptTokens,
          cachedTokens: usage.cachedTokens,
          completionTokens: usage.completionTokens,
        },
        lastUsed:
          usage.lastUsedMs === -Infinity ? null : new Date(clock.epochMs() - (nowMs - usage.lastUsedMs)).toISOString(),
      };
    }),
  };
}

/** `/api/sharing`: who else there is, and whether they would decide the same. */
export function sharingJson(sharing: Sharing | null): SharingJson {
  if (sharing === null) return { shares: false };
  const { id, isUp, problem, peers, aloneSeconds, agreement, lagMs, batches, bytes, droppedBlocks } = sharing;
  return {
    shares: true,
    id,
    up: isUp,
    problem,
    aloneSeconds,
    peers,
    agreement: { compared: agreement.compared, agreed: agreement.agreed, recent: knownOrNull(agreement.recent) },
    lagSeconds: knownOrNull(lagMs / 1000),
    told: { batches, bytes, droppedBlocks },
  };
}

const shownPrefixes = 100;

/**
 * `/api/prefixes`: what is known to be cached where, how exactly it is known and how true it has been, how often blocks
 * are held by several endpoints, and the prefixes that requests are placed for most.
 */
export function prefixesJson(fleet: Fleet, kvEvents: KvEvents, tokens: PromptTokens, nowMs: number): PrefixesJson {
  const { prefixes, slots, prediction } = fleet;
  const byHolders = prefixes.blocksByHolders();
  const held = byHolders.slice(1).reduce((sum, count) => sum + count, 0);
  const copies = byHolders.reduce((sum, count, holders) => sum + count * holders, 0);
  return {
    blocks: held,
    copies,
    duplication: held === 0 ? null : copies / held,
    blocksByHolders: byHolders.flatMap((count, holders) =>
      holders === 0 || count === 0 ? [] : [{ holders, blocks: count }],
    ),
    indexBytes: prefixes.bytes,
    indexLimitBytes: prefixes.limitBytes,
    engineHashBytes: slots.reduce((sum, slot) => sum + (kvEvents.status(slot)?.bytes ?? 0), 0),
    endpoints: slots.map((slot) => ({
      name: fleet.endpointAt(slot)!.name,
      blocks: prefixes.blocksAt(slot),
      tokens: fleet.cachedTokensAt(slot),
      knowledge: fleet.eventKnowledge(slot),
      blockTokens: fleet.blockTokens(slot),
      kvEvents: kvEvents.status(slot),
      prediction: {
        reports: prediction.samples[slot]!,
        error: knownOrNull(prediction.error[slot]),
        bias: knownOrNull(prediction.bias[slot]),
      },
    })),
    models: [...tokens.models].map(([model, { completions, chat, renders, folder, verified, problem }]) => ({
      ...{ model, completions, chat, renders, folder, verified, problem },
    })),
    prefixes: fleet.hotPrefixes
      .hottest(shownPrefixes, nowMs)
      .map(({ low, high, model, tokens, hits, heat, usedAtMs }) => ({
        id: `${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}`,
        model,
        tokens,
        hits,
        heat,
        usedSecondsAgo: (nowMs - usedAtMs) / 1000,
        endpoints: prefixes.holdersOf(low, high).flatMap(({ slot, slower }) => {
          const name = fleet.endpointAt(slot)?.name;
          return name === undefined ? [] : [{ name, tier: slower ? 'slower' : 'fast' }];
        }),
      })),
  };
}

const listedQueue = 100;

const waitReason = {
  prefill: (endpoint: string) => `${endpoint} has prefill enough queued`,
  'kv-cache': () => 'no endpoint has room in its KV cache',
  decode: (endpoint: string) => `${endpoint} decodes too slowly for its target`,
  utilization: () => 'the endpoints are full on average',
  endpoint: () => 'no endpoint is there yet',
} as const;

/** `/api/admission`: what waits, and what became of all that came. */
export function admissionJson(dispatch: Dispatch): AdmissionJson {
  const { held, arrivals, policy } = dispatch;
  const { saturation, desiredReplicas } = scaleSignal(dispatch);
  return {
    held,
    maxHeld: policy.hold?.maxRequests ?? null,
    heldBytes: dispatch.heldBytes,
    saturation: knownOrNull(saturation),
    desiredReplicas,
    bands: dispatch.bands.map(({ rule, size, bytes, prefillSeconds, owedTokens, tenants }) => {
      const busy = [...tenants.busy.values()].slice(0, listedQueue);
      const least = busy.reduce((smallest, { served }) => Math.min(smallest, served), Infinity);
      return {
        ...rule,
        objectives: (policy.hold?.objectives ?? [])
          .filter(({ priority }) => priority === rule.priority)
          .map(({ name }) => name),
        held: size,
        heldBytes: bytes,
        prefillSeconds,
        owedTokens,
        tenants: busy.map(({ id, waiting, weight, served }) => ({
          fairnessId: id,
          held: waiting.size,
          weight,
          aheadTokens: served - least,
        })),
      };
    }),
    queue: dispatch.heldRequests(listedQueue).map(({ request, ahead, heldSeconds, waitsFor }) => ({
      requestId: request.requestId,
      priority: request.caller?.priority ?? 0,
      fairnessId: request.caller?.fairnessId ?? 'default-flow',
      ahead: ahead && { ...ahead, seconds: knownOrNull(ahead.seconds) },
      model: request.model,
      promptTokens: request.promptTokens,
      heldSeconds,
      reason: waitsFor && waitReason[waitsFor.what](waitsFor.endpoint ?? 'the endpoint picked'),
    })),
    totals: {
      placed: arrivals.placed,
      held: arrivals.held,
      left: arrivals.left,
      takenBack: arrivals.takenBack,
      shed: Object.fromEntries(arrivals.shed),
      refused: Object.fromEntries(arrivals.refused),
    },
  };
}

/** `/api/shadow`: how the policies in shadow compare with the one that decides. */
export function shadowJson({ policy: live, shadows }: Dispatch): ShadowJson {
  return {
    live: { name: live.name, hash: live.hash },
    limitShare: shadowShare,
    share: shadows.share,
    policies: shadows.all.map(({ policy: { name, hash }, tally }) => ({
      name,
      hash,
      compared: tally.compared,
      agreed: tally.agreed,
      skipped: { ...tally.skipped },
      ttftSeconds: meansOf(tally.ttftSeconds),
      cachedTokens: meansOf(tally.cachedTokens),
      picks: Object.fromEntries(tally.picks),
      disagreements: tally.disagreements.map(({ decision: { epochMs, ...decision }, live: here, shadow: there }) => ({
        ...decision,
        time: new Date(epochMs).toISOString(),
        live: pickOf(here),
        shadow: pickOf(there),
      })),
    })),
  };
}

interface Pick {
  readonly picked: string | null;
  readonly ttftSeconds: number;
  readonly cachedTokens: number;
}

function pickOf({ picked, ttftSeconds, cachedTokens }: Pick): ShadowPickJson {
  return { endpoint: picked, ttftSeconds: knownOrNull(ttftSeconds), cachedTokens: knownOrNull(cachedTokens) };
}

function meansOf(sums: { compared: number; live: number; shadow: number }): ShadowMeansJson {
  const { compared, live, shadow } = sums;
  const mean = (sum: number): number | null => (compared === 0 ? null : sum / compared);
  return { compared, live: mean(live), shadow: mean(shadow) };
}
