import { isObject } from './prompt.ts';

/** An answer's text beyond it is not kept. */
const largestTextCharacters = 256 * 1024;
/** So many pieces are joined at once: one string in pieces of a token each takes twenty times its text. */
const piecesJoined = 64;
const leastBytes = 512;
const mostBytes = 16 * 1024;
const none = Buffer.alloc(0);

/**
 * The text of an answer as the next turn of its conversation will repeat it, from the answer's document or its stream's
 * events. Tool calls and reasoning are not: how they come back depends on the client and the engine's template.
 */
export class AnswerText {
  #text = '';
  #pieces: string[] = [];
  #characters = 0;
  #unlike: string | null = null;
  /** Text that has come as bytes and is not read yet. */
  #bytes = none;
  #byteCount = 0;

  /** Null when there is none, or it is not all that was answered. */
  get text(): string | null {
    this.#read();
    return this.#unlike === null && this.#characters > 0 ? this.said : null;
  }

  /** What was said so far; all of it unless `unlike` says otherwise. */
  get said(): string {
    this.#read();
    this.#join();
    return this.#text;
  }

  /** What an answer had that is more or other than one plain text; null when nothing. */
  get unlike(): string | null {
    this.#read();
    return this.#unlike;
  }

  /** Takes a whole answer or one event of it, parsed. */
  add(answer: unknown): void {
    if (this.#unlike !== null || !isObject(answer) || !Array.isArray(answer['choices'])) return;
    const choices: readonly unknown[] = answer['choices'];
    this.#read();
    if (choices.length === 0) return;
    const [choice] = choices;
    if (choices.length > 1 || !isObject(choice) || (choice['index'] ?? 0) !== 0) {
      this.#unlike = 'several answers';
      return;
    }
    const said = choice['delta'] ?? choice['message'] ?? choice;
    if (!isObject(said)) return;
    if (isSaid(said['tool_calls']) || isSaid(said['function_call'])) this.#unlike = 'tool calls';
    else if (isSaid(said['reasoning_content']) || isSaid(said['reasoning'])) this.#unlike = 'reasoning';
    else if (isSaid(said['refusal'])) this.#unlike = 'a refusal';
    const text = said === choice ? said['text'] : said['content'];
    if (typeof text === 'string' && text !== '') this.#append(text);
  }

  /** Takes more of the same answer: its text alone, in UTF-8, of an event that is else like one taken before. */
  addBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.#unlike !== null) return;
    const count = this.#byteCount + end - start;
    if (count > this.#bytes.length) {
      if (count > mostBytes) {
        this.#read();
        return this.#append(Buffer.from(bytes.subarray(start, end)).toString());
      }
      const larger = Buffer.allocUnsafe(Math.max(leastBytes, 2 * count));
      larger.set(this.#bytes.subarray(0, this.#byteCount));
      this.#bytes = larger;
    }
    // Byte by byte: a token's text has a few.
    for (let at = start, to = this.#byteCount; at < end; at++, to++) this.#bytes[to] = bytes[at]!;
    this.#byteCount = count;
  }

  #read(): void {
    if (this.#byteCount === 0) return;
    const text = this.#bytes.toString('utf8', 0, this.#byteCount);
    this.#byteCount = 0;
    this.#append(text);
  }

  #append(text: string): void {
    this.#characters += text.length;
    if (this.#characters > largestTextCharacters) {
      this.#unlike = 'more text than is kept';
      return;
    }
    this.#pieces.push(text);
    if (this.#pieces.length >= piecesJoined) this.#join();
  }

  #join(): void {
    if (this.#pieces.length === 0) return;
    this.#text += this.#pieces.join('');
    this.#pieces = [];
  }
}

function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
}
