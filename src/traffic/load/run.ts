import type { Agent } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { PromptWriter } from '../prompt/prompt-text.ts';
import type { Vocabulary } from '../prompt/words.ts';
import { drive } from './drive.ts';
import type { DrivePlan } from './drive.ts';
import { showProgress } from './progress.ts';
import type { ProgressOutput } from './progress.ts';
import { sendRequest } from './send.ts';
import type { Target } from './send.ts';
import { Tally } from './tally.ts';

export interface LoadPlan extends DrivePlan {
  readonly blockTokens: number;
  /** Longer prompts are cut to their first tokens. */
  readonly maxPromptTokens: number;
  /** Longer answers are asked for shorter. */
  readonly maxOutputTokens: number;
}

/** Sends a plan's requests to `target` and counts how they went; an abort ends it early with what there is. */
export async function runLoad(
  plan: LoadPlan,
  target: Target,
  vocabulary: Vocabulary,
  dispatcher: Agent,
  clock: Clock,
  output: ProgressOutput,
  signal: AbortSignal,
): Promise<{ tally: Tally; durationMs: number }> {
  const prompts = new PromptWriter(vocabulary, plan.seed);
  const startMs = clock.nowMs();
  const tally = new Tally(startMs);
  let inFlight = 0;
  const hideProgress = showProgress(output, tally, { ...plan, startMs, inFlight: () => inFlight }, clock);
  try {
    await drive(
      plan,
      async ({ turn, session, key, lateMs }) => {
        inFlight += 1;
        const prompt = prompts.write({
          promptTokens: Math.min(turn.promptTokens, plan.maxPromptTokens),
          blocks: turn.blocks,
          blockTokens: plan.blockTokens,
          key,
        });
        const outputTokens = Math.max(1, Math.min(turn.outputTokens, plan.maxOutputTokens));
        const result = await sendRequest(target, prompt, outputTokens, session.token, clock, dispatcher, signal);
        session.token = result.sessionToken ?? session.token;
        tally.add(result, lateMs);
        inFlight -= 1;
      },
      clock,
      signal,
    );
  } finally {
    hideProgress();
  }
  return { tally, durationMs: clock.nowMs() - startMs };
}
