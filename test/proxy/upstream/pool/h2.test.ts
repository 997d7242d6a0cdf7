import { beforeEach, describe, expect, test } from 'vitest';
import type { ClusterModel } from '../../../../src/config/cluster-model.ts';
import type { TlsInfo } from '../../../../src/filters/stream-info.ts';
import type { UpstreamTransportSocket } from '../../../../src/proxy/transport-socket/transport-socket.ts';
import type { Pool } from '../../../../src/proxy/upstream/upstream.ts';
import { RecordingRequest } from '../../../support/recording-request.ts';
import { PlainContext, defaultHttp2Options, thresholds } from '../../../support/upstream-models.ts';
import { UpstreamRig } from '../../../support/upstream-rig.ts';

let rig: UpstreamRig;
let pool: Pool;

function setUp(model: Partial<ClusterModel> = {}): void {
  rig = new UpstreamRig({ httpVersion: 'http2', ...model });
  pool = rig.cluster.pool(rig.cluster.pickHost(new PlainContext())!, 'default');
}
beforeEach(() => setUp());

function request(): RecordingRequest {
  const made = new RecordingRequest();
  rig.dispatcher.turn(() => void made.start(pool));
  return made;
}
const requests = (count: number): RecordingRequest[] => Array.from({ length: count }, () => request());
const connect = (): void => rig.connector.last.connect();
const ready = (list: readonly RecordingRequest[]): number => list.filter((one) => one.log[0] === 'ready').length;

describe('an HTTP/2 pool', () => {
  test('one connection carries all requests, those that wait first', () => {
    const waiting = requests(3);
    expect(rig.connector.sockets.length).toBe(1);
    expect(ready(waiting)).toBe(0);
    connect();
    expect(ready(waiting)).toBe(3);
    expect(ready(requests(2))).toBe(2);
    expect(rig.connector.sockets.length).toBe(1);
    const [codec] = rig.codecs.all;
    expect(codec!.open.length).toBe(5);
    for (const stream of codec!.open) stream.respond();
    expect(waiting[0]!.log).toEqual(['ready', 'status 200', 'end']);
    expect(waiting[0]!.stream).toMatchObject({ protocol: 'HTTP/2', host: { address: '10.0.0.1:80' } });
    expect(rig.values('upstream_cx_http2_total', 'upstream_cx_http1_total', 'upstream_rq_total')).toEqual({
      upstream_cx_http2_total: 1,
      upstream_cx_http1_total: 0,
      upstream_rq_total: 5,
    });
    expect(rig.stat('http2.rx_reset')).toBe(0);
    expect(rig.stat('upstream_rq_active')).toBe(0);
  });

  test('as many connections as our own limit of streams makes necessary', () => {
    setUp({ http2: { ...defaultHttp2Options, maxConcurrentStreams: 2 } });
    const waiting = requests(5);
    expect(rig.connector.sockets.length).toBe(3);
    for (const socket of rig.connector.sockets) socket.connect();
    expect(ready(waiting)).toBe(5);
    expect(rig.codecs.all.map((codec) => codec.open.length)).toEqual([2, 2, 1]);
  });

  test('the limit of the peer holds once it is known', () => {
    requests(1);
    connect();
    const [codec] = rig.codecs.all;
    codec!.announce(2);
    expect(ready(requests(1))).toBe(1);
    const over = requests(2);
    expect(ready(over)).toBe(0);
    expect(rig.connector.sockets.length).toBe(2);
    // A place becomes free before the second connection is up.
    codec!.open[0]!.respond();
    expect(ready(over)).toBe(1);
    // The peer takes more.
    codec!.announce(10);
    expect(ready(over)).toBe(2);
    expect(codec!.open.length).toBe(3);
  });

  test('GOAWAY: no new streams, those that are served go on, refused ones fail as such', () => {
    const [served, refused] = requests(2);
    connect();
    const [codec] = rig.codecs.all;
    codec!.sayGoAway(1);
    expect(refused!.log).toEqual(['ready', 'reset: remote refused stream reset']);
    expect(rig.connector.sockets[0]!.closed).toBeUndefined();
    requests(1);
    expect(rig.connector.sockets.length).toBe(2);
    codec!.open[0]!.respond();
    expect(served!.log.at(-1)).toBe('end');
    expect(rig.connector.sockets[0]!.closed).toBe('abort');
    expect(rig.values('upstream_cx_close_notify', 'upstream_rq_rx_reset', 'upstream_rq_tx_reset')).toEqual({
      upstream_cx_close_notify: 1,
      upstream_rq_rx_reset: 0,
      upstream_rq_tx_reset: 0,
    });
  });

  test('GOAWAY on an idle connection closes it', () => {
    requests(1);
    connect();
    const [codec] = rig.codecs.all;
    codec!.open[0]!.respond();
    codec!.sayGoAway();
    expect(rig.connector.last.closed).toBe('abort');
    rig.connector.settle();
    expect(rig.inFlight().every((count) => count === 0)).toBe(true);
  });

  test('resets are counted by who made them, and cost no connection', () => {
    const [ours, theirs, next] = requests(3);
    connect();
    const [codec] = rig.codecs.all;
    rig.dispatcher.turn(() => ours!.stream!.reset('local reset'));
    codec!.open[0]!.break('remote reset');
    expect(theirs!.log.at(-1)).toBe('reset: remote reset');
    expect(rig.values('upstream_rq_tx_reset', 'upstream_rq_rx_reset')).toEqual({
      upstream_rq_tx_reset: 1,
      upstream_rq_rx_reset: 1,
    });
    codec!.open[0]!.respond();
    expect(next!.log.at(-1)).toBe('end');
    expect(rig.connector.last.closed).toBeUndefined();
  });

  test('the end of the connection ends its streams', () => {
    const both = requests(2);
    connect();
    rig.connector.last.disconnect();
    for (const one of both) expect(one.log).toEqual(['ready', 'reset: connection termination']);
    expect(
      rig.values(
        'upstream_cx_destroy_remote_with_active_rq',
        'upstream_cx_destroy_with_active_rq',
        'upstream_cx_destroy_local',
        'upstream_rq_pending_failure_eject',
      ),
    ).toEqual({
      upstream_cx_destroy_remote_with_active_rq: 1,
      upstream_cx_destroy_with_active_rq: 1,
      upstream_cx_destroy_local: 0,
      upstream_rq_pending_failure_eject: 2,
    });
    expect(rig.inFlight().every((count) => count === 0)).toBe(true);
  });

  test('a peer that breaks the protocol', () => {
    const [only] = requests(1);
    connect();
    rig.codecs.all[0]!.breakProtocol();
    expect(only!.log.at(-1)).toBe('reset: protocol error');
    requests(1);
    expect(rig.connector.sockets.length).toBe(2);
    rig.connector.sockets[0]!.settle();
    expect(rig.values('upstream_cx_protocol_error', 'upstream_cx_destroy_local')).toEqual({
      upstream_cx_protocol_error: 1,
      upstream_cx_destroy_local: 1,
    });
  });

  test('max_requests_per_connection bounds streams, also of connections that are not up yet', () => {
    setUp({ maxRequestsPerConnection: 2 });
    const waiting = requests(3);
    expect(rig.connector.sockets.length).toBe(2);
    for (const socket of rig.connector.sockets) socket.connect();
    expect(ready(waiting)).toBe(3);
    expect(rig.stat('upstream_cx_max_requests')).toBe(1);
    const [full] = rig.codecs.all;
    full!.open[0]!.respond();
    expect(rig.connector.sockets[0]!.closed).toBeUndefined();
    full!.open[0]!.respond();
    expect(rig.connector.sockets[0]!.closed).toBe('abort');
  });

  test('the idle timeout runs while there is no stream, the time to live always', () => {
    setUp({ idleTimeoutMs: 100, maxConnectionDurationMs: 1000 });
    requests(1);
    connect();
    rig.clock.advance(500);
    expect(rig.connector.last.closed).toBeUndefined();
    rig.codecs.all[0]!.open[0]!.respond();
    rig.clock.advance(101);
    expect(rig.connector.last.closed).toBe('abort');
    expect(rig.stat('upstream_cx_idle_timeout')).toBe(1);
    rig.connector.settle();

    requests(1);
    connect();
    rig.clock.advance(1001);
    expect(rig.stat('upstream_cx_max_duration_reached')).toBe(1);
    expect(rig.connector.last.closed).toBeUndefined();
    rig.codecs.all[1]!.open[0]!.respond();
    expect(rig.connector.last.closed).toBe('abort');
  });

  test('a connection that fails fails all that wait for it', () => {
    const waiting = requests(3);
    rig.connector.last.refuse();
    for (const one of waiting) expect(one.log[0]).toMatch(/^failed: remote connection failure/);
    expect(rig.stat('upstream_rq_pending_failure_eject')).toBe(3);
    expect(rig.inFlight().every((count) => count === 0)).toBe(true);
  });

  test('too many requests at once', () => {
    setUp({ thresholds: { default: thresholds({ maxRequests: 1 }), high: thresholds() } });
    requests(1);
    connect();
    const [over] = requests(1);
    expect(over!.log).toEqual(['failed: overflow']);
    expect(rig.stat('upstream_rq_active_overflow')).toBe(1);
  });

  test('draining: streams go on, nothing is left afterwards', () => {
    const [last] = requests(1);
    connect();
    rig.dispatcher.turn(() => rig.clusters.drain());
    expect(rig.connector.last.closed).toBeUndefined();
    rig.codecs.all[0]!.open[0]!.respond();
    expect(last!.log.at(-1)).toBe('end');
    expect(rig.connector.last.closed).toBe('abort');
  });
});

describe('which HTTP', () => {
  const tls = (alpn: string): TlsInfo => ({ alpn }) as TlsInfo;

  test('auto: what ALPN settled on', () => {
    setUp({ httpVersion: 'auto' });
    const [first] = requests(1);
    rig.connector.last.connect(tls('h2'));
    expect(first!.stream!.protocol).toBe('HTTP/2');
    expect(ready(requests(1))).toBe(1);
    expect(rig.connector.sockets.length).toBe(1);
    expect(rig.values('upstream_cx_http2_total', 'upstream_cx_http1_total')).toEqual({
      upstream_cx_http2_total: 1,
      upstream_cx_http1_total: 0,
    });
  });

  test.each([[undefined], [tls('')], [tls('http/1.1')]])('auto: HTTP/1.1 otherwise', (info) => {
    setUp({ httpVersion: 'auto' });
    const [first, second] = requests(2);
    // Envoy expects one stream of a connection of which it knows nothing.
    expect(rig.connector.sockets.length).toBe(2);
    for (const socket of rig.connector.sockets) socket.connect(info);
    expect([first!.stream!.protocol, second!.stream!.protocol]).toEqual(['HTTP/1.1', 'HTTP/1.1']);
    expect(rig.stat('upstream_cx_http1_total')).toBe(2);
  });

  test('downstream: a pool for each version that requests come with', () => {
    setUp({ httpVersion: 'downstream' });
    const host = rig.cluster.pickHost(new PlainContext())!;
    const of = (version?: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2') => rig.cluster.pool(host, 'default', undefined, version);
    expect(of('HTTP/1.0')).toBe(of('HTTP/1.1'));
    expect(of()).toBe(of('HTTP/1.1'));
    expect(of('HTTP/2')).not.toBe(of('HTTP/1.1'));
    pool = of('HTTP/2');
    const [two] = requests(1);
    connect();
    expect(two!.stream!.protocol).toBe('HTTP/2');
  });
});

describe('transport options', () => {
  const options = (key: string) => ({
    key,
    serverName: key,
    subjectAltNames: [],
    alpnProtocols: [],
    downstream: undefined,
  });

  test('have pools of their own, which are forgotten once they are empty', () => {
    setUp({ httpVersion: 'http1', idleTimeoutMs: 10 });
    const host = rig.cluster.pickHost(new PlainContext())!;
    const of = (key: string) => rig.cluster.pool(host, 'default', options(key));
    expect(of('')).toBe(pool);
    const other = of('a.example');
    expect(other).not.toBe(pool);
    expect(of('a.example')).toBe(other);
    pool = other;
    requests(1);
    expect(rig.connector.last.options.transport.serverName).toBe('a.example');
    connect();
    rig.connector.last.receive('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    expect(of('a.example')).toBe(other);
    rig.clock.advance(11);
    rig.connector.settle();
    expect(of('a.example')).not.toBe(other);
    expect(rig.inFlight().every((count) => count === 0)).toBe(true);
  });

  test('an endpoint gets the first transport socket that its metadata matches', () => {
    const made: string[] = [];
    const create = (model: { kind: string }): UpstreamTransportSocket => {
      made.push(model.kind);
      return { model, isReady: true, isSecure: true, close() {} } as unknown as UpstreamTransportSocket;
    };
    const tlsModel = { kind: 'tls' } as ClusterModel['transportSocket'];
    const model = {
      transportSocket: tlsModel,
      transportSocketMatches: [
        { name: 'plain', match: { mode: 'plain' }, socket: { kind: 'raw-buffer' as const } },
        { name: 'other', match: { mode: 'other' }, socket: tlsModel },
      ],
    };
    const socketFor = (mode: string): UpstreamTransportSocket | undefined => {
      made.length = 0;
      rig = new UpstreamRig(model, { metadata: { 'envoy.transport_socket_match': { mode } } }, create);
      return rig.cluster.hosts[0]!.transportSocket;
    };
    expect(socketFor('plain')).toBeUndefined();
    expect(socketFor('other')).toBeDefined();
    expect(socketFor('none')).toBeDefined();
    expect(made).toEqual(['tls', 'tls']);
    rig = new UpstreamRig({ ...model, transportSocket: { kind: 'raw-buffer' } }, {}, create);
    expect(rig.cluster.hosts[0]!.transportSocket).toBeUndefined();
  });
});
