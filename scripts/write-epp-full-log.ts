/**
 * Writes the log of the walkthrough's first request, step by step, as examples/base/epp-full-log.jsonl, and indented
 * beside it. The fleet is a fresh system of two idle decode pods; scheduler and renderings are the real ones, with the
 * clock and the seed held still. All three scorers are on, as in the walkthrough's own log (its values file turns
 * session affinity off). What became of the request is what the walkthrough recorded: 75 and 500 tokens in 5.295 s.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configFromEnvironment } from '../src/compat/llm-d-environment.ts';
import { decisionSteps, outcomeSteps } from '../src/journal/log-steps.ts';
import { policyFromConfig } from '../src/scheduler/config.ts';
import { roleLabel } from '../src/scheduler/endpoint.ts';
import { newStates } from '../src/scheduler/policy.ts';
import { recordDecision } from '../src/scheduler/record.ts';
import { anyCaller, type SchedulingRequest } from '../src/scheduler/request.ts';
import { schedule } from '../src/scheduler/schedule.ts';
import type { FleetView } from '../src/scheduler/view.ts';
import { root } from './lib/source-files.ts';

const deployment = 'meta-llama-llama-3-2-3b-instruct-decode-7d4f959d99';
const seed = 1;
const startedEpochMs = Date.UTC(2025, 4, 16, 18, 0, 0);
const answerSeconds = 5.295;

const environment = {
  ENABLE_SESSION_AWARE_SCORER: 'true',
  ENABLE_PREFIX_AWARE_SCORER: 'true',
  PREFIX_AWARE_SCORER_WEIGHT: '2',
  ENABLE_LOAD_AWARE_SCORER: 'true',
};

const request: SchedulingRequest = {
  requestId: '0b6ca1ae-59a3-4f2f-93a9-5f5c3a6b7d10',
  model: 'meta-llama/Llama-3.2-3B-Instruct',
  kind: 'completions',
  streaming: false,
  promptTokens: 97,
  promptCharacters: 387,
  maxOutputTokens: 500,
  sessionEndpoint: null,
  headers: { accept: '*/*', 'content-length': '481', 'content-type': 'application/json', 'user-agent': 'curl/8.7.1' },
};

/** Two pods, scraped 20 ms ago, with nothing to do and nothing cached. */
function freshSystem(): FleetView {
  const names = ['4h8bc', '52l4h'].map((suffix) => `${deployment}-${suffix}`);
  const column = (value: number): Float64Array => new Float64Array(names.length).fill(value);
  return {
    nowMs: 0,
    endpoints: names.map((name, slot) => ({
      name,
      address: `10.128.0.${11 + slot}:8000`,
      labels: { [roleLabel]: 'decode' },
    })),
    eligible: Int32Array.from(names, (_, slot) => slot),
    inFlight: column(0),
    queuedPrefillTokens: column(0),
    queuedPrefillSeconds: column(0),
    contextTokens: column(0),
    waiting: column(0),
    running: column(0),
    othersInFlight: column(0),
    kvUsage: column(0),
    gaugeAgeMs: column(20),
    speed: column(1),
    cachedTokens: () => column(0),
    prefillSeconds: () => column(0.03),
    prefixLookup: () => 'nothing stored yet',
  };
}

/** The records, one object a line of the log. */
export function eppFullLog(): object[] {
  const policy = policyFromConfig(configFromEnvironment(environment)!.config, 'environment');
  const view = freshSystem();
  const decision = recordDecision(policy, request, view, schedule(policy, newStates(policy), request, view, seed), {
    id: 'example-1',
    epochMs: startedEpochMs,
    seed,
    queuedSeconds: 0,
    caller: anyCaller,
    ahead: null,
    rejection: null,
    leftOut: [],
    schedulerSeconds: 0,
    prefixBlocks: null,
    predicted: { ttftSeconds: NaN, e2eSeconds: NaN },
  });
  const endpoint = decision.candidates[decision.picked]!.endpoint;
  decision.attempts.push({ endpoint, status: 200, reason: 'answered' });
  decision.outcome = {
    status: 200,
    endpoint,
    promptTokens: 75,
    cachedTokens: 0,
    completionTokens: 500,
    ttftSeconds: null,
    e2eSeconds: answerSeconds,
  };
  const steps = [
    ...decisionSteps(decision, { namespace: 'default' }),
    ...outcomeSteps(decision, startedEpochMs + 1000 * answerSeconds),
  ];
  return steps.map(({ fields }) => fields);
}

/** The two files, by their path from the root. */
export function eppFullLogFiles(): Record<string, string> {
  const records = eppFullLog();
  const text = (indent: number): string =>
    records.map((record) => `${JSON.stringify(record, null, indent)}\n`).join('');
  return { 'examples/base/epp-full-log.jsonl': text(0), 'examples/base/epp-full-log-formatted.jsonl': text(2) };
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(eppFullLogFiles())) writeFileSync(join(root, path), text);
}
