import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { clone, create } from '@bufbuild/protobuf';
import { unpackAny } from '../../api/any.ts';
import { DataSourceSchema } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import { SecretSchema, type Secret } from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DiscoveryResponseSchema } from '../../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import { MessageValidator } from '../../api/validate.ts';
import { buildSecret } from '../builders/tls/secret.ts';
import { Problems } from '../problem.ts';
import { readConfig, syntaxOf } from '../read-config.ts';
import type { SecretModel } from '../secret-model.ts';
import type { SecretLoad } from './declared-secret.ts';
import { directoriesOf, filesOf, secretMessage } from './secret-files.ts';

/** A secret that is delivered in a file: a DiscoveryResponse with one Secret in it (`path_config_source`). */
export interface SecretFile {
  readonly path: string;
  readonly kind: SecretModel['kind'];
  /** The name of the resource. */
  readonly resource: string;
  /** Under which workers find it. */
  readonly name: string;
  /** Half of a combined validation context. */
  readonly partial: boolean;
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
  const secret = unpacked.message as Secret;
  if (secret.name !== file.resource)
    return rejected(`Unexpected SDS secret (expecting ${file.resource}): ${secret.name}`);
  const broken = new MessageValidator(types).validate(SecretSchema, secret).problems[0];
  if (broken !== undefined) return rejected(`${broken.path}: ${broken.message}`);
  return { ...buildDelivered(file, secret, types), versionInfo };
}

/** What is in its files becomes part of the message, as Envoy keeps it. */
function buildDelivered(file: SecretFile, secret: Secret, types: TypeRegistry): Omit<SecretLoad, 'versionInfo'> {
  const delivered = secretMessage(secret);
  const directories = delivered === undefined ? [] : directoriesOf(delivered);
  const rejected = (error: string) => ({
    model: undefined,
    error,
    outcome: 'rejected' as const,
    directories,
    message: undefined,
  });
  const message = clone(SecretSchema, secret);
  const inline = secretMessage(message);
  if (inline === undefined || inline.kind !== file.kind)
    return rejected(`Unexpected SDS secret type (expecting ${file.kind}): ${secret.type.case ?? 'none'}`);
  for (const source of filesOf(inline)) {
    const path = source.specifier.value as string;
    try {
      const bytes = readFileSync(path);
      Object.assign(source, create(DataSourceSchema, { specifier: { case: 'inlineBytes', value: bytes } }));
    } catch {
      return rejected(`Invalid path: ${path}`);
    }
  }
  const problems = new Problems();
  const options = { name: file.name, statName: file.resource, partial: file.partial };
  const model = buildSecret(inline, options, types, problems);
  const wrong = problems.list.find(({ severity }) => severity === 'error');
  return wrong === undefined
    ? { model, error: '', outcome: 'loaded', directories, message }
    : { ...rejected(wrong.message), message };
}
