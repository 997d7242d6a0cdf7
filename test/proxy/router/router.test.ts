import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { RouterWorld } from '../../support/fake-stream.ts';

const forward = (route: JsonObject = {}, rest: JsonObject = {}): JsonObject => ({
  match: { prefix: '/' },
  route: { cluster: 'a', ...route },
  ...rest,
});

describe('requests that never reach an upstream', () => {
  const world = (): RouterWorld =>
    new RouterWorld({
      routes: [
        {
          match: { prefix: '/moved' },
          redirect: { path_redirect: '/new' },
        },
        { match: { prefix: '/made' }, direct_response: { status: 201, body: { inline_string: 'hi' } } },
        { match: { prefix: '/none' }, non_forwarding_action: {} },
        { match: { prefix: '/lost' }, route: { cluster: 'gone', cluster_not_found_response_code: 'NOT_FOUND' } },
        { match: { prefix: '/b' }, route: { cluster: 'b' } },
        { match: { prefix: '/a' }, route: { cluster: 'a' } },
      ],
      virtualHost: { include_attempt_count_in_response: true },
      runtime: { 'upstream.maintenance_mode.b': 100 },
      options: { strictCheckHeaders: ['x-envoy-max-retries', 'x-envoy-retry-on'] },
    });

  test.each([
    ['/other', 404, '', 'NR', 'route_not_found', [], 'http.p.no_route'],
    ['/lost', 404, '', 'NC', 'cluster_not_found', [], 'http.p.no_cluster'],
    // As a real Envoy does, whatever its documentation says.
    ['/none', 503, '', 'NC', 'cluster_not_found', [], 'http.p.no_cluster'],
    ['/moved', 301, '', '-', 'direct_response', [['location', 'http://example.com/new']], 'http.p.rq_direct_response'],
    [
      '/made',
      201,
      'hi',
      '-',
      'direct_response',
      [['location', 'http://example.com/made']],
      'http.p.rq_direct_response',
    ],
    [
      '/b',
      503,
      'maintenance mode',
      'UO',
      'maintenance_mode',
      [['x-envoy-overloaded', 'true']],
      'cluster.b.upstream_rq_maintenance_mode',
    ],
  ] as const)('%s is answered %i', (path, status, body, flags, details, headers, counter) => {
    const at = world();
    const stream = at.start(path);
    expect(stream.replied).toBe(`${status} ${body}`);
    expect(stream.flags).toBe(flags);
    expect(stream.reply?.details).toBe(details);
    expect(stream.reply?.headers ?? []).toEqual(headers);
    expect(at.count(counter)).toBe(1);
    expect(at.count('http.p.rq_total')).toBe(1);
    expect(stream.info.attemptCount).toBe(0);
  });

  test.each([
    [1, 'unconditional drop overload', 'UDO', 'unconditional_drop_overload', 'x-envoy-unconditional-drop-overload'],
    [0.999_999, 'drop overload', 'DO', 'drop_overload', 'x-envoy-drop-overload'],
  ])('a cluster that refuses a share of %d: 503', (share, body, flags, details, header) => {
    const at = world();
    at.a.dropOverload = share;
    const stream = at.start('/a');
    expect(stream.replied).toBe(`503 ${body}`);
    expect([stream.flags, stream.reply?.details]).toEqual([flags, details]);
    expect(stream.reply?.headers).toEqual([[header, 'true']]);
    expect(at.count('cluster.a.external.upstream_rq_503')).toBe(1);
    at.a.dropOverload = 0.000_001;
    expect(at.start('/a').reply).toBeUndefined();
  });

  test('what is dropped counts for load reports, unless statistics are off', () => {
    for (const dynamicStats of [true, false]) {
      const at = new RouterWorld({
        routes: [
          { match: { prefix: '/b' }, route: { cluster: 'b' } },
          { match: { prefix: '/' }, route: { cluster: 'a' } },
        ],
        runtime: { 'upstream.maintenance_mode.b': 100 },
        options: { dynamicStats },
      });
      at.start('/b');
      expect(at.b.drops).toEqual(dynamicStats ? [false] : []);
      at.a.fakePool.immediate = false;
      at.start('/a');
      at.a.fakePool.fail('remote connection failure', 'refused');
      expect(at.a.drops).toEqual([]);
      at.start('/a');
      at.a.fakePool.fail('overflow');
      at.a.dropOverload = 1;
      at.start('/a');
      expect(at.a.drops).toEqual(dynamicStats ? [false, true] : []);
    }
  });

  test('no host: 503 UH, charged to the cluster', () => {
    const at = world();
    at.a.hosts = [];
    const stream = at.start('/a');
    expect(stream.replied).toBe('503 no healthy upstream');
    expect([stream.flags, stream.reply?.details]).toEqual(['UH', 'no_healthy_upstream']);
    expect(stream.reply?.headers).toEqual([['x-envoy-attempt-count', '1']]);
    expect(at.count('cluster.a.external.upstream_rq_503')).toBe(1);
    expect(stream.info.upstreamCluster).toBe('a');
  });

  test('a header that must be understood and is not: 400 IH', () => {
    const stream = world().start('/a', { headers: [['x-envoy-retry-on', '5xx, bogus']] });
    expect(stream.replied).toBe("400 invalid header 'x-envoy-retry-on' with value '5xx, bogus'");
    expect([stream.flags, stream.reply?.details]).toEqual([
      'IH',
      'request_headers_failed_strict_check{x-envoy-retry-on}',
    ]);
    expect(world().start('/a', { headers: [['x-envoy-max-retries', ' 2 ']] }).reply).toBeUndefined();
  });
});

describe('a request and its response', () => {
  test('headers go upstream as Envoy orders them', () => {
    const world = new RouterWorld({
      routes: [
        forward(
          { auto_host_rewrite: true, append_x_forwarded_host: true, prefix_rewrite: '/up/' },
          { request_headers_to_add: [{ header: { key: 'x-added', value: 'v' } }] },
        ),
      ],
      virtualHost: { include_request_attempt_count: true },
    });
    world.a.hosts[0]!.hostname = 'real.host';
    world.start('/x', {
      headers: [
        ['accept', '*/*'],
        ['x-forwarded-proto', 'http'],
      ],
    });
    const { headers, requestEnded } = world.a.fakePool.last;
    expect(requestEnded).toBe(true);
    expect([headers.authority, headers.path]).toEqual(['real.host', '/up/x']);
    expect([...headers.entries()]).toEqual([
      ['accept', '*/*'],
      ['x-forwarded-proto', 'http'],
      ['x-envoy-expected-rq-timeout-ms', '15000'],
      ['x-envoy-attempt-count', '1'],
      ['x-added', 'v'],
      ['x-envoy-original-path', '/x'],
      ['x-envoy-original-host', 'example.com'],
      ['x-forwarded-host', 'example.com'],
    ]);
  });

  test('the proxy keeps the headers that are meant for it', () => {
    const world = new RouterWorld();
    const names = [
      'x-envoy-upstream-rq-per-try-timeout-ms',
      'x-envoy-upstream-rq-timeout-alt-response',
      'x-envoy-upstream-alt-stat-name',
      'x-envoy-upstream-stream-duration-ms',
      'x-envoy-hedge-on-per-try-timeout',
      'x-envoy-retry-on',
      'x-envoy-retry-grpc-on',
      'x-envoy-max-retries',
      'x-envoy-retriable-status-codes',
      'x-envoy-retriable-header-names',
    ];
    world.start('/', {
      headers: [
        ['x-first', '1'],
        ...names.map((name) => [name, '7'] as const),
        ['x-envoy-upstream-rq-timeout-ms', '1234'],
        ['x-envoy-other', '1'],
      ],
    });
    expect([...world.a.fakePool.last.headers.entries()].map(([name]) => name)).toEqual([
      'x-first',
      'x-envoy-other',
      'x-forwarded-proto',
      'x-envoy-expected-rq-timeout-ms',
    ]);
    expect(world.a.fakePool.last.headers.get('x-envoy-expected-rq-timeout-ms')).toBe('7');
  });

  test('the response carries its service time, the route additions and the attempts, in this order', () => {
    const world = new RouterWorld({
      routes: [forward({}, { response_headers_to_add: [{ header: { key: 'x-added', value: 'v' } }] })],
      virtualHost: { include_attempt_count_in_response: true },
    });
    const stream = world.start('/');
    world.advance(25);
    world.a.fakePool.last.respond(200, { 'content-length': '2' }, 'ok');
    expect([...stream.response!.entries()]).toEqual([
      ['content-length', '2'],
      ['x-envoy-upstream-service-time', '25'],
      ['x-added', 'v'],
      ['x-envoy-attempt-count', '1'],
    ]);
    expect([stream.body, stream.ended]).toEqual(['ok', true]);
    expect(stream.info.responseCodeDetails).toBe('via_upstream');
    expect([stream.info.upstreamFirstTxMs, stream.info.upstreamFirstRxMs]).toEqual([1000, 1025]);
    expect([stream.info.upstreamWireBytesSent, stream.info.upstreamWireBytesReceived]).toEqual([100, 52]);
    expect(stream.info.upstreamHost?.address).toBe('10.1.0.1:80');
    expect([world.a.hosts[0]!.successes, world.a.hosts[0]!.errors]).toEqual([1, 0]);
    expect(world.count('cluster.a.external.upstream_rq_200')).toBe(1);
    expect(world.count('cluster.a.upstream_rq_completed')).toBe(1);
  });

  test('suppress_envoy_headers leaves ours out, both ways', () => {
    const world = new RouterWorld({ options: { suppressEnvoyHeaders: true } });
    const stream = world.start('/');
    world.a.fakePool.last.respond(200);
    expect(world.a.fakePool.last.headers.has('x-envoy-expected-rq-timeout-ms')).toBe(false);
    expect(stream.response?.has('x-envoy-upstream-service-time')).toBe(false);
  });

  test('a canary, a zone, an alternate name and a virtual cluster are charged too', () => {
    const world = new RouterWorld({
      routes: [{ ...forward(), stat_prefix: 'r' }],
      virtualHost: {
        virtual_clusters: [{ name: 'vc', headers: [{ name: ':method', string_match: { exact: 'GET' } }] }],
      },
      zone: 'z1',
    });
    world.a.hosts[0]!.zone = 'z2';
    const stream = world.start('/', {
      headers: [
        ['x-envoy-internal', 'true'],
        ['x-envoy-upstream-alt-stat-name', 'alt'],
      ],
    });
    world.a.fakePool.last.respond(200, {
      'x-envoy-upstream-canary': 'true',
      'x-envoy-immediate-health-check-fail': '1',
    });
    for (const prefix of ['', 'internal.', 'canary.', 'zone.z1.z2.', 'alt.', 'alt.internal.', 'alt.canary.'])
      expect([
        prefix,
        world.count(`cluster.a.${prefix}upstream_rq_2xx`),
        world.count(`cluster.a.${prefix}upstream_rq_completed`),
      ]).toEqual([prefix, 1, 1]);
    for (const name of ['vcluster.vc', 'route.r'])
      expect([
        world.count(`vhost.v.${name}.upstream_rq_total`),
        world.count(`vhost.v.${name}.upstream_rq_200`),
      ]).toEqual([1, 1]);
    expect(stream.info.virtualClusterName).toBe('vc');
    expect(world.a.hosts[0]!.healthCheckFailures).toBe(1);
  });

  test('gRPC: the host is judged by the status in headers or trailers', () => {
    const world = new RouterWorld();
    const grpc = { method: 'POST', headers: [['content-type', 'application/grpc']] } as const;
    const host = world.a.hosts[0]!;
    world.start('/', grpc);
    world.a.fakePool.last.respond(200, { 'grpc-status': '14' });
    expect([host.successes, host.errors]).toEqual([0, 1]);
    world.start('/', grpc);
    world.a.fakePool.last.respondHeaders(200);
    world.a.fakePool.last.respondTrailers({ 'grpc-status': '5' });
    expect([host.successes, host.errors]).toEqual([1, 1]);
    world.start('/', grpc);
    world.a.fakePool.last.respond(200, {}, 'no trailers');
    expect([host.successes, host.errors]).toEqual([1, 2]);
    const stream = world.start('/', grpc);
    world.a.fakePool.last.respondHeaders(200);
    world.a.fakePool.last.break('remote reset');
    expect([host.errors, stream.flags]).toEqual([3, 'UR']);
    expect(world.count('http.p.rq_reset_after_downstream_response_started')).toBe(1);
  });

  test('one 1xx of each response is passed on, and is the beginning of the response', () => {
    const world = new RouterWorld({ routes: [forward({ retry_policy: { retry_on: '5xx' } })] });
    const stream = world.start('/');
    world.a.fakePool.last.inform(101);
    world.a.fakePool.last.inform(100);
    world.a.fakePool.last.inform(103);
    world.a.fakePool.last.respond(503);
    expect(stream.informational).toEqual([100]);
    expect(stream.response?.status).toBe(503);
    expect(world.count('cluster.a.upstream_rq_100')).toBe(1);
    expect(world.count('cluster.a.upstream_rq_retry')).toBe(0);
  });
});

describe('upstream failures', () => {
  test.each([
    ['connection termination', 503, 'UC'],
    ['remote reset', 503, 'UR'],
    ['remote refused stream reset', 503, 'UR'],
    ['local reset', 503, 'LR'],
    ['protocol error', 502, 'UPE'],
  ] as const)('%s before the response: %i %s', (reason, status, flags) => {
    const world = new RouterWorld();
    const stream = world.start('/');
    world.a.fakePool.last.break(reason);
    expect(stream.replied).toBe(
      `${status} upstream connect error or disconnect/reset before headers. reset reason: ${reason}`,
    );
    expect(stream.flags).toBe(flags);
    expect(stream.reply?.details).toBe(`upstream_reset_before_response_started{${reason.replaceAll(' ', '_')}}`);
    expect(world.count(`cluster.a.upstream_rq_${status}`)).toBe(1);
    expect(world.a.hosts[0]!.errors).toBe(1);
  });

  test('a connection that fails tells why in the details alone', () => {
    const world = new RouterWorld();
    world.a.fakePool.immediate = false;
    const stream = world.start('/');
    world.a.fakePool.fail('remote connection failure', 'delayed connect error: Connection refused');
    expect(stream.replied).toBe(
      '503 upstream connect error or disconnect/reset before headers. reset reason: remote connection failure',
    );
    expect(stream.reply?.details).toBe(
      'upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}',
    );
    expect(stream.info.upstreamTransportFailureReason).toBe('delayed connect error: Connection refused');
    expect(stream.info.upstreamHost?.address).toBe('10.1.0.1:80');
    expect(stream.flags).toBe('UF');
  });

  test('a full pool: 503 UO, overloaded, and no host to blame', () => {
    const world = new RouterWorld();
    world.a.fakePool.immediate = false;
    const stream = world.start('/');
    world.a.fakePool.fail('overflow');
    expect(stream.replied).toBe(
      '503 upstream connect error or disconnect/reset before headers. reset reason: overflow',
    );
    expect(stream.reply?.headers).toEqual([['x-envoy-overloaded', 'true']]);
    expect(stream.flags).toBe('UO');
    expect(stream.info.upstreamHost).toBeUndefined();
    expect(world.a.hosts[0]!.errors).toBe(0);
  });

  test('after the response began the stream is reset by the same reply', () => {
    const world = new RouterWorld();
    const stream = world.start('/');
    world.a.fakePool.last.respondHeaders(200);
    world.a.fakePool.last.break('connection termination');
    expect(stream.reply?.details).toBe('upstream_reset_after_response_started{connection_termination}');
    expect(world.count('cluster.a.upstream_rq_5xx')).toBe(0);
  });

  test('a response that ends before the request: the upstream stream is given up', () => {
    const world = new RouterWorld();
    const stream = world.start('/', { method: 'POST', endStream: false });
    stream.data('part');
    world.a.fakePool.last.respond(413, {}, 'no');
    expect([stream.response?.status, stream.body, stream.ended]).toEqual([413, 'no', true]);
    expect(stream.response?.has('x-envoy-upstream-service-time')).toBe(false);
    expect(world.a.fakePool.last.resetReason).toBe('local reset');
    stream.data('more', true);
    expect(world.a.fakePool.last.body).toBe('part');
  });
});
