import {
  RBACPerRouteSchema,
  RBACSchema,
  type RBAC,
} from '../../api/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import type { Counter, StatsScope } from '../../telemetry/stats/stats.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import type { Headers } from '../headers.ts';
import { compileRules, statPrefix } from '../rbac/compile-rules.ts';
import { deniedDetails, type RbacEngine, type RbacVerdict } from '../rbac/rbac-engine.ts';
import {
  Continue,
  defineHttpFilter,
  type FactoryContext,
  type HeadersVerdict,
  type HttpFilter,
  type StreamContext,
} from './filter.ts';

const NAME = 'envoy.filters.http.rbac';
/** Where access logs look for a hint (`action: LOG`). */
const COMMON_METADATA = 'envoy.common';

/**
 * envoy.filters.http.rbac: refuses requests that a policy forbids. A route's override takes the place of the rules, and
 * not of the counters.
 */
export const rbac = defineHttpFilter({
  name: NAME,
  config: protobufConfig(RBACSchema),
  routeConfig: protobufConfig(RBACPerRouteSchema),
  compileRoute: ({ rbac: config }, context) =>
    config === undefined ? NO_RULES : new RbacRules(config, context, 'rbac.'),
  create(config, context) {
    const own = new RbacRules(config, context, '');
    const counters = new RbacCounters(config, context.stats);
    return (stream: StreamContext<RbacRules | typeof NO_RULES>) => {
      const rules = stream.routeConfig ?? own;
      return rules.engine === undefined && rules.shadow === undefined
        ? undefined
        : new RbacFilter(rules, counters, stream);
    };
  },
});

interface Rules {
  readonly engine: RbacEngine | undefined;
  readonly shadow: RbacEngine | undefined;
  readonly prefix: string;
  readonly shadowPrefix: string;
  readonly countsPolicies: boolean;
}

/** Of a route without `rbac`: nothing is checked there. */
const NO_RULES: Rules = { engine: undefined, shadow: undefined, prefix: '', shadowPrefix: '', countsPolicies: false };

class RbacRules implements Rules {
  readonly engine: RbacEngine | undefined;
  readonly shadow: RbacEngine | undefined;
  readonly prefix: string;
  readonly shadowPrefix: string;
  readonly countsPolicies: boolean;

  constructor(config: RBAC, { unsupported = () => {} }: FactoryContext, path: string) {
    if (config.matcher !== undefined)
      throw new ConfigError('unsupported: matching trees are not implemented', `${path}matcher`);
    this.engine = compileRules(config.rules, `${path}rules`, unsupported);
    if (config.shadowMatcher !== undefined) unsupported(`${path}shadow_matcher`);
    // The matcher would take their place.
    this.shadow =
      config.shadowMatcher === undefined
        ? compileRules(config.shadowRules, `${path}shadow_rules`, unsupported)
        : undefined;
    this.prefix = config.rulesStatPrefix;
    this.shadowPrefix = config.shadowRulesStatPrefix;
    this.countsPolicies = config.trackPerRuleStats;
  }
}

class RbacCounters {
  readonly allowed: Counter;
  readonly denied: Counter;
  readonly shadowAllowed: Counter;
  readonly shadowDenied: Counter;
  readonly #stats: StatsScope;
  readonly #prefix: string;
  readonly #shadowPrefix: string;

  constructor({ rulesStatPrefix, shadowRulesStatPrefix }: RBAC, stats: StatsScope) {
    this.#stats = stats;
    this.#prefix = `rbac.${statPrefix(rulesStatPrefix)}`;
    this.#shadowPrefix = `rbac.${statPrefix(shadowRulesStatPrefix)}`;
    this.allowed = stats.counter(`${this.#prefix}allowed`);
    this.denied = stats.counter(`${this.#prefix}denied`);
    this.shadowAllowed = stats.counter(`${this.#shadowPrefix}shadow_allowed`);
    this.shadowDenied = stats.counter(`${this.#shadowPrefix}shadow_denied`);
  }

  /** `track_per_rule_stats`. */
  count({ policy, allowed }: RbacVerdict, shadow: boolean): void {
    const result = allowed ? 'allowed' : 'denied';
    const name = shadow
      ? `${this.#shadowPrefix}policy.${policy}.shadow_${result}`
      : `${this.#prefix}policy.${policy}.${result}`;
    this.#stats.counter(name).inc();
  }
}

class RbacFilter implements HttpFilter {
  readonly #rules: Rules;
  readonly #counters: RbacCounters;
  readonly #stream: StreamContext;
  #refused: Record<string, unknown> | undefined = undefined;

  constructor(rules: Rules, counters: RbacCounters, stream: StreamContext) {
    this.#rules = rules;
    this.#counters = counters;
    this.#stream = stream;
  }

  /** Of a refused request the metadata is there for access logs, but not for the headers of the refusal, as in Envoy. */
  onResponseHeaders(): HeadersVerdict {
    if (this.#refused !== undefined) this.#stream.info.dynamicMetadata.set(NAME, this.#refused);
    return Continue;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    const { engine, shadow, prefix, shadowPrefix, countsPolicies } = this.#rules;
    const { info } = this.#stream;
    const metadata: Record<string, unknown> = { ...info.dynamicMetadata.get(NAME) };
    if (shadow !== undefined) {
      const verdict = shadow.evaluate(info, headers);
      (verdict.allowed ? this.#counters.shadowAllowed : this.#counters.shadowDenied).inc();
      if (countsPolicies && verdict.policy !== '') this.#counters.count(verdict, true);
      note(metadata, `${shadowPrefix}shadow_`, verdict);
    }
    if (engine === undefined) {
      info.dynamicMetadata.set(NAME, metadata);
      return Continue;
    }
    const verdict = engine.evaluate(info, headers);
    (verdict.allowed ? this.#counters.allowed : this.#counters.denied).inc();
    if (countsPolicies && verdict.policy !== '') this.#counters.count(verdict, false);
    note(metadata, `${prefix}enforced_`, verdict);
    if (engine.onlyLogs)
      info.dynamicMetadata.set(COMMON_METADATA, {
        ...info.dynamicMetadata.get(COMMON_METADATA),
        access_log_hint: verdict.policy !== '',
      });
    if (verdict.allowed) {
      info.dynamicMetadata.set(NAME, metadata);
      return Continue;
    }
    this.#refused = metadata;
    return { status: 403, body: 'RBAC: access denied', details: deniedDetails(verdict.policy) };
  }
}

/** What a set of rules said, for access logs and for filters behind this one. */
function note(metadata: Record<string, unknown>, prefix: string, { allowed, policy }: RbacVerdict): void {
  if (policy !== '') metadata[`${prefix}effective_policy_id`] = policy;
  metadata[`${prefix}engine_result`] = allowed ? 'allowed' : 'denied';
}
