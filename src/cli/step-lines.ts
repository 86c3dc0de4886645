type Fields = Readonly<Record<string, unknown>>;

/** Fields that stand in the heading, or in every line alike. */
const headingFields = new Set(['level', 'ts', 'msg', 'logger', 'x-request-id', 'request']);
const longestValue = 300;

/**
 * Turns the EPP's log into steps for reading: each request under a heading, its steps numbered, values in short.
 * What is no JSON line passes by as it is.
 */
export class StepLines {
  #unfinished = '';
  #requestId: string | null = null;
  #step = 0;

  /** The steps in `text`, which may end in the middle of a line. */
  push(text: string): string {
    const lines = (this.#unfinished + text).split('\n');
    this.#unfinished = lines.pop() ?? '';
    return lines.map((line) => `${this.#render(line)}\n`).join('');
  }

  /** What is left when the log ends without a line feed. */
  end(): string {
    return this.#unfinished === '' ? '' : this.push('\n');
  }

  #render(line: string): string {
    const fields = parsed(line);
    if (fields === null || typeof fields['msg'] !== 'string') return line;
    const { msg, logger } = fields;
    const id = typeof fields['x-request-id'] === 'string' ? fields['x-request-id'] : null;
    const heading = id === null || id === this.#requestId ? '' : this.#begin(id, fields);
    this.#step += 1;
    const values = Object.entries(fields)
      .filter(([name]) => !headingFields.has(name))
      .map(([name, value]) => `${name} ${inShort(value)}`);
    const about = values.length === 0 ? '' : `: ${values.join('; ')}`;
    const number = id === null ? '' : `${String(this.#step).padStart(4)}. `;
    return `${heading}${number}${typeof logger === 'string' ? `[${logger}] ` : ''}${msg}${about}`;
  }

  #begin(id: string, { ts, request }: Fields): string {
    const isFirst = this.#requestId === null;
    this.#requestId = id;
    this.#step = 0;
    const what = typeof request === 'string' ? `\n      ${request}` : '';
    return `${isFirst ? '' : '\n'}request ${id}  ${String(ts)}${what}\n`;
  }
}

function parsed(line: string): Fields | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as Fields;
  } catch {
    return null;
  }
}

/** Pods by their names, scores to three places, the rest as it is. */
function inShort(value: unknown): string {
  return shortened(textOf(value));
}

function textOf(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toFixed(3)));
  if (typeof value !== 'object' || value === null) return value === null ? 'unknown' : String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(textOf).join(', ');
  const fields = value as Fields;
  const name = (fields['NamespacedName'] as { Name?: unknown } | undefined)?.Name;
  if (typeof name === 'string') return name;
  const entries = Object.entries(fields);
  return entries.length === 0 ? 'none' : entries.map(([key, inner]) => `${key} ${textOf(inner)}`).join(', ');
}

function shortened(text: string): string {
  return text.length <= longestValue ? text : `${text.slice(0, longestValue)}…`;
}
