import { validationError } from './errors.ts';
import { tokenize, type Engine } from './engine.ts';

const defaultDimensions = 384;

/** `/v1/embeddings`: a unit vector that depends on the input alone. */
export async function embeddings(engine: Engine, fields: Record<string, unknown>): Promise<object> {
  const { input } = fields;
  const dimensions = typeof fields['dimensions'] === 'number' ? fields['dimensions'] : defaultDimensions;
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > 8192) {
    throw validationError('value_error', 'body.dimensions', 'Input should be between 1 and 8192', dimensions);
  }
  const inputs = typeof input === 'string' || (Array.isArray(input) && typeof input[0] === 'number') ? [input] : input;
  if (!Array.isArray(inputs) || inputs.length === 0)
    throw validationError('missing', 'body.input', 'Field required', fields);
  let promptTokens = 0;
  const data: object[] = [];
  for (const [index, one] of inputs.entries()) {
    const isText = typeof one === 'string';
    if (!isText && !Array.isArray(one)) {
      throw validationError('string_type', `body.input.${index}`, 'Input should be a valid string', one);
    }
    const tokens = isText ? await tokenize(engine.tokenizer, one, true) : (one as number[]);
    promptTokens += tokens.length;
    const vector = unitVector(tokens, dimensions);
    const embedding =
      fields['encoding_format'] === 'base64' ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector);
    data.push({ index, object: 'embedding', embedding });
  }
  return {
    id: `embd-${engine.bornSeconds}-${promptTokens}`,
    object: 'list',
    created: Math.floor(Date.now() / 1000),
    model: engine.modelNames[0],
    data,
    usage: {
      prompt_tokens: promptTokens,
      total_tokens: promptTokens,
      completion_tokens: 0,
      prompt_tokens_details: null,
    },
  };
}

/** Sum of a direction per token, made from its id. */
function unitVector(tokens: readonly number[], dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  for (const token of tokens) {
    let state = Math.imul(token + 1, 0x9e3779b1);
    for (let i = 0; i < dimensions; i++) {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + i;
      vector[i]! += (state | 0) / 0x8000_0000;
    }
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}
