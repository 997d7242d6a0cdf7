import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import { authoritySource, type XdstpAuthorities } from '../config/xdstp-authorities.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { GrpcSource, isIncremental, type GrpcSourceContext } from './grpc-source.ts';

/** A control plane that the bootstrap names for resources of some authorities. */
export interface Authority {
  readonly config: ConfigSource;
  readonly source: GrpcSource;
  readonly incremental: boolean;
}

/** The control planes that resources with `xdstp:` names come from, each with an aggregated stream of its own. */
export class Authorities {
  readonly #config: XdstpAuthorities;
  readonly #made = new Map<ConfigSource, Authority>();

  /** Sources that have no `api_config_source` are left out; the configuration was refused for them. */
  constructor(config: XdstpAuthorities, stats: StatsScope, context: GrpcSourceContext) {
    this.#config = config;
    const { sources, defaultSource } = config;
    for (const source of defaultSource === undefined ? sources : [...sources, defaultSource]) {
      const { case: kind, value: api } = source.configSourceSpecifier;
      if (kind !== 'apiConfigSource') continue;
      const made = new GrpcSource(api, undefined, stats, context);
      this.#made.set(source, { config: source, source: made, incremental: isIncremental(api) });
    }
  }

  /** Whom to ask for a resource; undefined: nobody here. */
  of(resourceName: string): Authority | undefined {
    const source = authoritySource(this.#config, resourceName);
    return source && this.#made.get(source);
  }

  /** What is subscribed to by then is asked for first. Idempotent. */
  open(): void {
    for (const { source } of this.#made.values()) source.open();
  }

  close(): void {
    for (const { source } of this.#made.values()) source.close();
  }
}
