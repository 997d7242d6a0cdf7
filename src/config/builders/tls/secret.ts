import type { GenericSecret } from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { TypeRegistry } from '../../../api/type-registry.ts';
import type { Problems } from '../../problem.ts';
import type { GenericSecretModel, SecretModel } from '../../secret-model.ts';
import type { SecretMessage } from '../../secrets/secret-files.ts';
import { readSecretData } from './data-source.ts';
import { buildTicketKeys } from './ticket-keys.ts';
import { buildTlsCertificate } from './tls-certificate.ts';
import { buildCertificateValidation } from './validation-context.ts';

export interface SecretBuildOptions {
  /** Under which workers find it. */
  readonly name: string;
  readonly statName: string;
  /** Of a validation context: half of a combined one. */
  readonly partial: boolean;
}

/** The value of a secret; `problems` stands at its message. Its files are read now. */
export function buildSecret(
  secret: SecretMessage,
  { name, statName, partial }: SecretBuildOptions,
  types: TypeRegistry,
  problems: Problems,
): SecretModel {
  switch (secret.kind) {
    case 'certificate':
      return { kind: 'certificate', name, value: buildTlsCertificate(secret.message, statName, types, problems) };
    case 'validation':
      return {
        kind: 'validation',
        name,
        value: buildCertificateValidation(secret.message, statName, types, problems, partial),
      };
    case 'ticket-keys':
      return { kind: 'ticket-keys', name, value: buildTicketKeys(secret.message, problems) };
    case 'generic':
      return { kind: 'generic', name, value: buildGenericSecret(secret.message, problems) };
  }
}

/** transport_sockets.tls.v3.GenericSecret; `problems` stands at it. */
function buildGenericSecret({ secret, secrets }: GenericSecret, problems: Problems): GenericSecretModel {
  const at = problems.at('secrets');
  return {
    secret: readSecretData(secret, false, problems.at('secret')).bytes,
    secrets: Object.fromEntries(
      Object.entries(secrets).map(([key, source]) => [key, readSecretData(source, false, at.at(key)).bytes]),
    ),
  };
}
