import type {
  Cluster,
  Cluster_LeastRequestLbConfig as LeastRequestLbConfig,
  LoadBalancingPolicy,
} from '../../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import type {
  ConsistentHashingLbConfig,
  LocalityLbConfig,
} from '../../api/generated/envoy/extensions/load_balancing_policies/common/v3/common_pb.js';
import type { LeastRequest } from '../../api/generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js';
import type { Maglev } from '../../api/generated/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.js';
import type { RingHash } from '../../api/generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.js';
import type { WrrLocality } from '../../api/generated/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality_pb.js';
import { unpackAny } from '../../api/any.ts';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { LoadBalancerModel } from '../cluster-model.ts';
import type { Problems } from '../problem.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

/** What the choice of a host depends on, from `lb_policy` or `load_balancing_policy`. */
export interface LoadBalancingModel {
  readonly loadBalancer: LoadBalancerModel;
  readonly localityWeighted: boolean;
  readonly failTrafficOnPanic: boolean;
}

const PACKAGE = 'envoy.extensions.load_balancing_policies.';
const ROUND_ROBIN: LoadBalancerModel = { policy: 'round-robin' };
const DEFAULT_RING_SIZE = 1024n;
const MAX_RING_SIZE = 8n << 20n;
const DEFAULT_MAGLEV_SIZE = 65_537n;

/** By Cluster.LbPolicy's numbers. */
export const LB_POLICIES: Readonly<Record<number, string>> = {
  0: 'ROUND_ROBIN',
  1: 'LEAST_REQUEST',
  2: 'RING_HASH',
  3: 'RANDOM',
  5: 'MAGLEV',
  6: 'CLUSTER_PROVIDED',
  7: 'LOAD_BALANCING_POLICY_CONFIG',
};

export function buildLoadBalancing(message: Cluster, types: TypeRegistry, problems: Problems): LoadBalancingModel {
  // The typed policy wins over lb_policy and common_lb_config, as in Envoy.
  if (message.loadBalancingPolicy !== undefined)
    return (
      buildPolicy(message.loadBalancingPolicy, types, problems.at('load_balancing_policy')) ?? {
        loadBalancer: ROUND_ROBIN,
        localityWeighted: false,
        failTrafficOnPanic: false,
      }
    );
  const specifier = message.commonLbConfig?.localityConfigSpecifier;
  const common = problems.at('common_lb_config');
  if (specifier?.case === 'zoneAwareLbConfig')
    reportUnsupportedFields(types, specifier.value, ['fail_traffic_on_panic'], common.at('zone_aware_lb_config'));
  return {
    loadBalancer: buildLegacyPolicy(message, types, problems),
    localityWeighted: specifier?.case === 'localityWeightedLbConfig',
    failTrafficOnPanic: specifier?.case === 'zoneAwareLbConfig' && specifier.value.failTrafficOnPanic,
  };
}

function buildLegacyPolicy(message: Cluster, types: TypeRegistry, problems: Problems): LoadBalancerModel {
  const { lbConfig } = message;
  const name = LB_POLICIES[message.lbPolicy] ?? String(message.lbPolicy);
  switch (name) {
    case 'ROUND_ROBIN':
      if (lbConfig.case === 'roundRobinLbConfig')
        reportUnsupportedFields(types, lbConfig.value, [], problems.at('round_robin_lb_config'));
      return ROUND_ROBIN;
    case 'RANDOM':
      return { policy: 'random' };
    case 'LEAST_REQUEST':
      return buildLeastRequest(
        lbConfig.case === 'leastRequestLbConfig' ? lbConfig.value : undefined,
        false,
        types,
        problems.at('least_request_lb_config'),
      );
    case 'RING_HASH':
      return buildRingHash(
        lbConfig.case === 'ringHashLbConfig' ? { ...lbConfig.value, murmur: lbConfig.value.hashFunction === 1 } : {},
        message.commonLbConfig?.consistentHashingLbConfig,
        problems.at('ring_hash_lb_config'),
      );
    case 'MAGLEV':
      return buildMaglev(
        lbConfig.case === 'maglevLbConfig' ? lbConfig.value.tableSize : undefined,
        message.commonLbConfig?.consistentHashingLbConfig,
        problems.at('maglev_lb_config'),
      );
    case 'CLUSTER_PROVIDED':
      return { policy: 'cluster-provided' };
    case 'LOAD_BALANCING_POLICY_CONFIG':
      problems.at('load_balancing_policy').error('cluster: field load_balancing_policy need to be set');
      return ROUND_ROBIN;
    default:
      problems.at('lb_policy').error(`unsupported: the load balancing policy ${name} is not implemented`);
      return ROUND_ROBIN;
  }
}

function buildLeastRequest(
  message: LeastRequestLbConfig | LeastRequest | undefined,
  fullScan: boolean,
  types: TypeRegistry,
  problems: Problems,
): LoadBalancerModel {
  if (message !== undefined)
    reportUnsupportedFields(
      types,
      message,
      ['choice_count', 'active_request_bias', 'locality_lb_config', 'enable_full_scan', 'selection_method'],
      problems,
    );
  return {
    policy: 'least-request',
    choiceCount: Math.max(2, message?.choiceCount ?? 2),
    activeRequestBias: message?.activeRequestBias?.defaultValue ?? 1,
    activeRequestBiasKey: message?.activeRequestBias?.runtimeKey ?? '',
    fullScan,
  };
}

interface ConsistentHashing {
  readonly useHostnameForHashing: boolean;
  readonly hashBalanceFactor?: number | undefined;
}

function buildRingHash(
  message: {
    readonly minimumRingSize?: bigint | undefined;
    readonly maximumRingSize?: bigint | undefined;
    readonly murmur?: boolean;
  },
  hashing: ConsistentHashing | undefined,
  problems: Problems,
): LoadBalancerModel {
  const minimumRingSize = Number(message.minimumRingSize ?? DEFAULT_RING_SIZE);
  const maximumRingSize = Number(message.maximumRingSize ?? MAX_RING_SIZE);
  if (minimumRingSize > maximumRingSize)
    problems.error(`ring hash: minimum_ring_size (${minimumRingSize}) > maximum_ring_size (${maximumRingSize})`);
  return {
    policy: 'ring-hash',
    minimumRingSize,
    maximumRingSize,
    hashFunction: message.murmur === true ? 'murmur-hash-2' : 'xx-hash',
    useHostname: hashing?.useHostnameForHashing ?? false,
    hashBalanceFactor: hashing?.hashBalanceFactor ?? 0,
  };
}

function buildMaglev(
  size: bigint | undefined,
  hashing: ConsistentHashing | undefined,
  problems: Problems,
): LoadBalancerModel {
  const tableSize = Number(size ?? DEFAULT_MAGLEV_SIZE);
  if (!isPrime(tableSize)) problems.at('table_size').error('The table size of maglev must be prime number');
  return {
    policy: 'maglev',
    tableSize,
    useHostname: hashing?.useHostnameForHashing ?? false,
    hashBalanceFactor: hashing?.hashBalanceFactor ?? 0,
  };
}

/** Up to what validation lets through, about five million. */
function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** The first policy that we have; Envoy goes through the list the same way. */
function buildPolicy(
  message: LoadBalancingPolicy,
  types: TypeRegistry,
  problems: Problems,
): LoadBalancingModel | undefined {
  const unknown: string[] = [];
  for (const [index, policy] of message.policies.entries()) {
    const config = policy.typedExtensionConfig;
    if (config?.typedConfig === undefined) continue;
    const at = problems.at('policies').at(index).at('typed_extension_config').at('typed_config');
    const unpacked = unpackAny(types, config.typedConfig);
    for (const problem of unpacked.problems) at.at(problem.path).error(problem.message);
    const model = buildTypedPolicy(unpacked.typeName, unpacked.message, types, at);
    if (model !== undefined) return model;
    unknown.push(config.name || unpacked.typeName);
  }
  problems.error(
    `unsupported: none of the load balancing policies is implemented (${unknown.join(', ') || 'none named'})`,
  );
  return undefined;
}

function buildTypedPolicy(
  typeName: string,
  message: unknown,
  types: TypeRegistry,
  problems: Problems,
): LoadBalancingModel | undefined {
  if (message === undefined) return undefined;
  switch (typeName) {
    case `${PACKAGE}round_robin.v3.RoundRobin`:
    case `${PACKAGE}random.v3.Random`: {
      const config = message as LeastRequest;
      reportUnsupportedFields(types, config, ['locality_lb_config'], problems);
      return {
        loadBalancer: typeName.endsWith('Random') ? { policy: 'random' } : ROUND_ROBIN,
        ...buildLocalityConfig(config.localityLbConfig, types, problems.at('locality_lb_config')),
      };
    }
    case `${PACKAGE}least_request.v3.LeastRequest`: {
      const config = message as LeastRequest;
      const fullScan = config.enableFullScan === true || config.selectionMethod === 1;
      return {
        loadBalancer: buildLeastRequest(config, fullScan, types, problems),
        ...buildLocalityConfig(config.localityLbConfig, types, problems.at('locality_lb_config')),
      };
    }
    case `${PACKAGE}ring_hash.v3.RingHash`: {
      const config = message as RingHash;
      reportUnsupportedFields(
        types,
        config,
        [
          'hash_function',
          'minimum_ring_size',
          'maximum_ring_size',
          'use_hostname_for_hashing',
          'hash_balance_factor',
          'consistent_hashing_lb_config',
          'locality_weighted_lb_config',
        ],
        problems,
      );
      checkConsistentHashing(config.consistentHashingLbConfig, types, problems);
      return {
        loadBalancer: buildRingHash(
          { ...config, murmur: config.hashFunction === 2 },
          // The two fields of its own are the older way to say the same.
          config.consistentHashingLbConfig ?? config,
          problems,
        ),
        localityWeighted: config.localityWeightedLbConfig !== undefined,
        failTrafficOnPanic: false,
      };
    }
    case `${PACKAGE}maglev.v3.Maglev`: {
      const config = message as Maglev;
      reportUnsupportedFields(
        types,
        config,
        ['table_size', 'consistent_hashing_lb_config', 'locality_weighted_lb_config'],
        problems,
      );
      checkConsistentHashing(config.consistentHashingLbConfig, types, problems);
      return {
        loadBalancer: buildMaglev(config.tableSize, config.consistentHashingLbConfig, problems),
        localityWeighted: config.localityWeightedLbConfig !== undefined,
        failTrafficOnPanic: false,
      };
    }
    case `${PACKAGE}cluster_provided.v3.ClusterProvided`:
      return { loadBalancer: { policy: 'cluster-provided' }, localityWeighted: false, failTrafficOnPanic: false };
    case `${PACKAGE}wrr_locality.v3.WrrLocality`: {
      const inner = (message as WrrLocality).endpointPickingPolicy;
      if (inner === undefined) return undefined;
      const model = buildPolicy(inner, types, problems.at('endpoint_picking_policy'));
      return model === undefined ? undefined : { ...model, localityWeighted: true };
    }
    default:
      return undefined;
  }
}

function checkConsistentHashing(
  message: ConsistentHashingLbConfig | undefined,
  types: TypeRegistry,
  problems: Problems,
): void {
  if (message !== undefined)
    reportUnsupportedFields(
      types,
      message,
      ['use_hostname_for_hashing', 'hash_balance_factor'],
      problems.at('consistent_hashing_lb_config'),
    );
}

function buildLocalityConfig(
  message: LocalityLbConfig | undefined,
  types: TypeRegistry,
  problems: Problems,
): Pick<LoadBalancingModel, 'localityWeighted' | 'failTrafficOnPanic'> {
  const specifier = message?.localityConfigSpecifier;
  if (specifier?.case === 'zoneAwareLbConfig')
    reportUnsupportedFields(types, specifier.value, ['fail_traffic_on_panic'], problems.at('zone_aware_lb_config'));
  return {
    localityWeighted: specifier?.case === 'localityWeightedLbConfig',
    failTrafficOnPanic: specifier?.case === 'zoneAwareLbConfig' && specifier.value.failTrafficOnPanic,
  };
}
