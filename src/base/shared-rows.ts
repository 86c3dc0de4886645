/** Memory of several threads' numbers, as it is passed to each of them. */
export interface RowsMemory {
  readonly rows: number;
  readonly places: number;
  /** Numbers in a row's place. */
  readonly width: number;
  /** Each place of a row twice: what is there, and what is being written. */
  readonly values: SharedArrayBuffer;
  /** How often each place of a row was written. */
  readonly versions: SharedArrayBuffer;
  /** Another one with each change of a place in any row. */
  readonly changes: SharedArrayBuffer;
}

/**
 * Numbers that several threads of one process keep side by side: each writes a row of its own and reads the others'. What
 * is written at once is read as one: it is written beside what was there, and then the version says that it counts. A
 * reader looks again where the version has changed meanwhile. No thread waits for another, which may be standing still.
 */
export class SharedRows {
  readonly row: number;
  readonly #rows: number;
  readonly #places: number;
  readonly #width: number;
  readonly #values: Float64Array;
  readonly #versions: Int32Array;
  readonly #changes: Int32Array;
  readonly #read: Float64Array;

  static memory(rows: number, places: number, width: number): RowsMemory {
    const versions = rows * places * Int32Array.BYTES_PER_ELEMENT;
    return {
      ...{ rows, places, width },
      values: new SharedArrayBuffer(2 * rows * places * width * Float64Array.BYTES_PER_ELEMENT),
      versions: new SharedArrayBuffer(versions),
      changes: new SharedArrayBuffer(versions / rows),
    };
  }

  constructor({ rows, places, width, values, versions, changes }: RowsMemory, row: number) {
    this.row = row;
    this.#rows = rows;
    this.#places = places;
    this.#width = width;
    this.#values = new Float64Array(values);
    this.#versions = new Int32Array(versions);
    this.#changes = new Int32Array(changes);
    this.#read = new Float64Array(width);
  }

  /** Another number than before where any row has changed there. */
  changesAt(place: number): number {
    return Atomics.load(this.#changes, place);
  }

  /** Writes this thread's numbers there. Gives what `changesAt` gave before. */
  write(place: number, numbers: ArrayLike<number>): number {
    this.#write(this.row, place, numbers);
    return Atomics.add(this.#changes, place, 1);
  }

  /** Visits what each of the others has there; the numbers are only there during the call. */
  readOthers(place: number, visit: (numbers: Float64Array) => void): void {
    for (let row = 0; row < this.#rows; row++) {
      if (row === this.row) continue;
      const at = row * this.#places + place;
      for (let version = NaN; version !== Atomics.load(this.#versions, at);) {
        version = Atomics.load(this.#versions, at);
        const from = this.#start(at, version);
        for (let number = 0; number < this.#width; number++) this.#read[number] = this.#values[from + number]!;
      }
      visit(this.#read);
    }
  }

  /** The thread of that row is no more, and its numbers go. Only while it does not run. */
  clear(row: number): void {
    const nothing = new Float64Array(this.#width);
    for (let place = 0; place < this.#places; place++) {
      if (Atomics.load(this.#versions, row * this.#places + place) === 0) continue;
      this.#write(row, place, nothing);
      Atomics.add(this.#changes, place, 1);
    }
  }

  #write(row: number, place: number, numbers: ArrayLike<number>): void {
    const at = row * this.#places + place;
    const from = this.#start(at, Atomics.load(this.#versions, at) + 1);
    for (let number = 0; number < this.#width; number++) this.#values[from + number] = numbers[number]!;
    Atomics.add(this.#versions, at, 1);
  }

  /** Where what was written as that version stands. */
  #start(at: number, version: number): number {
    return (2 * at + (version & 1)) * this.#width;
  }
}
