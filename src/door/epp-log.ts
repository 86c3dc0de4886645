import { lineFile } from '../base/log.ts';
import { decisionSteps, outcomeSteps, outcomeVerbosity, type LogStep } from '../journal/log-steps.ts';
import type { Journal } from '../journal/journal.ts';

interface EppLogOptions {
  /** A path, or `-` for stdout. */
  readonly target: string;
  /** Steps above it are left out; 4 shows every step of every decision. */
  readonly verbosity: number;
  readonly namespace: string;
}

/** Writes every decision's steps as JSON lines, as the walkthrough's EPP does. Never waits for the disk. */
export function writeEppLog(journal: Journal, { target, verbosity, namespace }: EppLogOptions): { close(): void } {
  const file = lineFile(target === '-' ? 1 : target);
  const write = (steps: readonly LogStep[]): void => {
    let lines = '';
    for (const step of steps) lines += `${JSON.stringify(step.fields)}\n`;
    if (lines !== '') file.write(lines);
  };
  const stop = journal.watch({
    decided: (decision) => write(decisionSteps(decision, { namespace, verbosity })),
    ended: (decision) => {
      if (verbosity >= outcomeVerbosity)
        write(outcomeSteps(decision, Date.now()).filter((step) => step.verbosity <= verbosity));
    },
  });
  return {
    close() {
      stop();
      if (target !== '-') file.end();
    },
  };
}
