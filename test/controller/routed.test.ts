import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readModelService } from '../../src/controller/model-service.ts';
import { routedCondition } from '../../src/controller/routed.ts';

const all = { inferencePool: true, httpRoute: true, destinationRule: false, serviceMonitor: false };

function routed(told: { route?: object; pool?: object }, gatewayRefs: object[] = [{ name: 'front' }], features = all) {
  const metadata = { name: 'llama', namespace: 'test', uid: 'u1' };
  const spec = { routing: { modelName: 'm', gatewayRefs } };
  const modelService = readModelService({ apiVersion: 'llm-d.ai/v1alpha1', kind: 'ModelService', metadata, spec });
  const status = { HTTPRoute: told.route, InferencePool: told.pool };
  const find: Parameters<typeof routedCondition>[1]['find'] = (kind, name) => ({
    ...{ kind, name, owner: 'u1', revision: '1' },
    status: status[kind.kind as keyof typeof status],
  });
  const condition = routedCondition(modelService, { find }, features);
  return condition === null ? null : `${condition.status} ${condition.reason}: ${condition.message}`;
}

const by = (name: string, ...conditions: object[]): object => ({ parents: [{ parentRef: { name }, conditions }] });
const accepted = { type: 'Accepted', status: 'True' };

test('without Gateways there is nothing to say; without their kinds that is said', () => {
  assert.equal(routed({}, []), null);
  const message = routed({}, undefined, { ...all, httpRoute: false });
  assert.match(message ?? '', /^False NotInstalled: This cluster has no HTTPRoute/);
});

test('what the Gateways say of route and pool decides, each of those named', () => {
  assert.match(
    routed({}) ?? '',
    /^Unknown Waiting: Nobody has said yet that Gateway front takes the HTTPRoute llama-route/,
  );
  assert.match(routed({ route: by('another', accepted) }) ?? '', /^Unknown/);
  assert.match(routed({ route: by('front', accepted) }) ?? '', /^True Accepted: Requests come in by Gateway front\.$/);
  assert.match(
    routed({ route: by('front', accepted) }, [{ name: 'front' }, { name: 'back' }]) ?? '',
    /^Unknown.* back /,
  );
  const refused = { type: 'ResolvedRefs', status: 'False', message: 'no such pool' };
  assert.match(
    routed({ route: by('front', accepted, refused) }) ?? '',
    /^False Refused: Gateway front: ResolvedRefs is False: no such pool$/,
  );
  assert.match(routed({ route: by('front', accepted), pool: by('front', refused) }) ?? '', /^False Refused/);
});
