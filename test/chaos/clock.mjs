/** Loaded into the gateway's process: its wall clock is wrong by the milliseconds that a file says. */
import { readFileSync } from 'node:fs';

const file = process.env['SIGNALBOX_CHAOS_CLOCK'];
const real = Date.now;
let wrongBy = 0;
if (file !== undefined) {
  setInterval(() => {
    try {
      wrongBy = Number(readFileSync(file, 'utf8')) || 0;
    } catch {
      // As it was.
    }
  }, 200).unref();
  Date.now = () => real() + wrongBy;
}
