import type {
  CircuitBreakers,
  CircuitBreakers_Thresholds as Thresholds,
} from '../../api/generated/envoy/config/cluster/v3/circuit_breaker_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { ClusterModel, ThresholdsModel } from '../cluster-model.ts';
import type { Problems } from '../problem.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

const DEFAULTS: ThresholdsModel = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  maxConnectionPools: Infinity,
  retryBudget: undefined,
  trackRemaining: false,
};

/** cluster.v3.CircuitBreakers. The first entry of each priority counts, as in Envoy. */
export function buildCircuitBreakers(
  message: CircuitBreakers | undefined,
  types: TypeRegistry,
  problems: Problems,
): Pick<ClusterModel, 'thresholds' | 'perHostMaxConnections'> {
  if (message === undefined)
    return { thresholds: { default: DEFAULTS, high: DEFAULTS }, perHostMaxConnections: Infinity };
  message.thresholds.forEach((entry, index) => {
    if (entry.maxConnectionPools !== undefined) problems.at('thresholds').at(index).unsupported('max_connection_pools');
  });
  const perHost = message.perHostThresholds.find((entry) => entry.priority === 0);
  message.perHostThresholds.forEach((entry, index) =>
    reportUnsupportedFields(
      types,
      entry,
      ['priority', 'max_connections'],
      problems.at('per_host_thresholds').at(index),
    ),
  );
  const of = (priority: number): ThresholdsModel =>
    buildThresholds(message.thresholds.find((entry) => entry.priority === priority));
  return {
    thresholds: { default: of(0), high: of(1) },
    perHostMaxConnections: perHost?.maxConnections ?? Infinity,
  };
}

function buildThresholds(message: Thresholds | undefined): ThresholdsModel {
  if (message === undefined) return DEFAULTS;
  const budget = message.retryBudget;
  return {
    maxConnections: message.maxConnections ?? DEFAULTS.maxConnections,
    maxPendingRequests: message.maxPendingRequests ?? DEFAULTS.maxPendingRequests,
    maxRequests: message.maxRequests ?? DEFAULTS.maxRequests,
    maxRetries: message.maxRetries ?? DEFAULTS.maxRetries,
    maxConnectionPools: message.maxConnectionPools ?? DEFAULTS.maxConnectionPools,
    retryBudget:
      budget === undefined
        ? undefined
        : { budgetPercent: budget.budgetPercent?.value ?? 20, minRetryConcurrency: budget.minRetryConcurrency ?? 3 },
    trackRemaining: message.trackRemaining,
  };
}
