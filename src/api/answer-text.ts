import { isObject } from './prompt.ts';

/** An answer's text beyond it is not kept. */
const largestTextCharacters = 256 * 1024;
/** So many pieces are joined at once: one string in pieces of a token each takes twenty times its text. */
const piecesJoined = 64;

/**
 * The text of an answer as the next turn of its conversation will repeat it, from the answer's document or its stream's
 * events. Tool calls and reasoning are not: how they come back depends on the client and the engine's template.
 */
export class AnswerText {
  #text = '';
  #pieces: string[] = [];
  #characters = 0;
  #unlike: string | null = null;

  /** Null when there is none, or it is not all that was answered. */
  get text(): string | null {
    return this.#unlike === null && this.#characters > 0 ? this.said : null;
  }

  /** What was said so far; all of it unless `unlike` says otherwise. */
  get said(): string {
    this.#join();
    return this.#text;
  }

  /** What an answer had that is more or other than one plain text; null when nothing. */
  get unlike(): string | null {
    return this.#unlike;
  }

  /** Takes a whole answer or one event of it, parsed. */
  add(answer: unknown): void {
    if (this.#unlike !== null || !isObject(answer) || !Array.isArray(answer['choices'])) return;
    const choices: readonly unknown[] = answer['choices'];
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

  /** Takes more of the same answer: its text alone, of an event that is else like one taken before. */
  addText(text: string): void {
    if (this.#unlike === null) this.#append(text);
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
