import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseOther, parseRequest } from '../../src/api/request.ts';
import { editMembers, memberOf, removeMembers } from '../../src/api/splice.ts';

const parse = (kind: 'completions' | 'chat' | 'embeddings', body: unknown) =>
  parseRequest(kind, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));

test('reads the few fields it needs and leaves the bytes as they came', () => {
  const text =
    '{ "model":"m", "prompt" : "hällo",\n"stream":true,"max_tokens":7,"cache_salt":"s","unknown":{"a":[1]} }';
  const request = parse('completions', text);
  assert.equal(request.model, 'm');
  assert.equal(request.streaming, true);
  assert.equal(request.maxOutputTokens, 7);
  assert.equal(request.cacheSalt, 's');
  assert.equal(Buffer.from(request.prompt.bytes).toString(), 'hällo');
  assert.equal(request.prompt.textBytes, 6);
  assert.equal(request.prompt.characters, 5);
  assert.equal(request.body.toString(), text);
});

test('takes prompts in every form', () => {
  assert.equal(parse('completions', { model: 'm', prompt: [1, 2, 3] }).prompt.tokens, 3);
  assert.equal(parse('completions', { model: 'm', prompt: [[1, 2], [3]] }).prompt.tokens, 3);
  assert.equal(parse('completions', { model: 'm', prompt: ['ab', 'cde'] }).prompt.textBytes, 5);
  assert.equal(parse('embeddings', { model: 'm', input: 'abc' }).prompt.textBytes, 3);
  assert.equal(parse('completions', { model: 'm' }).prompt.textBytes, 0);
  assert.equal(parse('chat', { model: 'm', messages: 'none' }).prompt.textBytes, 0);
});

test('a chat with the same beginning begins with the same bytes', () => {
  const first = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
  ];
  const short = Buffer.from(parse('chat', { model: 'm', messages: first }).prompt.bytes);
  const longer = [...first, { role: 'assistant', content: 'Hi.' }, { role: 'user', content: 'And?' }];
  const long = Buffer.from(parse('chat', { model: 'm', messages: longer }).prompt.bytes);
  assert.ok(long.subarray(0, short.length).equals(short));
});

test('an image tells prompts apart but does not count as text', () => {
  const withImage = (url: string) =>
    parse('chat', {
      model: 'm',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url } },
            { type: 'text', text: 'What?' },
          ],
        },
      ],
    }).prompt;
  const one = withImage(`data:${'A'.repeat(1000)}`);
  const other = withImage(`data:${'B'.repeat(1000)}`);
  assert.ok(!Buffer.from(one.bytes).equals(other.bytes));
  assert.ok(one.textBytes < 40);
});

test('says what is wrong with a body', () => {
  const refused = (body: unknown, code: string, message: RegExp) =>
    assert.throws(
      () => parse('completions', body),
      (error: { code: string; message: string }) => {
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      },
    );
  refused('', 'body_malformed', /empty/);
  refused('{"model":', 'body_malformed', /not valid JSON/);
  refused('[]', 'request_invalid', /an array/);
  refused('null', 'request_invalid', /a null/);
  refused('"x"', 'request_invalid', /a string/);
  refused({ prompt: 'x' }, 'request_invalid', /"model".*missing/);
  refused({ model: 7 }, 'request_invalid', /it is 7/);
});

test('never lets a client set what only routers may', () => {
  const body =
    '{"kv_transfer_params":{"do_remote_prefill":true},"model":"m","prompt":"say \\"kv_transfer_params\\":1","ec_transfer_params":{"x":[1,"}"]}}';
  const request = parse('completions', body);
  assert.deepEqual(JSON.parse(request.body.toString()), { model: 'm', prompt: 'say "kv_transfer_params":1' });
  const escaped = '{"model":"m","kv_transfer_par\\u0061ms":{"a":1}}';
  assert.deepEqual(JSON.parse(parse('completions', escaped).body.toString()), { model: 'm' });
  assert.deepEqual(JSON.parse(parseOther(Buffer.from(escaped), 'application/JSON').body.toString()), { model: 'm' });
  const below = '{"model":"m","prompt":"x","vllm_xargs":{"kv_transfer_params":"x","mine":1},"bootstrap_room":1}';
  assert.deepEqual(JSON.parse(parse('completions', below).body.toString()), {
    model: 'm',
    prompt: 'x',
    vllm_xargs: { mine: 1 },
  });
});

test('a prompt may be computed elsewhere when it is one, and its answer too', () => {
  const splittable = (body: object): boolean => parse('completions', { model: 'm', prompt: 'x', ...body }).splittable;
  assert.ok(splittable({}) && splittable({ prompt: [1, 2] }) && splittable({ n: 1, echo: false }));
  for (const body of [{ n: 2 }, { best_of: 3 }, { prompt: ['a', 'b'] }, { prompt: [[1], [2]] }, { echo: true }]) {
    assert.ok(!splittable(body), JSON.stringify(body));
  }
  assert.ok(!splittable({ prompt_logprobs: 0 }) && !splittable({ use_beam_search: true }));
});

test('a member is read byte for byte, and edited without touching the others', () => {
  const value = fc.jsonValue();
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), value, value, (others, wanted, other) => {
      const body = Buffer.from(JSON.stringify({ ...others, wanted }, null, 1));
      assert.deepEqual(JSON.parse(memberOf(body, 'wanted')!), JSON.parse(JSON.stringify(wanted)));
      const edited = editMembers(body, ['wanted'], { new: other }, { raw: '18446744073709551615' });
      const { raw, ...rest } = JSON.parse(edited.toString()) as Record<string, unknown>;
      assert.equal(typeof raw, 'number');
      const kept = Object.entries(others).filter(([name]) => name !== 'wanted' && name !== 'raw');
      assert.deepEqual(rest, JSON.parse(JSON.stringify({ ...Object.fromEntries(kept), new: other })));
      assert.equal(memberOf(edited, 'raw'), '18446744073709551615', 'more than a double holds');
    }),
  );
  assert.equal(memberOf(Buffer.from('{"wanted":[1,2'), 'wanted'), null);
  assert.equal(memberOf(Buffer.from('not json'), 'wanted'), null);
});

test('removing members keeps every other member byte for byte', () => {
  const value = fc.jsonValue();
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), value, fc.nat(), fc.boolean(), (others, gone, place, spaced) => {
      const entries = Object.entries(others).filter(([name]) => name !== 'gone');
      const kept = entries.map(
        ([name, each]) => `${JSON.stringify(name)}:${JSON.stringify(each, null, spaced ? 2 : 0)}`,
      );
      const all = [...kept];
      all.splice(place % (kept.length + 1), 0, `"gone" : ${JSON.stringify(gone)}`);
      const space = spaced ? ' \n' : '';
      const body = Buffer.from(`${space}{${space}${all.join(`${space},${space}`)}${space}}${space}`);
      const result = removeMembers(body, new Set(['gone'])).toString();
      assert.deepEqual(JSON.parse(result), JSON.parse(`{${kept.join(',')}}`));
      for (const member of kept) assert.ok(result.includes(member));
      assert.equal(removeMembers(body, new Set(['none such'])), body);
    }),
  );
});
