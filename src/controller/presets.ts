import { readdirSync } from 'node:fs';
import { z } from 'zod';
import { assetPath, readAsset } from '../base/assets.ts';
import { SignalboxError } from '../base/errors.ts';
import { didYouMean } from '../base/suggest.ts';
import { parseYaml } from '../base/yaml.ts';
import { plainObject, type PlainObject } from './lay-over.ts';

const deployment = z.record(z.string(), z.unknown());

const schema = z.object({
  decodeDeployment: deployment.default({}),
  prefillDeployment: deployment.default({}),
  eppDeployment: deployment.default({}),
});

/** Deployments that a ModelService is laid over, with placeholders such as `{{ .ModelName }}`. */
export type Preset = z.infer<typeof schema>;

/** Whether a ConfigMap may be a preset: one that holds a Deployment of ours. */
export function looksLikePreset(data: Readonly<Record<string, string>>): boolean {
  return Object.keys(data).some((key) => key in schema.shape);
}

/** The preset in a ConfigMap: each key is a Deployment as YAML. @throws SignalboxError that names key, line and column */
export function presetFromConfigMap(name: string, data: Readonly<Record<string, string>>): Preset {
  const parts = Object.keys(schema.shape).map((key) => {
    const text = data[key];
    return [key, text === undefined ? {} : parseYaml(text, `ConfigMap ${name}, ${key}`, deployment)];
  });
  return Object.fromEntries(parts) as Preset;
}

/** A preset that comes with the controller. @throws SignalboxError `config_invalid` that names those that there are */
export function builtInPreset(name: string): Preset {
  const names = readdirSync(assetPath('presets')).map((file) => file.replace(/\.yaml$/, ''));
  if (names.includes(name)) return parseYaml(readAsset(`presets/${name}.yaml`), name, schema);
  throw new SignalboxError(
    'config_invalid',
    `there is no preset "${name}": neither a ConfigMap of this namespace nor one of ${names.sort().join(', ')}${didYouMean(name, names)}`,
    { param: 'spec.baseConfigMapRef.name' },
  );
}

/** What placeholders stand for. A list fills several arguments. */
export type Placeholders = Readonly<Record<string, string | readonly string[]>>;

/** `value` with its placeholders filled in. @throws SignalboxError `config_invalid` for one that means nothing */
export function fill(value: unknown, placeholders: Placeholders): unknown {
  if (typeof value === 'string') return fillText(value, placeholders);
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown) => {
      const list = typeof item === 'string' ? placeholders[/^\{\{\s*\.(\w+)\s*\}\}$/.exec(item)?.[1] ?? ''] : undefined;
      return Array.isArray(list) ? (list as string[]) : [fill(item, placeholders)];
    });
  }
  if (!plainObject(value)) return value;
  const filled: PlainObject = {};
  for (const [key, inner] of Object.entries(value)) filled[key] = fill(inner, placeholders);
  return filled;
}

function fillText(text: string, placeholders: Placeholders): string {
  return text.replace(/\{\{-?\s*(.*?)\s*-?\}\}/g, (whole, expression: string) => {
    const name = /^\.(\w+)$/.exec(expression)?.[1];
    const value = name === undefined ? undefined : placeholders[name];
    if (typeof value === 'string') return value;
    const known = Object.keys(placeholders).map((key) => `.${key}`);
    throw new SignalboxError(
      'config_invalid',
      `the preset asks for ${whole}, which means nothing here; there are ${known.join(', ')}${didYouMean(expression, known)}`,
    );
  });
}
