import { compileHeaderMatches, type HeaderMatch } from './header-matcher.ts';
import type { Headers } from './headers.ts';
import type { RateLimitDescriptor, RateLimitEntry } from './http/filter.ts';
import type { Metadata, StreamInfo } from './stream-info.ts';
import { maskedAddress } from '../lib/cidr.ts';
import { wireText } from '../lib/wire-text.ts';
import { QueryParameterMatcher, type QueryParameterMatch } from './query-parameter-matcher.ts';

/** route.v3.RateLimit. */
export interface RateLimit {
  readonly stage: number;
  /** It has a `disable_key`: local limits leave it out. */
  readonly disabled: boolean;
  readonly actions: readonly RateLimitAction[];
}

/** What one entry of a descriptor is made of. */
export type RateLimitAction =
  | { readonly kind: 'source-cluster' | 'destination-cluster' | 'remote-address' }
  | { readonly kind: 'masked-remote-address'; readonly v4Length: number; readonly v6Length: number }
  | { readonly kind: 'generic-key'; readonly key: string; readonly value: string }
  /** `name`: lower-case. Without `skipIfAbsent` there is no descriptor where the header is absent. */
  | { readonly kind: 'request-header'; readonly name: string; readonly key: string; readonly skipIfAbsent: boolean }
  | {
      readonly kind: 'header-match';
      readonly key: string;
      readonly value: string;
      /** False: the entry is there when they do not match. */
      readonly expected: boolean;
      readonly headers: readonly HeaderMatch[];
    }
  | {
      readonly kind: 'query-match';
      readonly key: string;
      readonly value: string;
      readonly expected: boolean;
      readonly parameters: readonly QueryParameterMatch[];
    }
  | {
      readonly kind: 'metadata';
      readonly key: string;
      readonly source: 'dynamic' | 'route';
      readonly filter: string;
      readonly path: readonly string[];
      /** '' = none. */
      readonly defaultValue: string;
      readonly skipIfAbsent: boolean;
    };

/** What descriptors are made of. */
export interface RateLimitSubject {
  readonly headers: Headers;
  readonly info: StreamInfo;
  /** `--service-cluster`. */
  readonly sourceCluster: string;
  readonly destinationCluster: string;
  readonly routeMetadata: Metadata | undefined;
}

/** Adds nothing to the descriptor. */
const SKIP = 'skip' as const;
/** There is no descriptor without this entry. */
const NONE = undefined;

type Produce = (subject: RateLimitSubject) => RateLimitEntry | typeof SKIP | typeof NONE;

/** The `rate_limits` of a route or a virtual host, compiled (Envoy's RateLimitPolicy). */
export class RateLimitPolicy {
  readonly #limits: readonly { readonly stage: number; readonly produce: readonly Produce[] }[];

  /** Undefined: there are none. */
  static of(models: readonly RateLimit[]): RateLimitPolicy | undefined {
    return models.length === 0 ? undefined : new RateLimitPolicy(models);
  }

  constructor(models: readonly RateLimit[]) {
    this.#limits = models
      .filter(({ disabled }) => !disabled)
      .map(({ stage, actions }) => ({ stage, produce: actions.map(compileAction) }));
  }

  /** Adds the descriptors of this stage. */
  describe(stage: number, subject: RateLimitSubject, descriptors: RateLimitDescriptor[]): void {
    for (const limit of this.#limits) {
      if (limit.stage !== stage) continue;
      const descriptor = compose(limit.produce, subject);
      if (descriptor !== undefined) descriptors.push(descriptor);
    }
  }
}

function compose(actions: readonly Produce[], subject: RateLimitSubject): RateLimitDescriptor | undefined {
  const entries: RateLimitEntry[] = [];
  for (const produce of actions) {
    const entry = produce(subject);
    if (entry === NONE) return undefined;
    if (entry !== SKIP) entries.push(entry);
  }
  return entries;
}

function compileAction(action: RateLimitAction): Produce {
  switch (action.kind) {
    case 'source-cluster':
      return ({ sourceCluster }) => ({ key: 'source_cluster', value: sourceCluster });
    case 'destination-cluster':
      return ({ destinationCluster }) => ({ key: 'destination_cluster', value: destinationCluster });
    case 'request-header': {
      const { name, key, skipIfAbsent } = action;
      const field = name === 'host' ? ':authority' : name;
      return ({ headers }) => {
        const value = headers.get(field);
        if (value === undefined) return skipIfAbsent ? SKIP : NONE;
        return { key, value };
      };
    }
    case 'remote-address':
      return ({ info }) =>
        info.downstreamRemoteIp === '' ? NONE : { key: 'remote_address', value: info.downstreamRemoteIp };
    case 'masked-remote-address': {
      const { v4Length, v6Length } = action;
      return ({ info }) => {
        const value = maskedAddress(info.downstreamRemoteIp, v4Length, v6Length);
        return value === undefined ? NONE : { key: 'masked_remote_address', value };
      };
    }
    case 'generic-key': {
      const entry = { key: action.key, value: wireText(action.value) };
      return () => entry;
    }
    case 'header-match': {
      const entry = { key: action.key, value: wireText(action.value) };
      const matches = compileHeaderMatches(action.headers);
      return ({ headers }) => (matches(headers) === action.expected ? entry : NONE);
    }
    case 'query-match': {
      const entry = { key: action.key, value: wireText(action.value) };
      const matchers = action.parameters.map((parameter) => new QueryParameterMatcher(parameter));
      return ({ headers }) => {
        const path = headers.get(':path') ?? '';
        return matchers.every((matcher) => matcher.matches(path, true)) === action.expected ? entry : NONE;
      };
    }
    case 'metadata':
      return compileMetadata(action);
  }
}

function compileMetadata(action: RateLimitAction & { readonly kind: 'metadata' }): Produce {
  const { key, source, filter, path, defaultValue, skipIfAbsent } = action;
  return ({ info, routeMetadata }) => {
    let value: unknown = source === 'route' ? routeMetadata?.[filter] : info.dynamicMetadata.get(filter);
    for (const segment of path)
      value =
        typeof value === 'object' && value !== null && Object.hasOwn(value, segment)
          ? (value as Record<string, unknown>)[segment]
          : undefined;
    const text = typeof value === 'string' && value !== '' ? value : defaultValue;
    if (text !== '') return { key, value: wireText(text) };
    return skipIfAbsent ? SKIP : NONE;
  };
}
