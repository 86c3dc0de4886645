import assert from 'node:assert/strict';
import { test } from 'node:test';
import { walkthroughPolicy } from '../support/walkthrough-policy.ts';
import { model, postJson, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';
import { answerBody, answerHeaders, DataPlane, requestBody, requestHeaders, startTestEpp } from './wire-client.ts';

interface DecisionShape {
  id: string;
  requestId: string;
  time: string;
  seed: number;
  picked: unknown;
  profiles: { scorers: { type: string; scores: Record<string, number> }[]; totals: object }[];
  outcome: Record<string, unknown> | null;
}

const answer = JSON.stringify({
  choices: [{ index: 0, text: ' an answer' }],
  usage: { prompt_tokens: 97, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 16 } },
});

/** What a decision says apart from when it was made, how the ties fell and how long things took. */
function essence({ profiles, outcome }: DecisionShape, named: string): unknown {
  return {
    scores: profiles.map(({ scorers }) =>
      scorers.map(({ type, scores }) => ({ type, first: scores[named], count: Object.keys(scores).length })),
    ),
    status: outcome?.['status'],
    cachedTokens: outcome?.['cachedTokens'],
    completionTokens: outcome?.['completionTokens'],
    wentTo: outcome?.['endpoint'] === named,
  };
}

async function decisions(adminUrl: string, count: number): Promise<DecisionShape[]> {
  let found: DecisionShape[] = [];
  await until(async () => {
    found = (await (await fetch(`${adminUrl}/api/decisions?limit=${count}`)).json()) as DecisionShape[];
    return found.length === count && found.every(({ outcome }) => outcome !== null);
  });
  return found.sort((a, b) => a.requestId.localeCompare(b.requestId));
}

test('both doors decide alike on the same requests, and count them alike', async (t) => {
  const stubs = await Promise.all(
    [0, 1].map(() =>
      startStub(t, (_request, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(answer);
      }),
    ),
  );
  const urls = stubs.map(({ url }) => url);
  const policy = { environment: {}, configText: JSON.stringify(walkthroughPolicy) };
  const gateway = await startTestGateway(t, urls, { policy });
  const epp = await startTestEpp(t, urls, { policy });

  const bodies = [prompt1, prompt2, prompt1, `${prompt2} And more.`].map((prompt) => ({
    model,
    prompt,
    max_tokens: 2,
  }));
  for (const [index, body] of bodies.entries()) {
    const requestId = `request-${index}`;
    const response = await postJson(`${gateway.url}/v1/completions`, body, { headers: { 'x-request-id': requestId } });
    assert.equal(response.status, 200);
    await response.arrayBuffer();

    const plane = new DataPlane(t, epp.address);
    plane.send(requestHeaders({ 'x-request-id': requestId }), requestBody(JSON.stringify(body)));
    await plane.next();
    await plane.next();
    plane.send(answerHeaders(200, 'application/json'), answerBody(answer, true));
    await plane.next();
    await plane.next();
    plane.stream.end();
    await until(() => plane.ended !== null);
  }

  const there = await decisions(gateway.adminUrl, bodies.length);
  const here = await decisions(epp.adminUrl, bodies.length);
  // The first falls by chance, on either; from there on the prefix decides.
  const [firstThere, firstHere] = [there[0]!, here[0]!].map(({ outcome }) => String(outcome!['endpoint']));
  assert.deepEqual(
    here.map((each) => essence(each, firstHere!)),
    there.map((each) => essence(each, firstThere!)),
  );
  assert.ok(here.every(({ outcome }) => outcome!['endpoint'] === firstHere));

  const counted = async (adminUrl: string): Promise<string[]> => {
    const text = await (await fetch(`${adminUrl}/metrics`)).text();
    return text
      .split('\n')
      .filter((line) => /^llm_d_epp_(request_total|request_(input|output|cached)_tokens_(sum|count))/.test(line));
  };
  const lines = await counted(epp.adminUrl);
  assert.ok(lines.length >= 7);
  assert.deepEqual(lines, await counted(gateway.adminUrl));
});
