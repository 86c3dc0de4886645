import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { wallClock } from '../base/clock.ts';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { printComparison } from './shadow-lines.ts';
import { runLoad } from '../traffic/load/run.ts';
import { collectScores } from '../traffic/load/scores.ts';
import { adminUrl as adminUrlOf, gatewayUrl } from '../stack/registry.ts';
import { createDispatcher, firstModel } from '../traffic/load/send.ts';
import type { EndpointKind } from '../traffic/load/send.ts';
import { summarise } from '../traffic/load/summary.ts';
import { renderTable } from '../traffic/load/table.ts';
import { openWorkload } from '../traffic/load/workload.ts';
import { shippedVocabulary } from '../traffic/prompt/words.ts';
import { loadReport } from '../traffic/report/load-report.ts';
import { shippedTraces } from '../traffic/trace/read.ts';

interface LoadFlags {
  url?: string;
  adminUrl?: string;
  namespace?: string;
  model?: string;
  endpointKind: EndpointKind;
  stream: boolean;
  trace?: string;
  rate?: number;
  users?: number;
  sessions?: number;
  requests?: number;
  duration?: number;
  speed: number;
  thinkTimeCap?: number;
  maxTokens?: number;
  maxPromptTokens?: number;
  concurrency: number;
  timeout: number;
  seed: number;
  header: Record<string, string>;
  json?: true;
  report?: string;
}

export function loadCommand(): Command {
  return new Command('load')
    .description('Send traffic to the gateway and report how it was served, by which endpoints, and why.')
    .option('--url <url>', 'gateway, or any server that speaks the OpenAI API (default: the stack here)')
    .option('--admin-url <url>', "gateway's admin API, for the scores in --report (default: the stack here)")
    .option('-n, --namespace <name>', 'send to the stack of this namespace')
    .option('--model <name>', 'model to ask for (default: the first of /v1/models)')
    .option('--trace <file|name>', `recorded traffic: a file, or ${shippedTraces.join(', ')}`)
    .option('--rate <per-second>', 'arrivals a second, at random times, whether or not answers come', positive)
    .option('--users <n>', 'so many users at once, each waiting for its answer (default without a trace: 8)', whole)
    .option('--sessions <n>', 'so many sessions of a trace at once: the same as --users', whole)
    .option('--requests <n>', 'end after so many requests (default: 200, or the whole trace)', whole)
    .option('--duration <seconds>', 'end after this time', positive)
    .option('--speed <factor>', 'send a trace so many times as fast as recorded', positive, 1)
    .option('--think-time-cap <seconds>', 'wait at most this long between the turns of a session', zeroOrMore)
    .option('--max-tokens <n>', 'ask for at most so many tokens an answer', whole)
    .option('--max-prompt-tokens <n>', 'cut prompts to so many tokens', whole)
    .addOption(
      new Option('--endpoint-kind <kind>', 'which API').choices(['completions', 'chat']).default('completions'),
    )
    .option('--no-stream', 'ask for whole answers (then there is no TTFT)')
    .option('--stream', 'ask for streams (the default)', true)
    .option('--concurrency <n>', 'requests in flight at most', whole, 512)
    .option('--timeout <seconds>', 'give a request up after this time', positive, 600)
    .option('--header <name:value>', 'header to send with each request; may be repeated', header, {})
    .option('--seed <n>', 'equal seeds send equal prompts at equal times', seed, 1)
    .option('--json', 'print one JSON document')
    .option('--report <file.html>', 'write a page with charts')
    .action(load);
}

async function load(flags: LoadFlags): Promise<void> {
  const stackUrl = flags.url === undefined ? gatewayUrl(flags.namespace) : null;
  if (flags.namespace !== undefined && flags.url === undefined && stackUrl === null) {
    throw new SignalboxError(
      'environment',
      `No stack runs in namespace "${flags.namespace}" (signalbox up -n ${flags.namespace})`,
    );
  }
  const url = withoutSlash(flags.url ?? stackUrl ?? 'http://127.0.0.1:8080');
  const adminUrl = withoutSlash(flags.adminUrl ?? adminUrlOf(flags.namespace) ?? 'http://127.0.0.1:8081');
  const workload = await openWorkload({
    trace: flags.trace ?? null,
    ratePerSecond: flags.rate ?? null,
    users: flags.users ?? flags.sessions ?? null,
    speed: flags.speed,
    maxRequests: flags.requests ?? null,
    hasDuration: flags.duration !== undefined,
    seed: flags.seed,
  });

  const dispatcher = createDispatcher();
  const model = flags.model ?? (await firstModel(url, dispatcher, flags.header));
  const scoring = flags.report === undefined ? null : collectScores(adminUrl, dispatcher, wallClock);
  const ending = new AbortController();
  const interrupt = (): void => ending.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const { tally, durationMs } = await runLoad(
      {
        ...workload,
        maxDurationMs: (flags.duration ?? Infinity) * 1000,
        thinkCapMs: (flags.thinkTimeCap ?? Infinity) * 1000,
        concurrency: flags.concurrency,
        seed: flags.seed,
        maxPromptTokens: flags.maxPromptTokens ?? Infinity,
        maxOutputTokens: flags.maxTokens ?? Infinity,
      },
      {
        url,
        model,
        kind: flags.endpointKind,
        stream: flags.stream,
        timeoutMs: flags.timeout * 1000,
        headers: flags.header,
      },
      shippedVocabulary(),
      dispatcher,
      wallClock,
      process.stderr,
      ending.signal,
    );
    await scoring?.stop();
    const summary = summarise(tally, { workload: workload.title, url, model }, durationMs);
    process.stdout.write(flags.json === true ? `${JSON.stringify(summary, null, 2)}\n` : renderTable(summary));
    if (flags.json !== true && (stackUrl !== null || flags.adminUrl !== undefined)) await printComparison(adminUrl);
    if (flags.report !== undefined && scoring !== null) {
      await writeReport(flags.report, loadReport(summary, tally, scoring.scores));
    }
    if (tally.completed === 0 && tally.failed > 0) throw new SignalboxError('environment', 'every request failed');
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    await dispatcher.destroy();
  }
}

async function writeReport(path: string, page: string): Promise<void> {
  try {
    await writeFile(path, page);
  } catch (error) {
    throw new SignalboxError('environment', `The report cannot be written to ${path}: ${messageOf(error)}`);
  }
  process.stderr.write(`report written to ${path}\n`);
}

function withoutSlash(url: string): string {
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new SignalboxError('usage', `"${url}" is not an http:// or https:// address`);
  }
  return url.replace(/\/+$/, '').replace(/\/v1$/, '');
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

function zeroOrMore(text: string): number {
  return text.trim() === '0' ? 0 : positive(text);
}

function whole(text: string): number {
  const value = positive(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number above 0.');
  return value;
}

function seed(text: string): number {
  return text.trim() === '0' ? 0 : whole(text);
}

function header(text: string, previous: Record<string, string>): Record<string, string> {
  const colon = text.indexOf(':');
  if (colon < 1) throw new InvalidArgumentError('It must be NAME:VALUE.');
  return { ...previous, [text.slice(0, colon).trim().toLowerCase()]: text.slice(colon + 1).trim() };
}
