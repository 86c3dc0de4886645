import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { wallClock } from '../base/clock.ts';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { seededRandom } from '../base/random.ts';
import { calibrate } from '../replay/calibration/calibrate.ts';
import type { Calibration } from '../replay/calibration/calibrate.ts';
import { EngineProbe } from '../replay/calibration/probe.ts';
import { profileYaml } from '../replay/profile-file.ts';
import { progressBar } from '../replay/progress.ts';

interface CalibrateFlags {
  readonly endpoint: string;
  readonly model?: string;
  readonly apiKeyEnv?: string;
  readonly name: string;
  readonly output?: string;
  readonly kvTokens?: number;
  readonly maxNumSeqs?: number;
  readonly repeats: number;
  readonly seed: number;
  readonly json: boolean;
}

export function calibrateCommand(): Command {
  return new Command('calibrate')
    .description('Measure a real engine in about a minute and write a hardware profile for `replay --profile FILE`.')
    .requiredOption('--endpoint <url>', 'the engine, which should have nothing else to do')
    .option('--model <name>', 'which of its models (default: the first)')
    .option('--api-key-env <variable>', 'environment variable that holds the API key')
    .option('--name <name>', 'what to call the profile', 'measured')
    .option('--output <file>', 'write the profile there (default: print it)')
    .option('--kv-tokens <n>', 'tokens its KV cache holds, where it does not say', wholeNumber)
    .option('--max-num-seqs <n>', 'requests it runs at once (default: find out)', wholeNumber)
    .option('--repeats <n>', 'measurements of each kind', wholeNumber, 3)
    .option('--seed <n>', 'of the prompts', wholeNumber, 1)
    .option('--json', 'print one JSON document', false)
    .action(run);
}

async function run(flags: CalibrateFlags): Promise<void> {
  if (!URL.canParse(flags.endpoint)) {
    throw new SignalboxError('usage', `--endpoint ${flags.endpoint}: expected a URL, as in http://127.0.0.1:8000`);
  }
  const progress = progressBar(process.stderr, 'calibrate');
  const apiKey = flags.apiKeyEnv === undefined ? null : (process.env[flags.apiKeyEnv] ?? null);
  const probe = new EngineProbe(flags.endpoint, apiKey, seededRandom(flags.seed));
  const calibration = await calibrate(probe, wallClock, {
    model: flags.model ?? null,
    name: flags.name,
    kvCacheTokens: flags.kvTokens ?? null,
    maxNumSeqs: flags.maxNumSeqs ?? null,
    repeats: flags.repeats,
    onProgress: (share) => progress.show(share),
  }).finally(async () => {
    progress.end();
    await probe.close();
  });
  const yaml = profileYaml(calibration.profile, `Measured at ${flags.endpoint}. ${qualityOf(calibration)}`);
  if (flags.output !== undefined) writeProfile(flags.output, yaml);
  if (flags.json) {
    const { medianError, worstError } = calibration.fit;
    process.stdout.write(`${JSON.stringify({ profile: calibration.profile, medianError, worstError }, null, 2)}\n`);
  } else if (flags.output === undefined) process.stdout.write(yaml);
  else process.stdout.write(`${flags.output}: ${qualityOf(calibration)}\n`);
}

function qualityOf({ fit, observations }: Calibration): string {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  return `${observations.length} measurements, met within ${percent(fit.medianError)} (median) and ${percent(fit.worstError)} (worst).`;
}

function writeProfile(file: string, yaml: string): void {
  try {
    writeFileSync(file, yaml);
  } catch (error) {
    throw new SignalboxError('environment', `The profile cannot be written to ${file}: ${messageOf(error)}`);
  }
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('Expected a whole number above 0.');
}
