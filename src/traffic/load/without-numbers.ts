/**
 * Numbers differ from one message to the next; without them, equal reasons and equal troubles are counted together.
 * A number that is part of a name (`decode-1`) stays, and so does one at the start (a status).
 */
export function withoutNumbers(message: string): string {
  return message.slice(0, 200).replace(/(?<=[\s(=:])\d[\d.,]*(?![\w-])/g, 'N');
}
