/** A gateway as a process of its own for bench/see-why.ts: prints its ports, ends with its parent. */
import { createLogger } from '../../src/base/log.ts';
import { startGateway, type GatewayOptions } from '../../src/gateway/gateway.ts';

const options = JSON.parse(process.argv[2]!) as Partial<GatewayOptions>;
const log = createLogger('gateway', { write: () => undefined });
const gateway = await startGateway({ ...options, port: 0, adminPort: 0, policy: { environment: process.env }, log });
process.stdout.write(`${JSON.stringify({ port: gateway.port, adminPort: gateway.adminPort })}\n`);
process.stdin.resume().on('end', () => process.exit());
