import {
  RBAC_EnforcementType,
  RBACSchema,
  type RBAC,
} from '../../api/generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { Permission, Policy, Principal, RBAC as Rules } from '../../api/generated/envoy/config/rbac/v3/rbac_pb.js';
import type { Counter } from '../../telemetry/stats/stats.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import { compileRules, statPrefix } from '../rbac/compile-rules.ts';
import { deniedDetails, type RbacEngine, type RbacVerdict } from '../rbac/rbac-engine.ts';
import {
  ContinueChain,
  StopIteration,
  type NetworkConnection,
  type NetworkFactoryContext,
  type NetworkFilter,
  type NetworkFilterType,
  type NetworkVerdict,
} from './filter.ts';

/** The namespace of what shadow rules say, in dynamic metadata. */
const METADATA = 'envoy.filters.network.rbac';
const COMMON_METADATA = 'envoy.common';

/** envoy.filters.network.rbac: closes connections that a policy forbids, when their first byte has come. */
export const rbac: NetworkFilterType<RBAC> = {
  name: METADATA,
  config: protobufConfig(RBACSchema),
  create(config, context) {
    const settings = new RbacSettings(config, context);
    return (connection) => new RbacFilter(settings, connection);
  },
};

class RbacSettings {
  readonly engine: RbacEngine | undefined;
  readonly shadow: RbacEngine | undefined;
  readonly shadowPrefix: string;
  readonly continuous: boolean;
  readonly allowed: Counter;
  readonly denied: Counter;
  readonly shadowAllowed: Counter;
  readonly shadowDenied: Counter;

  constructor(config: RBAC, { rootStats, unsupported }: NetworkFactoryContext) {
    if (config.matcher !== undefined)
      throw new ConfigError('unsupported: matching trees are not implemented', 'matcher');
    if (config.shadowMatcher !== undefined) unsupported('shadow_matcher');
    this.engine = compile(config.rules, 'rules', unsupported);
    this.shadow = compile(config.shadowRules, 'shadow_rules', unsupported);
    this.shadowPrefix = config.shadowRulesStatPrefix;
    this.continuous = config.enforcementType === RBAC_EnforcementType.CONTINUOUS;
    const scope = `${statPrefix(config.statPrefix)}rbac.`;
    this.allowed = rootStats.counter(`${scope}allowed`);
    this.denied = rootStats.counter(`${scope}denied`);
    const shadow = `${scope}${statPrefix(config.shadowRulesStatPrefix)}shadow_`;
    this.shadowAllowed = rootStats.counter(`${shadow}allowed`);
    this.shadowDenied = rootStats.counter(`${shadow}denied`);
  }
}

function compile(
  rules: Rules | undefined,
  field: string,
  unsupported: (field: string) => void,
): RbacEngine | undefined {
  if (rules === undefined) return undefined;
  const header = Object.values(rules.policies)
    .map(headerOf)
    .find((name) => name !== undefined);
  if (header !== undefined)
    throw new ConfigError(`Found header(${header}) rule,not supported by RBAC network filter`, field);
  return compileRules(rules, field, unsupported);
}

/** The name of a header that a policy looks at: a connection has none, and Envoy refuses such rules. */
function headerOf({ permissions, principals }: Policy): string | undefined {
  for (const permission of permissions) {
    const found = headerOfPermission(permission);
    if (found !== undefined) return found;
  }
  for (const principal of principals) {
    const found = headerOfPrincipal(principal);
    if (found !== undefined) return found;
  }
  return undefined;
}

function headerOfPermission({ rule }: Permission): string | undefined {
  switch (rule.case) {
    case 'header':
      return rule.value.name;
    case 'andRules':
    case 'orRules':
      return rule.value.rules.map(headerOfPermission).find((name) => name !== undefined);
    case 'notRule':
      return headerOfPermission(rule.value);
    default:
      return undefined;
  }
}

function headerOfPrincipal({ identifier }: Principal): string | undefined {
  switch (identifier.case) {
    case 'header':
      return identifier.value.name;
    case 'andIds':
    case 'orIds':
      return identifier.value.ids.map(headerOfPrincipal).find((name) => name !== undefined);
    case 'notId':
      return headerOfPrincipal(identifier.value);
    default:
      return undefined;
  }
}

class RbacFilter implements NetworkFilter {
  readonly #settings: RbacSettings;
  readonly #connection: NetworkConnection;
  #checked = false;

  constructor(settings: RbacSettings, connection: NetworkConnection) {
    this.#settings = settings;
    this.#connection = connection;
  }

  onData(): NetworkVerdict {
    if (this.#checked && !this.#settings.continuous) return ContinueChain;
    this.#checked = true;
    this.#checkShadow();
    return this.#check();
  }

  #checkShadow(): void {
    const { shadow, shadowAllowed, shadowDenied, shadowPrefix } = this.#settings;
    if (shadow === undefined) return;
    const { info } = this.#connection;
    const { allowed, policy } = shadow.evaluate(info, undefined);
    (allowed ? shadowAllowed : shadowDenied).inc();
    const metadata = { ...info.dynamicMetadata.get(METADATA) };
    if (policy !== '') metadata[`${shadowPrefix}shadow_effective_policy_id`] = policy;
    metadata[`${shadowPrefix}shadow_engine_result`] = allowed ? 'allowed' : 'denied';
    info.dynamicMetadata.set(METADATA, metadata);
  }

  #check(): NetworkVerdict {
    const { engine, allowed, denied } = this.#settings;
    if (engine === undefined) return ContinueChain;
    const { info } = this.#connection;
    const verdict: RbacVerdict = engine.evaluate(info, undefined);
    if (engine.onlyLogs)
      info.dynamicMetadata.set(COMMON_METADATA, {
        ...info.dynamicMetadata.get(COMMON_METADATA),
        access_log_hint: verdict.policy !== '',
      });
    if (verdict.allowed) {
      allowed.inc();
      return ContinueChain;
    }
    denied.inc();
    this.#connection.close('abort', deniedDetails(verdict.policy));
    return StopIteration;
  }
}
