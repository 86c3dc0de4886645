/** What a stream says after a break must not repeat white space, nor complete a stop string, from before it. */
export class Seam {
  /** White space is there already. */
  #spaced: boolean;
  /** What would complete stop strings that may have begun before the break. */
  #completions: string[];
  #held = '';

  /** `said` is the text before the break; `isTrimmed` when white space at its end was left out where the rest was asked for. */
  constructor(said: string, stops: readonly string[], isTrimmed: boolean) {
    this.#spaced = isTrimmed && said !== said.trimEnd();
    this.#completions = stops.flatMap((stop) => completionsOf(stop, said));
  }

  /**
   * What of `text`, which comes next, goes to the client now; all that is held when `isLast`. Null when a stop string
   * lies across the break: its beginning has gone out.
   */
  take(text: string, isLast: boolean): string | null {
    let next = text;
    if (this.#spaced) {
      next = next.trimStart();
      if (next === '') return '';
      this.#spaced = false;
    }
    if (this.#completions.length === 0) return next;
    this.#held += next;
    const held = this.#held;
    if (this.#completions.some((rest) => held.startsWith(rest))) return null;
    this.#completions = this.#completions.filter((rest) => rest.startsWith(held));
    if (this.#completions.length > 0 && !isLast) return '';
    this.#held = '';
    this.#completions = [];
    return held;
  }
}

/** For each beginning of `stop` that `said` ends with, the rest of it. */
function completionsOf(stop: string, said: string): string[] {
  const rests: string[] = [];
  for (let length = 1; length < stop.length; length++) {
    if (said.endsWith(stop.slice(0, length))) rests.push(stop.slice(length));
  }
  return rests;
}
