import type { DescMessage, MessageShape } from '@bufbuild/protobuf';

/** How an extension's config is read from the `Any` that carries it. */
export interface ConfigType<Config> {
  /** The full name of the message that the Any holds, e.g. `envoy.extensions.filters.http.fault.v3.HTTPFault`. */
  readonly typeName: string;
  /** The descriptor of that message; absent for JSON configs. */
  readonly desc?: DescMessage;
  /** The JSON Schema of a JSON config. */
  readonly jsonSchema?: JsonSchema;
  /** Phantom, for inference. */
  readonly __config?: Config;
}

/** A JSON Schema (draft-07, as ajv reads it). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** The config is this generated message, decoded and validated by its descriptor's rules before the extension sees it. */
export function protobufConfig<Desc extends DescMessage>(desc: Desc): ConfigType<MessageShape<Desc>> {
  return { typeName: desc.typeName, desc };
}

/**
 * The config is a JSON object (a `google.protobuf.Struct`) that satisfies this JSON Schema; defaults that the schema
 * gives are filled in. The way to configure a filter of one's own.
 */
export function jsonConfig<Config>(schema: JsonSchema): ConfigType<Config> {
  return { typeName: 'google.protobuf.Struct', jsonSchema: schema };
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
