import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository, runCommand } from '../support/command.ts';
import type { OneNode } from './one-node.ts';

/** Everything the chart renders. */
export function rendered(on: OneNode): void {
  test('a real API server accepts all that is rendered', async () => {
    const text = (file: string): string => readFileSync(join(repository, 'examples', file), 'utf8');
    const files = readdirSync(join(repository, 'examples'), { recursive: true, encoding: 'utf8' });
    const examples = files.filter((file) => file.endsWith('.yaml') && text(file).includes('sampleApplication:'));
    assert.ok(examples.length >= 4);
    for (const example of examples) {
      for (const gateway of ['envoy', 'signalbox']) {
        const sets = 'networkPolicy.enabled=true,modelservice.epp.metrics.authenticated=true';
        const script = `helm template x "$CHART" -n default --kube-version 1.34.0 -f "$VALUES" --set gateway.gatewayClassName=${gateway},${sets} | kubectl apply -n default --dry-run=server -f -`;
        const env = { CHART: join(repository, 'deploy/chart'), VALUES: join(repository, 'examples', example) };
        const { status, stderr } = await runCommand('bash', ['-o', 'pipefail', '-c', script], {
          env: { ...env, ...on.environment },
        });
        assert.equal(status, 0, `${example}, ${gateway}: ${stderr}`);
      }
    }
  });
}
