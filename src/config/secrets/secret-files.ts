import { dirname } from 'node:path';
import type { DataSource, WatchedDirectory } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import type {
  CertificateValidationContext,
  TlsCertificate,
  TlsSessionTicketKeys,
} from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { GenericSecret, Secret } from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';

export type SecretMessage =
  | { readonly kind: 'certificate'; readonly message: TlsCertificate }
  | { readonly kind: 'validation'; readonly message: CertificateValidationContext }
  | { readonly kind: 'ticket-keys'; readonly message: TlsSessionTicketKeys }
  | { readonly kind: 'generic'; readonly message: GenericSecret };

/** The data sources of a secret, and the directory that is watched in place of those of its files. */
function sourcesOf(secret: SecretMessage): [readonly (DataSource | undefined)[], WatchedDirectory | undefined] {
  switch (secret.kind) {
    case 'certificate': {
      const { certificateChain, privateKey, password, ocspStaple, pkcs12, watchedDirectory } = secret.message;
      return [[certificateChain, privateKey, password, ocspStaple, pkcs12], watchedDirectory];
    }
    case 'validation': {
      const { trustedCa, crl, watchedDirectory } = secret.message;
      return [[trustedCa, crl], watchedDirectory];
    }
    case 'ticket-keys':
      return [secret.message.keys, undefined];
    case 'generic':
      return [[secret.message.secret, ...Object.values(secret.message.secrets)], undefined];
  }
}

/** The files that a secret's value is in. */
export function filesOf(secret: SecretMessage): DataSource[] {
  const [sources] = sourcesOf(secret);
  return sources.filter((source) => source !== undefined).filter(({ specifier }) => specifier.case === 'filename');
}

/** Where to look for changes of its files: `watched_directory`, or the directory of each file. Empty without files. */
export function directoriesOf(secret: SecretMessage): string[] {
  const [, watched] = sourcesOf(secret);
  const files = filesOf(secret);
  if (files.length === 0) return [];
  if (watched !== undefined) return [watched.path];
  const directories = files.map((source) => source.watchedDirectory?.path ?? dirname(source.specifier.value as string));
  return [...new Set(directories)];
}

/** What a Secret holds; undefined: nothing. */
export function secretMessage({ type }: Secret): SecretMessage | undefined {
  switch (type.case) {
    case 'tlsCertificate':
      return { kind: 'certificate', message: type.value };
    case 'validationContext':
      return { kind: 'validation', message: type.value };
    case 'sessionTicketKeys':
      return { kind: 'ticket-keys', message: type.value };
    case 'genericSecret':
      return { kind: 'generic', message: type.value };
    default:
      return undefined;
  }
}
