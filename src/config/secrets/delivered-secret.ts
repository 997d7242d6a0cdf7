import { readFileSync } from 'node:fs';
import { clone, create, fromBinary } from '@bufbuild/protobuf';
import { loadTypesOf } from '../../api/any.ts';
import { DataSourceSchema } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import { SecretSchema, type Secret } from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import { MessageValidator } from '../../api/validate.ts';
import { buildSecret } from '../builders/tls/secret.ts';
import { Problems } from '../problem.ts';
import type { SecretModel } from '../secret-model.ts';
import type { SecretLoad } from './declared-secret.ts';
import { directoriesOf, filesOf, secretMessage } from './secret-files.ts';

/** What a Secret that discovery delivers is wanted for. */
export interface SecretUse {
  readonly kind: SecretModel['kind'];
  /** The name of the resource. */
  readonly resource: string;
  /** Under which workers find it. */
  readonly name: string;
  /** Half of a combined validation context. */
  readonly partial: boolean;
}

const NOTHING = { model: undefined, directories: [], versionInfo: '', message: undefined };

/** Reads a serialised Secret, and the files that it names. */
export async function readDeliveredSecret(use: SecretUse, bytes: Uint8Array, types: TypeRegistry): Promise<SecretLoad> {
  let secret: Secret;
  try {
    secret = fromBinary(SecretSchema, bytes);
  } catch {
    return { ...NOTHING, error: `not a serialised ${SecretSchema.typeName}`, outcome: 'rejected' };
  }
  await types.load([SecretSchema.typeName]);
  await loadTypesOf(types, SecretSchema, secret);
  return { ...buildDeliveredSecret(use, secret, types), versionInfo: '' };
}

/** Checks it and makes a model of it. What is in its files becomes part of the message, as Envoy keeps it. */
export function buildDeliveredSecret(
  use: SecretUse,
  secret: Secret,
  types: TypeRegistry,
): Omit<SecretLoad, 'versionInfo'> {
  const refused = (error: string): Omit<SecretLoad, 'versionInfo'> => ({ ...NOTHING, error, outcome: 'rejected' });
  if (secret.name !== use.resource) return refused(`Unexpected SDS secret (expecting ${use.resource}): ${secret.name}`);
  const broken = new MessageValidator(types).validate(SecretSchema, secret).problems[0];
  if (broken !== undefined) return refused(`${broken.path}: ${broken.message}`);
  const delivered = secretMessage(secret);
  const directories = delivered === undefined ? [] : directoriesOf(delivered);
  const rejected = (error: string): Omit<SecretLoad, 'versionInfo'> => ({ ...refused(error), directories });
  const message = clone(SecretSchema, secret);
  const inline = secretMessage(message);
  if (inline === undefined || inline.kind !== use.kind)
    return rejected(`Unexpected SDS secret type (expecting ${use.kind}): ${secret.type.case ?? 'none'}`);
  for (const source of filesOf(inline)) {
    const path = source.specifier.value as string;
    try {
      const bytes = readFileSync(path);
      Object.assign(source, create(DataSourceSchema, { specifier: { case: 'inlineBytes', value: bytes } }));
    } catch {
      return rejected(`Invalid path: ${path}`);
    }
  }
  // Of generic secrets Envoy keeps the names of the files.
  const shown = use.kind === 'generic' ? secret : message;
  const problems = new Problems();
  const options = { name: use.name, statName: use.resource, partial: use.partial };
  const model = buildSecret(inline, options, types, problems);
  const wrong = problems.list.find(({ severity }) => severity === 'error');
  return wrong === undefined
    ? { model, error: '', outcome: 'loaded', directories, message: shown }
    : { ...rejected(wrong.message), message: shown };
}
