import type { WriteStream } from 'node:tty';

const width = 30;
const lineEveryMs = 5000;

interface Progress {
  /** `share` of all the work is done, 0 to 1. */
  show(share: number): void;
  end(): void;
}

/** A bar that redraws itself on a terminal, a line now and then elsewhere. */
export function progressBar(output: WriteStream, title: string): Progress {
  let nextLineAtMs = performance.now() + lineEveryMs;
  let drawn = '';
  return {
    show(share) {
      const percent = `${Math.floor(share * 100)} %`;
      if (!output.isTTY) {
        if (performance.now() < nextLineAtMs) return;
        nextLineAtMs = performance.now() + lineEveryMs;
        output.write(`${title}: ${percent}\n`);
        return;
      }
      const filled = Math.floor(share * width);
      const line = `\r${title} [${'='.repeat(filled)}${' '.repeat(width - filled)}] ${percent.padStart(5)}`;
      if (line !== drawn) output.write(line);
      drawn = line;
    },
    end() {
      if (output.isTTY && drawn !== '') output.write('\r\u001b[K');
    },
  };
}
