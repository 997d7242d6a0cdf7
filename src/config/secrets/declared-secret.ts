import type { ConfigSource } from '../../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { Secret } from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { SecretModel } from '../secret-model.ts';

/** A secret that something uses by name, and how to come by its value. */
export interface DeclaredSecret {
  /** Under which workers find it. The same for the same configuration. */
  readonly name: string;
  /** What it was found to be when the configuration was built; undefined: it is loaded later. */
  readonly initial: SecretModel | undefined;
  /** Directories of which a change may change the value. */
  readonly directories: readonly string[];
  /** Set when it comes from discovery (SDS). */
  readonly subscription: SecretSubscription | undefined;
  /** Reads it anew; not for what a control plane delivers. Rejects never. */
  load(): Promise<SecretLoad>;
}

export interface SecretSubscription {
  /** The name of the resource: `sds.<name>.` in stats. */
  readonly resource: string;
  /** Undefined: it is in a file, which `load` reads. */
  readonly discovery: SecretDiscovery | undefined;
  /** Where it is then. */
  readonly path?: string;
}

/** A secret that a control plane (or an agent) delivers. */
export interface SecretDiscovery {
  readonly source: ConfigSource;
  /** The same for all that come with one subscription: those of the same source, resource and kind. */
  readonly key: string;
  /** Reads a serialised Secret that was delivered, and the files that it names. Rejects never. */
  read(bytes: Uint8Array): Promise<SecretLoad>;
}

/** The outcome of reading a secret. */
export interface SecretLoad {
  /** Undefined: it was refused, or couldn't be read; `error` says why. */
  readonly model: SecretModel | undefined;
  readonly error: string;
  /** `rejected`: there is a value, and it is no good. `failed`: there is none to be had. */
  readonly outcome: 'loaded' | 'rejected' | 'failed';
  /** Further directories to watch, beside the declared ones: of files that the value names. */
  readonly directories: readonly string[];
  readonly versionInfo: string;
  /** As discovery delivered it, files replaced by what they hold. For `/config_dump`. */
  readonly message: Secret | undefined;
}
