import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A small disk of its own, which can be full. Where mounting is not permitted it is a plain folder, which cannot. */
export class SmallDisk {
  readonly folder: string;
  readonly canFill: boolean;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    let mounted = true;
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], { stdio: 'ignore' });
    } catch {
      mounted = false;
    }
    this.canFill = mounted;
  }

  fill(full: boolean): void {
    if (!this.canFill) return;
    const ballast = join(this.folder, 'ballast');
    rmSync(ballast, { force: true });
    if (!full) return;
    try {
      writeFileSync(ballast, Buffer.alloc(8 * 1024 * 1024));
    } catch {
      // Full, as it was to be.
    }
  }

  close(): void {
    if (this.canFill) execFileSync('umount', ['-l', this.folder], { stdio: 'ignore' });
  }
}
