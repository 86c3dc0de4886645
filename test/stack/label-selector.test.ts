import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLabelSelector } from '../../src/stack/label-selector.ts';

const decode = { 'llm-d.ai/role': 'decode', 'llm-d.ai/inferenceServing': 'true' };
const prefill = { 'llm-d.ai/role': 'prefill', 'llm-d.ai/inferenceServing': 'true' };
const epp = { 'llm-d.ai/epp': 'model-epp' };

const matching: [string, object[]][] = [
  ['', [decode, prefill, epp]],
  ['llm-d.ai/epp', [epp]],
  ['!llm-d.ai/epp', [decode, prefill]],
  ['llm-d.ai/role=decode', [decode]],
  ['llm-d.ai/role==decode', [decode]],
  ['llm-d.ai/role!=decode', [prefill, epp]],
  ['llm-d.ai/inferenceServing=true,llm-d.ai/role=decode', [decode]],
  [' llm-d.ai/role in (decode, prefill) , llm-d.ai/role != prefill', [decode]],
  ['llm-d.ai/role notin (decode)', [prefill, epp]],
  ['llm-d.ai/role=', []],
];

for (const [selector, expected] of matching) {
  test(`"${selector}"`, () => assert.deepEqual([decode, prefill, epp].filter(parseLabelSelector(selector)), expected));
}

for (const selector of ['=x', 'a=b c', 'a in decode', 'a in (b', ',', 'a,,b']) {
  test(`"${selector}" is refused`, () => {
    assert.throws(() => parseLabelSelector(selector), { code: 'usage' });
  });
}
