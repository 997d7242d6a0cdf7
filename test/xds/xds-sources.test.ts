import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fromBinary, fromJson, type JsonValue } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { NodeSchema } from '../../src/api/generated/envoy/config/core/v3/base_pb.js';
import {
  ApiConfigSourceSchema,
  ConfigSourceSchema,
} from '../../src/api/generated/envoy/config/core/v3/config_source_pb.js';
import { GrpcServiceSchema } from '../../src/api/generated/envoy/config/core/v3/grpc_service_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import type { BuiltCluster, ClusterModel } from '../../src/config/cluster-model.ts';
import type { AddressModel } from '../../src/config/common-model.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Random } from '../../src/lib/random.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { CONTROL_PLANE_STATS, SUBSCRIPTION_STATS } from '../../src/telemetry/stats/subscription-stats.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import type { ResourceUpdate } from '../../src/xds/resource-update.ts';
import type { Subscription, SubscriptionTarget } from '../../src/xds/subscription.ts';
import { XdsSources, type XdsSourcesOptions } from '../../src/xds/xds-sources.ts';
import { eventually } from '../support/eventually.ts';
import { GrpcControlPlane } from '../support/grpc-control-plane.ts';
import { assignment, endpoint, staticCluster } from '../support/upstream-models.ts';

const { cds, eds, lds, rds } = RESOURCE_TYPES;
const types = new TypeRegistry();
/** Soon, every time. */
const hasty: Random = { unit: () => 0.01, below: () => 0 };

let server: GrpcControlPlane;
let stats: ThreadStats;
let sources: XdsSources | undefined;
let warnings: string[];
beforeEach(() => {
  server = new GrpcControlPlane();
  stats = new ThreadStats();
  warnings = [];
});
afterEach(() => {
  sources?.close();
  sources = undefined;
  server.close();
});

const at = (port: number, host = '127.0.0.1'): AddressModel => ({ kind: 'socket', host, port, ipv4Compat: false });

function clusterAt(addresses: readonly AddressModel[], model: Partial<ClusterModel> = {}): BuiltCluster {
  const endpoints = addresses.map((address) => ({ ...endpoint('127.0.0.1:1'), address }));
  return staticCluster({ name: 'xds', ...model }, { ...assignment([]), endpoints });
}

const ADS = fromJson(ConfigSourceSchema, { ads: {} });
const service = { envoy_grpc: { cluster_name: 'xds' } };
const configOf = (api: JsonValue) => fromJson(ConfigSourceSchema, { api_config_source: api });

function newSources(
  ads: JsonValue,
  clusters: readonly BuiltCluster[],
  options: Partial<XdsSourcesOptions> = {},
): XdsSources {
  sources = new XdsSources({
    node: fromJson(NodeSchema, { id: 'me', cluster: 'mine' }),
    adsConfig: ads === null ? undefined : fromJson(ApiConfigSourceSchema, ads),
    cluster: (name) => clusters.find(({ model }) => model.name === name),
    transport: () => undefined,
    types,
    clock: systemClock,
    random: hasty,
    log: { debug: () => {}, warn: (_component, message) => void warnings.push(message) },
    stats,
    ...options,
  });
  return sources;
}

/** Holds what it was told, name to content. */
function holder(typeUrl: string, names?: readonly string[]) {
  const held = new Map<string, string>();
  const updates: ResourceUpdate[] = [];
  const target: SubscriptionTarget = {
    typeUrl,
    names,
    stats: stats.scope(`${typeUrl.slice(typeUrl.lastIndexOf('.') + 1)}.`),
    onUpdate: (update) => {
      updates.push(update);
      const contents = update.set.map(
        ({ name, value }) => [name, fromBinary(ClusterSchema, value).altStatName] as const,
      );
      const bad = contents.filter(([, content]) => content === 'bad');
      if (bad.length > 0) return `bad: ${bad.map(([name]) => name).join()}`;
      for (const [name, content] of contents) held.set(name, content);
      for (const name of update.removed) held.delete(name);
      return '';
    },
  };
  const block = target.stats.block(SUBSCRIPTION_STATS);
  return {
    target,
    held,
    updates,
    stat: (name: keyof typeof SUBSCRIPTION_STATS.at) => block.get(SUBSCRIPTION_STATS.at[name]) + 0,
  };
}

const connectedState = (): number =>
  stats.block(CONTROL_PLANE_STATS, 'control_plane.').get(CONTROL_PLANE_STATS.at.connected_state);

describe.each(['GRPC', 'DELTA_GRPC'])('ADS over %s', (apiType) => {
  const ads = { api_type: apiType, grpc_services: [service], set_node_on_first_message_only: true };

  test('brings resources, changes and removals', async () => {
    const port = await server.listen();
    server.plane.set(cds, 'a', '1');
    server.plane.set(eds, 'a', 'hosts');
    const xds = newSources(ads, [clusterAt([at(port)])]);
    const clusters = holder(cds);
    const endpoints = holder(eds, []);
    xds.subscribe(ADS, clusters.target);
    const subscription: Subscription = xds.subscribe(ADS, endpoints.target);
    expect(server.streams).toHaveLength(0);
    xds.start();
    await eventually('clusters', () => clusters.held.get('a') === '1');
    subscription.setNames(['a']);
    await eventually('endpoints', () => endpoints.held.get('a') === 'hosts');
    server.plane.set(cds, 'a', '2');
    server.plane.set(cds, 'b', '1');
    server.push();
    await eventually('the change', () => clusters.held.get('a') === '2' && clusters.held.has('b'));
    server.plane.remove(cds, 'b');
    server.push();
    await eventually('the removal', () => !clusters.held.has('b'));
    expect(server.streams).toHaveLength(1);
    expect(server.streams[0]!.requests.map(({ node }) => node?.id)).toEqual([
      'me',
      ...Array.from({ length: server.streams[0]!.requests.length - 1 }, () => undefined),
    ]);
    expect(connectedState()).toBe(1);
    expect(server.plane.nacks).toEqual([]);
    expect(clusters.stat('update_success')).toBeGreaterThanOrEqual(3);
  });

  test('brings what is in a collection, and what is spelled otherwise', async () => {
    const port = await server.listen();
    const name = (id: string) => `xdstp://auth/envoy.config.cluster.v3.Cluster/some/${id}?a=2&b=1&xds.node.id=me`;
    server.plane.set(cds, name('x'), '1');
    server.plane.set(cds, name('deep/x'), '1');
    const xds = newSources(ads, [clusterAt([at(port)])], { nodeContextParams: ['id'] });
    const locator = 'xdstp://auth/envoy.config.cluster.v3.Cluster/some/*?b=1&a=2';
    const all = holder(cds, [locator]);
    const context = holder(rds, ['xdstp://auth/T/r?b=1&a=2']);
    xds.subscribe(ADS, { ...all.target, isCollection: true });
    xds.subscribe(ADS, context.target);
    xds.start();
    await eventually('the collection', () => all.held.get(name('x')) === '1');
    server.plane.set(cds, name('y'), '1');
    server.plane.set(rds, 'xdstp://auth/T/r?a=2&b=1', 'routes');
    server.push();
    await eventually('the addition', () => all.held.has(name('y')));
    await eventually('the routes', () => context.held.size === 1);
    server.plane.remove(cds, name('x'));
    server.push();
    await eventually('the removal', () => !all.held.has(name('x')));
    expect([...all.held.keys()]).toEqual([name('y')]);
    const [first] = server.streams[0]!.requests;
    expect('resourceNames' in first! ? first.resourceNames : first!.resourceNamesSubscribe).toEqual([name('*')]);
  });

  test('a bad resource is refused by name, the good ones stay', async () => {
    const port = await server.listen();
    server.plane.set(cds, 'a', '1');
    const xds = newSources(ads, [clusterAt([at(port)])]);
    const clusters = holder(cds);
    xds.subscribe(ADS, clusters.target);
    xds.start();
    await eventually('clusters', () => clusters.held.has('a'));
    server.plane.set(cds, 'b', 'bad');
    server.push();
    await eventually('the refusal', () => server.plane.nacks.length > 0);
    expect(server.plane.nacks[0]).toEqual({ typeUrl: cds, message: 'bad: b' });
    expect([...clusters.held]).toEqual([['a', '1']]);
    expect(clusters.stat('update_rejected')).toBe(1);
    server.plane.set(cds, 'b', '2');
    server.push();
    await eventually('the mended one', () => clusters.held.get('b') === '2');
  });

  test('survives resets at every point, and misses nothing', async () => {
    const port = await server.listen();
    server.plane.set(cds, 'a', '0');
    // The first stream ends with its first request, the second with its second, ...
    const resets = 4;
    server.onRequest = (_request, stream) => {
      const index = server.streams.indexOf(stream);
      if (index >= resets || stream.requests.length !== index + 1) return false;
      stream.fail(14, 'reset by test');
      return true;
    };
    const xds = newSources(ads, [clusterAt([at(port)])]);
    const clusters = holder(cds);
    const listeners = holder(lds);
    const routes = holder(rds, ['r']);
    server.plane.set(rds, 'r', 'route');
    for (const { target } of [clusters, listeners, routes]) xds.subscribe(ADS, target);
    xds.start();
    await eventually('the streams', () => server.streams.length > resets);
    server.plane.set(cds, 'a', 'last');
    server.plane.set(lds, 'l', 'listener');
    server.push();
    await eventually('the last state', () => clusters.held.get('a') === 'last' && listeners.held.has('l'));
    await eventually('routes', () => routes.held.get('r') === 'route');
    expect(clusters.stat('update_failure')).toBe(resets);
  });

  test('comes back soon after the server does, and tells what it holds', async () => {
    const port = await server.listen();
    server.plane.set(cds, 'a', '1');
    const xds = newSources(ads, [clusterAt([at(port)])]);
    const clusters = holder(cds);
    xds.subscribe(ADS, clusters.target);
    xds.start();
    await eventually('clusters', () => clusters.held.has('a'));
    server.stop();
    await eventually('the loss', () => connectedState() === 0);
    await eventually('failures', () => clusters.stat('update_failure') >= 3);
    expect(clusters.held.get('a')).toBe('1');
    await server.listen(`127.0.0.1:${port}`);
    const before = server.streams.length;
    const since = performance.now();
    await eventually(
      'the next stream',
      () => server.streams.length > before && server.streams.at(-1)!.requests.length > 0,
    );
    // The library's own back-off would be a second at least.
    expect(performance.now() - since).toBeLessThan(900);
    const [request] = server.streams.at(-1)!.requests;
    expect(request!.node?.id).toBe('me');
    if ('initialResourceVersions' in request!) expect(request.initialResourceVersions).toEqual({ a: '1' });
    else expect(request!.versionInfo).not.toBe('');
    server.plane.set(cds, 'a', '2');
    server.push();
    await eventually('the change', () => clusters.held.get('a') === '2');
  });

  test('a server that says nothing costs the first fetch, and nothing else', async () => {
    const port = await server.listen();
    server.silent = true;
    const xds = newSources(ads, [clusterAt([at(port)])]);
    const clusters = holder(cds);
    const timedOut = Promise.withResolvers<void>();
    const patient = fromJson(ConfigSourceSchema, { ads: {}, initial_fetch_timeout: '0.05s' });
    xds.subscribe(patient, { ...clusters.target, onFetchTimeout: () => timedOut.resolve() });
    xds.start();
    await timedOut.promise;
    expect(clusters.stat('init_fetch_timeout')).toBe(1);
    await eventually('a request', () => server.streams[0]?.requests.length === 1);
    server.silent = false;
    server.plane.set(cds, 'a', 'late');
    const [request] = server.streams[0]!.requests;
    if ('initialResourceVersions' in request!) server.plane.onDeltaRequest(request);
    else server.plane.onRequest(request!);
    server.push();
    await eventually('the late answer', () => clusters.held.get('a') === 'late');
  });
});

describe('streams of their own', () => {
  const config = (apiType: string) => configOf({ api_type: apiType, grpc_services: [service] });

  test.each([
    ['GRPC', '/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters'],
    ['DELTA_GRPC', '/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters'],
  ])('%s: one for each subscription, with the node in each', async (apiType, method) => {
    const port = await server.listen();
    server.plane.set(cds, 'a', '1');
    const xds = newSources(null, [clusterAt([at(port)])]);
    const clusters = holder(cds);
    xds.subscribe(config(apiType), clusters.target);
    await eventually('clusters', () => clusters.held.has('a'));
    expect(server.streams[0]!.method).toBe(method);
    server.plane.set(eds, 'b', 'hosts');
    const one = holder(eds, ['b']);
    const subscription = xds.subscribe(config(apiType), one.target);
    await eventually('endpoints', () => one.held.has('b'));
    expect(server.streams).toHaveLength(2);
    expect(server.streams.map(({ requests }) => requests[0]!.node?.id)).toEqual(['me', 'me']);
    const state = stats.block(CONTROL_PLANE_STATS, 'ClusterLoadAssignment.control_plane.');
    expect(state.get(CONTROL_PLANE_STATS.at.connected_state)).toBe(1);
    subscription.close();
    await eventually('the end of the stream', () => server.streams[1]!.ended);
    expect(server.streams[0]!.ended).toBe(false);
  });

  test('repeat the node unless told not to', async () => {
    const port = await server.listen();
    server.plane.set(cds, 'a', '1');
    const xds = newSources(null, [clusterAt([at(port)])]);
    xds.subscribe(config('GRPC'), holder(cds).target);
    await eventually('the acknowledgement', () => server.streams[0]?.requests.length === 2);
    expect(server.streams[0]!.requests.map(({ node }) => node?.id)).toEqual(['me', 'me']);
  });

  test('say who they are, and bring what they were told to', async () => {
    const port = await server.listen();
    const xds = newSources(null, [clusterAt([at(port)])]);
    const services: JsonValue[] = [
      {
        envoy_grpc: { cluster_name: 'xds', authority: 'istiod.test' },
        initial_metadata: [{ key: 'Authorization', value: 'Bearer x' }],
      },
      { envoy_grpc: { cluster_name: 'xds' } },
    ];
    for (const each of services)
      xds.subscribe(configOf({ api_type: 'GRPC', grpc_services: [each] }), holder(cds).target);
    await eventually('streams', () => server.streams.length === 2);
    const [first, second] = [...server.streams].sort((a, b) => b.authority.localeCompare(a.authority));
    expect(second!.authority).toBe('istiod.test');
    expect(second!.metadata).toMatchObject({ authorization: 'Bearer x' });
    expect(first!.authority).toBe('xds');
  });
});

describe('the cluster of a control plane', () => {
  const ads = { api_type: 'GRPC', grpc_services: [service] };
  const connect = async (clusters: readonly BuiltCluster[], options: Partial<XdsSourcesOptions> = {}) => {
    const xds = newSources(ads, clusters, options);
    const held = holder(cds);
    server.plane.set(cds, 'a', '1');
    xds.subscribe(ADS, held.target);
    xds.start();
    await eventually('clusters', () => held.held.has('a'));
    return held;
  };

  test('is a Unix socket, relative to the working directory', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'xds-'));
    try {
      const path = join(dir, 'XDS');
      await server.listen(`unix:${path}`);
      await connect([clusterAt([{ kind: 'pipe', path: relative(process.cwd(), path), mode: 0 }])]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('is one of several endpoints, the next when one is down', async () => {
    const port = await server.listen();
    const gone = await freePort();
    const clusters = await connect([clusterAt([at(gone), at(port)])]);
    expect(clusters.stat('update_failure')).toBe(1);
    expect(server.streams).toHaveLength(1);
  });

  test('is found by name', async () => {
    const port = await server.listen();
    const looked: string[] = [];
    await connect([clusterAt([at(port, 'istiod.test')])], {
      lookup: (host, family) => {
        looked.push(`${host} ${family}`);
        return Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
      },
    });
    expect(looked).toEqual(['istiod.test 0']);
  });

  test('is given up after its connect timeout when it accepts and is mute', async () => {
    const sockets = createServer(() => {});
    const mute = await listening(sockets);
    const port = await server.listen();
    const clusters = await connect([clusterAt([at(mute), at(port)], { connectTimeoutMs: 50 })]);
    expect(clusters.stat('update_failure')).toBe(1);
    sockets.close();
  });

  test('without endpoints is no healthy upstream', async () => {
    const xds = newSources(ads, [clusterAt([])]);
    const held = holder(cds);
    xds.subscribe(ADS, held.target);
    xds.start();
    await eventually('failures', () => held.stat('update_failure') >= 2);
  });

  test('that stands in for another takes over', async () => {
    const port = await server.listen();
    const second = { ...clusterAt([at(port)], { name: 'other' }) };
    const xds = newSources({ api_type: 'GRPC', grpc_services: [service, { envoy_grpc: { cluster_name: 'other' } }] }, [
      clusterAt([at(await freePort())]),
      second,
    ]);
    const held = holder(cds);
    server.plane.set(cds, 'a', '1');
    xds.subscribe(ADS, held.target);
    xds.start();
    await eventually('clusters', () => held.held.has('a'));
    expect(connectedState()).toBe(2);
  });
});

test('google_grpc names its target itself', async () => {
  const port = await server.listen();
  server.plane.set(cds, 'a', '1');
  const xds = newSources(null, []);
  const held = holder(cds);
  const google = { google_grpc: { target_uri: `127.0.0.1:${port}`, stat_prefix: 'google' } };
  xds.subscribe(configOf({ api_type: 'DELTA_GRPC', grpc_services: [google] }), held.target);
  await eventually('clusters', () => held.held.has('a'));
});

test('a gRPC call that is no stream', async () => {
  const port = await server.listen();
  const xds = newSources(null, [clusterAt([at(port)])]);
  const channel = xds.channels.get(fromJson(GrpcServiceSchema, service));
  expect(await channel.call('/none.Such/Method', new Uint8Array(), 1000)).toMatchObject({ code: 12 });
});

test.each<[string, JsonValue]>([
  ['a header that none can be', { ...service, initial_metadata: [{ key: 'no good', value: 'x' }] }],
  ['a target that makes no sense', { google_grpc: { target_uri: 'unix:///%%%::', stat_prefix: 'x' } }],
  [
    'a file that is not there',
    {
      google_grpc: {
        target_uri: '127.0.0.1:1',
        stat_prefix: 'x',
        channel_credentials: { ssl_credentials: { root_certs: { filename: '/none/such' } } },
      },
    },
  ],
])('%s is a stream that fails, again and again', async (_what, grpcService) => {
  const port = await server.listen();
  const xds = newSources(null, [clusterAt([at(port)])]);
  const held = holder(cds);
  xds.subscribe(configOf({ api_type: 'GRPC', grpc_services: [grpcService] }), held.target);
  await eventually('failures', () => held.stat('update_failure') >= 3);
});

test('without ADS what asks for it waits in vain', async () => {
  const xds = newSources(null, []);
  const held = holder(cds);
  const timedOut = Promise.withResolvers<void>();
  const impatient = fromJson(ConfigSourceSchema, { ads: {}, initial_fetch_timeout: '0.01s' });
  xds.subscribe(impatient, { ...held.target, onFetchTimeout: () => timedOut.resolve() });
  xds.start();
  await timedOut.promise;
});

function listening(sockets: Server): Promise<number> {
  return new Promise((resolve) => {
    sockets.listen(0, '127.0.0.1', () => resolve((sockets.address() as { port: number }).port));
  });
}

async function freePort(): Promise<number> {
  const sockets = createServer();
  const port = await listening(sockets);
  await new Promise((resolve) => sockets.close(resolve));
  return port;
}
