/** Writes one line, or several, for whoever called the command. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
