import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { callerOf } from '../../src/admission/objectives.ts';
import { parseRequest } from '../../src/api/request.ts';
import { wallClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { InferenceObjects, readInferenceObjects } from '../../src/door/inference-objects.ts';
import { questionOf } from '../../src/door/question.ts';
import { Sessions } from '../../src/door/sessions.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { temporaryFolder } from '../support/command.ts';

const file = `# As kubectl takes them.
apiVersion: llm-d.ai/v1alpha2
kind: InferenceObjective
metadata: { name: gold }
spec: { priority: 10, poolRef: { name: chat } }
---
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferenceObjective
metadata: { name: batch }
spec: { priority: -1, poolRef: { name: other } }
---
apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: { name: everything, creationTimestamp: 2026-01-02T00:00:00Z }
spec:
  poolRef: { name: chat }
  rules:
    - targets: [{ modelRewrite: default-model }]
---
apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: { name: canary, creationTimestamp: 2026-01-03T00:00:00Z }
spec:
  poolRef: { name: chat }
  rules:
    - matches: [{ model: { value: llama } }, { model: { type: Exact, value: llama-latest } }]
      targets:
        - { modelRewrite: llama-a, weight: 9 }
        - { modelRewrite: llama-b, weight: 1 }
        - { modelRewrite: llama-never }
---
apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: { name: younger, creationTimestamp: 2026-02-01T00:00:00Z }
spec:
  poolRef: { name: chat }
  rules:
    - matches: [{ model: { value: llama } }]
      targets: [{ modelRewrite: llama-c }]
`;

async function objectsOf(folder: string, text: string, pool: string | null): Promise<InferenceObjects> {
  const path = join(folder, 'objects.yaml');
  writeFileSync(path, text);
  const objects = new InferenceObjects(seededRandom(1));
  objects.replace(await readInferenceObjects([path]), pool);
  return objects;
}

const asked = (model: string) => parseRequest('completions', Buffer.from(`{"prompt":"p", "model" : "${model}","n":1}`));

test('objectives have their priority, those of another pool none', async (t) => {
  const folder = temporaryFolder(t);
  const own = await objectsOf(folder, file, 'chat');
  assert.deepEqual([own.priorityOf('gold'), own.priorityOf('batch')], [10, null]);
  assert.equal((await objectsOf(folder, file, null)).priorityOf('batch'), -1);
});

test('a request that names an objective brings its priority to admission', async (t) => {
  const objects = await objectsOf(temporaryFolder(t), file, 'chat');
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  const sessions = new Sessions({ key: Buffer.alloc(32), clock: wallClock, rule: () => null });
  const callerNaming = (name: string) => {
    const headers = { 'x-gateway-inference-objective': name };
    return callerOf(questionOf(asked('llama'), 'r', headers, fleet, sessions, objects, null).request, []);
  };
  assert.equal(callerNaming('gold')?.priority, 10);
  assert.equal(callerNaming('unheard of')?.priority, 0);
});

test('exactly the model goes before every model, the older object before the younger; weights decide', async (t) => {
  const objects = await objectsOf(temporaryFolder(t), file, 'chat');
  const counts: Record<string, number> = {};
  for (let count = 0; count < 1000; count++) {
    const { model, body } = objects.rewritten(asked(count % 2 === 0 ? 'llama' : 'llama-latest'));
    counts[model] = (counts[model] ?? 0) + 1;
    assert.deepEqual(JSON.parse(body.toString()), { model, prompt: 'p', n: 1 });
  }
  assert.deepEqual(Object.keys(counts).sort(), ['llama-a', 'llama-b']);
  assert.ok(counts['llama-b']! > 50 && counts['llama-b']! < 170, JSON.stringify(counts));
  assert.equal(objects.rewritten(asked('anything')).model, 'default-model');
});

test('without rules a request is the very same; a body of one member is still a document', async (t) => {
  const folder = temporaryFolder(t);
  const none = await objectsOf(folder, '', null);
  const request = asked('llama');
  assert.equal(none.rewritten(request), request);
  const objects = await objectsOf(folder, file, 'chat');
  const alone = parseRequest('completions', Buffer.from('{"model":"x"}'));
  assert.equal(objects.rewritten(alone).body.toString(), '{"model":"default-model"}');
});

test('what is wrong is said with its place in the whole file', async (t) => {
  const wrong = file.replace('priority: -1', 'priority: high');
  await assert.rejects(objectsOf(temporaryFolder(t), wrong, null), /objects\.yaml:10:\d+: spec\.priority/);
  const misspelt = file.replace('modelRewrite: llama-c', 'modelRewrit: llama-c');
  await assert.rejects(
    objectsOf(temporaryFolder(t), misspelt, null),
    /objects\.yaml:39:\d+: unknown key "modelRewrit"/,
  );
});
