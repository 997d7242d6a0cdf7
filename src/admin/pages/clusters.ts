import type { RE2JS } from 're2js';
import { JSON_TYPE, textResponse, type AdminPage } from '../page.ts';
import type {
  BreakerLimits,
  ClusterStatus,
  HostHealth,
  HostStats,
  HostStatus,
} from '../../config/cluster-status-model.ts';
import { addressJson, addressText } from './addresses.ts';
import { jsonList } from './json-list.ts';
import { compileRe2 } from '../../lib/re2.ts';

export const clustersPage: AdminPage = {
  path: '/clusters',
  help: 'upstream cluster status',
  mutates: false,
  params: [
    { name: 'filter', help: 'Regular expression (Google re2) for filtering clusters by name', kind: 'text' },
    { name: 'format', help: 'File format to use', kind: ['text', 'json'] },
  ],
  handle({ query }, { clusters }) {
    let wanted: Iterable<ClusterStatus> = clusters.clusters();
    const filter = query.get('filter') ?? '';
    if (filter !== '') {
      let regex: RE2JS;
      try {
        regex = compileRe2(filter);
      } catch {
        return textResponse('Invalid re2 regex', 400);
      }
      wanted = matching(wanted, regex);
    }
    if (query.get('format') === 'json')
      return { status: 200, contentType: JSON_TYPE, body: jsonList('cluster_statuses', clusterJsons(wanted)) };
    return textResponse(clusterTexts(wanted));
  },
};

function* matching(clusters: Iterable<ClusterStatus>, regex: RE2JS): Generator<ClusterStatus, void, void> {
  for (const cluster of clusters) if (regex.test(cluster.name)) yield cluster;
}

function* clusterTexts(clusters: Iterable<ClusterStatus>): Generator<string, void, void> {
  for (const cluster of clusters) yield clusterText(cluster);
}

function clusterText(cluster: ClusterStatus): string {
  const { name, outlier } = cluster;
  let text = `${name}::observability_name::${cluster.observabilityName}\n`;
  if (outlier !== undefined) {
    text +=
      `${name}::outlier::success_rate_average::${outlier.successRateAverage}\n` +
      `${name}::outlier::success_rate_ejection_threshold::${outlier.successRateEjectionThreshold}\n` +
      `${name}::outlier::local_origin_success_rate_average::${outlier.localOriginSuccessRateAverage}\n` +
      `${name}::outlier::local_origin_success_rate_ejection_threshold::${outlier.localOriginSuccessRateEjectionThreshold}\n`;
  }
  for (const priority of ['default', 'high'] as const)
    for (const [limit, value] of Object.entries(limits(cluster.breakers[priority])))
      text += `${name}::${priority}_priority::${limit}::${value}\n`;
  text += `${name}::added_via_api::${cluster.addedViaApi}\n`;
  if (cluster.edsServiceName !== '') text += `${name}::eds_service_name::${cluster.edsServiceName}\n`;
  for (const host of cluster.hosts) text += hostText(`${name}::${addressText(host.address)}`, host);
  return text;
}

function hostText(prefix: string, host: HostStatus): string {
  const lines: [string, string | number | boolean][] = [
    ...[...counters(host.stats), ...gauges(host.stats)].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    ['hostname', host.hostname],
    ['health_flags', healthFlags(host.health)],
    ['weight', host.weight],
    ['region', host.region],
    ['zone', host.zone],
    ['sub_zone', host.subZone],
    ['canary', host.canary],
    ['priority', host.priority],
    ['success_rate', host.successRate],
    ['local_origin_success_rate', host.localOriginSuccessRate],
  ];
  return lines.map(([name, value]) => `${prefix}::${name}::${value}\n`).join('');
}

function healthFlags(health: HostHealth): string {
  let flags = '';
  if (health.failedActiveHealthCheck) flags += '/failed_active_hc';
  if (health.failedOutlierCheck) flags += '/failed_outlier_check';
  if (health.eds === 'UNHEALTHY') flags += '/failed_eds_health';
  if (health.failedActiveDegradedCheck) flags += '/degraded_active_hc';
  if (health.eds === 'DEGRADED') flags += '/degraded_eds_health';
  if (health.pendingDynamicRemoval) flags += '/pending_dynamic_removal';
  if (health.pendingActiveHc) flags += '/pending_active_hc';
  if (health.excludedViaImmediateHcFail) flags += '/excluded_via_immediate_hc_fail';
  if (health.activeHcTimeout) flags += '/active_hc_timeout';
  if (health.eds === 'DRAINING') flags += '/eds_status_draining';
  return flags === '' ? 'healthy' : flags;
}

const limits = (breaker: BreakerLimits): Record<string, number> => ({
  max_connections: breaker.maxConnections,
  max_pending_requests: breaker.maxPendingRequests,
  max_requests: breaker.maxRequests,
  max_retries: breaker.maxRetries,
});

const counters = (stats: HostStats): [string, number][] => [
  ['cx_connect_fail', stats.cxConnectFail],
  ['cx_total', stats.cxTotal],
  ['rq_error', stats.rqError],
  ['rq_success', stats.rqSuccess],
  ['rq_timeout', stats.rqTimeout],
  ['rq_total', stats.rqTotal],
];

const gauges = (stats: HostStats): [string, number][] => [
  ['cx_active', stats.cxActive],
  ['rq_active', stats.rqActive],
  ['rq_pending_active', stats.rqPendingActive],
];

function* clusterJsons(clusters: Iterable<ClusterStatus>): Generator<object, void, void> {
  for (const cluster of clusters) yield clusterJson(cluster);
}

/** envoy.admin.v3.ClusterStatus as proto JSON: fields with their default value are left out. */
function clusterJson(cluster: ClusterStatus): object {
  const { outlier } = cluster;
  const percent = (name: string, value: number): object => (value < 0 ? {} : { [name]: { value } });
  return {
    name: cluster.name,
    ...(cluster.addedViaApi ? { added_via_api: true } : {}),
    ...(outlier === undefined ? {} : percent('success_rate_ejection_threshold', outlier.successRateEjectionThreshold)),
    ...(cluster.hosts.length === 0 ? {} : { host_statuses: cluster.hosts.map(hostJson) }),
    ...(outlier === undefined
      ? {}
      : percent('local_origin_success_rate_ejection_threshold', outlier.localOriginSuccessRateEjectionThreshold)),
    circuit_breakers: {
      thresholds: [limits(cluster.breakers.default), { priority: 'HIGH', ...limits(cluster.breakers.high) }],
    },
    observability_name: cluster.observabilityName,
    ...(cluster.edsServiceName === '' ? {} : { eds_service_name: cluster.edsServiceName }),
  };
}

function hostJson(host: HostStatus): object {
  const { health } = host;
  const value = (count: number): object => (count === 0 ? {} : { value: String(count) });
  const percent = (name: string, rate: number): object => (rate < 0 ? {} : { [name]: { value: rate } });
  const flag = (name: string, set: boolean): object => (set ? { [name]: true } : {});
  return {
    address: addressJson(host.address),
    stats: [
      ...counters(host.stats).map(([name, count]) => ({ ...value(count), name })),
      ...gauges(host.stats).map(([name, count]) => ({ type: 'GAUGE', ...value(count), name })),
    ],
    health_status: {
      ...flag('failed_active_health_check', health.failedActiveHealthCheck),
      ...flag('failed_outlier_check', health.failedOutlierCheck),
      ...flag('failed_active_degraded_check', health.failedActiveDegradedCheck),
      ...flag('pending_dynamic_removal', health.pendingDynamicRemoval),
      ...flag('pending_active_hc', health.pendingActiveHc),
      ...flag('excluded_via_immediate_hc_fail', health.excludedViaImmediateHcFail),
      ...flag('active_hc_timeout', health.activeHcTimeout),
      eds_health_status: health.eds,
    },
    ...percent('success_rate', host.successRate),
    weight: host.weight,
    ...(host.hostname === '' ? {} : { hostname: host.hostname }),
    ...(host.priority === 0 ? {} : { priority: host.priority }),
    ...percent('local_origin_success_rate', host.localOriginSuccessRate),
    locality: {
      ...(host.region === '' ? {} : { region: host.region }),
      ...(host.zone === '' ? {} : { zone: host.zone }),
      ...(host.subZone === '' ? {} : { sub_zone: host.subZone }),
    },
  };
}
