import { JsonAnswerReader, noReport, StreamAnswerReader, type Report } from '../proxy/answer-reader.ts';
import { StreamSoFar } from '../proxy/stream-so-far.ts';

/** Looks on while an answer passes. Of streams that are not observed it sees at most that they begin. */
export class AnswerWatch {
  static readonly nothing: Report = noReport;
  /** HTTP status of the answer's head. */
  readonly status: number;
  readonly #reader: JsonAnswerReader | StreamAnswerReader | null;
  #begun = false;

  /** @param contentType null when nothing of the answer is to be read */
  constructor(status: number, contentType: string | null, keepText: boolean) {
    this.status = status;
    if (contentType?.startsWith('application/json')) this.#reader = new JsonAnswerReader(keepText);
    else if (contentType?.startsWith('text/event-stream'))
      this.#reader = new StreamAnswerReader(keepText ? new StreamSoFar() : null);
    else this.#reader = null;
  }

  /** True when the answer (of a stream: its first event) begins with this chunk. */
  push(chunk: Buffer): boolean {
    // Readers keep what they have not understood yet, and this memory is somebody else's.
    this.#reader?.push(Buffer.from(chunk));
    if (this.#begun || (this.#reader instanceof StreamAnswerReader && !this.#reader.begun)) return false;
    this.#begun = true;
    return true;
  }

  /** The status of an error among a stream's events. */
  get errorStatus(): number | null {
    return this.#reader instanceof StreamAnswerReader ? (this.#reader.error?.status ?? null) : null;
  }

  report(): Report {
    return this.#reader?.report() ?? noReport;
  }
}
