import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { TcpProxyModel } from '../../../src/config/tcp-proxy-model.ts';
import { ResponseFlag } from '../../../src/filters/response-flags.ts';
import { hash64 } from '../../../src/lib/hash64.ts';
import { TcpProxyChain } from '../../../src/proxy/connection/tcp-proxy-chain.ts';
import type { LoadBalancerContext } from '../../../src/proxy/upstream/upstream.ts';
import { CLUSTER_STATS } from '../../../src/proxy/upstream/cluster-stats.ts';
import { TCP_PROXY_STATS } from '../../../src/telemetry/stats/tcp-proxy-stats.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeCluster } from '../../support/fake-cluster.ts';
import { FakeDownstream } from '../../support/fake-downstream.ts';
import type { FakeUpstreamConnection } from '../../support/fake-tcp-pool.ts';
import { TestWorker } from '../../support/worker.ts';

const tcpProxyModel = (overrides: Partial<TcpProxyModel> = {}): TcpProxyModel => ({
  statPrefix: 'test',
  clusters: [{ name: 'backend', weight: 1, metadataMatch: undefined }],
  totalWeight: 1,
  idleTimeoutMs: 0,
  maxDownstreamConnectionDurationMs: 0,
  durationJitterPercent: 0,
  maxConnectAttempts: 1,
  backOff: undefined,
  metadataMatch: undefined,
  hashPolicies: [],
  tunneling: undefined,
  accessLogs: [{ name: 'log', message: new Uint8Array() }],
  proxyProtocolTlvs: [],
  accessLogFlushIntervalMs: 0,
  flushAccessLogOnConnected: false,
  ...overrides,
});

class Fixture {
  readonly clock = new FakeClock();
  readonly worker = new TestWorker(this.clock);
  readonly cluster: FakeCluster;
  readonly downstream: FakeDownstream;

  constructor() {
    const { dispatcher } = this.worker.context;
    this.cluster = new FakeCluster('backend', dispatcher, this.worker.stats);
    this.downstream = new FakeDownstream(dispatcher);
  }

  /** A connection to a TCP proxy with this config. */
  accept(overrides: Partial<TcpProxyModel> = {}): this {
    const clusters = { get: (name: string) => (name === 'backend' ? this.cluster : undefined) };
    const chain = new TcpProxyChain(tcpProxyModel(overrides), { ...this.worker.context, clusters });
    const { dispatcher } = this.worker.context;
    dispatcher.turn(() => (this.downstream.input = chain.onConnection(this.downstream)));
    return this;
  }

  get pool(): FakeCluster['fakeTcpPool'] {
    return this.cluster.fakeTcpPool;
  }

  stat(name: keyof typeof TCP_PROXY_STATS.at): number {
    return this.worker.stats.scope('tcp.test.').block(TCP_PROXY_STATS).get(TCP_PROXY_STATS.at[name]) + 0;
  }

  clusterStat(name: keyof typeof CLUSTER_STATS.at): number {
    return this.cluster.stats.get(CLUSTER_STATS.at[name]) + 0;
  }
}

let fixture: Fixture;
beforeEach(() => (fixture = new Fixture()));

describe('connecting', () => {
  test('reads nothing before there is an upstream', () => {
    const { downstream, pool } = fixture.accept();
    expect(downstream.pauses).toBe(1);
    const upstream = pool.ready();
    expect(downstream.pauses).toBe(0);
    downstream.data('hello');
    upstream.data('world');
    expect([upstream.written, downstream.written]).toEqual(['hello', 'world']);
  });

  test('keeps what came all the same, and sends it first', () => {
    const { downstream, pool } = fixture.accept();
    downstream.data('ea');
    downstream.data('rly');
    downstream.end();
    const upstream = pool.ready();
    expect([upstream.written, upstream.writeEnded]).toEqual(['early', true]);
    expect(fixture.stat('early_data_received_count_total')).toBe(2);
  });

  test('an unknown cluster closes the connection', () => {
    const { downstream } = fixture.accept({ clusters: [{ name: 'none', weight: 1, metadataMatch: undefined }] });
    expect([downstream.closed, downstream.streamInfo.flags]).toEqual(['abort', ResponseFlag.NC]);
    expect(fixture.stat('downstream_cx_no_route')).toBe(1);
  });

  test('without a host', () => {
    fixture.cluster.hosts = [];
    expect(fixture.accept().downstream.streamInfo.flags).toBe(ResponseFlag.UH);
  });

  test('over the limit of connections', () => {
    fixture.cluster.breakerOf.connectable = false;
    expect(fixture.accept().downstream.streamInfo.flags).toBe(ResponseFlag.UO);
    expect(fixture.clusterStat('upstream_cx_overflow')).toBe(1);
  });

  test('tries as often as it may', () => {
    const { downstream, pool } = fixture.accept({ maxConnectAttempts: 3 });
    pool.fail('remote connection failure', 'delayed connect error: Connection refused');
    pool.fail('connection timeout');
    expect(downstream.closed).toBeUndefined();
    pool.fail('local connection failure');
    expect(downstream.closed).toBe('abort');
    const { flags, attemptCount } = downstream.streamInfo;
    expect([flags, attemptCount]).toEqual([ResponseFlag.UF | ResponseFlag.URX, 3]);
    expect(fixture.clusterStat('upstream_cx_connect_attempts_exceeded')).toBe(1);
  });

  test('waits between attempts', () => {
    const { pool, clock } = fixture.accept({ maxConnectAttempts: 2, backOff: { baseMs: 100, maxMs: 100 } });
    pool.fail('remote connection failure');
    expect(pool.waiting).toHaveLength(0);
    clock.advance(101);
    expect(pool.waiting).toHaveLength(1);
  });

  test('a reset tells the peer of bytes that nobody read', () => {
    const { downstream, pool } = fixture.accept();
    downstream.unreadBytes = 3;
    pool.fail('remote connection failure');
    expect(downstream.closed).toBe('reset');
  });

  test('a downstream that leaves meanwhile takes its request along', () => {
    const { downstream, pool } = fixture.accept();
    downstream.gone();
    expect(pool.waiting).toHaveLength(0);
  });

  test('hashes the source address, or filter state', () => {
    const seen: (bigint | undefined)[] = [];
    const pick = fixture.cluster.pickHost.bind(fixture.cluster);
    fixture.cluster.pickHost = (context: LoadBalancerContext) => {
      seen.push(context.hash);
      return pick(context);
    };
    fixture.accept({ hashPolicies: [{ kind: 'source-ip' }] });
    fixture.downstream.streamInfo.filterState.set('key', 'value');
    fixture.accept({ hashPolicies: [{ kind: 'filter-state', key: 'key' }] });
    expect(seen).toEqual([hash64(fixture.downstream.info.remoteIp), hash64('value')]);
  });

  test('goes to the cluster that filter state names', () => {
    fixture.downstream.streamInfo.filterState.set('envoy.tcp_proxy.cluster', 'other');
    expect(fixture.accept().downstream.streamInfo.flags).toBe(ResponseFlag.NC);
  });
});

describe('flow control', () => {
  test('a slow upstream stops the downstream', () => {
    const { downstream, pool } = fixture.accept();
    const upstream = pool.ready();
    upstream.writable = false;
    downstream.data('a');
    downstream.data('b');
    expect(downstream.pauses).toBe(1);
    upstream.drain();
    expect(downstream.pauses).toBe(0);
    expect(fixture.stat('downstream_flow_control_paused_reading_total')).toBe(1);
    expect(fixture.stat('downstream_flow_control_resumed_reading_total')).toBe(1);
  });

  test('a slow downstream stops the upstream', () => {
    const { downstream, pool } = fixture.accept();
    const upstream = pool.ready();
    downstream.writable = false;
    downstream.bufferedBytes = 2;
    upstream.data('ab');
    expect(upstream.pauses).toBe(1);
    expect(fixture.stat('downstream_cx_tx_bytes_buffered')).toBe(2);
    downstream.drain();
    expect(upstream.pauses).toBe(0);
    expect(fixture.stat('downstream_cx_tx_bytes_buffered')).toBe(0);
    expect(fixture.clusterStat('upstream_flow_control_paused_reading_total')).toBe(1);
    expect(fixture.clusterStat('upstream_flow_control_resumed_reading_total')).toBe(1);
  });
});

describe('the end', () => {
  const open = (overrides: Partial<TcpProxyModel> = {}): FakeUpstreamConnection =>
    fixture.accept(overrides).pool.ready();

  test('a half-close goes through, and the other half goes on', () => {
    const upstream = open();
    const { downstream } = fixture;
    downstream.end();
    expect([upstream.writeEnded, downstream.input?.allowsHalfClose]).toEqual([true, true]);
    upstream.data('late');
    upstream.end();
    expect([downstream.written, downstream.writeEnded]).toEqual(['late', true]);
  });

  test('an upstream that goes is followed, flushed', () => {
    open().gone();
    expect(fixture.downstream.closed).toBe('flush-no-delay');
    expect(fixture.downstream.streamInfo.flags).toBe(0);
  });

  test('a reset goes through both ways', () => {
    const upstream = open();
    upstream.wasReset = true;
    upstream.gone();
    expect([fixture.downstream.closed, fixture.downstream.streamInfo.flags]).toEqual(['reset', ResponseFlag.UR]);
    fixture = new Fixture();
    const other = open();
    fixture.downstream.wasReset = true;
    fixture.downstream.gone();
    expect(other.closed).toBe('reset');
  });

  test('what the downstream has sent still goes out', () => {
    const upstream = open();
    upstream.bufferedBytes = 9;
    fixture.downstream.gone();
    expect(upstream.closed).toBe('flush');
    expect(fixture.stat('upstream_flush_active')).toBe(1);
    upstream.gone();
    expect([fixture.stat('upstream_flush_active'), fixture.stat('upstream_flush_total')]).toEqual([0, 1]);
  });

  test('a flush takes no longer than the idle timeout, and ends with the first byte that nobody wants', () => {
    const upstream = open({ idleTimeoutMs: 50 });
    upstream.bufferedBytes = 9;
    fixture.downstream.gone();
    fixture.clock.advance(51);
    expect(upstream.closed).toBe('abort');
    expect(fixture.stat('idle_timeout')).toBe(1);
    fixture = new Fixture();
    const other = open();
    other.bufferedBytes = 9;
    fixture.downstream.gone();
    other.data('x');
    expect(other.closed).toBe('abort');
  });

  test('a connection that we cut off takes its upstream with it', () => {
    const upstream = open();
    upstream.bufferedBytes = 9;
    fixture.downstream.close('abort');
    fixture.downstream.gone();
    expect(upstream.closed).toBe('abort');
  });

  test('idle timeout: bytes either way put it off', () => {
    const upstream = open({ idleTimeoutMs: 100 });
    const { clock, downstream } = fixture;
    clock.advance(90);
    downstream.data('a');
    clock.advance(90);
    upstream.data('b');
    clock.advance(90);
    expect(downstream.closed).toBeUndefined();
    clock.advance(11);
    expect([downstream.closed, fixture.stat('idle_timeout')]).toEqual(['abort', 1]);
  });

  test('filter state sets the idle timeout of one connection', () => {
    fixture.downstream.streamInfo.filterState.set('envoy.tcp_proxy.per_connection_idle_timeout_ms', 20);
    open({ idleTimeoutMs: 1000 });
    fixture.clock.advance(21);
    expect(fixture.downstream.closed).toBe('abort');
  });

  test('the longest duration', () => {
    open({ maxDownstreamConnectionDurationMs: 100 });
    fixture.clock.advance(101);
    expect([fixture.downstream.closed, fixture.downstream.streamInfo.flags]).toEqual(['abort', ResponseFlag.DT]);
  });

  test('logs once at the end, and on the way if asked', () => {
    open({ flushAccessLogOnConnected: true, accessLogFlushIntervalMs: 100 });
    fixture.clock.advance(250);
    expect(fixture.worker.logged).toHaveLength(3);
    fixture.downstream.gone();
    fixture.clock.advance(500);
    expect(fixture.worker.logged).toHaveLength(4);
  });
});

test('all bytes arrive in order both ways, however chunks, pauses and half-closes come', () => {
  const action = fc.oneof(
    fc.record({ side: fc.constantFrom('down', 'up'), what: fc.constant('data'), text: fc.string({ minLength: 1 }) }),
    fc.record({
      side: fc.constantFrom('down', 'up'),
      what: fc.constantFrom('end', 'block', 'drain'),
      text: fc.constant(''),
    }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), fc.nat(10), (actions, connectAt) => {
      fixture = new Fixture();
      const { downstream, pool } = fixture.accept();
      let upstream: FakeUpstreamConnection | undefined;
      const sent = { down: '', up: '' };
      const ended = { down: false, up: false };
      actions.forEach(({ side, what, text }, index) => {
        if (index >= connectAt) upstream ??= pool.ready();
        const end = side as 'down' | 'up';
        if (end === 'up' && upstream === undefined) return;
        const source = end === 'down' ? downstream : upstream!;
        if (what === 'block') source.writable = false;
        else if (what === 'drain') source.drain();
        else if (!ended[end] && (source.pauses === 0 || upstream === undefined)) {
          // A paused side delivers nothing; one that hasn't got an upstream yet may, from filters that held it.
          if (what === 'end') {
            ended[end] = true;
            source.end();
          } else {
            sent[end] += Buffer.from(text, 'latin1').toString('latin1');
            source.data(text);
          }
        }
      });
      upstream ??= pool.ready();
      upstream.drain();
      downstream.drain();
      expect([upstream.written, downstream.written]).toEqual([sent.down, sent.up]);
      expect([upstream.writeEnded, downstream.writeEnded]).toEqual([ended.down, ended.up]);
      expect([upstream.pauses, downstream.pauses]).toEqual([0, 0]);
    }),
  );
});
