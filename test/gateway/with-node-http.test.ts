/** The gateway's own tests once more, on Node's HTTP (`--http-engine node`): both engines keep the same promises. */
import { useHttpEngine } from '../support/fleet-under-test.ts';

useHttpEngine('node');
for (const file of ['failures', 'inputs', 'continuation', 'openai-client', 'explained']) {
  await import(`./${file}.test.ts`);
}
