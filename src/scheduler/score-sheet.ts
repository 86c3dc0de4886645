import { numbers } from '../base/numbers.ts';
import type { ProfileRecord } from './decision.ts';
import type { Details } from './plugin.ts';
import type { Profile } from './policy.ts';

type Notes = Readonly<Record<string, number | string | null>>;

const noNotes: Notes = {};

/** Where one scorer writes, the same arrays run after run; what is to be kept is copied. */
class ScorerSheet implements Details {
  scores = numbers(0);
  notes: Notes = noNotes;
  /** Names of the columns of this run, the same array as long as they are the same. */
  names: readonly string[] = [];
  readonly #columns: Float64Array[] = [];
  #used = 0;

  begin(length: number): void {
    if (this.scores.length === length) this.scores.fill(0);
    else {
      this.scores = numbers(length);
      this.#columns.length = 0;
    }
    this.notes = noNotes;
    this.#used = 0;
  }

  end(): void {
    if (this.#used < this.names.length) this.names = this.names.slice(0, this.#used);
  }

  column(name: string): Float64Array {
    const at = this.#used;
    if (this.names[at] !== name) {
      const known = this.names.indexOf(name);
      if (known >= 0 && known < at) return this.#columns[known]!;
      this.names = [...this.names.slice(0, at), name];
    }
    this.#used += 1;
    const column = this.#columns[at];
    if (column !== undefined) return column.fill(0);
    return (this.#columns[at] = numbers(this.scores.length));
  }

  note(name: string, value: number | string | null): void {
    this.notes = { ...this.notes, [name]: value };
  }

  /** Copies scores and columns there; gives where the next may begin. */
  copy(into: Float64Array, start: number): number {
    into.set(this.scores, start);
    let at = start + this.scores.length;
    for (let which = 0; which < this.names.length; which++, at += this.scores.length)
      into.set(this.#columns[which]!, at);
    return at;
  }
}

/** What the scorers of a profile write, and their sum. */
export class ScoreSheet {
  readonly profile: Profile;
  readonly scorers: readonly ScorerSheet[];
  totals = numbers(0);
  #layout: readonly (readonly string[])[] = [];

  constructor(profile: Profile) {
    this.profile = profile;
    this.scorers = profile.scorers.map(() => new ScorerSheet());
  }

  begin(length: number): void {
    if (this.totals.length === length) this.totals.fill(0);
    else this.totals = numbers(length);
  }

  /** All of it in one piece of memory. */
  kept(): KeptScores {
    const { scorers } = this;
    let columns = 1 + scorers.length;
    let isKnown = this.#layout.length === scorers.length;
    let hasNotes = false;
    for (let i = 0; i < scorers.length; i++) {
      const { names, notes } = scorers[i]!;
      columns += names.length;
      isKnown &&= this.#layout[i] === names;
      hasNotes ||= notes !== noNotes;
    }
    if (!isKnown) this.#layout = scorers.map(({ names }) => names);
    const numbersKept = numbers(columns * this.totals.length);
    let at = 0;
    for (let i = 0; i < scorers.length; i++) at = scorers[i]!.copy(numbersKept, at);
    numbersKept.set(this.totals, at);
    return {
      numbers: numbersKept,
      layout: this.#layout,
      notes: hasNotes ? scorers.map(({ notes }) => notes) : null,
    };
  }
}

/** Scores of one run: of each scorer its scores and its columns, then the totals. */
interface KeptScores {
  readonly numbers: Float64Array;
  /** Names of the columns, by scorer. */
  readonly layout: readonly (readonly string[])[];
  readonly notes: readonly Notes[] | null;
}

type ScorerRecord = ProfileRecord['scorers'][number];

/** A profile's record, whose columns are cut out when somebody looks at them. */
export class ScoredProfile implements ProfileRecord {
  readonly profile: Profile;
  readonly candidates: Int32Array;
  readonly filters: ProfileRecord['filters'];
  readonly scored: Int32Array;
  readonly picker: ProfileRecord['picker'];
  readonly #numbers: Float64Array;
  readonly #layout: KeptScores['layout'];
  readonly #notes: KeptScores['notes'];

  constructor(
    sheet: ScoreSheet,
    candidates: Int32Array,
    filters: ProfileRecord['filters'],
    scored: Int32Array,
    picker: ProfileRecord['picker'],
  ) {
    const kept = sheet.kept();
    this.profile = sheet.profile;
    this.candidates = candidates;
    this.filters = filters;
    this.scored = scored;
    this.picker = picker;
    this.#numbers = kept.numbers;
    this.#layout = kept.layout;
    this.#notes = kept.notes;
  }

  get name(): string {
    return this.profile.name;
  }

  get scoredBy(): ProfileRecord['scoredBy'] {
    return this.profile.scorers;
  }

  get scorers(): readonly ScorerRecord[] {
    let at = 0;
    const next = (): Float64Array => this.#cut(at++);
    return this.profile.scorers.map(({ plugin, type, unit, weight }, index) => ({
      ...{ plugin, type, unit, weight, scores: next() },
      columns: Object.fromEntries(this.#layout[index]!.map((name) => [name, next()])),
      notes: this.#notes?.[index] ?? noNotes,
    }));
  }

  get columnCount(): number {
    return this.scored.length === 0 ? 0 : this.#numbers.length / this.scored.length;
  }

  get totals(): Float64Array {
    return this.#numbers.subarray(this.#numbers.length - this.scored.length);
  }

  /** What each scorer gave the one at this position of `scored`. */
  scoresAt(at: number): number[] {
    const scores: number[] = [];
    let column = 0;
    for (const names of this.#layout) {
      scores.push(this.#numbers[column * this.scored.length + at]!);
      column += 1 + names.length;
    }
    return scores;
  }

  #cut(which: number): Float64Array {
    const length = this.scored.length;
    return this.#numbers.subarray(which * length, (which + 1) * length);
  }
}
