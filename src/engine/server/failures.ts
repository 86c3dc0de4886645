import { z } from 'zod';
import { SignalboxError } from '../../base/errors.ts';

/**
 * What is to go wrong, set at run time by `POST /sim/failures` (and read by GET), so that tests and demonstrations can
 * make an engine fail in every way real ones do.
 */
const failuresSchema = z.strictObject({
  /** `die` ends the process at once, `hang` answers nothing at all, `drain` refuses new requests. */
  mode: z.enum(['none', 'die', 'hang', 'drain']).default('none'),
  /** Answer every request with this status. */
  status: z
    .union([z.literal(500), z.literal(503)])
    .nullable()
    .default(null),
  /** Cut the connection of a stream after so many chunks. */
  stopStreamAfterChunks: z.int().min(0).nullable().default(null),
  /** What happens in the KV cache is not published, and no number is missing that would tell. */
  loseKvEvents: z.boolean().default(false),
  /** Times slower than the hardware profile. */
  slowness: z.number().positive().max(1000).default(1),
});

export type Failures = z.infer<typeof failuresSchema>;

export const noFailures: Failures = failuresSchema.parse({});

/** Throws `request_invalid` naming what is wrong. */
export function parseFailures(text: string): Failures {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SignalboxError('request_invalid', 'expected a JSON object', { cause: error });
  }
  const parsed = failuresSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SignalboxError('request_invalid', z.prettifyError(parsed.error));
}

/** The failures in force, and those who wait for a hang to be over. */
export class FailureSwitch {
  now: Failures = noFailures;
  #ended: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;

  set(failures: Failures): void {
    this.now = failures;
    if (failures.mode === 'hang') {
      this.#ended ??= Promise.withResolvers<void>();
    } else {
      this.#ended?.resolve();
      this.#ended = null;
    }
  }

  async untilNotHanging(): Promise<void> {
    while (this.#ended !== null) await this.#ended.promise;
  }
}
