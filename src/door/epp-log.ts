import { LineBatch } from '../base/log.ts';
import { briefLines } from '../journal/brief-log.ts';
import { decisionSteps, outcomeSteps, outcomeVerbosity, stepLines, stepsVerbosity } from '../journal/log-steps.ts';
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
  const file = new LineBatch(target === '-' ? 1 : target);
  const context = { namespace, verbosity };
  const write = (lines: string): void => {
    if (lines !== '') file.write(lines);
  };
  const stop = journal.watch({
    decided: (decision) => {
      write(verbosity < stepsVerbosity ? briefLines(decision, context) : stepLines(decisionSteps(decision, context)));
    },
    ended: (decision) => {
      if (verbosity < outcomeVerbosity) return;
      write(stepLines(outcomeSteps(decision, Date.now()).filter((step) => step.verbosity <= verbosity)));
    },
  });
  return {
    close() {
      stop();
      file.end();
    },
  };
}
