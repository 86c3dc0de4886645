import { randomInt } from 'node:crypto';
import { editMembers } from '../../api/splice.ts';
import { hostOf } from '../../base/address.ts';
import type { Connector } from '../connector.ts';

/** SGLang: both engines are asked at once and meet in a room of prefill's bootstrap server. */
export function sglang(bootstrapPort: number): Connector {
  return {
    together: true,
    handover(request, { address }) {
      const room = {
        bootstrap_host: hostOf(address),
        bootstrap_port: bootstrapPort,
        bootstrap_room: randomInt(2 ** 47),
      };
      const both = { ...request, body: editMembers(request.body!, Object.keys(room), room) };
      return { prefill: both, decode: () => both };
    },
  };
}
