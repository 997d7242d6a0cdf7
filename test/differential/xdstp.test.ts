import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { GrpcControlPlane } from '../support/grpc-control-plane.ts';
import { cluster, listener, tcp } from '../support/proxy-config.ts';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { findTool } from '../support/tools.ts';

type Json = Readonly<Record<string, unknown>>;

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const FEATURE = 'envoy.reloadable_features.xdstp_based_config_singleton_subscriptions';
const CLUSTERS = 'xdstp://auth/envoy.config.cluster.v3.Cluster';
const LISTENERS = 'xdstp://auth/envoy.config.listener.v3.Listener';
const ENDPOINTS = 'xdstp://auth/envoy.config.endpoint.v3.ClusterLoadAssignment';
const ROUTES = 'xdstp://auth/envoy.config.route.v3.RouteConfiguration';
const envoyBinary = findTool('envoy');

/** A stream to one of the two control planes, `a` and `b`; nothing is waited for long. */
const over = (api_type: string, plane: 'a' | 'b', more: Json = {}): Json => ({
  api_config_source: {
    api_type,
    transport_api_version: 'V3',
    grpc_services: [{ envoy_grpc: { cluster_name: plane } }],
  },
  initial_fetch_timeout: '0.05s',
  resource_api_version: 'V3',
  ...more,
});
const apiOf = (source: Json): unknown => source['api_config_source'];
const ADS: Json = { ads: {}, initial_fetch_timeout: '0.05s', resource_api_version: 'V3' };
const authority = (name: string, api = 'AGGREGATED_DELTA_GRPC'): Json => over(api, 'b', { authorities: [{ name }] });
const endpoints = (service_name: string, source: Json = over('DELTA_GRPC', 'a')): Json => ({
  clusters: [
    {
      name: 'e',
      type: 'EDS',
      connect_timeout: '1s',
      eds_cluster_config: { service_name, ...(source['none'] === undefined && { eds_config: source }) },
    },
  ],
});
const routes = (route_config_name: string): Json => {
  const rds = { route_config_name, config_source: over('DELTA_GRPC', 'a') };
  return { listeners: [listener('in', { hcm: { route_config: undefined, rds } })] };
};
const dynamic = (fields: Json): Json => ({ dynamic_resources: fields });

const CASES: Readonly<Record<string, Json>> = {
  'clusters over incremental ADS': {
    ...dynamic({
      ads_config: apiOf(over('DELTA_GRPC', 'a')),
      cds_config: ADS,
      cds_resources_locator: 'xdstp://au%25th/envoy.config.cluster.v3.Cluster/foo/*?z=1&a=b%26c',
    }),
    node_context_params: ['id', 'cluster', 'locality.region', 'user_agent_build_version.version', 'metadata'],
  },
  'clusters over ADS': {
    ...dynamic({
      ads_config: apiOf(over('GRPC', 'a')),
      cds_config: ADS,
      cds_resources_locator: `${CLUSTERS}/foo/*?z=1&xds.node.id=mine`,
    }),
    node_context_params: ['id'],
  },
  'clusters over ADS by its other name': dynamic({
    ads_config: apiOf(over('DELTA_GRPC', 'b')),
    cds_config: over('AGGREGATED_DELTA_GRPC', 'a'),
    cds_resources_locator: `${CLUSTERS}/foo/*`,
  }),
  'listeners over a stream of their own': dynamic({
    lds_config: over('DELTA_GRPC', 'a'),
    lds_resources_locator: `${LISTENERS}/foo/*`,
  }),
  'clusters of an authority': {
    config_sources: [authority('auth')],
    ...dynamic({ cds_config: over('DELTA_GRPC', 'a'), cds_resources_locator: `${CLUSTERS}/foo/*` }),
  },
  'a single cluster': dynamic({ cds_config: over('DELTA_GRPC', 'a'), cds_resources_locator: `${CLUSTERS}/foo` }),
  'endpoints, feature off': { config_sources: [authority('auth')], ...endpoints(`${ENDPOINTS}/foo?b=1&a=2`) },
  'endpoints, spelled oddly': endpoints(
    'xdstp://a~u%th[1]/envoy.config.endpoint.v3.ClusterLoadAssignment/f o/%41~é:[x]?[b]=%7e&a&a=2&c=%zz&%3d=1#x',
  ),
  'endpoints, feature on': {
    feature: true,
    config_sources: [authority('auth')],
    node_context_params: ['id'],
    ...endpoints(`${ENDPOINTS}/foo?b=1&a=2`),
  },
  'endpoints, state of the world': {
    feature: true,
    config_sources: [authority('other'), authority('auth', 'AGGREGATED_GRPC')],
    ...endpoints(`${ENDPOINTS}/foo`),
  },
  'endpoints without a source': {
    feature: true,
    config_sources: [authority('auth')],
    ...endpoints(`${ENDPOINTS}/foo`, { none: true }),
  },
  'endpoints of another authority': {
    feature: true,
    config_sources: [authority('other')],
    ...endpoints(`${ENDPOINTS}/foo?b=1&a=2`, over('GRPC', 'a')),
  },
  'endpoints by default': {
    feature: true,
    default_config_source: over('AGGREGATED_DELTA_GRPC', 'b'),
    ...endpoints(`${ENDPOINTS}/foo`),
  },
  'routes, feature off': { config_sources: [authority('auth')], ...routes(`${ROUTES}/foo?b=1&a=2`) },
  'routes, feature on': { feature: true, config_sources: [authority('auth')], ...routes(`${ROUTES}/foo?b=1&a=2`) },
};

/** The first request: to whom, how and for what. */
async function asked(name: string, binary: string, { feature = false, ...parts }: Json): Promise<readonly string[]> {
  const planes = [new GrpcControlPlane(), new GrpcControlPlane()] as const;
  const ports = await Promise.all(planes.map((plane) => plane.listen()));
  const { clusters = [], listeners = [], ...bootstrap } = parts;
  const options = {
    '@type': `type.googleapis.com/${HTTP_OPTIONS}`,
    explicit_http_config: { http2_protocol_options: {} },
  };
  const http2 = { typed_extension_protocol_options: { [HTTP_OPTIONS]: options } };
  const config = {
    node: { id: 'me', cluster: 'k&=', locality: { region: 'r' }, metadata: { text: 'a b', list: [1.5, null] } },
    admin: { address: tcp(0) },
    layered_runtime: { layers: [{ name: 's', static_layer: feature === true ? { [FEATURE]: true } : {} }] },
    ...bootstrap,
    static_resources: {
      clusters: [cluster('a', ports[0]!, http2), cluster('b', ports[1]!, http2), ...(clusters as Json[])],
      listeners,
    },
  };
  try {
    for (const plane of planes) plane.silent = true;
    await using _ = await ProxyProcess.start(name, binary, JSON.stringify(config));
    const requests = () =>
      planes.flatMap(({ streams }, index) =>
        streams.flatMap(({ method, requests: received }) =>
          received.map((request) => {
            const names = 'resourceNames' in request ? request.resourceNames : request.resourceNamesSubscribe;
            return `${'ab'[index]} ${method} ${request.typeUrl} ${names.join()}`;
          }),
        ),
      );
    return await eventually('a request', () => (requests().length > 0 ? requests() : undefined));
  } finally {
    for (const plane of planes) plane.close();
  }
}

test.skipIf(envoyBinary === undefined).each(Object.entries(CASES))('%s', async (_, parts) => {
  const [envoy, outrigger] = await Promise.all([
    asked('envoy', envoyBinary!, parts),
    asked('outrigger', OUTRIGGER, parts),
  ]);
  expect(outrigger).toEqual(envoy);
});
