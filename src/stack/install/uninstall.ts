import { gatewayPods, ours, release } from './names.ts';
import { clusterTools } from './tools.ts';

/** @throws SignalboxError `environment` */
export async function uninstall(
  { namespace, context }: { namespace: string; context?: string },
  say: (text: string) => void,
): Promise<void> {
  const tools = await clusterTools(context, './signalbox down');
  if (await tools.succeeds('helm', ['status', release, '-n', namespace])) {
    await tools.run('helm', ['uninstall', release, '-n', namespace, '--wait']);
    // Its Envoy would go on for a minute, for requests that no engine is left to answer.
    const hurry = ['--grace-period=5', '--ignore-not-found'];
    await tools.run('kubectl', ['delete', 'pods', '-n', namespace, '-l', gatewayPods, ...hurry]);
    await tools.run('kubectl', ['delete', 'secret', '-n', namespace, '-l', ours, '--ignore-not-found']);
    await tools.run('kubectl', ['delete', 'lease', '-n', namespace, 'llm-d-modelservice', '--ignore-not-found']);
    say(`removed ${release} from namespace ${namespace}; the ModelService CRD stays, as others may use it`);
  } else {
    say(`there is no ${release} in namespace ${namespace}`);
  }
  const isOurs = (await tools.run('kubectl', ['get', 'namespace', '-l', ours, '-o', 'name']))
    .split('\n')
    .includes(`namespace/${namespace}`);
  if (!isOurs) return;
  // Pods of what was just removed may still be ending; whatever anybody else has put there keeps the namespace.
  const others = await tools.run('kubectl', [
    'get',
    'deployments,statefulsets,daemonsets,jobs,persistentvolumeclaims',
    '-n',
    namespace,
    '-o',
    'name',
  ]);
  if (others.split('\n').some((name) => name !== '' && !isOfModel(name)))
    return say(`namespace ${namespace} stays: it holds ${others.trim().replaceAll('\n', ', ')}`);
  await tools.run('kubectl', ['delete', 'namespace', namespace]);
  say(`removed namespace ${namespace}`);
}

/** A Deployment that goes with its ModelService. */
function isOfModel(name: string): boolean {
  return /^deployment\.apps\/.*-(decode|prefill|epp)$/.test(name);
}
