/** What is known of a source's past. */
type Completeness =
  /** Everything since the engine began, or since its cache was empty. */
  | 'complete'
  /** Something of its past was missed. */
  | 'partial';

interface SequenceHandlers {
  apply(payload: Buffer): void;
  /** All that was known is void: the engine began anew, or nobody knows what was missed. */
  forget(): void;
  /** Asks for the batches from `from` on; live ones are held back until they have come. */
  replay(from: number): void;
}

/** How often in a row a gap is filled before what was missed is given up. */
const replaysInARow = 3;

/**
 * The order of one source's batches: they are numbered from 0 in every life of an engine. Finds gaps, repetitions and
 * new lives, and says what to do about them. No sockets, no clock: whoever has them tells what came.
 */
export class Sequence {
  readonly #handlers: SequenceHandlers;
  /** The next number; 0 before anything has come. */
  #expected = 0;
  #hasHeard = false;
  /** The last payload applied, to tell the same life of an engine from another. */
  #last: Buffer | null = null;
  #phase: 'live' | 'replaying' | 'checking' = 'live';
  #replays = 0;
  #isChecked = false;
  readonly #canReplay: boolean;
  completeness: Completeness = 'partial';
  /** Batches that were missed, lives that ended, and batches had by replay. */
  readonly counts = { gaps: 0, restarts: 0, replayed: 0 };

  constructor(canReplay: boolean, handlers: SequenceHandlers) {
    this.#canReplay = canReplay;
    this.#handlers = handlers;
  }

  get isReplaying(): boolean {
    return this.#phase !== 'live';
  }

  /** A connection was made, the first or another. */
  connected(): void {
    this.#replays = 0;
    if (!this.#canReplay) return;
    // Is it the engine that was there before? It still has the batch that came last, if it is.
    if (this.#last !== null) this.#ask('checking', this.#expected - 1);
    else this.#ask('replaying', 0);
  }

  live(number: number, payload: Buffer): void {
    if (this.#phase !== 'live') return; // the replay brings it
    if (!this.#hasHeard && (!this.#canReplay || this.#replays >= replaysInARow)) {
      this.completeness = number === 0 ? 'complete' : 'partial';
      this.#apply(number, payload);
    } else if (number === this.#expected) {
      this.#replays = 0;
      this.#apply(number, payload);
    } else if (number === this.#expected - 1 && this.#last?.equals(payload) === true) {
      return;
    } else if (number < this.#expected) this.#beginAnew(number, payload);
    else this.#miss(number, payload);
  }

  replayed(number: number, payload: Buffer): void {
    if (this.#phase === 'live') return;
    if (this.#phase === 'checking' && !this.#isChecked) {
      this.#isChecked = number === this.#expected - 1 && this.#last?.equals(payload) === true;
      return;
    }
    if (number < this.#expected) return;
    if (number > this.#expected) {
      // Its buffer does not reach back so far.
      if (this.#hasHeard) this.counts.gaps += 1;
      this.#forget();
      this.completeness = 'partial';
    } else if (number === 0) this.completeness = 'complete';
    this.counts.replayed += 1;
    this.#apply(number, payload);
  }

  /** Everything asked for has come. */
  replayEnded(): void {
    const wasChecking = this.#phase === 'checking';
    this.#phase = 'live';
    if (wasChecking && !this.#isChecked) {
      this.counts.restarts += 1;
      this.#forget();
      this.#ask('replaying', 0);
    } else if (!this.#hasHeard) this.completeness = 'complete'; // it has published nothing yet
  }

  /** No answer: what comes live has to do. */
  replayFailed(): void {
    if (this.#phase === 'live') return;
    this.#phase = 'live';
    this.#replays = replaysInARow;
    this.completeness = 'partial';
  }

  /** Something could not be read, or is not to be believed: everything is asked for again. */
  startOver(): void {
    this.#forget();
    this.completeness = 'partial';
    this.#phase = 'live';
    if (this.#canReplay) this.#ask('replaying', 0);
  }

  #apply(number: number, payload: Buffer): void {
    this.#expected = number + 1;
    this.#hasHeard = true;
    // Payloads are views of what the network brought, and outlive it only by a copy.
    this.#last = Buffer.from(payload);
    this.#handlers.apply(payload);
  }

  /** Numbers went back: another life. */
  #beginAnew(number: number, payload: Buffer): void {
    this.counts.restarts += 1;
    this.#forget();
    if (this.#canReplay) this.#ask('replaying', 0);
    else {
      this.completeness = number === 0 ? 'complete' : 'partial';
      this.#apply(number, payload);
    }
  }

  #miss(number: number, payload: Buffer): void {
    this.counts.gaps += 1;
    if (this.#canReplay && this.#replays < replaysInARow) {
      this.#replays += 1;
      this.#ask('replaying', this.#expected);
      return;
    }
    // What is known stays: most of it is still true, and what is not shows in the engines' reports.
    this.completeness = 'partial';
    this.#apply(number, payload);
  }

  #ask(phase: 'replaying' | 'checking', from: number): void {
    this.#phase = phase;
    this.#isChecked = false;
    this.#handlers.replay(from);
  }

  #forget(): void {
    this.#expected = 0;
    this.#hasHeard = false;
    this.#last = null;
    this.#handlers.forget();
  }
}
