import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { create, toBinary, type DescMessage, type Message } from '@bufbuild/protobuf';
import { ConfigSourceSchema, type ConfigSource } from '../../api/generated/envoy/config/core/v3/config_source_pb.js';
import type {
  CertificateValidationContext,
  TlsCertificate,
  TlsSessionTicketKeys,
} from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type {
  SdsSecretConfig,
  Secret,
} from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import { checkConfigSource, type ConfigSourceContext } from '../builders/config-source.ts';
import { buildSecret, type SecretBuildOptions } from '../builders/tls/secret.ts';
import { unnamedCertificate } from '../builders/tls/tls-certificate.ts';
import { unnamedValidation } from '../builders/tls/validation-context.ts';
import { Problems } from '../problem.ts';
import {
  DISCOVERED_SECRET,
  type CertificateValidationModel,
  type SecretModel,
  type SecretSource,
  type TicketKeysModel,
  type TlsCertificateModel,
} from '../secret-model.ts';
import type { IssuedSecretNames } from '../certificate-authority-model.ts';
import type { TlsValidationModel } from '../transport-socket-model.ts';
import type { DeclaredSecret, SecretLoad } from './declared-secret.ts';
import { directoriesOf, filesOf, secretMessage, type SecretMessage } from './secret-files.ts';

export interface SecretSourcesOptions {
  readonly types: TypeRegistry;
  /** `static_resources.secrets`. */
  readonly secrets: readonly Secret[];
  /** Stands at them. */
  readonly problems: Problems;
  /** Undefined: there is no discovery. */
  readonly discovery: ConfigSourceContext | undefined;
  /** What the proxy has issued to itself; undefined: nothing. */
  readonly issued?: IssuedSecretNames | undefined;
}

type Kind = SecretMessage['kind'];

interface StaticUse {
  readonly kind: Kind;
  readonly secretName: string;
  readonly partial: boolean;
}

/** How Envoy calls the kinds of secrets where it refuses them. */
const WORDS: Readonly<Record<Kind, { readonly message: string; readonly unknown: string; readonly api: string }>> = {
  certificate: { message: 'TlsCertificate', unknown: 'Unknown static secret', api: 'TlsCertificateSdsApi' },
  validation: {
    message: 'CertificateValidationContext',
    unknown: 'Unknown static certificate validation context',
    api: 'CertificateValidationContextSdsApi',
  },
  'ticket-keys': {
    message: 'TlsSessionTicketKeys',
    unknown: 'Unknown tls session ticket keys',
    api: 'TlsSessionTicketKeysSdsApi',
  },
  generic: { message: 'GenericSecret', unknown: 'Unknown static generic secret', api: 'GenericSecretSdsApi' },
};
const FIELDS: Readonly<Record<Kind, string>> = {
  certificate: 'tls_certificate',
  validation: 'validation_context',
  'ticket-keys': 'session_ticket_keys',
  generic: 'generic_secret',
};

const NOT_DELIVERED: SecretLoad = {
  model: undefined,
  error: 'it has not been delivered',
  outcome: 'failed',
  directories: [],
  versionInfo: '',
  message: undefined,
};

/**
 * Where the secrets of a configuration come from. Builders ask it for what a TLS context names or holds; what comes
 * from a file or from discovery is declared, so that it can be loaded, watched and handed to the workers by name.
 */
export class SecretSources {
  readonly #options: SecretSourcesOptions;
  readonly #static = new Map<string, { readonly secret: SecretMessage; readonly problems: Problems }>();
  readonly #declared = new Map<string, DeclaredSecret>();
  readonly #adopted = new Map<string, DeclaredSecret>();
  /** Of names that stand for static secrets. */
  readonly #staticUses = new Map<string, StaticUse>();

  constructor(options: SecretSourcesOptions) {
    this.#options = options;
    options.secrets.forEach((secret, index) => this.#addStatic(secret, options.problems.at(index)));
  }

  /** All that has been asked for by name so far. */
  get declared(): readonly DeclaredSecret[] {
    return [...this.#declared.values()];
  }

  /** What has been taken over by `adopt`. */
  get adopted(): readonly DeclaredSecret[] {
    return [...this.#adopted.values()];
  }

  /** What was declared under this name. */
  find(name: string): DeclaredSecret | undefined {
    return this.#declared.get(name) ?? this.#adopted.get(name);
  }

  /**
   * Takes over what the configuration before this one declared for what discovery delivered, which stays as it was
   * built. Static secrets have the content that they have here; those that are here no more keep theirs. `isUsed`: names
   * that go on although they are from an earlier configuration still.
   */
  adopt(former: SecretSources, isUsed: (name: string) => boolean): void {
    for (const [name, declared] of [...former.#adopted, ...former.#declared]) {
      if (this.#declared.has(name) || !(former.#declared.has(name) || isUsed(name))) continue;
      const use = former.#staticUses.get(name);
      if (use !== undefined) this.#staticUses.set(name, use);
      const found = use && this.#static.get(`${use.kind}:${use.secretName}`);
      if (use === undefined || found === undefined) this.#adopted.set(name, declared);
      else {
        const problems = new Problems();
        const made = this.#fromFiles(found.secret, { name, statName: use.secretName, partial: use.partial }, problems);
        // What is no good is told when it is loaded.
        this.#adopted.set(name, problems.hasErrors ? { ...made, initial: undefined } : made);
      }
    }
  }

  /** A certificate that stands in a TLS context; `problems` stands at it. */
  certificate(message: TlsCertificate, problems: Problems): SecretSource<TlsCertificateModel> {
    const made = this.#inContext({ kind: 'certificate', message }, unnamedCertificate(message), problems);
    return typeof made === 'string'
      ? { kind: 'secret', name: made }
      : { kind: 'inline', value: made.value as TlsCertificateModel };
  }

  /** A validation context that stands in a TLS context; `problems` stands at it. */
  validation(message: CertificateValidationContext, problems: Problems): TlsValidationModel {
    const made = this.#inContext({ kind: 'validation', message }, unnamedValidation(message), problems);
    return typeof made === 'string'
      ? { inline: undefined, secret: made }
      : { inline: made.value as CertificateValidationModel, secret: undefined };
  }

  /** Ticket keys that stand in a TLS context; `problems` stands at them. */
  ticketKeys(message: TlsSessionTicketKeys, problems: Problems): SecretSource<TicketKeysModel> {
    const made = this.#inContext({ kind: 'ticket-keys', message }, '', problems);
    return typeof made === 'string'
      ? { kind: 'secret', name: made }
      : { kind: 'inline', value: made.value as TicketKeysModel };
  }

  /**
   * The name under which workers find the secret that a context names; `problems` stands at the SdsSecretConfig.
   * `partial`: a validation context that completes a default one. Undefined after an error.
   */
  named(kind: Kind, config: SdsSecretConfig, problems: Problems, partial = false): string | undefined {
    if (this.#isIssued(kind, config)) return this.#fromControlPlane(kind, config.name, ownSource(config), partial);
    return config.sdsConfig === undefined
      ? this.#fromStatic(kind, config.name, problems, partial)
      : this.#fromDiscovery(kind, config, problems, partial);
  }

  /** The message of a static secret, for those that have to see it whole. */
  staticMessage(kind: Kind, name: string): SecretMessage | undefined {
    return this.#static.get(`${kind}:${name}`)?.secret;
  }

  /** The value of a declared secret, as far as it is known yet. */
  value(name: string): SecretModel | undefined {
    return this.#declared.get(name)?.initial;
  }

  #addStatic(secret: Secret, problems: Problems): void {
    const message = secretMessage(secret);
    if (message === undefined) return problems.error('Secret type not implemented');
    const key = `${message.kind}:${secret.name}`;
    if (this.#static.has(key))
      problems.error(`Duplicate static ${WORDS[message.kind].message} secret name ${secret.name}`);
    else this.#static.set(key, { secret: message, problems: problems.at(FIELDS[message.kind]) });
  }

  /** What has no files is part of its context; files are read by name, so that they can rotate. */
  #inContext(secret: SecretMessage, statName: string, problems: Problems): SecretModel | string {
    const options = { name: '', statName, partial: false };
    if (filesOf(secret).length === 0) return buildSecret(secret, options, this.#options.types, problems);
    const name = `file:${secret.kind}:${this.#hash(secret.message)}`;
    this.#declareFiles(secret, { ...options, name }, problems);
    return name;
  }

  #fromStatic(kind: Kind, secretName: string, problems: Problems, partial: boolean): string | undefined {
    const found = this.#static.get(`${kind}:${secretName}`);
    if (found === undefined) {
      problems.error(`${WORDS[kind].unknown}: ${secretName}`);
      return undefined;
    }
    const name = `static:${kind}:${secretName}${partial ? ':part' : ''}`;
    this.#staticUses.set(name, { kind, secretName, partial });
    this.#declareFiles(found.secret, { name, statName: secretName, partial }, found.problems);
    return name;
  }

  #declareFiles(secret: SecretMessage, options: SecretBuildOptions, problems: Problems): void {
    const { name } = options;
    if (!this.#declared.has(name)) this.#declared.set(name, this.#fromFiles(secret, options, problems));
  }

  /** Read now, and again whenever its files change. */
  #fromFiles(secret: SecretMessage, options: SecretBuildOptions, problems: Problems): DeclaredSecret {
    const { types } = this.#options;
    const load = (): SecretLoad => {
      const found = new Problems();
      const model = buildSecret(secret, options, types, found);
      const error = found.list.find(({ severity }) => severity === 'error')?.message;
      const rest = { directories: [], versionInfo: '', message: undefined };
      return error === undefined
        ? { ...rest, model, error: '', outcome: 'loaded' }
        : { ...rest, model: undefined, error, outcome: 'rejected' };
    };
    return {
      name: options.name,
      initial: buildSecret(secret, options, types, problems),
      directories: directoriesOf(secret),
      subscription: undefined,
      load: () => Promise.resolve(load()),
    };
  }

  #fromDiscovery(kind: Kind, config: SdsSecretConfig, problems: Problems, partial: boolean): string | undefined {
    const at = problems.at('sds_config');
    const { discovery } = this.#options;
    if (discovery?.hasNode !== true) {
      at.error(
        `${WORDS[kind].api}: node 'id' and 'cluster' are required. Set it either in 'node' config or via --service-node and --service-cluster options.`,
      );
      return undefined;
    }
    const source = config.sdsConfig!.configSourceSpecifier;
    switch (source.case) {
      case 'path':
        return this.#fromPath(kind, config.name, source.value, undefined, at.at('path'), partial);
      case 'pathConfigSource':
        return this.#fromPath(
          kind,
          config.name,
          source.value.path,
          source.value.watchedDirectory?.path,
          at.at('path_config_source'),
          partial,
        );
      case 'apiConfigSource':
      case 'ads':
        checkConfigSource(config.sdsConfig, WORDS[kind].api, discovery, at);
        return this.#fromControlPlane(kind, config.name, config.sdsConfig!, partial);
      default:
        at.error(`unsupported: the secret '${config.name}' from this config source is not implemented`);
        return undefined;
    }
  }

  /** It is the proxy's own certificate, or the root of its mesh. */
  #isIssued(kind: Kind, { name, sdsConfig }: SdsSecretConfig): boolean {
    const { issued } = this.#options;
    if (issued === undefined) return false;
    const isNamed =
      (kind === 'certificate' && name === issued.certificate) || (kind === 'validation' && name === issued.root);
    if (!isNamed || sdsConfig === undefined) return isNamed && !this.#static.has(`${kind}:${name}`);
    const source = sdsConfig.configSourceSpecifier;
    if (source.case !== 'apiConfigSource') return false;
    return source.value.grpcServices.some(
      ({ targetSpecifier: target }) => target.case === 'envoyGrpc' && target.value.clusterName === issued.sdsCluster,
    );
  }

  #fromControlPlane(kind: Kind, resource: string, source: ConfigSource, partial: boolean): string {
    const key = `${DISCOVERED_SECRET}${kind}:${this.#hash(source)}:${resource}`;
    const name = `${key}${partial ? ':part' : ''}`;
    if (!this.#declared.has(name)) {
      const use = { kind, resource, name, partial };
      const { types } = this.#options;
      const read = async (bytes: Uint8Array): Promise<SecretLoad> => {
        const { readDeliveredSecret } = await import('./delivered-secret.ts');
        return readDeliveredSecret(use, bytes, types);
      };
      this.#declared.set(name, {
        name,
        initial: undefined,
        directories: [],
        subscription: { resource, discovery: { source, key, read } },
        load: () => Promise.resolve(NOT_DELIVERED),
      });
    }
    return name;
  }

  #fromPath(
    kind: Kind,
    resource: string,
    path: string,
    watched: string | undefined,
    problems: Problems,
    partial: boolean,
  ): string | undefined {
    if (!existsSync(path)) {
      problems.error(`paths must refer to an existing path in the system: '${path}' does not exist`);
      return undefined;
    }
    if (watched !== undefined && !existsSync(watched)) {
      problems.error(`unable to add filesystem watch for file ${watched}/: No such file or directory`);
      return undefined;
    }
    const name = `${DISCOVERED_SECRET}${kind}:${path}:${resource}${partial ? ':part' : ''}`;
    if (!this.#declared.has(name)) {
      const file = { path, kind, resource, name, partial };
      this.#declared.set(name, {
        name,
        initial: undefined,
        directories: [watched ?? dirname(path)],
        subscription: { resource, discovery: undefined, path },
        load: async () => {
          // Few proxies need it.
          const { loadSecretFile } = await import('./secret-subscription-file.ts');
          return loadSecretFile(file, this.#options.types);
        },
      });
    }
    return name;
  }

  #hash(message: Message): string {
    const desc = this.#options.types.get(message.$typeName) as DescMessage;
    return createHash('sha256').update(toBinary(desc, message)).digest('hex').slice(0, 16);
  }
}

/** What the proxy provides for itself. Without a timeout of its own it is waited for, as Istio's agents are. */
function ownSource({ sdsConfig }: SdsSecretConfig): ConfigSource {
  return create(ConfigSourceSchema, {
    configSourceSpecifier: { case: 'self', value: {} },
    initialFetchTimeout: sdsConfig === undefined ? {} : sdsConfig.initialFetchTimeout,
  });
}
