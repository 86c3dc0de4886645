import { Option } from 'commander';

/** Where several gateways or pickers share what they know. */
export function shareOption(): Option {
  return new Option(
    '--share <url>',
    'Valkey or Redis (redis://[:password@]host:port) where several of these share what they know; better given by the environment, as it has a password',
  ).env('SIGNALBOX_SHARE');
}

export function shareGroupOption(): Option {
  return new Option('--share-group <name>', 'those of one group share').default('default').env('SIGNALBOX_SHARE_GROUP');
}
