import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DecisionJson } from '../../src/admin/json.ts';
import { seededRandom } from '../../src/base/random.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { newStates, type Policy } from '../../src/scheduler/policy.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import { schedule } from '../../src/scheduler/schedule.ts';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';
import { requestOf, viewOf } from '../support/scheduling.ts';
import { walkthroughPolicy } from '../support/walkthrough-policy.ts';

/** Decides again from nothing but what the admin API shows of a decision. */
function pickedAgain(decision: DecisionJson, policy: Policy): string | null {
  const names = decision.profiles[0]!.candidates.map(({ endpoint }) => endpoint);
  const known = (value: number | null): number | undefined => value ?? undefined;
  const view = viewOf(
    names.map((name) => {
      const inputs = decision.inputs[name]!;
      return {
        name,
        waiting: known(inputs.waiting),
        running: known(inputs.running),
        othersInFlight: known(inputs.othersInFlight),
        kvUsage: known(inputs.kvUsage),
        inFlight: known(inputs.inFlight),
        queuedPrefillTokens: known(inputs.queuedPrefillTokens),
        queuedPrefillSeconds: known(inputs.queuedPrefillSeconds),
        contextTokens: known(inputs.contextTokens),
        cachedTokens: known(inputs.cachedTokens),
        prefillSeconds: known(inputs.prefillSeconds),
        ageMs: known(inputs.ageMs),
      };
    }),
  );
  const { streaming, promptTokens } = decision;
  const request = requestOf({ model: decision.model, streaming, promptTokens });
  const [slot] = schedule(policy, newStates(policy), request, view, decision.seed).picked;
  return slot === undefined ? null : names[slot]!;
}

function checkSums({ profiles, picked }: DecisionJson): void {
  for (const { scorers, totals, picker } of profiles) {
    const isCost = scorers[0]!.unit === 'seconds';
    for (const [endpoint, total] of Object.entries(totals)) {
      const sum = scorers.reduce((so, { weight, scores }) => so + weight * scores[endpoint]!, 0);
      assert.ok(Math.abs(sum - total) < 1e-9, `${endpoint}: ${sum}, shown ${total}`);
    }
    const values = Object.values(totals);
    assert.equal(totals[picked!], isCost ? Math.min(...values) : Math.max(...values));
    assert.ok(picker.tied.includes(picked!) && picker.picked[0] === picked);
  }
}

const policies: readonly (readonly [string, string, Policy])[] = [
  ['the walkthrough', JSON.stringify(walkthroughPolicy), policyFromConfig(walkthroughPolicy, 'config-text')],
  ['least-added-wait', '', presetPolicy('least-added-wait')],
];

for (const [name, configText, policy] of policies) {
  test(`250 requests of mixed traffic under ${name}: who is explained to win has served, and would win again`, async (t) => {
    const engines = await Promise.all(Array.from({ length: 4 }, () => startEngine(t)));
    const gateway = await startTestGateway(
      t,
      engines.map(({ url }) => url),
      { policy: { environment: {}, ...(configText === '' ? {} : { configText }) }, shadows: ['llm-d-legacy'] },
    );
    const random = seededRandom(11);
    const served = new Map<string, string>();
    const ask = async (number: number): Promise<void> => {
      const session = random.below(12);
      const text = `You help customer ${session}. `.repeat(10 + 30 * (session % 4)) + `Question ${random.below(40)}.`;
      const stream = random.below(3) > 0;
      const isChat = random.below(2) === 0;
      const prompt = isChat ? { messages: [{ role: 'user', content: text }] } : { prompt: text };
      const path = isChat ? 'chat/completions' : 'completions';
      const abort = new AbortController();
      const sent = { model, max_tokens: 1 + random.below(20), stream, ...prompt };
      const answer = await postJson(`${gateway.url}/v1/${path}`, sent, { signal: abort.signal });
      assert.equal(answer.status, 200);
      served.set(answer.headers.get('x-signalbox-decision')!, answer.headers.get('x-signalbox-endpoint')!);
      // Now and then somebody leaves in mid-answer.
      if (stream && number % 25 === 0) abort.abort();
      else await answer.text();
    };
    let next = 0;
    const user = async (): Promise<void> => {
      while (next < 250) await ask(next++);
    };
    await Promise.all(Array.from({ length: 10 }, user));

    let decisions: DecisionJson[] = [];
    await until(async () => {
      decisions = (await (await fetch(`${gateway.adminUrl}/api/decisions?limit=1000`)).json()) as DecisionJson[];
      return decisions.length === 250 && decisions.every(({ outcome }) => outcome !== null);
    });
    for (const decision of decisions) {
      assert.equal(decision.picked, served.get(decision.id));
      assert.deepEqual(
        decision.attempts.map(({ endpoint }) => endpoint),
        [decision.picked],
      );
      if (decision.outcome!.status === 200) assert.equal(decision.outcome!.endpoint, decision.picked);
      checkSums(decision);
      assert.equal(pickedAgain(decision, policy), decision.picked, decision.id);
    }
    assert.ok(new Set(served.values()).size > 1, 'several endpoints served');
  });
}
