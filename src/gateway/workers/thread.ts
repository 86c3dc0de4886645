import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { connectorNamed } from '../../disaggregation/connectors/index.ts';
import { Serving } from '../serving.ts';
import { AdminPorts } from './admin-ports.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';

/** A further thread that serves requests, as `workers.ts` starts it. */
const start = workerData as WorkerStart;
const first = parentPort!;
const observeEveryMs = 50;
/** As long as a gateway waits that takes over from another one. */
const mostUntilReadyMs = 3000;

function tell(message: FromWorker): void {
  first.postMessage(message);
}

const log = createLogger('gateway', { write: (line) => tell({ what: 'log', line }) });

async function serve(): Promise<void> {
  const connector = start.connector === null ? null : connectorNamed(start.connector);
  const serving = await Serving.create(start.options, connector, log);
  const { core, door } = serving;
  const admin = new AdminPorts(core, await core.adminListener(door));
  const end = async (graceMs: number): Promise<void> => {
    await serving.close(graceMs);
    // Whatever else is still open goes with the thread.
    process.exit();
  };
  first.on('message', (message: ToWorker) => {
    switch (message.what) {
      case 'lead':
        return core.follow(message.lead);
      case 'reload':
        return void core.reload().catch(() => undefined);
      case 'drain':
        return void end(message.graceMs);
      case 'admin':
        return admin.serve(message.port);
    }
  });
  core.start();
  setInterval(() => {
    const observed = core.observed();
    if (observed !== null) tell({ what: 'observed', observed });
  }, observeEveryMs);
  if (start.waitUntilReady) await core.untilReady(mostUntilReadyMs);
  const { port, descriptor } = start;
  const api = await serving.listen({ port, descriptor, isShared: true });
  tell({ what: 'listening', port: api.port, descriptor: api.descriptor });
}

serve().catch((error: unknown) => {
  tell({ what: 'failed', reason: messageOf(error) });
  process.exit(1);
});
