import { isIP } from 'node:net';
import type {
  ClusterLoadAssignment,
  ClusterLoadAssignment_Policy as Policy,
} from '../../api/generated/envoy/config/endpoint/v3/endpoint_pb.js';
import type {
  LbEndpoint,
  LocalityLbEndpoints,
} from '../../api/generated/envoy/config/endpoint/v3/endpoint_components_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { Metadata } from '../../filters/stream-info.ts';
import type { AssignmentModel, EndpointModel, HostHealthStatus, LocalityModel } from '../cluster-model.ts';
import type { AddressModel } from '../common-model.ts';
import type { Problems } from '../problem.ts';
import { durationMs } from '../../api/duration.ts';
import { buildAddress, buildFraction, buildMetadata } from './common.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

/** By core.v3.HealthStatus's numbers. */
export const HEALTH_STATUSES: readonly HostHealthStatus[] = [
  'unknown',
  'healthy',
  'unhealthy',
  'draining',
  'timeout',
  'degraded',
];

const DEFAULT_OVERPROVISIONING_PERCENT = 140;

/** endpoint.v3.ClusterLoadAssignment. With `names`, addresses may be host names (DNS clusters); else they must be IPs. */
export function buildAssignment(
  message: ClusterLoadAssignment | undefined,
  names: boolean,
  types: TypeRegistry,
  problems: Problems,
): AssignmentModel {
  const localities: LocalityModel[] = [];
  const endpoints: EndpointModel[] = [];
  if (message !== undefined) {
    reportUnsupportedFields(types, message, ['cluster_name', 'endpoints', 'policy'], problems);
    if (message.policy !== undefined)
      reportUnsupportedFields(
        types,
        message.policy,
        ['overprovisioning_factor', 'weighted_priority_health', 'drop_overloads', 'endpoint_stale_after'],
        problems.at('policy'),
      );
    message.endpoints.forEach((group, index) => {
      const at = problems.at('endpoints').at(index);
      localities.push(buildLocality(group, types, at));
      group.lbEndpoints.forEach((endpoint, place) => {
        const model = buildEndpoint(endpoint, group, index, names, types, at.at('lb_endpoints').at(place));
        if (model !== undefined) endpoints.push(model);
      });
    });
  }
  return {
    localities,
    endpoints,
    overprovisioningFactor: (message?.policy?.overprovisioningFactor ?? DEFAULT_OVERPROVISIONING_PERCENT) / 100,
    weightedPriorityHealth: message?.policy?.weightedPriorityHealth ?? false,
    dropOverload: buildDropOverload(message?.policy, problems.at('policy').at('drop_overloads')),
    dropCategory: message?.policy?.dropOverloads[0]?.category ?? '',
    staleAfterMs: durationMs(message?.policy?.endpointStaleAfter) ?? 0,
  };
}

function buildDropOverload(policy: Policy | undefined, problems: Problems): number {
  const drops = policy?.dropOverloads ?? [];
  if (drops.length > 1)
    problems.error(`Cluster drop_overloads config has ${drops.length} categories. Envoy only support one.`);
  const { numerator, denominator } = buildFraction(drops[0]?.dropPercentage);
  return Math.min(1, numerator / denominator);
}

function buildLocality(group: LocalityLbEndpoints, types: TypeRegistry, problems: Problems): LocalityModel {
  reportUnsupportedFields(
    types,
    group,
    ['locality', 'metadata', 'lb_endpoints', 'load_balancing_weight', 'priority'],
    problems,
  );
  return {
    region: group.locality?.region ?? '',
    zone: group.locality?.zone ?? '',
    subZone: group.locality?.subZone ?? '',
    weight: group.loadBalancingWeight,
    priority: group.priority,
    metadata: buildMetadata(group.metadata, problems.at('metadata')),
  };
}

/** One endpoint of `group`, which is the `locality`-th. Undefined after a problem that leaves none. */
export function buildEndpoint(
  message: LbEndpoint,
  group: LocalityLbEndpoints,
  locality: number,
  names: boolean,
  types: TypeRegistry,
  problems: Problems,
): EndpointModel | undefined {
  if (message.hostIdentifier.case !== 'endpoint') {
    if (message.hostIdentifier.case === 'endpointName') problems.unsupported('endpoint_name');
    else problems.at('endpoint').error('value is required');
    return undefined;
  }
  const endpoint = message.hostIdentifier.value;
  const at = problems.at('endpoint');
  // Nothing checks health yet, so how to is of no consequence.
  reportUnsupportedFields(types, endpoint, ['address', 'hostname', 'additional_addresses'], at);
  const address = buildAddress(endpoint.address, at.at('address'));
  if (!names) checkIp(address, at.at('address'));
  const metadata = buildMetadata(message.metadata, problems.at('metadata'));
  return {
    address,
    additionalAddresses: endpoint.additionalAddresses.map((more, index) =>
      buildAddress(more.address, at.at('additional_addresses').at(index).at('address')),
    ),
    hostname: endpoint.hostname,
    weight: message.loadBalancingWeight ?? 1,
    priority: group.priority,
    locality,
    metadata,
    healthStatus: HEALTH_STATUSES[message.healthStatus] ?? 'unknown',
    canary: isCanary(metadata),
  };
}

/** Envoy refuses a name where the cluster type resolves none. */
function checkIp(address: AddressModel, problems: Problems): void {
  if (address.kind !== 'socket' || isIP(address.host) !== 0) return;
  problems
    .at('socket_address')
    .at('address')
    .error(
      `malformed IP address: ${address.host}. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'`,
    );
}

/** `envoy.lb: { canary: true }`. */
function isCanary(metadata: Metadata | undefined): boolean {
  const values = metadata?.['envoy.lb'];
  return typeof values === 'object' && values !== null && (values as Record<string, unknown>)['canary'] === true;
}
