import type { Policy, RBAC } from '../../api/generated/envoy/config/rbac/v3/rbac_pb.js';
import { ConfigError } from '../config-type.ts';
import type { Headers } from '../headers.ts';
import type { StreamInfo } from '../stream-info.ts';
import { compilePermission } from './permission.ts';
import { compilePrincipal } from './principal.ts';
import { anyOf, type RbacRule } from './rbac-rule.ts';

const DENY = 1;
const LOG = 2;

/** What the engine says of one connection or request. */
export interface RbacVerdict {
  readonly allowed: boolean;
  /** The policy that matched; '' = none. */
  readonly policy: string;
}

interface CompiledPolicy {
  readonly name: string;
  readonly matches: RbacRule;
  readonly allowed: RbacVerdict;
  readonly denied: RbacVerdict;
}

const ALLOWED: RbacVerdict = { allowed: true, policy: '' };
const DENIED: RbacVerdict = { allowed: false, policy: '' };

/** A compiled config.rbac.v3.RBAC, for connections and for requests alike. */
export class RbacEngine {
  readonly #action: number;
  readonly #policies: readonly CompiledPolicy[];

  /** `unsupported` hears of what changes no verdict and isn't done. Throws ConfigError, its path relative to the message. */
  constructor(message: RBAC, unsupported: (field: string) => void) {
    this.#action = message.action;
    if (message.auditLoggingOptions !== undefined) unsupported('audit_logging_options');
    // In the order of their names, as Envoy's map has them.
    const names = Object.keys(message.policies).sort((a, b) => (a < b ? -1 : 1));
    this.#policies = names.map((name) => ({
      name,
      matches: at(`policies["${name}"]`, () => compilePolicy(message.policies[name]!)),
      allowed: { allowed: true, policy: name },
      denied: { allowed: false, policy: name },
    }));
  }

  /** Whether only to mark what matches for access logs (`action: LOG`). */
  get onlyLogs(): boolean {
    return this.#action === LOG;
  }

  /** The first policy that matches decides; without one `ALLOW` denies and `DENY` allows. */
  evaluate(info: StreamInfo, headers: Headers | undefined): RbacVerdict {
    for (const policy of this.#policies)
      if (policy.matches(info, headers)) return this.#action === DENY ? policy.denied : policy.allowed;
    return this.#action === DENY || this.#action === LOG ? ALLOWED : DENIED;
  }
}

function compilePolicy({ permissions, principals, condition, checkedCondition }: Policy): RbacRule {
  if (condition !== undefined || checkedCondition !== undefined)
    throw new ConfigError('unsupported: CEL conditions are not implemented', 'condition');
  const permission = anyOf(permissions.map((each, i) => at(`permissions[${i}]`, () => compilePermission(each))));
  const principal = anyOf(principals.map((each, i) => at(`principals[${i}]`, () => compilePrincipal(each))));
  return (info, headers) => permission(info, headers) && principal(info, headers);
}

/** `rbac_access_denied_matched_policy[<name>]`, for details in logs. */
export function deniedDetails(policy: string): string {
  return `rbac_access_denied_matched_policy[${(policy === '' ? 'none' : policy).replace(/[ \t\r\n\v\f]/g, '_')}]`;
}

function at<Result>(path: string, compile: () => Result): Result {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.message, error.path === '' ? path : `${path}.${error.path}`);
  }
}
