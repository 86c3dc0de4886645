import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../support/command.ts';

interface Tokenizer {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
}

const contextTokens = 2048;
const chatTemplateAround = (content: string): string =>
  `{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n${content}<|eot_id|>{% endfor %}` +
  '{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}';
const parts =
  "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}";

/** Writes a two-layer Llama into `folder`, with our own tokenizer and no weights (serve it with `--load-format dummy`). */
export function makeTinyModel(folder: string): void {
  const tokenizer = ownTokenizer();
  writeModel(folder, tokenizer, chatTemplateAround("{{ message['content'] }}"), {
    architectures: ['LlamaForCausalLM'],
    ...llama(vocabularySize(tokenizer)),
  });
}

/**
 * The same with eyes: a LLaVA whose images of any size become 64 tokens each.
 */
export function makeTinyVisionModel(folder: string): void {
  const [imagePixels, patchPixels] = [112, 14];
  const own = ownTokenizer();
  const imageToken = vocabularySize(own);
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const tokenizer = { ...own, added_tokens: [...own.added_tokens, { id: imageToken, content: '<image>', ...flags }] };
  const write = writeModel(folder, tokenizer, chatTemplateAround(parts), {
    architectures: ['LlavaForConditionalGeneration'],
    model_type: 'llava',
    image_token_index: imageToken,
    vision_feature_layer: -2,
    vision_feature_select_strategy: 'default',
    projector_hidden_act: 'gelu',
    multimodal_projector_bias: true,
    text_config: llama(imageToken + 1),
    vision_config: {
      model_type: 'clip_vision_model',
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      image_size: imagePixels,
      patch_size: patchPixels,
      projection_dim: 64,
      num_channels: 3,
    },
    torch_dtype: 'float32',
  });
  write('preprocessor_config.json', {
    image_processor_type: 'CLIPImageProcessor',
    processor_class: 'LlavaProcessor',
    do_convert_rgb: true,
    do_resize: true,
    size: { shortest_edge: imagePixels },
    do_center_crop: true,
    crop_size: { height: imagePixels, width: imagePixels },
    do_rescale: true,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
    resample: 3,
  });
  write('processor_config.json', {
    processor_class: 'LlavaProcessor',
    image_token: '<image>',
    patch_size: patchPixels,
    vision_feature_select_strategy: 'default',
    num_additional_image_tokens: 1,
  });
}

function ownTokenizer(): Tokenizer {
  return JSON.parse(readFileSync(join(repository, 'assets/tokenizer/tokenizer.json'), 'utf8')) as Tokenizer;
}

function vocabularySize({ model }: Tokenizer): number {
  return Math.max(...Object.values(model.vocab)) + 1;
}

function llama(vocabularySize: number): object {
  return {
    model_type: 'llama',
    hidden_size: 128,
    intermediate_size: 256,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 32,
    hidden_act: 'silu',
    max_position_embeddings: contextTokens,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    vocab_size: vocabularySize,
    bos_token_id: 0,
    eos_token_id: 4,
    tie_word_embeddings: false,
    attention_bias: false,
    torch_dtype: 'float32',
  };
}

/** Gives what writes more files into `folder`. */
function writeModel(
  folder: string,
  tokenizer: Tokenizer,
  chatTemplate: string,
  config: object,
): (name: string, content: object) => void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: object): void => writeFileSync(join(folder, name), JSON.stringify(content));
  write('tokenizer.json', tokenizer);
  write('config.json', config);
  write('generation_config.json', { bos_token_id: 0, eos_token_id: 4 });
  write('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: '<|begin_of_text|>',
    eos_token: '<|eot_id|>',
    model_max_length: contextTokens,
    clean_up_tokenization_spaces: false,
    chat_template: chatTemplate,
  });
  return write;
}
