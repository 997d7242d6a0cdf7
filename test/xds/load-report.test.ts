import { create, fromBinary, toBinary, toJson, type JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { NodeSchema } from '../../src/api/generated/envoy/config/core/v3/base_pb.js';
import {
  LoadStatsRequestSchema,
  LoadStatsResponseSchema,
} from '../../src/api/generated/envoy/service/load_stats/v3/lrs_pb.js';
import type { ClusterStatus, HostStats, HostStatus } from '../../src/config/cluster-status-model.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { LOAD_REPORTER_STATS } from '../../src/telemetry/stats/subscription-stats.ts';
import { LoadReporter } from '../../src/xds/load-report.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeGrpcChannel } from '../support/fake-grpc-channel.ts';

type Counts = Partial<Pick<HostStats, 'rqSuccess' | 'rqError' | 'rqTotal' | 'rqActive'>>;

const host = (port: number, zone: string, counts: Counts, priority = 0): HostStatus => ({
  address: { kind: 'socket', host: '127.0.0.1', port, ipv4Compat: false },
  hostname: '',
  weight: 1,
  priority,
  region: 'r',
  zone,
  subZone: '',
  canary: false,
  health: {
    failedActiveHealthCheck: false,
    failedOutlierCheck: false,
    failedActiveDegradedCheck: false,
    pendingDynamicRemoval: false,
    pendingActiveHc: false,
    excludedViaImmediateHcFail: false,
    activeHcTimeout: false,
    eds: 'HEALTHY',
  },
  stats: {
    cxActive: 0,
    cxConnectFail: 0,
    cxTotal: 0,
    rqActive: 0,
    rqPendingActive: 0,
    rqError: 0,
    rqSuccess: 0,
    rqTimeout: 0,
    rqTotal: 0,
    ...counts,
  },
  successRate: -1,
  localOriginSuccessRate: -1,
});

const limits = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 1, maxRetries: 1 };
const NO_DROPS = { total: 0, overload: 0, category: '' };
const cluster = (name: string, hosts: readonly HostStatus[], drops = NO_DROPS): ClusterStatus => ({
  name,
  observabilityName: name,
  addedViaApi: true,
  edsServiceName: name === 'a' ? 'service-of-a' : '',
  breakers: { default: limits, high: limits },
  outlier: undefined,
  hosts,
  drops,
});

function started() {
  const clock = new FakeClock();
  const channel = new FakeGrpcChannel('lrs');
  const stats = new ThreadStats();
  const warnings: string[] = [];
  let clusters: readonly ClusterStatus[] = [];
  const reporter = new LoadReporter({
    channel,
    clock,
    stats,
    node: create(NodeSchema, { id: 'me' }),
    clusters: () => clusters,
    log: { warn: (_component, message) => void warnings.push(message) },
  });
  reporter.open();
  const block = stats.block(LOAD_REPORTER_STATS, 'load_reporter.');
  return {
    clock,
    channel,
    reporter,
    warnings,
    set: (...next: readonly ClusterStatus[]) => void (clusters = next),
    ask: (names: readonly string[], seconds: number, all = false, reportEndpointGranularity = false) =>
      channel.last.message(
        toBinary(
          LoadStatsResponseSchema,
          create(LoadStatsResponseSchema, {
            clusters: [...names],
            sendAllClusters: all,
            reportEndpointGranularity,
            loadReportingInterval: { seconds: BigInt(seconds) },
          }),
        ),
      ),
    take: () =>
      channel.last.sent
        .splice(0)
        .map((bytes) => toJson(LoadStatsRequestSchema, fromBinary(LoadStatsRequestSchema, bytes)) as JsonObject),
    stat: (name: keyof typeof LOAD_REPORTER_STATS.at) => block.get(LOAD_REPORTER_STATS.at[name]) + 0,
  };
}

describe('LoadReporter', () => {
  test('introduces itself, and reports what was asked for since it was asked', () => {
    const { set, ask, take, clock, stat } = started();
    expect(take()).toEqual([{ node: { id: 'me' } }]);
    const other = cluster('b', [host(9, 'z', { rqSuccess: 7 })]);
    set(cluster('a', [host(1, 'x', { rqSuccess: 10, rqTotal: 11 }), host(2, 'y', {})]), other);
    ask(['a', 'none'], 2);
    clock.advance(1999);
    expect(take()).toEqual([]);
    set(
      cluster('a', [
        host(1, 'x', { rqSuccess: 13, rqError: 1, rqTotal: 16 }),
        host(3, 'x', { rqSuccess: 1, rqTotal: 1, rqActive: 2 }),
        host(2, 'y', {}),
      ]),
      other,
    );
    clock.advance(1);
    expect(take()).toEqual([
      {
        node: { id: 'me' },
        clusterStats: [
          {
            clusterName: 'a',
            clusterServiceName: 'service-of-a',
            upstreamLocalityStats: [
              {
                locality: { region: 'r', zone: 'x' },
                totalSuccessfulRequests: '4',
                totalErrorRequests: '1',
                totalRequestsInProgress: '2',
                totalIssuedRequests: '6',
              },
            ],
            loadReportInterval: '2s',
          },
        ],
      },
    ]);
    clock.advance(2000);
    // In flight all the while.
    expect(take()).toMatchObject([{ clusterStats: [{ upstreamLocalityStats: [{ totalRequestsInProgress: '2' }] }] }]);
    expect([stat('requests'), stat('responses'), stat('errors')]).toEqual([1, 3, 0]);
  });

  test('all clusters, those that come later from the next period on; priorities apart', () => {
    const { set, ask, take, clock } = started();
    set(cluster('a', [host(1, 'x', {}), host(2, 'x', {}, 1)]));
    ask([], 1, true);
    take();
    set(cluster('a', [host(1, 'x', { rqSuccess: 1 }), host(2, 'x', { rqSuccess: 2 }, 1)]), cluster('b', []));
    clock.advance(1000);
    const priorities = take().map(({ clusterStats }) => clusterStats);
    expect(priorities).toMatchObject([
      [
        {
          clusterName: 'a',
          upstreamLocalityStats: [{ totalSuccessfulRequests: '1' }, { priority: 1, totalSuccessfulRequests: '2' }],
        },
      ],
    ]);
    clock.advance(1000);
    expect(take()).toMatchObject([{ clusterStats: [{ clusterName: 'a' }, { clusterName: 'b' }] }]);
  });

  test('each host that something was sent to, if the server wants to know', () => {
    const { set, ask, take, clock } = started();
    set(cluster('a', []));
    ask(['a'], 1, false, true);
    take();
    set(cluster('a', [host(1, 'x', { rqSuccess: 1, rqTotal: 1 }), host(2, 'x', {}), host(3, 'x', { rqError: 1 })]));
    clock.advance(1000);
    const endpoint = (portValue: number, counts: JsonObject) => ({
      address: { socketAddress: { address: '127.0.0.1', portValue } },
      ...counts,
    });
    expect(take()).toMatchObject([
      {
        clusterStats: [
          {
            upstreamLocalityStats: [
              {
                upstreamEndpointStats: [
                  endpoint(1, { totalSuccessfulRequests: '1', totalIssuedRequests: '1' }),
                  endpoint(3, { totalErrorRequests: '1' }),
                ],
              },
            ],
          },
        ],
      },
    ]);
  });

  test('what was dropped since the last report', () => {
    const { set, ask, take, clock } = started();
    const drop = (total: number, overload: number) =>
      set(cluster('a', [], { total, overload, category: 'lb' }), cluster('b', []));
    drop(5, 2);
    ask(['a'], 1);
    drop(8, 3);
    take();
    clock.advance(1000);
    const [report] = take();
    expect(report).toMatchObject({
      clusterStats: [{ totalDroppedRequests: '3', droppedRequests: [{ category: 'lb', droppedCount: '1' }] }],
    });
    drop(9, 3);
    clock.advance(1000);
    expect(JSON.stringify(take())).not.toContain('droppedRequests');
  });

  test('another answer changes what is reported, and goes on counting what stays', () => {
    const { set, ask, take, clock } = started();
    set(cluster('a', [host(1, 'x', {})]), cluster('b', [host(2, 'x', {})]));
    ask(['a'], 10);
    clock.advance(5000);
    take();
    ask(['a', 'b'], 1);
    set(cluster('a', [host(1, 'x', { rqSuccess: 3 })]), cluster('b', [host(2, 'x', { rqSuccess: 4 })]));
    clock.advance(1000);
    expect(take()).toMatchObject([
      {
        clusterStats: [
          { clusterName: 'a', loadReportInterval: '6s' },
          { clusterName: 'b', loadReportInterval: '1s' },
        ],
      },
    ]);
  });

  test('opens another stream five seconds after the last has ended', () => {
    const { channel, clock, stat, warnings, ask, take } = started();
    ask([], 1, true);
    channel.last.end({ code: 14, details: 'gone' });
    expect(warnings).toEqual(['StreamLoadStats gRPC stream to lrs closed: 14, gone']);
    clock.advance(4999);
    expect(channel.streams).toHaveLength(1);
    clock.advance(1);
    expect(channel.streams).toHaveLength(2);
    expect(take()).toEqual([{ node: { id: 'me' } }]);
    channel.last.message(Buffer.from([0xff]));
    expect([stat('errors'), stat('retries')]).toEqual([2, 1]);
    clock.advance(5000);
    channel.last.end({ code: 0, details: '' });
    expect(warnings).toHaveLength(2);
    clock.advance(5000);
    expect([channel.streams.length, stat('errors'), stat('retries')]).toEqual([4, 2, 3]);
  });

  test('ends for good', () => {
    const { reporter, channel, clock, ask } = started();
    ask([], 1, true);
    reporter.close();
    expect(channel.last.cancelled).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
