import type { Connector } from '../connector.ts';
import { lmcache } from './lmcache.ts';
import { mooncake } from './mooncake.ts';
import { nixl } from './nixl.ts';
import { nixlv2 } from './nixlv2.ts';
import { sglang } from './sglang.ts';

/** Every protocol there is. */
export const connectorNames = ['nixlv2', 'nixl', 'lmcache', 'shared-storage', 'sglang', 'mooncake'] as const;
export type ConnectorName = (typeof connectorNames)[number];

export const defaultBootstrapPort = 8998;

/** `bootstrapPort` is that of the prefill engines' bootstrap servers, for those protocols that have one. */
export function connectorNamed(name: ConnectorName, bootstrapPort = defaultBootstrapPort): Connector {
  switch (name) {
    case 'nixlv2':
      return nixlv2;
    case 'nixl':
      return nixl;
    case 'lmcache':
    case 'shared-storage':
      return lmcache;
    case 'sglang':
      return sglang(bootstrapPort);
    case 'mooncake':
      return mooncake(bootstrapPort);
  }
}
