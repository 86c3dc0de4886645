import { EngineError, validationError } from './errors.ts';

/** An adapter as vLLM numbers and lists them. */
export interface LoraAdapter {
  readonly name: string;
  readonly path: string;
  readonly id: number;
}

/** The adapters that are served beside the model; any path is taken for one, since nothing is read from it. */
export class LoraAdapters {
  readonly enabled: boolean;
  readonly #byName = new Map<string, LoraAdapter>();
  #loaded = 0;

  constructor(enabled: boolean, modules: readonly { readonly name: string; readonly path: string }[]) {
    this.enabled = enabled;
    for (const { name, path } of modules) this.#add(name, path);
  }

  get all(): LoraAdapter[] {
    return [...this.#byName.values()];
  }

  find(name: string | null): LoraAdapter | null {
    return name === null ? null : (this.#byName.get(name) ?? null);
  }

  /** What `/v1/load_lora_adapter` answers. @throws EngineError as vLLM words it. */
  load(fields: Record<string, unknown>): string {
    const name = required(fields, 'lora_name');
    const path = required(fields, 'lora_path');
    if (!this.enabled) {
      throw new EngineError(
        400,
        'BadRequestError',
        `Loading lora ${name} failed: LoRA is not enabled. Use --enable-lora.`,
      );
    }
    if (this.#byName.has(name) && fields['load_inplace'] !== true) {
      const message =
        `The lora adapter '${name}' has already been loaded. ` +
        "If you want to load the adapter in place, set 'load_inplace' to True.";
      throw new EngineError(400, 'InvalidUserInput', message);
    }
    this.#add(name, path);
    return `Success: LoRA adapter '${name}' added successfully.`;
  }

  /** What `/v1/unload_lora_adapter` answers. @throws EngineError when there is none of that name. */
  unload(fields: Record<string, unknown>): string {
    const name = required(fields, 'lora_name');
    if (!this.#byName.delete(name)) {
      throw new EngineError(404, 'NotFoundError', `The lora adapter '${name}' cannot be found.`);
    }
    return `Success: LoRA adapter '${name}' removed successfully.`;
  }

  #add(name: string, path: string): void {
    this.#byName.set(name, { name, path, id: ++this.#loaded });
  }
}

function required(fields: Record<string, unknown>, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '')
    throw validationError('missing', `body.${name}`, 'Field required', fields);
  return value;
}
