import type { HeaderMap } from '../http/headers.ts';
import { CLUSTER_STATS } from '../upstream/cluster-stats.ts';
import type { Cluster, Host } from '../upstream/upstream.ts';
import type { RouterConfig } from './router-config.ts';
import { ROUTE_STATS } from './router-stats.ts';
import type { Route, VirtualCluster } from './route.ts';

/** What the charges of one request depend on. Implemented by its router. */
export interface ChargedRequest {
  readonly config: RouterConfig;
  readonly cluster: Cluster;
  readonly route: Route;
  readonly virtualCluster: VirtualCluster | undefined;
  /** `x-envoy-upstream-alt-stat-name`; '' = none. */
  readonly alternateStatName: string;
  /** The request came from the internal networks. */
  readonly internal: boolean;
  /** A gRPC request with `suppress_grpc_request_failure_code_stats`: codes aren't counted, only completion. */
  readonly codesExcluded: boolean;
}

/** True if a response (undefined: a reply of our own) comes from a canary. */
export function isCanary(headers: HeaderMap | undefined, host: Host | undefined): boolean {
  return headers?.get('x-envoy-upstream-canary') === 'true' || (host !== undefined && host.canary);
}

/** Counts a response status everywhere it counts: cluster, virtual cluster, route, zone, alternate name, host. */
export function chargeCode(
  request: ChargedRequest,
  status: number,
  headers: HeaderMap | undefined,
  host: Host | undefined,
): void {
  const { config, cluster, internal } = request;
  if (!config.options.dynamicStats) return;
  if (host !== undefined && status >= 500) host.requestEnded(false);
  if (request.codesExcluded) return cluster.stats.inc(CLUSTER_STATS.at.upstream_rq_completed);
  const canary = isCanary(headers, host);
  cluster.chargeResponse(status, internal, canary);
  if (request.virtualCluster !== undefined) config.codeStats(request.virtualCluster.stats.prefix)?.charge(status);
  if (request.route.stats !== undefined) config.codeStats(request.route.stats.prefix)?.charge(status);
  const zone = zonePrefix(request, host);
  if (zone !== undefined) config.codeStats(zone)?.charge(status);
  if (request.alternateStatName !== '') {
    const prefix = `${cluster.stats.prefix}${request.alternateStatName}.`;
    config.codeStats(prefix)?.charge(status);
    config.codeStats(`${prefix}${internal ? 'internal' : 'external'}.`)?.charge(status);
    if (canary) config.codeStats(`${prefix}canary.`)?.charge(status);
  }
}

/** Counts a request that was not sent, and the status that it is answered with; `overload`: the control plane wants it so. */
export function chargeDrop(request: ChargedRequest, status: number, overload: boolean): void {
  chargeCode(request, status, undefined, undefined);
  countDrop(request, overload);
}

/** Counts a request that was not sent, for load reports. */
export function countDrop({ config, cluster }: ChargedRequest, overload: boolean): void {
  if (config.options.dynamicStats) cluster.countDrop(overload);
}

/** Counts a response that is thrown away for a retry: `cluster.<name>.retry.upstream_rq_*`. */
export function chargeRetriedCode(request: ChargedRequest, status: number): void {
  if (!request.codesExcluded) request.config.codeStats(`${request.cluster.stats.prefix}retry.`)?.charge(status);
}

/** Records the time from the end of the request to the end of the response. */
export function chargeTime(request: ChargedRequest, ms: number, canary: boolean, host: Host | undefined): void {
  const { config, cluster, internal } = request;
  if (!config.options.dynamicStats) return;
  const whole = Math.trunc(ms);
  cluster.chargeResponseTime(whole, internal, canary);
  request.virtualCluster?.stats.record(ROUTE_STATS.at.upstream_rq_time, whole);
  request.route.stats?.record(ROUTE_STATS.at.upstream_rq_time, whole);
  const { stats } = config.worker;
  const zone = zonePrefix(request, host);
  if (zone !== undefined) stats.histogram(`${zone}upstream_rq_time`, 'milliseconds').record(whole);
  if (request.alternateStatName !== '') {
    const prefix = `${cluster.stats.prefix}${request.alternateStatName}.`;
    // A name beyond the limit of prefixes gets no histogram either.
    if (config.codeStats(prefix) === undefined) return;
    const kind = internal ? 'internal' : 'external';
    stats.histogram(`${prefix}upstream_rq_time`, 'milliseconds').record(whole);
    stats.histogram(`${prefix}${kind}.upstream_rq_time`, 'milliseconds').record(whole);
    if (canary) stats.histogram(`${prefix}canary.upstream_rq_time`, 'milliseconds').record(whole);
  }
}

/** `cluster.<name>.zone.<ours>.<host's>.`, if both zones are known. */
function zonePrefix(request: ChargedRequest, host: Host | undefined): string | undefined {
  const from = request.config.worker.node.zone;
  if (from === '' || host === undefined || host.zone === '') return undefined;
  return `${request.cluster.stats.prefix}zone.${from}.${host.zone}.`;
}
