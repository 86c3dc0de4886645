/** Beyond these many, reasons are counted together. */
const maxReasons = 24;
const others = 'other reasons';
/** A score, a cost or a factor in a reason: `prefix 0.82x2`, `queue 0.120s`. */
const scoreNumber = /(?<=\s)\d+\.\d+(?=x|s\b)/g;
const hole = '\u0000';

/**
 * Counts why requests went where they went. The scores in a reason differ from one request to the next: reasons that
 * are equal but for them are counted together and shown with their means. A score of 0 is a reason of its own, so a
 * prefix that was found and one that was not stay apart.
 */
export class Reasons {
  readonly #byForm = new Map<string, { count: number; sums: number[] }>();

  add(reason: string): void {
    const scores: number[] = [];
    let form = reason.replace(scoreNumber, (score) => {
      if (Number(score) === 0) return score;
      scores.push(Number(score));
      return hole;
    });
    if (!this.#byForm.has(form) && this.#byForm.size >= maxReasons) form = others;
    const entry = this.#byForm.get(form) ?? { count: 0, sums: [] };
    this.#byForm.set(form, entry);
    entry.count += 1;
    if (form !== others) scores.forEach((score, index) => (entry.sums[index] = (entry.sums[index] ?? 0) + score));
  }

  /** Most frequent first. */
  list(): { reason: string; count: number }[] {
    return [...this.#byForm]
      .sort(([, a], [, b]) => b.count - a.count)
      .map(([form, { count, sums }]) => {
        let index = 0;
        return { reason: form.replaceAll(hole, () => (sums[index++]! / count).toFixed(2)), count };
      });
  }
}
