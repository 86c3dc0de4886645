import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { join } from 'node:path';

/** An independent implementation of messages, read from the .proto files here. */
export function loadProtos(files: readonly string[]): PackageDefinition {
  const paths = files.map((file) => join(import.meta.dirname, file));
  return loadSync(paths, { keepCase: true, enums: String, defaults: false, oneofs: true });
}
