import { existsSync, readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { z } from 'zod';
import { parseYaml } from '../base/yaml.ts';
import { hardwareProfile } from '../engine/model/profiles.ts';
import type { HardwareProfile } from '../engine/model/profiles.ts';

const positive = z.number().positive();
const notNegative = z.number().min(0);

/** A hardware profile as a file: what `signalbox calibrate` writes and `signalbox replay --profile FILE` reads. */
const schema = z.strictObject({
  name: z.string().min(1),
  summary: z.string(),
  step: z.strictObject({
    weights: positive,
    gemmFloor: notNegative,
    perToken: positive,
    perPrefillAttention: notNegative,
    perDecodeContext: notNegative,
    perSequence: notNegative,
    overhead: notNegative,
  }),
  kvCacheTokens: positive.int(),
  maxNumSeqs: positive.int(),
  maxNumBatchedTokens: positive.int(),
  transferPerToken: notNegative.default(10),
  apiOverheadMs: notNegative,
}) satisfies z.ZodType<HardwareProfile>;

/** By a built-in name or a file's path. Throws `config_invalid` with the names there are, or the place in the file. */
export function profileNamed(nameOrFile: string): HardwareProfile {
  return existsSync(nameOrFile)
    ? readProfile(readFileSync(nameOrFile, 'utf8'), nameOrFile)
    : hardwareProfile(nameOrFile);
}

export function readProfile(text: string, fileName: string): HardwareProfile {
  return parseYaml(text, fileName, schema);
}

export function profileYaml(profile: HardwareProfile, comment: string): string {
  return `${comment.replaceAll(/^/gm, '# ')}\n${stringify(profile)}`;
}
