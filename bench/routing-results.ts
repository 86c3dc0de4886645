import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { filesBelow, readSource } from '../scripts/lib/source-files.ts';
import type { Job, JobResult } from '../src/replay/jobs.ts';
import type { Drawing } from '../src/replay/result.ts';

/** Folders that decide what a replay gives. */
const sources = ['src', 'assets/policies'];

/** Results by job, kept in a file of JSON lines. A result counts only with the very sources that gave it. */
export class ResultStore {
  readonly #file: string;
  readonly #sources: string;
  readonly #results = new Map<string, JobResult>();

  constructor(file: string) {
    this.#file = file;
    this.#sources = hash(sources.flatMap((folder) => filesBelow(folder, ['.ts', '.yaml']).map(readSource)).join('\0'));
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      // The last line may be half written, when a run was broken off.
      if (!line.endsWith('}')) continue;
      const { key, result } = JSON.parse(line) as { key: string; result: JobResult };
      this.#results.set(key, result);
    }
  }

  get(job: Job): JobResult | undefined {
    return this.#results.get(this.#keyOf(job));
  }

  put(job: Job, result: JobResult): void {
    const key = this.#keyOf(job);
    const kept = result.kind === 'run' ? { ...result, drawing: sharesOnly(result.drawing) } : result;
    this.#results.set(key, kept);
    mkdirSync(dirname(this.#file), { recursive: true });
    appendFileSync(this.#file, `${JSON.stringify({ key, result: kept })}\n`);
  }

  #keyOf(job: Job): string {
    return hash(`${this.#sources}${JSON.stringify(job)}`);
  }
}

/** The rest of a drawing is large and not shown here. */
function sharesOnly(drawing: Drawing): Drawing {
  return { ...drawing, ttftSeconds: [], tpotSeconds: [], e2eSeconds: [] };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}
