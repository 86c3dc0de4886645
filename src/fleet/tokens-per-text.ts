import { ewma } from '../base/ewma.ts';

/** English prose with today's tokenizers; only until a model's first answer reports its usage. */
const startingBytesPerToken = 4;
const learningShare = 0.1;
const rememberedModels = 1000;

/** How many bytes of text a token of each model takes, learned from the usage that engines report. */
export class BytesPerToken {
  readonly #byModel = new Map<string, number>();

  of(model: string): number {
    return this.#byModel.get(model) ?? startingBytesPerToken;
  }

  /** One answer's evidence. Prompts too short to tell the template's own tokens apart are left out. */
  observe(model: string, textBytes: number, promptTokens: number): void {
    if (textBytes < 64 || promptTokens < 8) return;
    const sample = Math.min(16, Math.max(0.25, textBytes / promptTokens));
    const known = this.#byModel.get(model);
    if (known === undefined && this.#byModel.size >= rememberedModels) return;
    this.#byModel.set(model, ewma(known ?? NaN, sample, learningShare));
  }
}
