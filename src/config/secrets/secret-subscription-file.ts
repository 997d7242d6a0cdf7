import { readFile } from 'node:fs/promises';
import { unpackAny } from '../../api/any.ts';
import { SecretSchema, type Secret } from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DiscoveryResponseSchema } from '../../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import { readConfig, syntaxOf } from '../read-config.ts';
import type { SecretLoad } from './declared-secret.ts';
import { buildDeliveredSecret, type SecretUse } from './delivered-secret.ts';

/** A secret that is delivered in a file: a DiscoveryResponse with one Secret in it (`path_config_source`). */
export interface SecretFile extends SecretUse {
  readonly path: string;
}

/** Reads the file, and the files that the secret in it names. */
export async function loadSecretFile(file: SecretFile, types: TypeRegistry): Promise<SecretLoad> {
  const nothing = { model: undefined, directories: [], versionInfo: '', message: undefined };
  const rejected = (error: string): SecretLoad => ({ ...nothing, error, outcome: 'rejected' });
  let content: Buffer;
  try {
    content = await readFile(file.path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    return { ...nothing, error: `unable to read file: ${file.path}: ${reason}`, outcome: 'failed' };
  }
  await types.load([DiscoveryResponseSchema.typeName, SecretSchema.typeName]);
  const read = await readConfig(types, DiscoveryResponseSchema, file.path, content, syntaxOf(file.path), false);
  const unreadable = read.problems.find(({ severity }) => severity === 'error');
  if (unreadable !== undefined) return rejected(unreadable.message);
  const { resources, versionInfo } = read.message;
  const [any] = resources;
  if (any === undefined) return rejected(`Missing SDS resources for ${file.resource} in onConfigUpdate()`);
  if (resources.length > 1) return rejected(`Unexpected SDS secrets length: ${resources.length}`);
  const unpacked = unpackAny(types, any);
  if (unpacked.message === undefined || unpacked.typeName !== SecretSchema.typeName)
    return rejected(`Unexpected SDS resource of type ${unpacked.typeName}`);
  return { ...buildDeliveredSecret(file, unpacked.message as Secret, types), versionInfo };
}
