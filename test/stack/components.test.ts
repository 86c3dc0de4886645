import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../src/base/random.ts';
import { workloads } from '../../src/stack/components.ts';
import { modelObjectName, podSuffix, templateHash } from '../../src/stack/object-names.ts';
import { parseValues } from '../../src/stack/values.ts';

const declared = (text: string) => workloads(parseValues(text, 'my.yaml').values);

test('the walkthrough gives its pods, containers and labels', () => {
  const all = declared('sampleApplication: {decode: {replicas: 2}, prefill: {replicas: 0}}');
  assert.deepEqual(
    all.map(({ name, replicas, containers }) => [name, replicas, containers.map((container) => container.name).join()]),
    [
      ['llm-d-inference-gateway', 1, 'gateway'],
      ['llm-d-modelservice', 1, 'modelservice'],
      ['meta-llama-llama-3-2-3b-instruct-epp', 1, 'epp'],
      ['meta-llama-llama-3-2-3b-instruct-decode', 2, 'routing-proxy,vllm'],
      ['meta-llama-llama-3-2-3b-instruct-prefill', 0, 'vllm'],
    ],
  );
  assert.deepEqual(all.find(({ component }) => component === 'decode')!.labels, {
    'llm-d.ai/inferenceServing': 'true',
    'llm-d.ai/model': 'meta-llama-llama-3-2-3b-instruct',
    'llm-d.ai/role': 'decode',
  });
  assert.deepEqual(all.find(({ component }) => component === 'epp')!.labels, {
    'llm-d.ai/epp': 'meta-llama-llama-3-2-3b-instruct-epp',
  });
});

test('a hash changes with its own template only', () => {
  const hashes = (text: string) => Object.fromEntries(declared(text).map(({ component, hash }) => [component, hash]));
  const before = hashes('');
  assert.deepEqual(hashes('sampleApplication: {decode: {replicas: 5}}'), before);
  const after = hashes('sampleApplication: {decode: {extraArgs: [--max-num-seqs, 8]}}');
  assert.notEqual(after['decode'], before['decode']);
  assert.equal(after['gateway'], before['gateway']);
});

test('names, extra arguments and speed reach the engine', () => {
  const { values } = parseValues(
    'sampleApplication: {baseConfigMapRefName: basic-gpu-preset, model: {modelName: a/b, servedModelNames: [x, y]}, decode: {extraArgs: [--max-num-seqs, 8]}}',
    'my.yaml',
  );
  const decode = workloads(values, { timeScale: 10 }).find(({ component }) => component === 'decode')!;
  assert.equal(
    decode.containers[1]!.args.join(' '),
    '--model a/b --served-model-name x y --time-scale 10 --max-num-seqs 8',
  );
});

test('with nixl in the preset, engines and the sidecar hand caches over', () => {
  const { values } = parseValues('sampleApplication: {baseConfigMapRefName: basic-gpu-with-nixl-preset}', 'my.yaml');
  const [sidecar, engine] = workloads(values).find(({ component }) => component === 'decode')!.containers;
  assert.deepEqual(sidecar!.args, ['--connector', 'nixlv2']);
  assert.match(engine!.args.join(' '), /--kv-transfer-config {"kv_connector":"NixlConnector"/);
});

test('a model becomes a legal object name, different names different ones when cut', () => {
  assert.equal(modelObjectName('meta-llama/Llama-3.2-3B-Instruct'), 'meta-llama-llama-3-2-3b-instruct');
  assert.equal(modelObjectName('My_Model.v2'), 'my-model-v2');
  const long = 'organisation/a-model-with-a-name-that-goes-on-and-on';
  assert.notEqual(modelObjectName(`${long}-prefill`), modelObjectName(`${long}-decode`));
  const hash = templateHash('x');
  const suffix = podSuffix(seededRandom(1));
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9_./-]*[A-Za-z0-9][A-Za-z0-9_./-]*$/), (model) => {
      const name = `${modelObjectName(model)}-prefill-${hash}-${suffix}`;
      assert.match(name, /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
      assert.ok(name.length <= 63, name);
    }),
  );
});
