import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { LoadedBootstrap } from './bootstrap.ts';
import { parseXdstp } from './xdstp-name.ts';

/** Off by default, as in Envoy: `xdstp:` names then come from where other names would. */
const FEATURE = 'envoy.reloadable_features.xdstp_based_config_singleton_subscriptions';

/** Where single resources with `xdstp:` names come from. */
export interface XdstpAuthorities {
  /** `config_sources`. */
  readonly sources: readonly ConfigSource[];
  /** `default_config_source`. */
  readonly defaultSource: ConfigSource | undefined;
}

/** What a bootstrap says of authorities; undefined: nothing, or the feature is off. */
export function xdstpAuthorities({
  bootstrap,
  runtime,
}: Pick<LoadedBootstrap, 'bootstrap' | 'runtime'>): XdstpAuthorities | undefined {
  const { configSources: sources, defaultConfigSource: defaultSource } = bootstrap;
  if (sources.length === 0 && defaultSource === undefined) return undefined;
  return String(runtime.merged()[FEATURE]) === 'true' ? { sources, defaultSource } : undefined;
}

/** The source for a resource; undefined: none of them. */
export function authoritySource(authorities: XdstpAuthorities, resourceName: string): ConfigSource | undefined {
  const name = parseXdstp(resourceName);
  if (typeof name === 'string') return undefined;
  const { sources, defaultSource } = authorities;
  return sources.find((source) => source.authorities.some((each) => each.name === name.authority)) ?? defaultSource;
}
