import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { replaceMember } from '../api/splice.ts';
import type { ParsedRequest } from '../api/request.ts';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { Counter, type Family } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import { parseYaml } from '../base/yaml.ts';
import { inferenceObjectVersions } from '../compat/inference-object-versions.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';

const metadata = z.looseObject({
  name: z.string().min(1),
  creationTimestamp: z.union([z.string(), z.date()]).optional(),
});
const apiVersion = z.enum(inferenceObjectVersions);
const poolRef = z.looseObject({ name: z.string().min(1) });

const objective = z.strictObject({
  apiVersion,
  kind: z.literal('InferenceObjective'),
  metadata,
  spec: z.strictObject({ priority: z.int().default(0), poolRef }),
  status: z.unknown().optional(),
});

const rewrite = z.strictObject({
  apiVersion,
  kind: z.literal('InferenceModelRewrite'),
  metadata,
  spec: z.strictObject({
    poolRef,
    rules: z
      .array(
        z.strictObject({
          /** Any of them; none is every model. */
          matches: z
            .array(
              z.strictObject({
                model: z.strictObject({ type: z.literal('Exact').default('Exact'), value: z.string() }),
              }),
            )
            .default([]),
          targets: z
            .array(
              z.strictObject({ modelRewrite: z.string().min(1), weight: z.int().min(0).max(1_000_000).optional() }),
            )
            .min(1),
        }),
      )
      .min(1),
  }),
  status: z.unknown().optional(),
});

const schema = z.discriminatedUnion('kind', [objective, rewrite]);
export type InferenceObject = z.infer<typeof schema>;
type Rewrite = z.infer<typeof rewrite>;
type Rule = Rewrite['spec']['rules'][number];

/** Reads files of InferenceObjectives and InferenceModelRewrites, as `kubectl` takes them. @throws SignalboxError */
export async function readInferenceObjects(files: readonly string[]): Promise<InferenceObject[]> {
  const read = files.map(async (file) => {
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      throw new SignalboxError('config_invalid', `${file}: cannot be read: ${messageOf(error)}`, { param: file });
    });
    return documents(text).map((document) => parseYaml(document, file, schema));
  });
  return (await Promise.all(read)).flat();
}

/** An object as a cluster has it. @throws SignalboxError that names it and what of it cannot be read */
export function readInferenceObject(object: KubernetesObject): InferenceObject {
  const parsed = schema.safeParse(object);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = (issue?.path ?? []).join('.');
  const what = `${object.kind} ${object.metadata.name}`;
  throw new SignalboxError('config_invalid', `${what}: ${where}: ${issue?.message ?? ''}`, { param: where });
}

/** The documents of a YAML file, each below as many empty lines as keep its places right. */
function documents(text: string): string[] {
  const found: string[] = [];
  let current = '';
  let above = 0;
  for (const line of text.split('\n')) {
    if (/^---(\s|$)/.test(line)) {
      found.push(current);
      current = '\n'.repeat(above + 1);
    } else current += `${line}\n`;
    above += 1;
  }
  found.push(current);
  return found.filter((document) => document.replace(/^\s*#.*$/gm, '').trim() !== '');
}

/** What InferenceObjectives and InferenceModelRewrites mean for requests to one pool. */
export class InferenceObjects {
  #priorities: ReadonlyMap<string, number> = new Map();
  #rules: readonly { readonly name: string; readonly rule: Rule }[] = [];
  readonly #random: Random;
  readonly #decisions = new Counter(
    ['llm_d_epp_model_rewrite_decisions_total'],
    'Requests whose model was rewritten.',
    ['model_rewrite_name', 'model_name', 'target_model'],
  );

  constructor(random: Random) {
    this.#random = random;
  }

  /** Whether a rewrite names exactly this model. */
  rewrites(model: string): boolean {
    return this.#rules.some(({ rule }) => rule.matches.some((match) => match.model.value === model));
  }

  /** From now on these hold; those of another pool than `pool` (null: any) do not. */
  replace(objects: readonly InferenceObject[], pool: string | null): void {
    const own = objects.filter(({ spec }) => pool === null || spec.poolRef.name === pool);
    this.#priorities = new Map(
      own.flatMap((each) => (each.kind === 'InferenceObjective' ? [[each.metadata.name, each.spec.priority]] : [])),
    );
    const age = ({ metadata: { creationTimestamp } }: Rewrite): number =>
      creationTimestamp === undefined ? Infinity : new Date(creationTimestamp).getTime();
    this.#rules = own
      .filter((each) => each.kind === 'InferenceModelRewrite')
      .map((each, index) => ({ each, index }))
      .sort((a, b) => (age(a.each) === age(b.each) ? a.index - b.index : age(a.each) - age(b.each)))
      .flatMap(({ each }) => each.spec.rules.map((rule) => ({ name: each.metadata.name, rule })));
  }

  /** Of an objective; null when there is none of that name. */
  priorityOf(name: string): number | null {
    return this.#priorities.get(name) ?? null;
  }

  /**
   * The request as the engine is to see it. A rule for exactly its model goes before one for every model, an older
   * object's before a younger one's; chance picks among a rule's targets by their weights.
   */
  rewritten(request: ParsedRequest): ParsedRequest {
    if (this.#rules.length === 0 || request.model === '') return request;
    const found =
      this.#rules.find(({ rule }) => rule.matches.some(({ model }) => model.value === request.model)) ??
      this.#rules.find(({ rule }) => rule.matches.length === 0);
    if (found === undefined) return request;
    const target = this.#pick(found.rule.targets);
    this.#decisions.add([found.name, request.model, target]);
    if (target === request.model) return request;
    return { ...request, model: target, body: replaceMember(request.body, 'model', JSON.stringify(target)) };
  }

  families(): Family[] {
    return [this.#decisions];
  }

  /** Where some have weights, those without never win; where all are 0, or none has one, each is as likely. */
  #pick(targets: Rule['targets']): string {
    const total = targets.reduce((sum, { weight = 0 }) => sum + weight, 0);
    if (total === 0) return targets[this.#random.below(targets.length)]!.modelRewrite;
    let left = this.#random.below(total);
    for (const { modelRewrite, weight = 0 } of targets) {
      if (left < weight) return modelRewrite;
      left -= weight;
    }
    return targets.at(-1)!.modelRewrite;
  }
}
