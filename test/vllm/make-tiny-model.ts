import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../support/command.ts';

const chatTemplate =
  "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n" +
  "{{ message['content'] }}<|eot_id|>{% endfor %}" +
  '{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}';

/** Writes a two-layer Llama into `folder`, with our own tokenizer and no weights (serve it with `--load-format dummy`). */
export function makeTinyModel(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const tokenizer = readFileSync(join(repository, 'assets/tokenizer/tokenizer.json'), 'utf8');
  const { model } = JSON.parse(tokenizer) as { model: { vocab: Record<string, number> } };
  writeFileSync(join(folder, 'tokenizer.json'), tokenizer);
  const write = (name: string, content: object): void => writeFileSync(join(folder, name), JSON.stringify(content));
  write('config.json', {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 128,
    intermediate_size: 256,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 32,
    hidden_act: 'silu',
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    vocab_size: Math.max(...Object.values(model.vocab)) + 1,
    bos_token_id: 0,
    eos_token_id: 4,
    tie_word_embeddings: false,
    attention_bias: false,
    torch_dtype: 'float32',
  });
  write('generation_config.json', { bos_token_id: 0, eos_token_id: 4 });
  write('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: '<|begin_of_text|>',
    eos_token: '<|eot_id|>',
    model_max_length: 2048,
    clean_up_tokenization_spaces: false,
    chat_template: chatTemplate,
  });
}
