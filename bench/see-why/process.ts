import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A script of this folder as a process that answers in lines. */
export class Child {
  readonly #process;

  constructor(script: string, ...args: string[]) {
    const path = join(import.meta.dirname, script);
    this.#process = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  }

  /** Its next line; asked for where the script waits to be asked. */
  async line(ask = false): Promise<string> {
    const line = once(this.#process.stdout, 'data') as Promise<[Buffer]>;
    if (ask) this.#process.stdin.write('\n');
    const [data] = await line;
    return data.toString();
  }

  end(): void {
    this.#process.stdin.end();
  }
}
