import type { RBAC } from '../../api/generated/envoy/config/rbac/v3/rbac_pb.js';
import { sanitizeStatName } from '../../telemetry/stats/stats.ts';
import { ConfigError } from '../config-type.ts';
import { RbacEngine } from './rbac-engine.ts';

/** The engine of a filter's `rules` or `shadow_rules`, if there are any. Throws ConfigError with the path from `field`. */
export function compileRules(
  rules: RBAC | undefined,
  field: string,
  unsupported: (field: string) => void,
): RbacEngine | undefined {
  if (rules === undefined) return undefined;
  try {
    return new RbacEngine(rules, (below) => unsupported(`${field}.${below}`));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.message, error.path === '' ? field : `${field}.${error.path}`);
  }
}

/** A prefix of stats as it stands in their names: with a dot behind, unless it is empty. */
export function statPrefix(prefix: string): string {
  const name = sanitizeStatName(prefix);
  return name === '' || name.endsWith('.') ? name : `${name}.`;
}
