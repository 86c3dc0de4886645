import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readModelService } from '../../src/controller/model-service.ts';
import { childName, namesOf } from '../../src/controller/names.ts';
import { builtInPreset, presetFromConfigMap } from '../../src/controller/presets.ts';
import { renderObjects, type RenderOptions } from '../../src/controller/render/render.ts';
import { SignalboxError } from '../../src/base/errors.ts';

const options: RenderOptions = {
  features: { inferencePool: true, httpRoute: true, destinationRule: false, serviceMonitor: true },
  image: 'example/signalbox:1',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [],
};

interface Container {
  name: string;
  image: string;
  args: string[];
  env?: { name: string; value?: string }[];
  resources?: { limits?: Record<string, string> };
  volumeMounts?: { name: string }[];
}

interface Pod {
  containers: Container[];
  initContainers: Container[];
  automountServiceAccountToken: boolean;
  volumes: { name: string; persistentVolumeClaim?: { claimName: string } }[];
  affinity?: unknown;
}

function modelService(spec: object) {
  const metadata = { name: 'llama', namespace: 'test', uid: 'u1', generation: 1 };
  const whole = { routing: { modelName: 'meta/Llama' }, ...spec };
  return readModelService({ apiVersion: 'llm-d.ai/v1alpha1', kind: 'ModelService', metadata, spec: whole });
}

function render(spec: object, preset = 'basic-sim-preset', given: Partial<RenderOptions> = {}) {
  const objects = renderObjects(modelService(spec), builtInPreset(preset), { ...options, ...given });
  return new Map(objects.map((object) => [`${object.kind}/${object.metadata.name}`, object]));
}

function podOf(objects: ReturnType<typeof render>, name: string): Pod {
  return (objects.get(`Deployment/${name}`)?.['spec'] as { template: { spec: Pod } }).template.spec;
}

test('a ModelService becomes its objects, all of them its own', () => {
  const objects = render({ prefill: { replicas: 2 }, decode: { replicas: 2 } });
  assert.deepEqual([...objects.keys()].sort(), [
    'Deployment/llama-decode',
    'Deployment/llama-epp',
    'Deployment/llama-prefill',
    'InferencePool/llama-inference-pool',
    'PodDisruptionBudget/llama-decode',
    'PodDisruptionBudget/llama-prefill',
    'Role/llama-epp-sa',
    'Role/llama-sa',
    'RoleBinding/llama-epp-sa',
    'RoleBinding/llama-sa',
    'Service/llama-epp-service',
    'Service/llama-service-decode',
    'Service/llama-service-prefill',
    'ServiceAccount/llama-epp-sa',
    'ServiceAccount/llama-sa',
    'ServiceMonitor/llama-decode',
    'ServiceMonitor/llama-epp',
    'ServiceMonitor/llama-prefill',
  ]);
  for (const { metadata } of objects.values()) {
    assert.equal(metadata.namespace, 'test');
    assert.equal(metadata.ownerReferences?.[0]?.uid, 'u1');
  }
});

test('what the cluster does not have is not asked of it', () => {
  const features = { inferencePool: false, httpRoute: true, destinationRule: true, serviceMonitor: false };
  const kinds = [
    ...render({ routing: { modelName: 'm', gatewayRefs: [{ name: 'g' }] } }, undefined, { features }).keys(),
  ];
  assert.equal(
    kinds.some((key) => /InferencePool|HTTPRoute|DestinationRule|ServiceMonitor/.test(key)),
    false,
  );
  assert.ok(render({ routing: { modelName: 'm', gatewayRefs: [{ name: 'g' }] } }).has('HTTPRoute/llama-route'));
});

test('the resource wins over its preset: environment by name, arguments after those of the preset', () => {
  const vllm = { name: 'vllm', args: ['--max-num-seqs', '8'], env: [{ name: 'A', value: '1' }] };
  const pod = podOf(render({ decode: { containers: [vllm, { name: 'extra', image: 'x' }] } }), 'llama-decode');
  const [engine, extra] = pod.containers;
  assert.equal(engine?.image, options.image);
  assert.deepEqual(engine?.args.slice(-4), ['--served-model-name', 'meta/Llama', '--max-num-seqs', '8']);
  assert.deepEqual(engine?.env, [{ name: 'A', value: '1' }]);
  assert.equal(extra?.image, 'x');
});

test('further names are further arguments, and a claim takes the place of the folder for weights', () => {
  const spec = {
    routing: { modelName: 'm', servedModelNames: ['n', 'o'] },
    modelArtifacts: { uri: 'pvc://weights/llama' },
    decode: { parallelism: { tensor: 4 }, acceleratorTypes: { labelKey: 'gpu', labelValues: ['h100'] } },
  };
  const pod = podOf(render(spec, 'basic-gpu-preset'), 'llama-decode');
  const [engine] = pod.containers;
  assert.equal(engine?.args[0], '/models/llama');
  assert.match(
    engine?.args.join(' ') ?? '',
    /--served-model-name m n o .*--tensor-parallel-size 4$|--served-model-name m n o --tensor-parallel-size 4$/,
  );
  assert.equal(engine?.resources?.limits?.['nvidia.com/gpu'], '4');
  assert.equal(pod.volumes.find(({ name }) => name === 'models')?.persistentVolumeClaim?.claimName, 'weights');
  assert.ok(pod.affinity);
  // Without a Secret for it there is no token.
  assert.equal(
    engine?.env?.some(({ name }) => name === 'HF_TOKEN'),
    false,
  );
});

test('who scales elsewhere is left to it', () => {
  const deployment = render({ decoupleScaling: true }).get('Deployment/llama-decode')?.['spec'] as object;
  assert.equal('replicas' in deployment, false);
});

test('a preset or placeholder that is not there is named, with what was probably meant', () => {
  const fails = (step: () => unknown): string => {
    try {
      step();
    } catch (error) {
      assert.ok(error instanceof SignalboxError);
      return error.message;
    }
    return '';
  };
  assert.match(
    fails(() => builtInPreset('basic-gpu-presett')),
    /did you mean "basic-gpu-preset"/,
  );
  const preset = presetFromConfigMap('mine', { decodeDeployment: 'metadata: {name: "{{ .ModelNam }}"}' });
  assert.match(
    fails(() => renderObjects(modelService({}), preset, options)),
    /\{\{ \.ModelNam \}\}.*did you mean "\.ModelName"/,
  );
  assert.match(
    fails(() => presetFromConfigMap('mine', { decodeDeployment: 'a: [' })),
    /ConfigMap mine, decodeDeployment:1:/,
  );
});

test('names that must be cut stay legal and apart', () => {
  const stem = fc.stringMatching(/^[a-z]([a-z0-9-]{0,120}[a-z0-9])?$/);
  fc.assert(
    fc.property(stem, stem, (a, b) => {
      const [one, other] = [namesOf({ name: a }), namesOf({ name: b })];
      const all = Object.values(one);
      for (const name of all) assert.match(name, /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/);
      assert.equal(new Set([one.decode, one.prefill, one.epp]).size, 3);
      if (a !== b) assert.notEqual(one.decode, other.decode);
    }),
  );
  assert.equal(childName('llama', '-decode'), 'llama-decode');
});

test('where metrics ask for a token, the endpoint picker is told so', () => {
  const args = (spec: object): string[] => podOf(render(spec), 'llama-epp').containers[0]?.args ?? [];
  assert.ok(args({ metricsAuth: true }).includes('--metrics-endpoint-auth'));
  assert.equal(args({}).includes('--metrics-endpoint-auth'), false);
});

test('where prompts are computed apart, routing proxies may look up by whom, and nobody else in their pods may', () => {
  const objects = render({ prefill: { replicas: 1 } }, 'basic-gpu-with-nixl-preset');
  const rules = objects.get('Role/llama-sa')?.['rules'] as { resources: string[]; verbs: string[] }[];
  assert.deepEqual(
    rules.map(({ resources, verbs }) => [resources, verbs]),
    [
      [['pods'], ['get', 'list', 'watch']],
      [['inferencepools'], ['get', 'list', 'watch']],
    ],
  );
  const pod = podOf(objects, 'llama-decode');
  assert.equal(pod.automountServiceAccountToken, false);
  assert.ok(pod.volumes.some(({ name }) => name === 'cluster-access'));
  const mounts = (containers: Container[]): boolean[] =>
    containers.map(({ volumeMounts }) => volumeMounts?.some(({ name }) => name === 'cluster-access') === true);
  assert.deepEqual([mounts(pod.initContainers), mounts(pod.containers)], [[true], [false]]);
  assert.ok(pod.initContainers[0]!.args.includes('--endpoint-selector=llm-d.ai/model=llama,llm-d.ai/role=prefill'));
  assert.equal(render({}, 'basic-gpu-with-nixl-preset').has('Role/llama-sa'), false);
});

test('engines of every preset publish their caches, and the endpoint picker knows where', () => {
  for (const preset of ['basic-sim-preset', 'basic-gpu-preset', 'basic-gpu-with-nixl-preset']) {
    const objects = render({ prefill: { replicas: 1 } }, preset);
    const argsOf = (name: string): string => podOf(objects, name).containers[0]!.args.join(' ');
    for (const name of ['llama-decode', 'llama-prefill']) {
      assert.match(
        argsOf(name),
        /--kv-events-config.*"endpoint":"tcp:\/\/\*:5556","replay_endpoint":"tcp:\/\/\*:5558"/,
      );
    }
    assert.match(
      argsOf('llama-epp'),
      /--kv-events-endpoint=tcp:\/\/\*:5556 --kv-events-replay-endpoint=tcp:\/\/\*:5558/,
    );
  }
});
