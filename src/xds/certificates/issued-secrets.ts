import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { SecretSchema } from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { IssuedSecretNames } from '../../config/certificate-authority-model.ts';

/** PEM texts. */
export interface IssuedTexts {
  readonly chain: string;
  readonly privateKey: string;
  readonly root: string;
}

/** Serialised Secrets, by name, as an agent would deliver them. */
export function issuedSecrets(
  { chain, privateKey, root }: IssuedTexts,
  names: IssuedSecretNames,
): ReadonlyMap<string, Uint8Array> {
  return new Map([
    secret(names.certificate, {
      case: 'tlsCertificate',
      value: { certificateChain: inline(chain), privateKey: inline(privateKey) },
    }),
    secret(names.root, { case: 'validationContext', value: { trustedCa: inline(root) } }),
  ]);
}

const inline = (text: string) => ({ specifier: { case: 'inlineBytes' as const, value: Buffer.from(text, 'latin1') } });

function secret(
  name: string,
  type: NonNullable<MessageInitShape<typeof SecretSchema>['type']>,
): readonly [string, Uint8Array] {
  return [name, toBinary(SecretSchema, create(SecretSchema, { name, type }))];
}
