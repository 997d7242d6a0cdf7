import { describe, expect, test } from 'vitest';
import * as h2 from '../../../support/h2-frames.ts';
import { H2ClientHarness, h2Request, response } from './h2-harness.ts';

const { T, block, data, frame, goAway, headers, ping, reset, settings } = h2;
const OK: h2.Fields = [[':status', '200']];

describe('a request and its response', () => {
  test('preface, settings and the window of the connection come first', () => {
    const client = new H2ClientHarness({ raw: true });
    client.socket.turn(() => {});
    expect(client.output.writes[0]!.subarray(0, h2.PREFACE.length)).toEqual(h2.PREFACE);
    expect(client.frames()).toEqual(['SETTINGS 2=0 1=4096 8=0 3=1024 4=16777216', 'WINDOW_UPDATE 0 25100289']);
  });

  test('headers, body, trailers', () => {
    const client = new H2ClientHarness();
    const stream = client.open();
    client.socket.turn(() => {
      stream.sendHeaders(h2Request('POST', '/p', [['x', 'y']]), false);
      stream.sendData(Buffer.from('abc'), false);
      stream.sendTrailers(response(0, [['t', '1']]));
    });
    expect(client.frames()).toEqual([
      'HEADERS 1 :method: POST, :scheme: http, :path: /p, :authority: h, x: y',
      'DATA 1 abc',
      'HEADERS 1 t: 1 END',
    ]);
    client.feed(headers(1, OK, false), data(1, 'def'), headers(1, [['grpc-status', '0']]));
    expect(client.log.all).toEqual(['headers 200', 'data def', 'trailers grpc-status: 0']);
    expect(client.ends).toEqual(['complete']);
    expect(client.stat('streams_active')).toBe(0);
    expect(client.stat('trailers')).toBe(0);
  });

  test('identifiers are given when headers go out', () => {
    const client = new H2ClientHarness();
    const first = client.open();
    client.start(h2Request('GET', '/second'));
    client.socket.turn(() => first.sendHeaders(h2Request('GET', '/first'), true));
    expect(client.frames().map((line) => line.slice(0, 9))).toEqual(['HEADERS 1', 'HEADERS 3']);
  });

  test('1xx', () => {
    const client = new H2ClientHarness();
    client.start();
    client.feed(
      headers(1, [[':status', '100']], false),
      headers(
        1,
        [
          [':status', '103'],
          ['a', 'b'],
        ],
        false,
      ),
      headers(1, OK),
    );
    expect(client.log.all).toEqual(['informational 100', 'informational 103 | a: b', 'headers 200', 'end']);
  });

  test('a response that is complete first: its request goes on, or is reset', () => {
    const client = new H2ClientHarness();
    const [one, two] = [client.start(h2Request('POST', '/'), false), client.start(h2Request('POST', '/'), false)];
    client.feed(headers(1, OK), headers(3, OK));
    expect(client.ends).toEqual([]);
    client.frames();
    client.socket.turn(() => {
      one.sendData(Buffer.from('x'), true);
      two.reset('local reset');
    });
    expect(client.frames()).toEqual(['DATA 1 x END', 'RST_STREAM 3 INTERNAL_ERROR']);
    expect(client.ends.toSorted()).toEqual(['complete', 'local reset']);
  });

  test('RST_STREAM(NO_ERROR) after a response only stops the request', () => {
    const client = new H2ClientHarness();
    const stream = client.start(h2Request('POST', '/'), false);
    stream.pause();
    client.feed(headers(1, OK, false), data(1, 'abc', true), reset(1, 0));
    expect(client.log.all).toEqual(['headers 200']);
    client.socket.turn(() => {
      expect(stream.sendData(Buffer.from('x'), false)).toBe(true);
      stream.resume();
    });
    expect(client.log.all).toEqual(['headers 200', 'data abc', 'end']);
    expect(client.ends).toEqual(['complete']);
  });

  test('HEAD and 304 may promise a length', () => {
    const client = new H2ClientHarness();
    client.start(h2Request('HEAD', '/'));
    client.start();
    client.feed(
      headers(1, [...OK, ['content-length', '5']]),
      headers(3, [
        [':status', '304'],
        ['content-length', '5'],
      ]),
    );
    expect(client.ends).toEqual(['complete', 'complete']);
  });

  test('an upgrade goes out as extended CONNECT, and its 200 comes back as 101', () => {
    const client = new H2ClientHarness({ peer: [[8, 1]] });
    expect(client.connection.peerAllowsConnect).toBe(true);
    const fields = [
      ['connection', 'upgrade'],
      ['upgrade', 'websocket'],
      ['content-length', '0'],
    ] as const;
    const upgrade = h2Request('GET', '/chat', fields);
    upgrade.protocol = 'websocket';
    const stream = client.start(upgrade, false);
    expect(client.frames()).toEqual([
      'HEADERS 1 :method: CONNECT, :scheme: http, :path: /chat, :authority: h, :protocol: websocket',
    ]);
    client.feed(headers(1, OK, false), data(1, 'raw'));
    client.socket.turn(() => stream.sendData(Buffer.from('war'), false));
    expect(client.log.all).toEqual(['headers 101 | upgrade: websocket | connection: upgrade', 'data raw']);
    expect(client.frames()).toEqual(['DATA 1 war']);
  });

  test('CONNECT has neither scheme nor path', () => {
    const client = new H2ClientHarness();
    client.start(h2Request('CONNECT', '/'), false);
    expect(client.frames()).toEqual(['HEADERS 1 :method: CONNECT, :authority: h']);
  });
});

describe('responses that are none', () => {
  test.each<[string, h2.Fields, boolean]>([
    ['upper case', [...OK, ['Xa', 'b']], false],
    ['connection', [...OK, ['connection', 'close']], false],
    ['no status', [['a', 'b']], false],
    ['status 99', [[':status', '99']], false],
    ['status 20', [[':status', '20']], false],
    ['status 101', [[':status', '101']], false],
    ['103 that ends', [[':status', '103']], true],
    [
      '204 with a length',
      [
        [':status', '204'],
        ['content-length', '3'],
      ],
      true,
    ],
    ['200 that ends short of its length', [...OK, ['content-length', '3']], true],
    ['pseudo of requests', [...OK, [':path', '/']], false],
  ])('%s', (_name, fields, end) => {
    const client = new H2ClientHarness();
    client.start();
    client.frames();
    client.feed(headers(1, fields, end));
    expect(client.log.all).toEqual([expect.stringMatching(/^reset protocol error http2\.(invalid|violation)/)]);
    expect(client.owner).toEqual(['protocol error']);
    expect(client.ends).toEqual(['protocol error']);
    expect(client.frames()).toEqual(['GOAWAY 0 PROTOCOL_ERROR']);
    expect(client.output.closes).toEqual(['flush-no-delay']);
    expect(client.stat('rx_messaging_error')).toBe(1);
  });

  test.each<[string, string, Buffer]>([
    [
      'less than its length',
      'GET',
      Buffer.concat([headers(1, [...OK, ['content-length', '5']], false), data(1, 'abc', true)]),
    ],
    [
      'more than its length',
      'GET',
      Buffer.concat([headers(1, [...OK, ['content-length', '2']], false), data(1, 'abc')]),
    ],
    ['a body to HEAD', 'HEAD', Buffer.concat([headers(1, OK, false), data(1, 'abc', true)])],
    ['a body of 204', 'GET', Buffer.concat([headers(1, [[':status', '204']], false), data(1, 'abc', true)])],
    [
      'trailers short of its length',
      'GET',
      Buffer.concat([headers(1, [...OK, ['content-length', '5']], false), headers(1, [['t', '1']])]),
    ],
  ])('%s resets its stream', (_name, method, bytes) => {
    const client = new H2ClientHarness();
    client.start(h2Request(method, '/'));
    client.frames();
    client.feed(bytes);
    expect(client.log.all.at(-1)).toBe('reset protocol error http2.remote_reset');
    expect(client.frames()).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
    expect(client.output.closes).toEqual([]);
    expect(client.ends).toEqual(['protocol error']);
  });

  test('too many fields', () => {
    const client = new H2ClientHarness({ settings: { maxHeadersCount: 2 } });
    client.start();
    client.frames();
    client.feed(headers(1, [...OK, ['a', '1'], ['b', '2']], false));
    expect(client.log.all).toEqual(['reset remote reset http2.too_many_headers']);
    expect(client.frames()).toEqual(['RST_STREAM 1 INTERNAL_ERROR']);
  });

  test.each<[string, Buffer]>([
    ['DATA before headers', data(1, 'x')],
    ['a push', frame(T.PUSH_PROMISE, 4, 1, Buffer.concat([h2.u32(2), block(h2.GET)]))],
    ['a stream of the server', headers(2, OK)],
    ['HTTP/1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['SETTINGS that allow pushes', settings([[2, 1]])],
  ])('%s', (_name, bytes) => {
    const client = new H2ClientHarness();
    client.start();
    client.feed(bytes);
    expect(client.log.all).toEqual([expect.stringMatching(/^reset protocol error /)]);
    expect(client.owner).toEqual(['protocol error']);
    expect(client.frames().at(-1)).toMatch(/^GOAWAY 0 /);
  });
});

describe('the connection', () => {
  test('the peer settles how many streams there may be', () => {
    const client = new H2ClientHarness({ raw: true, settings: { maxConcurrentStreams: 50 } });
    expect(client.connection.maxConcurrentStreams).toBe(50);
    client.feed(settings([[3, 7]]));
    expect(client.connection.maxConcurrentStreams).toBe(7);
    expect(client.owner).toEqual(['settings']);
  });

  test('GOAWAY refuses what the peer has not seen; the rest is finished', () => {
    const client = new H2ClientHarness();
    client.start();
    client.start();
    client.feed(goAway(1, 0));
    expect(client.owner).toEqual(['goaway']);
    expect(client.log.all).toEqual(['reset remote refused stream reset http2.remote_refuse']);
    client.feed(headers(1, OK), ping());
    expect(client.ends).toEqual(['remote refused stream reset', 'complete']);
    client.socket.turn(() => client.open());
    expect(client.log.all.at(-1)).toBe('reset connection termination');
  });

  test('its own GOAWAY closes it with its last stream', () => {
    const client = new H2ClientHarness();
    client.start();
    client.frames();
    client.socket.turn(() => client.connection.goAway());
    expect(client.frames()).toEqual(['GOAWAY 0 NO_ERROR']);
    expect(client.output.closes).toEqual([]);
    client.feed(headers(1, OK));
    expect(client.output.closes).toEqual(['flush-no-delay']);
  });

  test('closing ends every stream, once', () => {
    const client = new H2ClientHarness();
    client.start();
    client.start(h2Request('POST', '/'), false);
    client.feed(headers(3, OK));
    client.socket.close();
    expect(client.log.all.filter((line) => line.startsWith('reset'))).toEqual(['reset connection termination']);
    expect(client.ends).toEqual(['connection termination', 'connection termination']);
  });

  test('a stream that was reset before its headers never was', () => {
    const client = new H2ClientHarness();
    const stream = client.open();
    client.socket.turn(() => stream.reset('local reset'));
    expect(client.frames()).toEqual([]);
    expect(client.ends).toEqual(['local reset']);
  });

  test('a PING before a stream on a connection that was silent', () => {
    const keepalive = { intervalMs: 0, timeoutMs: 100, jitterPercent: 15, connectionIdleIntervalMs: 1000 };
    const client = new H2ClientHarness({ settings: { keepalive } });
    client.clock.advance(500);
    client.start();
    expect(client.frames()).toHaveLength(1);
    client.clock.advance(600);
    client.start();
    expect(client.frames().map((line) => line.slice(0, 4))).toEqual(['PING', 'HEAD']);
    client.clock.advance(100);
    expect(client.owner).toEqual(['keepalive timeout']);
    expect(client.output.closes).toEqual(['abort']);
  });
});
