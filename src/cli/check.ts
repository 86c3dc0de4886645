import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { z } from 'zod';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { exercise } from '../configuration/exercise.ts';
import { OwnPlugins } from '../configuration/own-plugins.ts';
import { readConfigFile } from '../configuration/read-config.ts';
import { policyDifferences, policyShape, type PolicyShape } from '../scheduler/policy-shape.ts';
import { isPreset, presetPolicy } from '../scheduler/presets.ts';

interface Flags {
  readonly diff?: string | true;
  readonly json: boolean;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('Say what is wrong with an EndpointPickerConfig, what in it has no effect, and what it would change.')
    .argument('<file>', 'the configuration')
    .option('--diff [with]', 'compare: with the running one (an admin port’s URL), a preset or another file')
    .option('--json', 'print one JSON document', false)
    .action(run);
}

async function run(file: string, flags: Flags): Promise<void> {
  const faults: string[] = [];
  const read = await readConfigFile(file, file, new OwnPlugins((text) => void faults.push(text)));
  const { policy } = read;
  exercise(policy);
  const shape = policyShape(policy);
  const warnings = [...read.warnings, ...faults];
  const differences = flags.diff === undefined ? null : policyDifferences(await other(flags.diff), shape);
  if (flags.json) {
    const { hash } = policy;
    process.stdout.write(`${JSON.stringify({ file, valid: true, hash, warnings, differences, ...shape }, null, 2)}\n`);
    return;
  }
  const lines = [
    ...warnings.map((warning) => `warning: ${warning}`),
    `${file}: valid, ${policy.profiles.size === 1 ? 'one profile' : `${policy.profiles.size} profiles`}, hash ${policy.hash}`,
    ...(differences ?? []),
    ...(differences?.length === 0 ? ['no difference'] : []),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function other(from: string | true): Promise<PolicyShape> {
  const source = from === true ? 'http://127.0.0.1:8081' : from;
  if (/^https?:\/\//.test(source)) return running(source);
  if (isPreset(source)) return policyShape(presetPolicy(source));
  if (!existsSync(source)) {
    throw new SignalboxError('usage', `--diff ${source}: neither an admin port's URL, nor a preset, nor a file`);
  }
  return policyShape((await readConfigFile(source, source, new OwnPlugins(() => undefined))).policy);
}

const used = z.object({ plugin: z.string(), type: z.string() });
const shapes = z.object({
  profiles: z.array(
    z.object({
      name: z.string(),
      filters: z.array(used),
      scorers: z.array(used.extend({ unit: z.enum(['share', 'seconds']), weight: z.number() })),
      picker: used,
    }),
  ),
  configured: z.array(used.extend({ parameters: z.record(z.string(), z.unknown()) })),
  flowControl: z.record(z.string(), z.unknown()),
});

async function running(url: string): Promise<PolicyShape> {
  try {
    const answer = await fetch(new URL('/api/policies', url), { signal: AbortSignal.timeout(10_000) });
    return shapes.parse(await answer.json());
  } catch (error) {
    const why = error instanceof z.ZodError ? 'it is no admin port of Signalbox' : messageOf(error);
    throw new SignalboxError('environment', `--diff: ${url} does not say what runs there (${why})`);
  }
}
