import {
  CorsPolicySchema,
  CorsSchema,
  type CorsPolicy as CorsPolicyMessage,
} from '../../api/generated/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { compileStringMatcher } from '../../lib/string-matcher.ts';
import { wireText } from '../../lib/wire-text.ts';
import { defineStats, type StatBlock } from '../../telemetry/stats/stats.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import { stringMatchOf } from '../header-matcher.ts';
import type { Headers } from '../headers.ts';
import {
  Continue,
  defineHttpFilter,
  type FactoryContext,
  type HeadersVerdict,
  type HttpFilter,
  type LocalReply,
  type StreamContext,
} from './filter.ts';
import { compileRuntimeFraction } from './runtime-fraction.ts';

const CORS_STATS = defineStats({ counters: ['origin_invalid', 'origin_valid'] });
const { at } = CORS_STATS;

/**
 * envoy.filters.http.cors: answers preflight requests, and tells browsers which origins may see a response. It does what
 * the policies of the route say, each field by the most specific one that has it; without any, nothing.
 */
export const cors = defineHttpFilter({
  name: 'envoy.filters.http.cors',
  config: protobufConfig(CorsSchema),
  routeConfig: protobufConfig(CorsPolicySchema),
  compileRoute: (config, context) => new CorsPolicy(config, context),
  create(_config, context) {
    const stats = context.stats.block(CORS_STATS, 'cors.');
    // A route that leads to no cluster answers for itself.
    return (stream: StreamContext<CorsPolicy>) =>
      stream.routeConfigs.length === 0 || stream.clusterName === ''
        ? undefined
        : new CorsFilter(stream.routeConfigs, stats);
  },
});

class CorsPolicy {
  /** Undefined: it says nothing of origins. */
  readonly allowsOrigin: ((origin: string) => boolean) | undefined;
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean | undefined;
  readonly allowPrivateNetworkAccess: boolean | undefined;
  readonly forwardNotMatchingPreflights: boolean | undefined;
  readonly isEnabled: () => boolean;
  readonly isShadowEnabled: () => boolean;

  constructor(message: CorsPolicyMessage, context: FactoryContext) {
    const matchers = message.allowOriginStringMatch.map((matcher, index) => {
      try {
        return compileStringMatcher(stringMatchOf(matcher));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new ConfigError(reason, `allow_origin_string_match[${index}]`);
      }
    });
    // One that takes '*' takes every origin.
    const takesAll = matchers.some((matcher) => matcher.matches('*'));
    this.allowsOrigin =
      matchers.length === 0 ? undefined : (origin) => takesAll || matchers.some((matcher) => matcher.matches(origin));
    this.allowMethods = wireText(message.allowMethods);
    this.allowHeaders = wireText(message.allowHeaders);
    this.exposeHeaders = wireText(message.exposeHeaders);
    this.maxAge = wireText(message.maxAge);
    this.allowCredentials = message.allowCredentials;
    this.allowPrivateNetworkAccess = message.allowPrivateNetworkAccess;
    this.forwardNotMatchingPreflights = message.forwardNotMatchingPreflights;
    this.isEnabled = compileRuntimeFraction(message.filterEnabled, true, context);
    this.isShadowEnabled = compileRuntimeFraction(message.shadowEnabled, false, context);
  }
}

type TextField = 'allowMethods' | 'allowHeaders' | 'exposeHeaders' | 'maxAge';
type FlagField = 'allowCredentials' | 'allowPrivateNetworkAccess' | 'forwardNotMatchingPreflights';

class CorsFilter implements HttpFilter {
  /** The least specific one first. */
  readonly #policies: readonly CorsPolicy[];
  readonly #stats: StatBlock;
  /** The origin of a request that may see the response; '' = none. */
  #origin = '';

  constructor(policies: readonly CorsPolicy[], stats: StatBlock) {
    this.#policies = policies;
    this.#stats = stats;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    const specific = this.#policies.at(-1)!;
    const isEnabled = specific.isEnabled();
    if (!isEnabled && !specific.isShadowEnabled()) return Continue;
    const origin = headers.get('origin');
    if (origin === undefined || origin === '') return Continue;
    const allowed = this.#allows(origin);
    this.#stats.inc(allowed ? at.origin_valid : at.origin_invalid);
    if (!isEnabled) return Continue;
    if (allowed) this.#origin = origin;
    const method = headers.get('access-control-request-method') ?? '';
    if (headers.get(':method') !== 'OPTIONS' || method === '') return Continue;
    if (!allowed && this.#flag('forwardNotMatchingPreflights', true)) return Continue;
    return this.#preflight(headers, method, allowed ? origin : '');
  }

  onResponseHeaders(headers: Headers): HeadersVerdict {
    if (this.#origin === '') return Continue;
    headers.set('access-control-allow-origin', this.#origin);
    if (this.#flag('allowCredentials', false)) headers.set('access-control-allow-credentials', 'true');
    const expose = this.#text('exposeHeaders');
    if (expose !== '') headers.set('access-control-expose-headers', expose);
    return Continue;
  }

  #preflight(request: Headers, method: string, origin: string): LocalReply {
    const headers: [string, string][] = [];
    const add = (name: string, value: string): void => {
      if (value !== '') headers.push([`access-control-${name}`, value]);
    };
    add('allow-origin', origin);
    if (this.#flag('allowCredentials', false)) add('allow-credentials', 'true');
    const methods = this.#text('allowMethods');
    add('allow-methods', methods === '*' ? method : methods);
    const names = this.#text('allowHeaders');
    // Echoed even when there is nothing to echo.
    if (names === '*')
      headers.push(['access-control-allow-headers', request.get('access-control-request-headers') ?? '']);
    else add('allow-headers', names);
    add('max-age', this.#text('maxAge'));
    if (
      this.#flag('allowPrivateNetworkAccess', false) &&
      request.get('access-control-request-private-network') === 'true'
    )
      add('allow-private-network', 'true');
    return { status: 200, headers, details: 'cors_response' };
  }

  #allows(origin: string): boolean {
    for (let i = this.#policies.length - 1; i >= 0; i--) {
      const { allowsOrigin } = this.#policies[i]!;
      if (allowsOrigin !== undefined) return allowsOrigin(origin);
    }
    return false;
  }

  #text(field: TextField): string {
    for (let i = this.#policies.length - 1; i >= 0; i--) {
      const value = this.#policies[i]![field];
      if (value !== '') return value;
    }
    return '';
  }

  #flag(field: FlagField, byDefault: boolean): boolean {
    for (let i = this.#policies.length - 1; i >= 0; i--) {
      const value = this.#policies[i]![field];
      if (value !== undefined) return value;
    }
    return byDefault;
  }
}
