import { toJson, type JsonObject } from '@bufbuild/protobuf';
import {
  LoadStatsRequestSchema,
  type LoadStatsRequest,
} from '../../src/api/generated/envoy/service/load_stats/v3/lrs_pb.js';
import { cluster, proxyConfig, tcp } from './proxy-config.ts';

type Json = Readonly<Record<string, unknown>>;

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
/** The clusters of `loadReportConfig`, and what becomes of a request to each, sent as `/<name>`. */
export const REPORTED = ['ok', 'overflowing', 'dropping', 'maintained', 'dead'] as const;

/** A proxy that reports loads to this port; its clusters lead to `upstream`, or nowhere. */
export function loadReportConfig(lrsPort: number, upstream: number): Json {
  const assigned = (name: string, port: number, policy: Json = {}): Json => ({
    cluster_name: name,
    endpoints: [
      {
        locality: { region: 'r', zone: 'z' },
        lb_endpoints: [
          { endpoint: { address: tcp(port) } },
          { endpoint: { address: { pipe: { path: '/nobody' } } }, health_status: 'UNHEALTHY' },
        ],
      },
      {
        locality: { region: 'r', zone: 'y', sub_zone: 's' },
        priority: 1,
        lb_endpoints: [{ endpoint: { address: tcp(port) } }],
      },
    ],
    // Half of the hosts is enough for the first priority to take it all.
    policy: { overprovisioning_factor: 200, ...policy },
  });
  const leading = (name: (typeof REPORTED)[number], port: number, more: Json = {}, policy: Json = {}): Json => ({
    name,
    connect_timeout: '1s',
    load_assignment: assigned(name, port, policy),
    ...more,
  });
  const drops = { drop_overloads: [{ category: 'too much', drop_percentage: { numerator: 100 } }] };
  return proxyConfig({
    routes: REPORTED.map((name) => ({ match: { path: `/${name}` }, route: { cluster: name } })),
    clusters: [
      cluster('lrs', lrsPort, {
        typed_extension_protocol_options: {
          [HTTP_OPTIONS]: {
            '@type': `type.googleapis.com/${HTTP_OPTIONS}`,
            explicit_http_config: { http2_protocol_options: {} },
          },
        },
      }),
      leading('ok', upstream),
      leading('overflowing', upstream, { circuit_breakers: { thresholds: [{ max_requests: 0 }] } }),
      leading('dropping', upstream, {}, drops),
      leading('maintained', upstream),
      leading('dead', 1),
    ],
    bootstrap: {
      node: { id: 'n', cluster: 'k', client_features: ['mine'] },
      layered_runtime: { layers: [{ name: 's', static_layer: { 'upstream.maintenance_mode.maintained': 100 } }] },
      cluster_manager: {
        load_stats_config: {
          api_type: 'GRPC',
          transport_api_version: 'V3',
          grpc_services: [{ envoy_grpc: { cluster_name: 'lrs' } }],
        },
      },
    },
  });
}

/**
 * What a report says of each cluster, in the order of their names, without times and ports; undefined: of none. The
 * server's own cluster is left out.
 */
export function reportedLoads(report: LoadStatsRequest): Readonly<Record<string, JsonObject>> | undefined {
  if (report.clusterStats.length === 0) return undefined;
  const { clusterStats } = toJson(LoadStatsRequestSchema, report) as { clusterStats: JsonObject[] };
  const loads: Record<string, JsonObject> = {};
  const ordered = clusterStats.toSorted((a, b) => (String(a['clusterName']) < String(b['clusterName']) ? -1 : 1));
  for (const { clusterName, ...load } of ordered) {
    if (clusterName === 'lrs') continue;
    delete load['loadReportInterval'];
    loads[String(clusterName)] = load;
  }
  const text = JSON.stringify(loads, (key, value: unknown) => (key === 'portValue' ? 0 : value));
  return JSON.parse(text) as Record<string, JsonObject>;
}
