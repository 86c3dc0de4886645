/** The requests of the bench: bodies of one length, in groups that share their beginning. */
export interface Traffic {
  readonly path: '/v1/completions' | '/v1/chat/completions';
  readonly bodyBytes: number;
  /** So many different beginnings, of so many bytes. */
  readonly groups: number;
  readonly sharedBytes: number;
  readonly stream: boolean;
  /** Whether a stream's events come at the pace of an engine, rather than at once. */
  readonly paced?: boolean;
}

export interface WholeRequest {
  readonly bytes: Buffer;
  readonly bodyBytes: number;
}

export const model = 'bench/model';

const words =
  'signal track points lever train yard switch lamp bell wire route platform junction relay timetable '.split(' ');

/** English-like text, the same for the same seed. */
function text(seed: number, length: number): string {
  let state = seed * 2654435761 + 1;
  let made = '';
  while (made.length < length) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    made += `${words[state % words.length]!} `;
  }
  return made.slice(0, length);
}

/** A whole HTTP/1.1 request whose body begins like those of its group and goes on unlike any other. */
export class RequestMaker {
  readonly #templates: readonly (WholeRequest & { readonly serialAt: number })[];
  #serial = 0;

  constructor({ path, bodyBytes, groups, sharedBytes, stream, paced = false }: Traffic) {
    this.#templates = Array.from({ length: groups }, (_, group) => {
      const shared = text(group, sharedBytes);
      const chat = path === '/v1/chat/completions';
      const wrap = (prompt: string): string =>
        JSON.stringify({
          model,
          ...(chat
            ? {
                messages: [
                  { role: 'system', content: shared },
                  { role: 'user', content: prompt },
                ],
              }
            : { prompt: shared + prompt }),
          max_tokens: 50,
          stream,
          ...(paced ? { paced } : {}),
        });
      const rest = Math.max(serialDigits, bodyBytes - wrap('').length);
      const body = wrap('0'.repeat(serialDigits) + text(group + groups, rest - serialDigits));
      const head = `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
      const bytes = Buffer.from(head + body, 'latin1');
      return { bytes, bodyBytes: body.length, serialAt: bytes.indexOf('0'.repeat(serialDigits), head.length) };
    });
  }

  /** Valid until the next call for the same group. */
  next(): WholeRequest {
    const serial = this.#serial++;
    const request = this.#templates[serial % this.#templates.length]!;
    request.bytes.write(String(serial).padStart(serialDigits, '1'), request.serialAt, 'latin1');
    return request;
  }
}

const serialDigits = 12;
