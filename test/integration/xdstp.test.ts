import { expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { adsBootstrap, assignment, rdsListener, routesTo } from '../support/ads-config.ts';
import { AdsServer } from '../support/ads-server.ts';
import { eventually } from '../support/eventually.ts';
import { cluster } from '../support/proxy-config.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

type Json = Readonly<Record<string, unknown>>;

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const FEATURE = 'envoy.reloadable_features.xdstp_based_config_singleton_subscriptions';
const named = (type: string, id: string, context = ''): string => `xdstp://auth/envoy.config.${type}/${id}${context}`;
const NODE = '?xds.node.id=node';

test.each([
  ['SotW', false],
  ['delta', true],
])('a proxy of collections, its endpoints and routes from an authority, %s', async (_, delta) => {
  await using upstream = await ScriptedUpstream.start();
  await using ads = await AdsServer.start();
  await using other = await AdsServer.start();
  const assigned = named('endpoint.v3.ClusterLoadAssignment', 'c', '?b=1&a=2');
  const routes = named('route.v3.RouteConfiguration', 'r');
  const backend = named('cluster.v3.Cluster', 'mine/c', NODE);
  const listener = named('listener.v3.Listener', 'mine/in', NODE);
  const aggregated: Json = {
    authorities: [{ name: 'auth' }],
    api_config_source: {
      api_type: delta ? 'AGGREGATED_DELTA_GRPC' : 'AGGREGATED_GRPC',
      transport_api_version: 'V3',
      grpc_services: [{ envoy_grpc: { cluster_name: 'other' } }],
    },
    initial_fetch_timeout: '0s',
  };
  ads.change((set) => {
    const eds = { service_name: assigned };
    set('cds', backend, { name: backend, type: 'EDS', connect_timeout: '1s', eds_cluster_config: eds });
    set('lds', listener, rdsListener(listener, routes));
  });
  other.change((set) => {
    set('eds', named('endpoint.v3.ClusterLoadAssignment', 'c', '?a=2&b=1'), assignment(assigned, upstream.port));
    set('rds', routes, routesTo(routes, backend));
  });
  const bootstrap = adsBootstrap(ads.port, {
    delta,
    clusters: [
      cluster('other', other.port, {
        typed_extension_protocol_options: {
          [HTTP_OPTIONS]: {
            '@type': `type.googleapis.com/${HTTP_OPTIONS}`,
            explicit_http_config: { http2_protocol_options: {} },
          },
        },
      }),
    ],
    bootstrap: {
      node_context_params: ['id'],
      config_sources: [aggregated],
      layered_runtime: { layers: [{ name: 's', static_layer: { [FEATURE]: true } }] },
    },
  });
  const dynamic = bootstrap['dynamic_resources'] as Json;
  const locators = {
    cds_resources_locator: named('cluster.v3.Cluster', 'mine/*'),
    lds_resources_locator: named('listener.v3.Listener', 'mine/*'),
  };
  await using proxy = await createProxy({ config: { ...bootstrap, dynamic_resources: { ...dynamic, ...locators } } });
  const response = await fetch(`http://127.0.0.1:${proxy.port(listener)}/`);
  expect([response.status, await response.text()]).toEqual([200, 'upstream']);
  expect(new Set(ads.requests.map(({ kind }) => kind))).toEqual(new Set(['cds', 'lds']));
  expect(new Set(other.requests.map(({ kind }) => kind))).toEqual(new Set(['eds', 'rds']));
  expect(ads.requests[0]!.names).toEqual([named('cluster.v3.Cluster', 'mine/*', NODE)]);
  expect(other.requests[0]!.names).toEqual([named('endpoint.v3.ClusterLoadAssignment', 'c', '?a=2&b=1')]);
  ads.remove('lds', listener);
  await eventually('the listener to go', () => proxy.stat('listener_manager.total_listeners_active') === 0);
  expect([...ads.plane.nacks, ...other.plane.nacks]).toEqual([]);
});

test.each([
  ['SotW', false],
  ['delta', true],
])('another configuration may name another collection, or none, %s', async (_, delta) => {
  await using ads = await AdsServer.start();
  const member = (collection: string) => named('cluster.v3.Cluster', `${collection}/c`);
  ads.change((set) => {
    for (const name of [member('one'), member('two'), 'three']) set('cds', name, { name, connect_timeout: '1s' });
  });
  const bootstrap = adsBootstrap(ads.port, { delta });
  const config = (locator: string): Json => ({
    ...bootstrap,
    dynamic_resources: {
      ...(bootstrap['dynamic_resources'] as Json),
      lds_config: undefined,
      ...(locator !== '' && { cds_resources_locator: locator }),
    },
  });
  const served = (...names: readonly string[]) =>
    eventually(`${names.join()} alone`, async () => {
      const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort!}/clusters?format=json`)).text();
      const { cluster_statuses: statuses } = JSON.parse(text) as { cluster_statuses: { name: string }[] };
      const found = statuses.map(({ name }) => name).filter((name) => name !== 'xds');
      return found.toSorted().join() === names.toSorted().join();
    });
  await using proxy = await createProxy({ config: config(named('cluster.v3.Cluster', 'one/*')) });
  await served(member('one'));
  await proxy.update(config(named('cluster.v3.Cluster', 'two/*')));
  await served(member('two'));
  await proxy.update(config(''));
  await served(member('one'), member('two'), 'three');
  await proxy.update(config(named('cluster.v3.Cluster', 'one/*')));
  await served(member('one'));
  expect(ads.plane.nacks).toEqual([]);
});
