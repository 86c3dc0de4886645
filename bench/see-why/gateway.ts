/**
 * A gateway as a process of its own for bench/see-why.ts: prints its ports, for each line that it reads the CPU time it
 * has taken so far, in microseconds, and ends with its parent.
 */
import { createLogger } from '../../src/base/log.ts';
import { startGateway, type GatewayOptions } from '../../src/gateway/gateway.ts';

const options = JSON.parse(process.argv[2]!) as Partial<GatewayOptions>;
const log = createLogger('gateway', { write: () => undefined });
const gateway = await startGateway({ ...options, port: 0, adminPort: 0, policy: { environment: process.env }, log });
process.stdout.write(`${JSON.stringify({ port: gateway.port, adminPort: gateway.adminPort })}\n`);
process.stdin
  .on('data', () => {
    const { user, system } = process.cpuUsage();
    process.stdout.write(`${user + system}\n`);
  })
  .on('end', () => process.exit());
