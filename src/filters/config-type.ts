import type { DescMessage, MessageShape } from '@bufbuild/protobuf';

/** How an extension's config is read from the `Any` that carries it. */
export interface ConfigType<Config> {
  /** The full name of the message that the Any holds, e.g. `envoy.extensions.filters.http.fault.v3.HTTPFault`. */
  readonly typeName: string;
  /** Phantom, for inference. */
  readonly __config?: Config;
}

/** The config is this generated message, decoded and validated by its descriptor's rules before the extension sees it. */
export function protobufConfig<Desc extends DescMessage>(desc: Desc): ConfigType<MessageShape<Desc>> {
  return { typeName: desc.typeName };
}

/** A problem of a config that only the extension could find. `path` is relative to the extension's own config. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly path: string;

  constructor(message: string, path = '') {
    super(message);
    this.path = path;
  }
}
