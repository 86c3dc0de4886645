import type { Decision } from '../scheduler/decision.ts';

/** Label values come from clients: past so many the rows are made anew each time. */
const keptRows = 1000;
/** Between values that may be anything. */
const separator = '\u0000';

/** What metrics keep at hand for requests with the same model, tenant and priority: nearly all are like the one before. */
export class LabelRows<Row> {
  readonly #create: (model: string, fairnessId: string, band: string) => Row;
  readonly #rows = new Map<string, Row>();
  #model = '';
  #fairnessId = '';
  #band = '';
  #latest: Row | null = null;

  constructor(create: (model: string, fairnessId: string, band: string) => Row) {
    this.#create = create;
  }

  of({ model, admission: { fairnessId, band } }: Pick<Decision, 'model' | 'admission'>): Row {
    if (this.#latest !== null && model === this.#model && fairnessId === this.#fairnessId && band === this.#band) {
      return this.#latest;
    }
    const key = model + separator + fairnessId + separator + band;
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = this.#create(model, fairnessId, band);
      if (this.#rows.size < keptRows) this.#rows.set(key, row);
    }
    this.#model = model;
    this.#fairnessId = fairnessId;
    this.#band = band;
    this.#latest = row;
    return row;
  }
}
