import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { rankHeader } from '../../api/data-parallel-rank.ts';
import { editMembers } from '../../api/splice.ts';
import { addressOf, hostOf } from '../../base/address.ts';
import type { Connector, Handover } from '../connector.ts';
import { promptOnly } from '../prompt-only.ts';

const member = 'kv_transfer_params';
const answerMs = 5000;
/** An engine that was started anew has another id; till then one question serves many requests. */
const rememberedMs = 2000;

/** By data-parallel rank. */
const answerSchema = z.record(z.string(), z.looseObject({ engine_id: z.string().min(1) }));
type Engines = z.infer<typeof answerSchema>;

/**
 * vLLM's MooncakeConnector: both engines are asked at once; decode is told where prefill's bootstrap server is and which
 * engine there to ask for a transfer of our naming.
 */
export function mooncake(bootstrapPort: number): Connector {
  const known = new Map<string, { readonly engines: Promise<Engines>; readonly atMs: number }>();
  return {
    together: true,
    async handover(request, { address }): Promise<Handover> {
      const bootstrap = `http://${addressOf(hostOf(address), bootstrapPort)}`;
      const nowMs = performance.now();
      for (const [url, { atMs }] of known) if (nowMs - atMs > rememberedMs) known.delete(url);
      let asked = known.get(bootstrap);
      if (asked === undefined) known.set(bootstrap, (asked = { engines: enginesAt(bootstrap), atMs: nowMs }));
      const engines = await asked.engines;
      const ranks = Object.keys(engines);
      const rank = ranks[Math.floor(Math.random() * ranks.length)]!;
      const transfer = { transfer_id: `xfer-${randomUUID()}` };
      const toPrefill = { do_remote_decode: true, do_remote_prefill: false, ...transfer };
      const toDecode = {
        do_remote_decode: false,
        do_remote_prefill: true,
        ...transfer,
        remote_bootstrap_addr: bootstrap,
        remote_engine_id: engines[rank]!.engine_id,
      };
      const decode = { ...request, body: editMembers(request.body!, [member], { [member]: toDecode }) };
      return {
        prefill: {
          ...request,
          headers: { ...request.headers, [rankHeader]: rank },
          body: editMembers(promptOnly(request.path, request.body!), [member], { [member]: toPrefill }),
        },
        decode: () => decode,
      };
    },
  };
}

async function enginesAt(bootstrap: string): Promise<Engines> {
  const answer = await fetch(`${bootstrap}/query`, { signal: AbortSignal.timeout(answerMs) });
  const engines = answerSchema.parse(await answer.json());
  if (Object.keys(engines).length === 0) throw new Error(`${bootstrap}/query names no engine`);
  return engines;
}
