/**
 * One gateway against three with the same load, each request to the next of them: `npm run bench:replicas` writes
 * bench/replicas.md. Virtual time: dispatch, fleet and sharing are those that serve, engines and network are simulated,
 * and what one replica tells is read by the others as it would be from a Valkey. The numbers do not depend on the machine.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '../src/base/log.ts';
import { seededRandom } from '../src/base/random.ts';
import { VirtualClock } from '../src/base/virtual-clock.ts';
import { Dispatch } from '../src/dispatch/dispatch.ts';
import type { Flight } from '../src/dispatch/flight.ts';
import { hardwareProfile } from '../src/engine/model/profiles.ts';
import { Fleet } from '../src/fleet/fleet.ts';
import { Journal } from '../src/journal/journal.ts';
import { blockHashesOf, prefixKeyOfBlocks } from '../src/replay/blocks.ts';
import { Samples } from '../src/replay/samples.ts';
import { SimulatedEngine } from '../src/replay/simulated-engine.ts';
import { play, workloadOf } from '../src/replay/workload.ts';
import { presetPolicy } from '../src/scheduler/presets.ts';
import { Sharing } from '../src/sharing/sharing.ts';
import { readTrace } from '../src/traffic/trace/read.ts';
import { VirtualStream } from './lib/virtual-stream.ts';

const model = 'model';
const scrapeMs = 50;
const network = { requestMs: 10, answerMs: 5 };
const silent = createLogger('bench', { write: () => undefined });

interface Setting {
  readonly trace: string;
  readonly endpoints: number;
  readonly rate: number;
  readonly sessions: number | null;
  /** Mean time between starts, where the trace has none. */
  readonly sessionGapMs: number;
}

interface Figures {
  readonly ttftSeconds: number;
  readonly cachedShare: number;
  readonly agreement: number;
  readonly bytesPerRequest: number;
}

async function run(
  { trace: name, endpoints, rate, sessions, sessionGapMs }: Setting,
  replicas: number,
  shares: boolean,
  seed: number,
) {
  const trace = await readTrace(name);
  const { blockTokens } = trace;
  const limits = { maxTurns: 25, maxPromptTokens: 131_072, thinkTimeCapMs: 30_000, sessionGapMs };
  const workload = workloadOf(trace, { ...limits, rate, sessions, seed });
  const clock = new VirtualClock();
  const profile = hardwareProfile('qwen3-32b-2xh100');
  const engines = Array.from({ length: endpoints }, () => new SimulatedEngine(clock, profile, blockTokens, network));
  const stream = new VirtualStream(clock);
  const routers = Array.from({ length: replicas }, (_, at) => {
    const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
    for (let each = 0; each < endpoints; each++) {
      const endpoint = { name: `endpoint-${each}`, address: `endpoint-${each}:8000`, labels: {} };
      fleet.setModels(fleet.add(endpoint), [{ id: model }]);
    }
    const random = seededRandom(seed * 100 + at);
    const policy = presetPolicy('least-added-wait');
    const dispatch = new Dispatch({ clock, random, fleet, journal: new Journal(64 * 1024), policy });
    const sharing = shares
      ? new Sharing({
          connect: (handlers) => stream.connect(handlers),
          ...{ name: 'replica', instance: String(at), dispatch, keys: null, clock, log: silent },
        })
      : null;
    return { fleet, dispatch, sharing };
  });
  const samples = new Samples(workload.requestCount);
  let done = 0;
  play(workload, clock, (turn, session, answered) => {
    const outputTokens = Math.max(1, turn.outputTokens);
    const row = samples.arrive(clock.nowMs(), turn.promptTokens, outputTokens);
    const hashes = blockHashesOf(turn, blockTokens);
    const request = {
      id: `${row}`,
      promptTokens: turn.promptTokens,
      blockHashes: hashes,
      maxOutputTokens: outputTokens,
    };
    const { dispatch } = routers[row % replicas]!;
    const end = (): void => {
      done += 1;
      answered();
    };
    const placed = (flight: Flight): void => {
      const number = Number(flight.endpoint.name.slice('endpoint-'.length));
      engines[number]!.send(request, {
        firstToken(cached) {
          samples.firstToken(row, clock.nowMs(), cached);
          flight.firstToken(200);
        },
        finished() {
          samples.finish(row, clock.nowMs(), number);
          session.endpoint = flight.endpoint.name;
          const tokens = { promptTokens: turn.promptTokens, completionTokens: outputTokens };
          flight.finish({ status: 200, complete: true, ...tokens, cachedTokens: samples.cachedTokens[row]! });
          end();
        },
        failed(status, reason) {
          flight.finish({
            ...{
              status: status ?? 502,
              complete: false,
              promptTokens: null,
              cachedTokens: null,
              completionTokens: null,
            },
            reason,
          });
          end();
        },
      });
    };
    dispatch.place(
      {
        ...{ requestId: `${row}`, model, kind: 'completions', streaming: true, promptTokens: turn.promptTokens },
        ...{ maxOutputTokens: null, sessionEndpoint: null, headers: {} },
      },
      prefixKeyOfBlocks(hashes, turn.promptTokens, blockTokens),
      { placed, refused: end },
    );
  });
  const scrape = (): void => {
    for (const { fleet } of routers) {
      for (const [at, { gauges }] of engines.entries()) {
        if (gauges !== null) fleet.setGauges(fleet.slotOf(`endpoint-${at}`)!, gauges, clock.nowMs());
      }
    }
    clock.after(scrapeMs, scrape);
  };
  scrape();
  clock.run(() => done < workload.requestCount);
  return figuresOf(
    samples,
    routers.flatMap(({ sharing }) => sharing ?? []),
  );
}

function figuresOf(samples: Samples, all: readonly Sharing[]): Figures {
  let [ttft, count, cached, prompts] = [0, 0, 0, 0];
  for (let row = 0; row < samples.count; row++) {
    if (Number.isNaN(samples.ttftSeconds[row])) continue;
    count += 1;
    ttft += samples.ttftSeconds[row]!;
    cached += samples.cachedTokens[row]!;
    prompts += samples.promptTokens[row]!;
  }
  const sum = (value: (of: Sharing) => number): number => all.reduce((total, each) => total + value(each), 0);
  return {
    ttftSeconds: ttft / count,
    cachedShare: cached / prompts,
    agreement: sum(({ agreement }) => agreement.agreed) / sum(({ agreement }) => agreement.compared),
    bytesPerRequest: sum(({ bytes }) => bytes) / count,
  };
}

const settings: Setting[] = [
  { trace: 'agent-sessions', endpoints: 8, rate: 1, sessions: 60, sessionGapMs: 12_000 },
  { trace: 'mooncake-conversation', endpoints: 8, rate: 1, sessions: 600, sessionGapMs: 1000 },
];
const seeds = [1, 2, 3, 4, 5, 6];
const kinds = [
  { name: 'one gateway', replicas: 1, shares: false },
  { name: 'three that share', replicas: 3, shares: true },
  { name: 'three apart', replicas: 3, shares: false },
] as const;

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const sections: string[] = [];
for (const setting of settings) {
  const rows: string[] = [];
  let single: Figures | null = null;
  for (const { name, replicas, shares } of kinds) {
    const all: Figures[] = [];
    for (const seed of seeds) all.push(await run(setting, replicas, shares, seed));
    const of = (what: keyof Figures): number => mean(all.map((each) => each[what]));
    const figures = {
      ...{ ttftSeconds: of('ttftSeconds'), cachedShare: of('cachedShare') },
      ...{ agreement: of('agreement'), bytesPerRequest: of('bytesPerRequest') },
    };
    single ??= figures;
    const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(1)} %`;
    rows.push(
      `| ${name} | ${figures.ttftSeconds.toFixed(3)} (${signed(figures.ttftSeconds / single.ttftSeconds - 1)}) | ${(
        100 * figures.cachedShare
      ).toFixed(1)} % (${signed(figures.cachedShare / single.cachedShare - 1)}) | ${
        shares ? `${(100 * figures.agreement).toFixed(1)} %` : ''
      } | ${shares ? (figures.bytesPerRequest / 1024).toFixed(1) : ''} |`,
    );
    process.stdout.write(`${setting.trace}: ${rows.at(-1)}\n`);
  }
  sections.push(
    `## ${setting.trace}, ${setting.endpoints} endpoints\n\n| Gateways | Mean TTFT, s | Cached share | Agreement | KiB told, a request |\n|---|---:|---:|---:|---:|\n${rows.join('\n')}\n`,
  );
}
writeFileSync(
  join(import.meta.dirname, 'replicas.md'),
  `# Several gateways, measured

Written by \`npm run bench:replicas\`; do not edit. Virtual time: the numbers do not depend on the machine. Each request goes
to the next gateway, as round robin has it; means over ${seeds.length} seeds, and in brackets against one gateway under the same load.

${sections.join('\n')}`,
);
