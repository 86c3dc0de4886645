import { z } from 'zod';
import { editMembers } from '../../api/splice.ts';
import type { PromptKind } from '../../api/request.ts';
import type { HttpGetter } from '../http-get.ts';
import type { MediaSpan } from '../prefix-index/extra-keys.ts';
import type { PromptIds } from '../prefix-index/prefix-key.ts';

const paths: Readonly<Record<PromptKind, string>> = {
  completions: '/v1/completions/render',
  chat: '/v1/chat/completions/render',
  responses: '/v1/responses/render',
  messages: '/v1/messages/render',
};

/** What vLLM answers there (with `--enable-scale-out`), as far as we read it. */
const renderedSchema = z.looseObject({
  token_ids: z.array(z.int().min(0)).min(1),
  features: z
    .looseObject({
      mm_hashes: z.record(z.string(), z.array(z.string())),
      mm_placeholders: z.record(z.string(), z.array(z.looseObject({ offset: z.int().min(0), length: z.int().min(1) }))),
    })
    .nullish(),
});
const answerSchema = z.union([renderedSchema, z.array(renderedSchema).min(1)]);

/**
 * A request's (first) prompt as its engine renders it: template, placeholders of images, and what tells those from others.
 * Null when the engine does not do that; rejects when it gives no answer.
 */
export async function renderedPrompt(
  http: HttpGetter,
  address: string,
  kind: PromptKind,
  body: Buffer,
  limitMs: number,
): Promise<PromptIds | null> {
  // The images themselves are not wanted back.
  const asked = editMembers(body, ['stream', 'stream_options'], { mm_payload: 'none' });
  const { status, body: answer } = await http.postBytes(address, paths[kind], asked, limitMs);
  return status === 200 ? parseRendered(answer) : null;
}

/** Null when it is no such answer. */
export function parseRendered(answer: string): PromptIds | null {
  const parsed = answerSchema.safeParse(JSON.parse(answer));
  if (!parsed.success) return null;
  const { token_ids: ids, features } = Array.isArray(parsed.data) ? parsed.data[0]! : parsed.data;
  const media: MediaSpan[] = [];
  for (const [modality, hashes] of Object.entries(features?.mm_hashes ?? {})) {
    const places = features!.mm_placeholders[modality] ?? [];
    if (places.length !== hashes.length) return null;
    hashes.forEach((identifier, at) => media.push({ identifier, ...places[at]! }));
  }
  media.sort((a, b) => a.offset - b.offset);
  return { bytes: new Uint8Array(Uint32Array.from(ids).buffer), media };
}

/** Whether a body has parts that are no text. The engine's `/tokenize` leaves out what it does not know how to place. */
export function hasMedia(body: Buffer): boolean {
  return /"type"\s*:\s*"(image|input_image|image_url|audio|input_audio|audio_url|video|video_url|image_embeds)"/.test(
    body.toString('latin1'),
  );
}
