import type { ServerResponse } from 'node:http';

/** The client's end of a request: where its answer goes. */
export interface ClientResponse {
  head(status: number, headers: Readonly<Record<string, string | string[]>>): void;
  /** False: it takes no more for now, until `onceDrained`. */
  write(bytes: Buffer): boolean;
  onceDrained(step: () => void): void;
  end(bytes?: Buffer | string): void;
  /** Breaks the connection off, where the head has promised more than comes. */
  cut(): void;
  /** The client has gone before its answer was written. */
  onceLeft(step: () => void): void;
}

export function clientResponse(response: ServerResponse): ClientResponse {
  return {
    head: (status, headers) => void response.writeHead(status, headers),
    write: (bytes) => response.write(bytes),
    onceDrained: (step) => void response.once('drain', step),
    end: (bytes) => void response.end(bytes),
    cut: () => void response.destroy(),
    onceLeft: (step) =>
      void response.once('close', () => {
        if (!response.writableFinished) step();
      }),
  };
}
