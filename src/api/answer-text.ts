import { isObject } from './prompt.ts';

/** Enough for what prefixes are worth; an answer's text beyond it is not kept. */
const largestTextCharacters = 64 * 1024;

/**
 * The text of an answer as the next turn of its conversation will repeat it, from the answer's document or its stream's
 * events. Tool calls and reasoning are not: how they come back depends on the client and the engine's template.
 */
export class AnswerText {
  #text = '';
  #known = true;

  /** Null when there is none, or it is not all that was answered. */
  get text(): string | null {
    return this.#known && this.#text !== '' ? this.#text : null;
  }

  /** Takes a whole answer or one event of it, parsed. */
  add(answer: unknown): void {
    if (!this.#known || !isObject(answer) || !Array.isArray(answer['choices'])) return;
    const choices: readonly unknown[] = answer['choices'];
    if (choices.length === 0) return;
    const [choice] = choices;
    if (choices.length > 1 || !isObject(choice) || (choice['index'] ?? 0) !== 0) {
      this.#known = false;
      return;
    }
    const said = choice['delta'] ?? choice['message'] ?? choice;
    if (!isObject(said)) return;
    if (['tool_calls', 'function_call', 'reasoning_content', 'reasoning'].some((name) => isSaid(said[name]))) {
      this.#known = false;
      return;
    }
    const text = said === choice ? said['text'] : said['content'];
    if (typeof text === 'string' && this.#text.length < largestTextCharacters) {
      this.#text += text.slice(0, largestTextCharacters - this.#text.length);
    }
  }
}

function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
}
