import { beforeEach, describe, expect, test } from 'vitest';
import type { ClusterModel } from '../../../../src/config/cluster-model.ts';
import { SeededRandom } from '../../../../src/lib/random.ts';
import { SharedCells } from '../../../../src/lib/shared-cells.ts';
import { H1ClientConnection } from '../../../../src/proxy/codec/h1/client.ts';
import { Dispatcher } from '../../../../src/proxy/dispatcher.ts';
import { clusterCellCount, readBreaker } from '../../../../src/proxy/upstream/circuit-breaker.ts';
import { ClusterSet } from '../../../../src/proxy/upstream/cluster-set.ts';
import { hostCellCount, readHostStats } from '../../../../src/proxy/upstream/host-cells.ts';
import { poolFactory } from '../../../../src/proxy/upstream/pool/pool-factory.ts';
import type { Cluster, Pool } from '../../../../src/proxy/upstream/upstream.ts';
import { ThreadStats } from '../../../../src/telemetry/stats/arena.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeConnector } from '../../../support/fake-connector.ts';
import { RecordingRequest } from '../../../support/recording-request.ts';
import { PlainContext, clusterModel, endpoint, hostSet, thresholds } from '../../../support/upstream-models.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

let clock: FakeClock;
let connector: FakeConnector;
let dispatcher: Dispatcher;
let stats: ThreadStats;
let shared: SharedCells;
let clusters: ClusterSet;
let cluster: Cluster;
let pool: Pool;
let clusterSlot: number;
let hostSlot: number;

function setUp(model: Partial<ClusterModel> = {}): void {
  clock = new FakeClock();
  dispatcher = new Dispatcher(clock);
  connector = new FakeConnector();
  stats = new ThreadStats();
  shared = new SharedCells();
  clusterSlot = shared.allocate(clusterCellCount(1));
  hostSlot = shared.allocate(hostCellCount(1));
  let ids = 0;
  clusters = new ClusterSet({
    shared,
    lane: 0,
    random: new SeededRandom(1),
    stats,
    dispatcher,
    pools: poolFactory({
      dispatcher,
      connector: connector.connect,
      codecs: {
        http1: (output, turns, settings, owner) => new H1ClientConnection(output, turns, settings, owner),
        http2: () => {
          throw new Error('no HTTP/2 here');
        },
      },
      nextConnectionId: () => ++ids,
    }),
  });
  clusters.apply({
    clusters: { set: [clusterModel({ sharedSlot: clusterSlot, ...model })], remove: [] },
    hosts: [hostSet('backend', [{ ...endpoint('10.0.0.1:80'), sharedSlot: hostSlot }])],
  });
  cluster = clusters.get('backend')!;
  pool = cluster.pool(cluster.pickHost(new PlainContext())!, 'default');
}

beforeEach(() => setUp());

/** Starts a request in a turn of its own. */
function request(path?: string): RecordingRequest {
  const made = new RecordingRequest(path);
  dispatcher.turn(() => void made.start(pool));
  return made;
}

const stat = (name: string): number | undefined => stats.value(`cluster.backend.${name}`);
const changed = (...names: string[]): Record<string, number> =>
  Object.fromEntries(names.map((name) => [name, stat(name)!]));

/** Nothing may be in flight once all is over. */
function expectAllReleased(): void {
  expect(readBreaker(shared, clusterSlot, 'default')).toEqual({
    connections: 0,
    pendingRequests: 0,
    requests: 0,
    retries: 0,
  });
  const { cxActive, rqActive, rqPendingActive } = readHostStats(shared, hostSlot);
  expect([cxActive, rqActive, rqPendingActive]).toEqual([0, 0, 0]);
  for (const gauge of ['upstream_cx_active', 'upstream_rq_active', 'upstream_rq_pending_active'])
    expect([gauge, stat(gauge)]).toEqual([gauge, 0]);
}

describe('an HTTP/1 pool', () => {
  test('the first request waits for a connection, the next takes it', () => {
    const first = request('/a');
    expect(first.log).toEqual([]);
    expect(stat('upstream_rq_pending_active')).toBe(1);
    connector.last.connect();
    expect(connector.last.written).toContain('GET /a HTTP/1.1\r\n');
    connector.last.receive(OK);
    expect(first.log).toEqual(['ready', 'status 200', 'end']);
    expect(first.body).toBe('ok');

    const second = request('/b');
    expect(second.log).toEqual(['ready']);
    expect(connector.sockets.length).toBe(1);
    connector.last.receive(OK);
    expect(second.log.at(-1)).toBe('end');
    expect(
      changed('upstream_cx_total', 'upstream_cx_http1_total', 'upstream_rq_total', 'upstream_rq_pending_total'),
    ).toEqual({ upstream_cx_total: 1, upstream_cx_http1_total: 1, upstream_rq_total: 2, upstream_rq_pending_total: 1 });
    expect(readHostStats(shared, hostSlot).rqTotal).toBe(2);
    expect(stat('http1.response_flood')).toBe(0);
  });

  test('the connection that was used last is used next', () => {
    const requests = [request('/1'), request('/2'), request('/3')];
    for (const socket of connector.sockets) socket.connect();
    expect(requests.every((one) => one.log[0] === 'ready')).toBe(true);
    for (const place of [1, 2, 0]) connector.sockets[place]!.receive(OK);
    request('/again');
    expect(connector.sockets[0]!.written).toContain('/again');
  });

  test('a connection is begun for each request that waits, and requests go first come first served', () => {
    const [a, b] = [request('/a'), request('/b')];
    expect(connector.sockets.length).toBe(2);
    connector.sockets[1]!.connect();
    expect(connector.sockets[1]!.written).toContain('GET /a');
    connector.sockets[1]!.receive(OK);
    expect(connector.sockets[1]!.written).toContain('GET /b');
    expect([a.log.at(-1), b.log.at(-1)]).toEqual(['end', 'ready']);
    // The other one, once it is up, has nothing to do and is kept.
    connector.sockets[0]!.connect();
    request('/c');
    expect(connector.sockets[0]!.written).toContain('GET /c');
    expect(connector.sockets.length).toBe(2);
  });

  test('a failed connection fails every request that waits', () => {
    const requests = [request(), request()];
    connector.sockets[0]!.refuse();
    for (const one of requests)
      expect(one.log).toEqual(['failed: remote connection failure (delayed connect error: Connection refused)']);
    expect(
      changed(
        'upstream_cx_connect_fail',
        'upstream_cx_destroy_remote',
        'upstream_rq_pending_failure_eject',
        'upstream_rq_total',
      ),
    ).toEqual({
      upstream_cx_connect_fail: 1,
      upstream_cx_destroy_remote: 1,
      upstream_rq_pending_failure_eject: 2,
      upstream_rq_total: 0,
    });
    connector.sockets[1]!.refuse();
    expect(readHostStats(shared, hostSlot).cxConnectFail).toBe(2);
    expectAllReleased();
  });

  test('a request that is made while others fail gets a new connection', () => {
    const retry = new RecordingRequest('/retry');
    const first = new (class extends RecordingRequest {
      override onPoolFailure(): void {
        retry.start(pool);
      }
    })();
    dispatcher.turn(() => void first.start(pool));
    connector.last.refuse();
    expect(connector.sockets.length).toBe(2);
    connector.last.connect();
    expect(retry.log).toEqual(['ready']);
  });

  test('connect timeout', () => {
    setUp({ connectTimeoutMs: 250 });
    const one = request();
    clock.advance(249);
    expect(connector.last.closed).toBeUndefined();
    clock.advance(2);
    expect(connector.last.closed).toBe('abort');
    connector.settle();
    expect(one.log).toEqual(['failed: connection timeout']);
    expect(changed('upstream_cx_connect_timeout', 'upstream_cx_connect_fail', 'upstream_cx_destroy_local')).toEqual({
      upstream_cx_connect_timeout: 1,
      upstream_cx_connect_fail: 1,
      upstream_cx_destroy_local: 1,
    });
    expectAllReleased();
  });

  test('max_pending_requests: one too many fails after the call, not in it', () => {
    setUp({ thresholds: { default: thresholds({ maxPendingRequests: 1 }), high: thresholds() } });
    request();
    const refused = new RecordingRequest();
    dispatcher.turn(() => {
      refused.start(pool);
      expect(refused.log).toEqual([]);
    });
    expect(refused.log).toEqual(['failed: overflow']);
    expect(changed('upstream_rq_pending_overflow', 'upstream_rq_pending_total')).toEqual({
      upstream_rq_pending_overflow: 1,
      upstream_rq_pending_total: 1,
    });
  });

  test('max_requests is checked when a request gets its stream', () => {
    setUp({ thresholds: { default: thresholds({ maxRequests: 1 }), high: thresholds() } });
    const [first, second] = [request(), request()];
    for (const socket of connector.sockets) socket.connect();
    expect([first.log, second.log]).toEqual([['ready'], ['failed: overflow']]);
    const third = request();
    expect(third.log).toEqual(['failed: overflow']);
    expect(stat('upstream_rq_active_overflow')).toBe(2);
    connector.sockets[0]!.receive(OK);
    expect(request().log).toEqual(['ready']);
  });

  test('max_connections: requests share what there is, but a pool without any connection may open one', () => {
    setUp({ thresholds: { default: thresholds({ maxConnections: 1 }), high: thresholds() } });
    const [a, b] = [request('/a'), request('/b')];
    expect(connector.sockets.length).toBe(1);
    expect(stat('upstream_cx_overflow')).toBe(1);
    connector.last.connect();
    connector.last.receive(OK);
    connector.last.receive(OK);
    expect([a.log.at(-1), b.log.at(-1)]).toEqual(['end', 'end']);
    connector.last.disconnect();

    setUp({ thresholds: { default: thresholds({ maxConnections: 0 }), high: thresholds() } });
    request();
    expect(connector.sockets.length).toBe(1);
    connector.last.refuse();
    expectAllReleased();
  });

  test('a request that is cancelled while it waits is not served', () => {
    const [a, b] = [request('/a'), request('/b')];
    dispatcher.turn(() => pool.cancel(a));
    connector.sockets[0]!.connect();
    connector.sockets[1]!.connect();
    expect([a.log, b.log]).toEqual([[], ['ready']]);
    expect(stat('upstream_rq_cancelled')).toBe(1);
    pool.cancel(b);
    expect(stat('upstream_rq_cancelled')).toBe(1);
  });

  test('a request that is cancelled between its refusal and the end of the turn hears nothing', () => {
    setUp({ thresholds: { default: thresholds({ maxPendingRequests: 0 }), high: thresholds() } });
    const one = new RecordingRequest();
    dispatcher.turn(() => {
      one.start(pool);
      pool.cancel(one);
    });
    expect(one.log).toEqual([]);
  });

  test('the upstream closes during a request', () => {
    const one = request();
    connector.last.connect();
    connector.last.disconnect();
    expect(one.log).toEqual(['ready', 'reset: connection termination']);
    expect(
      changed(
        'upstream_cx_destroy_remote',
        'upstream_cx_destroy_remote_with_active_rq',
        'upstream_cx_destroy_with_active_rq',
        'upstream_cx_connect_fail',
      ),
    ).toEqual({
      upstream_cx_destroy_remote: 1,
      upstream_cx_destroy_remote_with_active_rq: 1,
      upstream_cx_destroy_with_active_rq: 1,
      upstream_cx_connect_fail: 0,
    });
    expectAllReleased();
  });

  test('a response without length ends with the connection, which is not an error', () => {
    const one = request();
    connector.last.connect();
    connector.last.receive('HTTP/1.1 200 OK\r\n\r\nall of it');
    connector.last.disconnect();
    expect(one.log).toEqual(['ready', 'status 200', 'end']);
    expect(one.body).toBe('all of it');
    expect(stat('upstream_cx_destroy_with_active_rq')).toBe(0);
    expectAllReleased();
  });

  test('a reset by its user closes the connection under the request', () => {
    const one = request();
    connector.last.connect();
    dispatcher.turn(() => one.stream!.reset('local reset'));
    expect(connector.last.closed).toBe('abort');
    expect(request().log).toEqual([]);
    connector.sockets[0]!.settle();
    expect(stat('upstream_cx_destroy_local_with_active_rq')).toBe(1);
    // A handle that outlived its stream must not touch anything.
    one.stream!.reset('local reset');
    expect(one.log).toEqual(['ready']);
  });

  test('connection: close from the upstream', () => {
    const one = request();
    connector.last.connect();
    connector.last.receive('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok');
    expect(one.log.at(-1)).toBe('end');
    expect(connector.last.closed).toBeDefined();
    expect(request().log).toEqual([]);
    connector.settle();
    expect(changed('upstream_cx_close_notify', 'upstream_cx_destroy_with_active_rq')).toEqual({
      upstream_cx_close_notify: 1,
      upstream_cx_destroy_with_active_rq: 0,
    });
  });

  test('bytes on an idle connection close it', () => {
    request();
    connector.last.connect();
    connector.last.receive(OK);
    connector.last.receive('x');
    expect(connector.last.closed).toBe('abort');
    // The socket is still there, but nobody gets it any more.
    expect(request().log).toEqual([]);
    expect(connector.sockets.length).toBe(2);
    expect(stat('upstream_cx_protocol_error')).toBe(1);
  });

  test('a 408 on an idle connection is a farewell, no protocol error', () => {
    request();
    connector.last.connect();
    connector.last.receive(OK);
    connector.last.receive('HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n');
    expect(connector.last.closed).toBe('abort');
    expect(stat('upstream_cx_protocol_error')).toBe(0);
  });

  test('a second response behind the first reaches nobody', () => {
    const one = request();
    const waiting = request('/waiting');
    connector.sockets[0]!.connect();
    connector.sockets[0]!.receive(OK + 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil');
    expect(one.body).toBe('ok');
    expect(waiting.log).toEqual([]);
    expect(connector.sockets[0]!.closed).toBeDefined();
    connector.sockets[1]!.connect();
    connector.sockets[1]!.receive(OK);
    expect(waiting.body).toBe('ok');
  });

  test('a malformed response', () => {
    const one = request();
    connector.last.connect();
    connector.last.receive('xxHTTP/1.1 200 OK\r\n\r\n');
    expect(one.log).toEqual(['ready', 'reset: protocol error']);
    connector.settle();
    expect(changed('upstream_cx_protocol_error', 'upstream_cx_destroy_local_with_active_rq')).toEqual({
      upstream_cx_protocol_error: 1,
      upstream_cx_destroy_local_with_active_rq: 1,
    });
    expectAllReleased();
  });

  test('max_requests_per_connection', () => {
    setUp({ maxRequestsPerConnection: 2 });
    request();
    connector.last.connect();
    connector.last.receive(OK);
    request();
    expect(connector.last.closed).toBeUndefined();
    connector.last.receive(OK);
    expect(connector.last.closed).toBe('abort');
    expect(stat('upstream_cx_max_requests')).toBe(1);
    request();
    expect(connector.sockets.length).toBe(2);
  });

  test('idle timeout, from the end of the last request', () => {
    setUp({ idleTimeoutMs: 1000 });
    request();
    connector.last.connect();
    clock.advance(5000);
    expect(connector.last.closed).toBeUndefined();
    connector.last.receive(OK);
    clock.advance(999);
    expect(connector.last.closed).toBeUndefined();
    clock.advance(2);
    expect(connector.last.closed).toBe('abort');
    expect(stat('upstream_cx_idle_timeout')).toBe(1);
    connector.settle();
    expectAllReleased();
  });

  test('max_connection_duration waits for the request', () => {
    setUp({ maxConnectionDurationMs: 1000 });
    request();
    connector.last.connect();
    clock.advance(1500);
    expect(connector.last.closed).toBeUndefined();
    connector.last.receive(OK);
    expect(connector.last.closed).toBe('abort');
    expect(stat('upstream_cx_max_duration_reached')).toBe(1);
  });

  test('a host that goes closes idle connections at once and busy ones after their request', () => {
    const [a] = [request('/a'), request('/b')];
    for (const socket of connector.sockets) socket.connect();
    connector.sockets[1]!.receive(OK);
    dispatcher.turn(() => clusters.apply({ hosts: [hostSet('backend', [])] }));
    expect(connector.sockets.map((socket) => socket.closed)).toEqual([undefined, 'abort']);
    connector.sockets[0]!.receive(OK);
    expect(a.log.at(-1)).toBe('end');
    expect(connector.sockets[0]!.closed).toBe('abort');
    connector.settle();
    expectAllReleased();
  });

  test('a host that goes still serves the requests that wait for it', () => {
    const one = request();
    dispatcher.turn(() => clusters.apply({ hosts: [hostSet('backend', [])] }));
    expect(connector.last.closed).toBeUndefined();
    connector.last.connect();
    connector.last.receive(OK);
    expect(one.log.at(-1)).toBe('end');
    expect(connector.last.closed).toBe('abort');
  });

  test('with close_connections_on_host_set_change even the hosts that stay drain', () => {
    setUp({ closeConnectionsOnHostSetChange: true });
    request();
    connector.last.connect();
    connector.last.receive(OK);
    dispatcher.turn(() =>
      clusters.apply({ hosts: [hostSet('backend', [{ ...endpoint('10.0.0.1:80'), sharedSlot: hostSlot }])] }),
    );
    expect(connector.last.closed).toBe('abort');
  });

  test('what the cluster says goes into each connection', () => {
    const bind = { address: '10.0.0.9', port: 0 };
    const tcpKeepalive = { probes: 2, timeMs: 10_000, intervalMs: 5000 };
    setUp({ bind, tcpKeepalive, perConnectionBufferLimitBytes: 4096 });
    request();
    expect(connector.last.options).toMatchObject({
      bind,
      keepalive: tcpKeepalive,
      bufferLimitBytes: 4096,
      connectionId: 1,
    });
  });
});
