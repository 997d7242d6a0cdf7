import { fromBinary, type JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { HTTPFaultSchema } from '../../../src/api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { HeaderList } from '../../../src/filters/headers.ts';
import type { ForwardAction, Route, RouteTable } from '../../../src/proxy/router/route.ts';
import { fakeRuntime, request, routeTable, streamInfo, tableOf } from '../../support/route-table.ts';

function forward(route: Route | undefined): ForwardAction {
  if (route?.action.kind !== 'forward') throw new Error('not forwarded');
  return route.action;
}

const oneRoute = (route: JsonObject, more: JsonObject = {}): RouteTable =>
  tableOf([{ match: { prefix: '/' }, route, ...more }]);

function clusterOf(table: RouteTable, randomValue: number, headers: HeaderList = []): string {
  return forward(table.resolve(request('/', { headers }), streamInfo(), randomValue)).clusterName;
}

describe('weighted clusters', () => {
  const clusters = [
    { name: 'a', weight: 20 },
    { name: 'b', weight: 0 },
    { name: 'c', weight: 80 },
  ];

  test('share requests by the random value', () => {
    const table = oneRoute({ weighted_clusters: { clusters } });
    expect([0, 19, 20, 99, 100, 4_000_000_000 + 20].map((value) => clusterOf(table, value))).toEqual([
      'a',
      'a',
      'c',
      'c',
      'a',
      'c',
    ]);
  });

  test('a header can carry the random value', () => {
    const table = oneRoute({ weighted_clusters: { clusters, header_name: 'X-R' } });
    expect(clusterOf(table, 0, [['x-r', '20']])).toBe('c');
    expect(clusterOf(table, 0, [['x-r', '18446744073709551615']])).toBe('a');
    expect(clusterOf(table, 50, [['x-r', '18446744073709551616']])).toBe('c');
    expect(clusterOf(table, 0, [['x-r', '-20']])).toBe('a');
    expect(clusterOf(table, 0, [['x-r', 'x']])).toBe('a');
    const twice: HeaderList = [
      ['x-r', '20'],
      ['x-r', '20'],
    ];
    expect(clusterOf(table, 0, twice)).toBe('a');
  });

  test('runtime overrides weights', () => {
    const config = {
      virtual_hosts: [
        {
          name: 'v',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { weighted_clusters: { clusters, runtime_key_prefix: 'w' } } }],
        },
      ],
    };
    const table = routeTable(config, { runtime: fakeRuntime({ 'w.b': 10, 'w.c': 0 }) });
    expect([19, 20, 29, 30].map((value) => clusterOf(table, value))).toEqual(['a', 'b', 'b', 'a']);
    const none = routeTable(config, { runtime: fakeRuntime({ 'w.a': 0, 'w.c': 0 }) });
    expect(none.resolve(request('/'), streamInfo(), 0)).toBeUndefined();
  });

  test('bring their own host and metadata criteria; the host comes before that of the route', () => {
    const table = oneRoute({
      metadata_match: { filter_metadata: { 'envoy.lb': { a: 1, b: 1 } } },
      weighted_clusters: {
        clusters: [
          {
            name: 'a',
            weight: 1,
            host_rewrite_literal: 'w.com',
            metadata_match: { filter_metadata: { 'envoy.lb': { b: 2 } } },
          },
        ],
      },
    });
    const headers = request('/');
    const route = table.resolve(headers, streamInfo(), 0);
    route!.finalizeRequest(headers, streamInfo());
    expect([headers.authority, headers.has('x-envoy-original-host')]).toEqual(['w.com', false]);
    expect(forward(route).metadataMatch).toEqual({ 'envoy.lb': { a: 1, b: 2 } });
  });
});

describe('cluster_header', () => {
  test('names the cluster by its first field', () => {
    const table = oneRoute({ cluster_header: 'X-C' });
    expect(
      clusterOf(table, 0, [
        ['x-c', 'one'],
        ['x-c', 'two'],
      ]),
    ).toBe('one');
    expect(clusterOf(table, 0)).toBe('');
    const again = (): Route | undefined => table.resolve(request('/', { headers: [['x-c', 'one']] }), streamInfo(), 0);
    expect(again()).toBe(again());
  });

  test('works inside of weighted clusters and for any number of names', () => {
    const table = oneRoute({ weighted_clusters: { clusters: [{ cluster_header: 'x-c', weight: 1 }] } });
    for (let i = 0; i < 2000; i++) expect(clusterOf(table, 0, [['x-c', `c${i}`]])).toBe(`c${i}`);
  });
});

describe('a forward action', () => {
  test('has the defaults of Envoy', () => {
    expect(forward(oneRoute({ cluster: 'c' }).resolve(request('/'), streamInfo(), 0))).toMatchObject({
      clusterName: 'c',
      clusterNotFoundStatus: 503,
      priority: 'default',
      timeoutMs: 15_000,
      idleTimeoutMs: undefined,
      maxStreamDurationMs: undefined,
      retry: undefined,
      hedgeOnPerTryTimeout: false,
      requestBufferLimitBytes: undefined,
      mirrors: [],
      internalRedirect: undefined,
      autoHostRewrite: false,
      appendXForwardedHost: false,
    });
  });

  test('carries what the route sets', () => {
    const table = oneRoute({
      cluster: 'c',
      cluster_not_found_response_code: 'NOT_FOUND',
      priority: 'HIGH',
      timeout: '0s',
      idle_timeout: '1.5s',
      max_stream_duration: { max_stream_duration: '2s', grpc_timeout_header_max: '0s' },
      auto_host_rewrite: true,
      upgrade_configs: [{ upgrade_type: 'WebSocket' }, { upgrade_type: 'connect', enabled: false }],
    });
    const action = forward(table.resolve(request('/'), streamInfo(), 0));
    expect(action).toMatchObject({
      clusterNotFoundStatus: 404,
      priority: 'high',
      timeoutMs: 0,
      idleTimeoutMs: 1500,
      maxStreamDurationMs: 2000,
      grpcTimeoutHeaderMaxMs: 0,
      autoHostRewrite: true,
    });
    expect([...action.upgrades]).toEqual([
      ['websocket', true],
      ['connect', false],
    ]);
  });
});

describe('per-filter configs', () => {
  const fault = (numerator: number): JsonObject => ({
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault',
    abort: { http_status: 503, percentage: { numerator } },
  });
  const wrapped = (config: JsonObject): JsonObject => ({
    '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig',
    ...config,
  });
  const table = tableOf(
    [
      {
        match: { prefix: '/w' },
        route: {
          weighted_clusters: { clusters: [{ name: 'c', weight: 1, typed_per_filter_config: { f: fault(4) } }] },
        },
        typed_per_filter_config: { f: fault(3) },
      },
      {
        match: { prefix: '/off' },
        route: { cluster: 'c' },
        typed_per_filter_config: {
          f: wrapped({ disabled: true }),
          g: wrapped({ config: {} }),
          h: wrapped({ config: fault(9) }),
        },
      },
      { match: { prefix: '/' }, route: { cluster: 'c' } },
    ],
    { typed_per_filter_config: { f: fault(2) } },
    { typed_per_filter_config: { f: fault(1) } },
  );
  const configs = (path: string, name: string): readonly (number | boolean | undefined)[] =>
    table
      .resolve(request(path), streamInfo(), 0)!
      .perFilterConfigs(name)
      .map(({ value, disabled, typeName }) => {
        if (value === undefined) return disabled;
        expect(typeName).toBe(HTTPFaultSchema.typeName);
        return fromBinary(HTTPFaultSchema, value).abort?.percentage?.numerator;
      });

  test('go from the configuration to the weighted cluster', () => {
    expect(configs('/w', 'f')).toEqual([1, 2, 3, 4]);
    expect(configs('/', 'f')).toEqual([1, 2]);
    expect(configs('/', 'other')).toEqual([]);
  });

  test('of a FilterConfig are taken out of it', () => {
    expect(configs('/off', 'f')).toEqual([1, 2, true]);
    expect(configs('/off', 'g')).toEqual([false]);
    expect(configs('/off', 'h')).toEqual([9]);
  });

  test('are the same list each time, so that filters can remember what they made of it', () => {
    const route = table.resolve(request('/w'), streamInfo(), 0)!;
    expect(route.perFilterConfigs('f')).toBe(route.perFilterConfigs('f'));
  });
});
