import { messageOf } from '../base/errors.ts';
import { seededRandom } from '../base/random.ts';
import { VirtualClock } from '../base/virtual-clock.ts';
import { Dispatch } from '../dispatch/dispatch.ts';
import type { Flight } from '../dispatch/flight.ts';
import type { HardwareProfile } from '../engine/model/profiles.ts';
import { Journal } from '../journal/journal.ts';
import type { Policy } from '../scheduler/policy.ts';
import type { Caller } from '../scheduler/request.ts';
import type { TraceTurn } from '../traffic/trace/trace.ts';
import { blockHashesOf, prefixKeyOfBlocks } from './blocks.ts';
import type { FleetEvent } from './fleet-events.ts';
import type { Knowledge } from './informed-fleet.ts';
import { Samples } from './samples.ts';
import { SimulatedFleet } from './simulated-fleet.ts';
import type { Answer } from './simulated-engine.ts';
import { play } from './workload.ts';
import type { SessionMemory, Workload } from './workload.ts';

/** One policy on one fleet under one workload. */
interface RunOptions {
  readonly workload: Workload;
  readonly blockTokens: number;
  readonly policy: Policy;
  /** One per endpoint. */
  readonly profiles: readonly HardwareProfile[];
  /** One per endpoint; null for none. */
  readonly roles: readonly (string | null)[];
  readonly events: readonly FleetEvent[];
  /** Time between two scrapes of an engine's gauges. */
  readonly stalenessMs: number;
  readonly knowledge: Knowledge;
  readonly streaming: boolean;
  readonly seed: number;
  /** Who sends the so-many-th request; all are the same where it is not given. */
  readonly callerOf?: (row: number) => Caller;
  readonly onProgress?: (done: number) => void;
}

export interface RunOutcome {
  readonly samples: Samples;
  /** Requests that failed, by reason. */
  readonly failures: ReadonlyMap<string, number>;
  readonly preemptions: number;
  /** Virtual time from the first request to the last answer. */
  readonly spanSeconds: number;
}

/** A cache that one engine keeps for another. */
interface Handover {
  readonly cachedTokens: number;
  letGo(): void;
}

const model = 'model';
const network = { requestMs: 10, answerMs: 5 };
const progressSteps = 200;
/** With requests under way and none of them ending for so long, none will. */
const patienceMs = 24 * 3_600_000;

/** Replays the workload on a virtual clock through the same dispatch, fleet and scheduler as a live gateway's. */
export function runPolicy(options: RunOptions): RunOutcome {
  const { workload, blockTokens } = options;
  const clock = new VirtualClock();
  const fleet = new SimulatedFleet({ ...options, clock, network, model });
  const dispatch = new Dispatch({
    clock,
    random: seededRandom(options.seed),
    fleet: fleet.known,
    journal: new Journal(64 * 1024),
    policy: options.policy,
  });
  const samples = new Samples(workload.requestCount);
  const failures = new Map<string, number>();
  const reportEvery = Math.max(1, Math.floor(workload.requestCount / progressSteps));
  let done = 0;
  let lastEndMs = 0;

  const send = (turn: TraceTurn, session: SessionMemory, answered: () => void): void => {
    const outputTokens = Math.max(1, turn.outputTokens); // some traces have answers of nothing; no engine has
    const row = samples.arrive(clock.nowMs(), turn.promptTokens, outputTokens);
    const hashes = blockHashesOf(turn, blockTokens);
    const end = (failure: string | null): void => {
      done += 1;
      lastEndMs = clock.nowMs();
      if (failure !== null) failures.set(failure, (failures.get(failure) ?? 0) + 1);
      if (done % reportEvery === 0) options.onProgress?.(done);
      answered();
    };
    const request = { promptTokens: turn.promptTokens, blockHashes: hashes };
    let attempts = 0;
    let takeBack = (): boolean => false;
    /** The prompt first, where it is computed apart; then all of it, or the answer alone. */
    const attempt = (flight: Flight): void => {
      const { prefill } = flight;
      const helper = prefill?.endpoint;
      if (prefill === null || helper === null || helper === undefined) return decode(flight, null);
      const engine = fleet.engineOf(helper);
      const id = `${row}-${++attempts}`;
      let cachedTokens = 0;
      engine.send(
        { ...request, id, maxOutputTokens: 1, isKept: true },
        {
          firstToken: (cached) => (cachedTokens = cached),
          finished() {
            prefill.answered(200);
            decode(flight, { cachedTokens, letGo: () => engine.letGo(id) });
          },
          failed(status, reason) {
            prefill.failed(status, reason === 'connection refused' ? 'connect' : 'reset', reason);
            attempt(flight);
          },
        },
      );
    };
    const decode = (flight: Flight, handover: Handover | null): void => {
      const engine = fleet.engineOf(flight.endpoint);
      let seen = false;
      let cached = 0;
      const giveUp = (status: number, reason: string): void => {
        flight.finish({ ...unseen, status, complete: false, reason });
        end(reason);
      };
      const answer: Answer = {
        firstToken(cachedTokens) {
          handover?.letGo();
          seen = true;
          cached = handover?.cachedTokens ?? cachedTokens;
          samples.firstToken(row, clock.nowMs(), cached);
          if (options.streaming) flight.firstToken(200);
        },
        finished() {
          if (!options.streaming) flight.firstToken(200);
          session.endpoint = flight.endpoint.name;
          samples.finish(row, clock.nowMs(), fleet.numberOf(flight.endpoint));
          flight.finish({
            status: 200,
            complete: true,
            promptTokens: turn.promptTokens,
            cachedTokens: cached,
            completionTokens: outputTokens,
          });
          end(null);
        },
        failed(status, reason) {
          handover?.letGo();
          if (status !== null) {
            flight.firstToken(status);
            giveUp(status, reason);
          } else if (seen && options.streaming) giveUp(502, 'broken off in mid-answer');
          else if (flight.retry(null, reason === 'connection refused' ? 'connect' : 'reset', reason) === null) {
            giveUp(502, reason);
          } else attempt(flight);
        },
      };
      takeBack = () => {
        if (seen) return false;
        engine.abort(answer);
        return true;
      };
      engine.send(
        { ...request, id: `${row}-${++attempts}`, maxOutputTokens: outputTokens, isReceived: handover !== null },
        answer,
      );
    };
    dispatch.place(
      {
        requestId: `${row}`,
        model,
        kind: 'completions',
        streaming: options.streaming,
        promptTokens: turn.promptTokens,
        maxOutputTokens: null,
        sessionEndpoint: session.endpoint,
        headers: {},
        ...(options.callerOf === undefined ? {} : { caller: options.callerOf(row) }),
      },
      prefixKeyOfBlocks(hashes, turn.promptTokens, blockTokens),
      { placed: attempt, refused: (error) => end(messageOf(error)), takeBack: () => takeBack() },
    );
  };

  play(workload, clock, send);
  fleet.start();
  clock.run(() => done < workload.requestCount && (samples.count === done || clock.nowMs() - lastEndMs < patienceMs));
  if (done < workload.requestCount) failures.set('never answered', workload.requestCount - done);
  return { samples, failures, preemptions: fleet.preemptions, spanSeconds: lastEndMs / 1000 };
}

const unseen = { promptTokens: null, cachedTokens: null, completionTokens: null };
