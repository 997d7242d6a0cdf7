import { describe, expect, test } from 'vitest';
import * as h2 from '../../../support/h2-frames.ts';
import type { Http2Settings } from '../../../../src/proxy/codec/server-codec.ts';
import type { Serve } from '../h1/h1-harness.ts';
import { H2ServerHarness, response } from './h2-harness.ts';

const { F, GET, POST, T, block, data, frame, headers, ping, reset, settings, windowUpdate } = h2;

const hello: Serve = {
  onEnd(stream) {
    stream.sendHeaders(response(200, [['a', 'b']]), false);
    stream.sendData(Buffer.from('hello'), true);
  },
};
const get = (...fields: [string, string][]): h2.Fields => [...GET, ...fields];
const perStream: Partial<Http2Settings> = { overrideStreamErrorOnInvalidHttpMessage: true };

describe('a request and its response', () => {
  test('settings and the window of the connection come first', () => {
    const server = new H2ServerHarness({}, { raw: true });
    server.turn(() => {});
    expect(server.frames()).toEqual(['SETTINGS 1=4096 8=0 3=1024 4=16777216', 'WINDOW_UPDATE 0 25100289']);
    server.feed(h2.PREFACE, settings());
    expect(server.frames()).toEqual(['SETTINGS ACK']);
  });

  test('all frames of a turn leave in one write', () => {
    const server = new H2ServerHarness(hello);
    const before = server.output.writes.length;
    server.feed(headers(1, GET), headers(3, GET), ping());
    expect(server.log.all).toEqual([
      'stream',
      'headers GET / | authority=h | scheme=http',
      'end',
      'stream',
      'headers GET / | authority=h | scheme=http',
      'end',
    ]);
    expect(server.output.writes).toHaveLength(before + 1);
    expect(server.frames()).toEqual([
      'HEADERS 1 :status: 200, a: b',
      'DATA 1 hello END',
      'HEADERS 3 :status: 200, a: b',
      'DATA 3 hello END',
      'PING 12345678 ACK',
    ]);
    expect(server.stat('streams_active')).toBe(0);
  });

  test('body and trailers both ways, padding and priority left out', () => {
    const server = new H2ServerHarness({
      onEnd(stream) {
        stream.sendHeaders(response(200), false);
        stream.sendData(Buffer.from('x'), false);
        stream.sendData(Buffer.from('y'), false);
        stream.sendTrailers(response(0, [['t', '2']]));
      },
    });
    const padded = Buffer.concat([Buffer.from([3, 0, 0, 0, 9, 1]), block(POST), Buffer.alloc(3)]);
    server.feed(
      frame(T.HEADERS, F.END_HEADERS | F.PADDED | F.PRIORITY, 1, padded),
      frame(T.DATA, F.PADDED, 1, Buffer.concat([Buffer.from([2]), Buffer.from('abc'), Buffer.alloc(2)])),
      data(1, 'def'),
      headers(1, [['t', '1']]),
    );
    expect(server.log.all).toEqual([
      'stream',
      'headers POST / | authority=h | scheme=http',
      'data abcdef',
      'trailers t: 1',
    ]);
    expect(server.frames()).toEqual(['HEADERS 1 :status: 200', 'DATA 1 xy', 'HEADERS 1 t: 2 END']);
    expect(server.stat('trailers')).toBe(1);
  });

  test('1xx goes out before the response', () => {
    const server = new H2ServerHarness({
      onHeaders(stream) {
        stream.sendInformational(response(103, [['link', 'x']]));
        stream.sendHeaders(response(200), true);
      },
    });
    server.feed(headers(1, GET));
    expect(server.frames()).toEqual(['HEADERS 1 :status: 103, link: x', 'HEADERS 1 :status: 200 END']);
  });

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('%s %i has no body, whatever is sent', (method, status) => {
    const server = new H2ServerHarness({
      onEnd(stream) {
        stream.sendHeaders(response(status), false);
        stream.sendData(Buffer.from('hello'), false);
        stream.sendData(Buffer.from('hello'), true);
      },
    });
    server.feed(headers(1, [[':method', method], ...GET.slice(1)]));
    expect(server.frames()).toEqual([`HEADERS 1 :status: ${status}`, 'DATA 1  END']);
  });

  test('fields of HTTP/1 connections stay behind, empty trailers are none', () => {
    const server = new H2ServerHarness({
      onEnd(stream) {
        const fields = [
          ['connection', 'close'],
          ['keep-alive', '5'],
          ['proxy-connection', 'x'],
          ['transfer-encoding', 'chunked'],
          ['upgrade', 'h2c'],
          ['te', 'gzip'],
          ['x', 'y'],
        ] as const;
        stream.sendHeaders(response(200, fields), false);
        stream.sendTrailers(response(0));
      },
    });
    server.feed(headers(1, GET));
    expect(server.frames()).toEqual(['HEADERS 1 :status: 200, x: y', 'DATA 1  END']);
  });

  test('a response that ends before its request stops the client', () => {
    const server = new H2ServerHarness({ onHeaders: (stream) => stream.sendHeaders(response(404), true) });
    server.feed(headers(1, POST, false), data(1, 'abc'), data(1, 'def', true), headers(3, GET));
    expect(server.frames()).toEqual([
      'HEADERS 1 :status: 404 END',
      'RST_STREAM 1 NO_ERROR',
      'HEADERS 3 :status: 404 END',
    ]);
    expect(server.log.all.filter((line) => /data|end|reset/.test(line))).toEqual(['end']);
  });

  test('a large header section takes CONTINUATION', () => {
    const value = 'ü'.repeat(40_000);
    const server = new H2ServerHarness({
      onEnd: (stream) => stream.sendHeaders(response(200, [['x', value]]), true),
    });
    server.feed(headers(1, GET));
    const { frames } = h2.parseFrames(Buffer.concat(server.output.writes));
    const own = frames.filter(({ stream }) => stream === 1);
    expect(own.map(({ type }) => type)).toEqual([T.HEADERS, ...own.slice(1).map(() => T.CONTINUATION)]);
    expect(own.map(({ flags }) => flags)).toEqual([1, ...own.slice(2).map(() => 0), 4]);
    expect(Math.max(...own.map(({ payload }) => payload.length))).toBe(16_384);
  });

  test('cookies are joined, and stand at the end', () => {
    const server = new H2ServerHarness(hello);
    server.feed(headers(1, get(['cookie', 'a=1'], ['x', 'y'], ['cookie', 'b=2'])));
    expect(server.log.all[1]).toBe('headers GET / | authority=h | scheme=http | x: y | cookie: a=1; b=2');
  });

  test.each([
    ['host alone', [...GET.slice(0, 3), ['host', 'other']], 'authority=other'],
    ['host beside :authority', get(['host', 'other']), 'authority=h'],
  ] as [string, h2.Fields, string][])('%s', (_name, fields, expected) => {
    const server = new H2ServerHarness(hello);
    server.feed(headers(1, fields));
    expect(server.log.all[1]).toBe(`headers GET / | ${expected} | scheme=http`);
  });

  test('extended CONNECT is the upgrade it stands for', () => {
    const serve: Serve = {
      onHeaders: (stream) => stream.sendHeaders(response(101, [['upgrade', 'websocket']]), false),
    };
    const server = new H2ServerHarness(serve, { settings: { allowConnect: true } });
    const fields: h2.Fields = [[':method', 'CONNECT'], [':protocol', 'websocket'], ...GET.slice(1)];
    server.feed(headers(1, fields, false), data(1, 'raw'));
    expect(server.log.all.slice(1)).toEqual([
      'headers GET / | authority=h | scheme=http | protocol=websocket | upgrade: websocket | connection: upgrade',
      'data raw',
    ]);
    expect(server.frames()).toEqual(['HEADERS 1 :status: 200']);
  });

  test('plain CONNECT', () => {
    const server = new H2ServerHarness();
    server.feed(
      headers(
        1,
        [
          [':method', 'CONNECT'],
          [':authority', 'h:1'],
        ],
        false,
      ),
    );
    expect(server.log.all[1]).toBe('headers CONNECT  | authority=h:1');
  });
});

describe('messages that are none', () => {
  const header = 'http2.invalid.header.field';
  const messaging = 'http2.violation.of.messaging.rule';
  const without = (name: string): h2.Fields => GET.filter(([other]) => other !== name);
  const but = (name: string, value: string): h2.Fields =>
    GET.map(([other, old]) => [other, other === name ? value : old] as const);
  const cases: [string, h2.Fields, string][] = [
    ['upper case', get(['Xa', 'b']), header],
    ['connection', get(['connection', 'close']), header],
    ['keep-alive', get(['keep-alive', '1']), header],
    ['proxy-connection', get(['proxy-connection', 'x']), header],
    ['upgrade', get(['upgrade', 'h2c']), header],
    ['transfer-encoding', get(['transfer-encoding', 'chunked']), header],
    ['te', get(['te', 'gzip']), header],
    ['NUL', get(['x', 'a\0b']), header],
    ['line feed', get(['x', 'a\nb']), header],
    ['DEL', get(['x', '\x7f']), header],
    ['blank in a name', get(['x a', 'b']), header],
    ['colon in a name', get(['x:a', 'b']), header],
    ['empty name', get(['', 'b']), header],
    ['pseudo twice', get([':method', 'GET']), header],
    ['pseudo behind others', [...GET.slice(0, 3), ['a', 'b'], GET[3]!], header],
    ['unknown pseudo', get([':foo', 'x']), header],
    ['pseudo of responses', get([':status', '200']), header],
    ['empty path', but(':path', ''), header],
    ['blank in path', but(':path', '/a b'), header],
    ['empty authority', but(':authority', ''), header],
    ['userinfo', but(':authority', 'u@h'), header],
    ['path in authority', but(':authority', 'h/x'), header],
    ['bad scheme', but(':scheme', 'f p'), header],
    ['bad method', but(':method', 'F O'), header],
    ['two hosts', [...without(':authority'), ['host', 'a'], ['host', 'b']], header],
    ['no method', without(':method'), messaging],
    ['no scheme', without(':scheme'), messaging],
    ['no path', without(':path'), messaging],
    ['no authority', without(':authority'), messaging],
    ['relative path', but(':path', 'foo'), messaging],
    ['* for GET', but(':path', '*'), messaging],
    [
      'CONNECT with a path',
      [
        [':method', 'CONNECT'],
        [':authority', 'h:1'],
        [':path', '/'],
      ],
      messaging,
    ],
    ['extended CONNECT that is not offered', get([':protocol', 'websocket']), header],
    ['length without a body', get(['content-length', '5']), messaging],
    ['bad length', get(['content-length', '5x']), header],
    ['two lengths', get(['content-length', '0'], ['content-length', '0']), header],
  ];

  test.each(cases)('%s ends the connection', (_name, fields, detail) => {
    const server = new H2ServerHarness(hello);
    server.feed(headers(1, fields), headers(3, GET));
    expect(server.log.all).toEqual(['stream', `reset protocol error ${detail}`]);
    expect(server.frames()).toEqual(['GOAWAY 1 PROTOCOL_ERROR']);
    expect(server.output.closes).toEqual(['flush']);
    expect(server.connectionErrors).toEqual(['protocol']);
    expect(server.stat('rx_messaging_error')).toBe(1);
  });

  test.each(cases)('%s ends its stream only, if so configured', (_name, fields, detail) => {
    const server = new H2ServerHarness(hello, { settings: perStream });
    server.feed(headers(1, fields), headers(3, GET));
    expect(server.log.all.slice(0, 3)).toEqual(['stream', `reset protocol error ${detail}`, 'stream']);
    expect(server.frames()).toEqual([
      'RST_STREAM 1 PROTOCOL_ERROR',
      'HEADERS 3 :status: 200, a: b',
      'DATA 3 hello END',
    ]);
    expect(server.output.closes).toEqual([]);
  });

  test.each([
    ['trailers with pseudo-fields', headers(1, [[':path', '/']]), header],
    ['trailers that end nothing', headers(1, [['x', 'y']], false), messaging],
  ])('%s', (_name, bytes, detail) => {
    const server = new H2ServerHarness();
    server.feed(headers(1, POST, false), bytes);
    expect(server.log.all.at(-1)).toBe(`reset protocol error ${detail}`);
  });

  test.each([
    ['more', data(1, 'abc', true)],
    ['more, not at its end', data(1, 'abc')],
    ['less', data(1, 'a', true)],
  ])('a body of %s than content-length ends its stream', (_name, body) => {
    const server = new H2ServerHarness();
    server.feed(headers(1, [...POST, ['content-length', '2']], false), body);
    expect(server.frames()).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
    expect(server.log.all.at(-1)).toBe('reset protocol error http2.remote_reset');
    expect(server.output.closes).toEqual([]);
  });

  test('what is still fine', () => {
    const server = new H2ServerHarness(hello);
    server.feed(
      headers(1, get(['te', 'trailers'], ['x', ' padded '], ['y', '\xff'], ['content-length', '0'])),
      headers(3, [[':method', 'OPTIONS'], GET[1]!, [':path', '*'], GET[3]!]),
      headers(5, but(':path', '/a\xffb')),
    );
    expect(server.frames().filter((line) => line.startsWith('HEADERS'))).toHaveLength(3);
  });

  test('underscores', () => {
    const fields = get(['x_a', '1'], ['b', '2']);
    const rejecting = new H2ServerHarness(hello, { settings: { headersWithUnderscores: 'reject-request' } });
    rejecting.feed(headers(1, fields));
    expect(rejecting.log.all).toEqual(['stream', 'reset remote reset http2.unexpected_underscore']);
    expect(rejecting.frames()).toEqual(['RST_STREAM 1 INTERNAL_ERROR']);
    expect(rejecting.stat('requests_rejected_with_underscores_in_headers')).toBe(1);
    const dropping = new H2ServerHarness(hello, { settings: { headersWithUnderscores: 'drop-header' } });
    dropping.feed(headers(1, fields));
    expect(dropping.log.all[1]).toBe('headers GET / | authority=h | scheme=http | b: 2');
    expect(dropping.stat('dropped_headers_with_underscores')).toBe(1);
  });

  test('too many fields, or bytes of them, reset the stream', () => {
    const many = Array.from({ length: 97 }, (_, i): [string, string] => [`x${i}`, 'v']);
    const server = new H2ServerHarness(hello);
    server.feed(headers(1, get(...many)), headers(3, get(...many.slice(1))));
    expect(server.log.all.slice(0, 2)).toEqual(['stream', 'reset remote reset http2.too_many_headers']);
    expect(server.stat('header_overflow')).toBe(1);
    expect(server.frames().slice(0, 2)).toEqual(['RST_STREAM 1 INTERNAL_ERROR', 'HEADERS 3 :status: 200, a: b']);
    const small = new H2ServerHarness(hello, { settings: { maxHeadersBytes: 200 } });
    small.feed(headers(1, get(['x', 'v'.repeat(200)])), headers(3, get(['cookie', 'v'.repeat(300)])));
    expect(small.frames()).toEqual(['RST_STREAM 1 INTERNAL_ERROR', 'RST_STREAM 3 INTERNAL_ERROR']);
    expect(small.stat('header_list_size_too_large')).toBe(2);
  });

  test('a table entry that is used again and again counts each time', () => {
    const server = new H2ServerHarness(hello, { settings: { maxHeadersCount: 100_000 } });
    const entry = Buffer.concat([
      Buffer.from([0x40, 1]),
      Buffer.from('x'),
      Buffer.from([0x7f, 0xa1, 0x1e]),
      Buffer.alloc(4000, 'v'),
    ]);
    const uses = Buffer.alloc(10_000, 0x80 | 62);
    server.feed(frame(T.HEADERS, F.END_HEADERS | F.END_STREAM, 1, Buffer.concat([block(GET), entry, uses])));
    expect(server.log.all).toEqual(['stream', 'reset remote reset http2.header_list_size_too_large']);
  });
});

describe('frames that break the rules of the connection', () => {
  const open = headers(1, POST, false);
  test.each<[string, Buffer, string]>([
    ['too large', frame(T.DATA, 0, 1, Buffer.alloc(16_385)), 'FRAME_SIZE_ERROR'],
    ['DATA on stream 0', data(0, 'x'), 'PROTOCOL_ERROR'],
    ['DATA on an idle stream', data(3, 'x'), 'PROTOCOL_ERROR'],
    ['padding larger than DATA', frame(T.DATA, F.PADDED, 1, '\x05abc'), 'PROTOCOL_ERROR'],
    ['padding without a length', frame(T.DATA, F.PADDED, 1), 'PROTOCOL_ERROR'],
    ['HEADERS on stream 0', headers(0, GET), 'PROTOCOL_ERROR'],
    ['an even identifier', headers(2, GET), 'PROTOCOL_ERROR'],
    ['padding larger than HEADERS', frame(T.HEADERS, 0xd, 3, '\x20abc'), 'PROTOCOL_ERROR'],
    ['HEADERS that depend on themselves', frame(T.HEADERS, 0x25, 3, '\0\0\0\x03\x00'), 'PROTOCOL_ERROR'],
    [
      'something between HEADERS and CONTINUATION',
      Buffer.concat([frame(T.HEADERS, 1, 3, block(GET)), ping()]),
      'PROTOCOL_ERROR',
    ],
    ['CONTINUATION of nothing', frame(T.CONTINUATION, 4, 1, block(GET)), 'PROTOCOL_ERROR'],
    [
      'CONTINUATION of another',
      Buffer.concat([frame(T.HEADERS, 1, 3, block(GET)), frame(T.CONTINUATION, 4, 5, '')]),
      'PROTOCOL_ERROR',
    ],
    [
      'a block that is no HPACK',
      frame(T.HEADERS, 5, 3, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
      'COMPRESSION_ERROR',
    ],
    ['PRIORITY on stream 0', frame(T.PRIORITY, 0, 0, Buffer.alloc(5)), 'PROTOCOL_ERROR'],
    ['PRIORITY of a wrong size', frame(T.PRIORITY, 0, 1, Buffer.alloc(4)), 'FRAME_SIZE_ERROR'],
    ['RST_STREAM on stream 0', reset(0, 8), 'PROTOCOL_ERROR'],
    ['RST_STREAM on an idle stream', reset(3, 8), 'PROTOCOL_ERROR'],
    ['RST_STREAM of a wrong size', frame(T.RST_STREAM, 0, 1, 'abc'), 'FRAME_SIZE_ERROR'],
    ['SETTINGS on a stream', frame(T.SETTINGS, 0, 1), 'PROTOCOL_ERROR'],
    ['SETTINGS of a wrong size', frame(T.SETTINGS, 0, 0, 'abc'), 'FRAME_SIZE_ERROR'],
    ['SETTINGS ACK with a payload', frame(T.SETTINGS, F.ACK, 0, Buffer.alloc(6)), 'FRAME_SIZE_ERROR'],
    ['ENABLE_PUSH of 2', settings([[2, 2]]), 'PROTOCOL_ERROR'],
    ['INITIAL_WINDOW_SIZE beyond a window', settings([[4, 2 ** 31]]), 'FLOW_CONTROL_ERROR'],
    ['MAX_FRAME_SIZE too small', settings([[5, 16_383]]), 'PROTOCOL_ERROR'],
    ['MAX_FRAME_SIZE too large', settings([[5, 2 ** 24]]), 'PROTOCOL_ERROR'],
    ['ENABLE_CONNECT_PROTOCOL of 2', settings([[8, 2]]), 'PROTOCOL_ERROR'],
    ['PUSH_PROMISE', frame(T.PUSH_PROMISE, 4, 1, Buffer.concat([h2.u32(2), block(GET)])), 'PROTOCOL_ERROR'],
    ['PING on a stream', frame(T.PING, 0, 1, '12345678'), 'PROTOCOL_ERROR'],
    ['PING of a wrong size', ping('123'), 'FRAME_SIZE_ERROR'],
    ['GOAWAY on a stream', frame(T.GOAWAY, 0, 1, Buffer.alloc(8)), 'PROTOCOL_ERROR'],
    ['WINDOW_UPDATE of 0', windowUpdate(0, 0), 'PROTOCOL_ERROR'],
    ['WINDOW_UPDATE of 0 on a stream', windowUpdate(1, 0), 'PROTOCOL_ERROR'],
    ['WINDOW_UPDATE on an idle stream', windowUpdate(3, 1), 'PROTOCOL_ERROR'],
    ['WINDOW_UPDATE of a wrong size', frame(T.WINDOW_UPDATE, 0, 0, 'abc'), 'FRAME_SIZE_ERROR'],
    ['a window of the connection beyond a window', windowUpdate(0, 2 ** 31 - 1), 'FLOW_CONTROL_ERROR'],
    ['a smaller new identifier', Buffer.concat([headers(7, GET), headers(5, GET)]), 'PROTOCOL_ERROR'],
  ])('%s', (_name, bytes, code) => {
    const server = new H2ServerHarness();
    server.feed(open);
    server.frames();
    server.feed(bytes, headers(99, GET));
    expect(server.frames().at(-1)).toMatch(new RegExp(`^GOAWAY \\d+ ${code}$`));
    expect(server.log.all.at(-1)).toMatch(/^reset protocol error /);
    expect(server.output.closes).toEqual(['flush']);
    expect(server.connectionErrors).toEqual(['protocol']);
  });

  test.each([
    ['HTTP/1', Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n')],
    ['a preface without SETTINGS', Buffer.concat([h2.PREFACE, ping()])],
    ['a preface with an ACK', Buffer.concat([h2.PREFACE, h2.settingsAck])],
  ])('%s is no beginning', (_name, bytes) => {
    const server = new H2ServerHarness({}, { raw: true });
    server.feed(bytes);
    expect(server.frames().at(-1)).toBe('GOAWAY 0 PROTOCOL_ERROR');
    expect(server.output.closes).toEqual(['flush']);
  });

  test('the other streams are told of the connection only', () => {
    const server = new H2ServerHarness();
    server.feed(headers(1, POST, false), headers(3, get(['Xa', 'b'])));
    expect(server.log.all.slice(-2)).toEqual([
      'reset protocol error http2.invalid.header.field',
      'reset protocol error codec_error:The_user_callback_function_failed',
    ]);
  });

  test('frames that we do not know are ignored', () => {
    const server = new H2ServerHarness(hello);
    server.feed(frame(0xee, 0xff, 1, 'abc'), frame(0xef, 0, 0), headers(1, GET));
    expect(server.frames()).toHaveLength(2);
  });
});

describe('streams that are over', () => {
  test.each([
    ['DATA', data(1, 'x'), 'RST_STREAM 1 STREAM_CLOSED'],
    ['HEADERS', headers(1, GET), 'GOAWAY 1 STREAM_CLOSED'],
  ])('%s after both ends', (_name, bytes, expected) => {
    const server = new H2ServerHarness(hello);
    server.feed(headers(1, GET));
    server.frames();
    server.feed(bytes);
    expect(server.frames()).toEqual([expected]);
  });

  test('DATA after END_STREAM of an open stream resets it', () => {
    const server = new H2ServerHarness();
    server.feed(headers(1, GET), data(1, 'x'));
    expect(server.frames()).toEqual(['RST_STREAM 1 STREAM_CLOSED']);
    expect(server.log.all.at(-1)).toMatch(/^reset protocol error/);
  });

  test('what was on its way when we reset is ignored, and its window given back', () => {
    const server = new H2ServerHarness({}, { settings: { initialConnectionWindowSize: 65_535 } });
    server.feed(headers(1, POST, false));
    server.turn(() => server.stream.reset('local reset'));
    expect(server.frames()).toEqual(['RST_STREAM 1 INTERNAL_ERROR']);
    server.feed(
      data(1, Buffer.alloc(16_384)),
      data(1, Buffer.alloc(16_384)),
      headers(1, [['t', '1']]),
      windowUpdate(1, 5),
      reset(1, 8),
    );
    expect(server.frames()).toEqual(['WINDOW_UPDATE 0 32768']);
    expect(server.output.closes).toEqual([]);
  });

  test.each([
    [0, 'reset remote reset http2.remote_reset'],
    [1, 'reset protocol error http2.remote_reset'],
    [7, 'reset remote refused stream reset http2.remote_refuse'],
    [8, 'reset remote reset http2.remote_reset'],
    [10, 'reset remote error with CONNECT request http2.remote_reset'],
  ])('RST_STREAM with code %i', (code, expected) => {
    const server = new H2ServerHarness();
    server.feed(headers(1, POST, false), reset(1, code));
    expect(server.log.all.at(-1)).toBe(expected);
    expect(server.stat('rx_reset')).toBe(1);
    expect(server.stat('streams_active')).toBe(0);
    server.turn(() => server.stream.sendHeaders(response(200), true));
    expect(server.frames()).toEqual([]);
  });

  test.each([
    ['local reset', 'INTERNAL_ERROR'],
    ['local refused stream reset', 'REFUSED_STREAM'],
    ['protocol error', 'INTERNAL_ERROR'],
    ['remote error with CONNECT request', 'CONNECT_ERROR'],
  ] as const)('reset(%s) sends %s', (reason, code) => {
    const server = new H2ServerHarness();
    server.feed(headers(1, POST, false));
    server.turn(() => {
      server.stream.reset(reason);
      server.stream.reset(reason);
    });
    expect(server.frames()).toEqual([`RST_STREAM 1 ${code}`]);
    expect(server.log.all.filter((line) => line.startsWith('reset'))).toEqual([]);
    expect(server.stat('tx_reset')).toBe(1);
  });

  test('more streams than allowed are refused', () => {
    const server = new H2ServerHarness({}, { settings: { maxConcurrentStreams: 1 } });
    server.feed(headers(1, POST, false), headers(3, POST, false), data(3, 'x'), data(1, 'y', true));
    expect(server.frames()).toEqual(['RST_STREAM 3 REFUSED_STREAM']);
    expect(server.stat('stream_refused_errors')).toBe(1);
    expect(server.log.all.slice(-2)).toEqual(['data y', 'end']);
  });

  test('closing resets what is open, once', () => {
    const server = new H2ServerHarness();
    server.feed(headers(1, POST, false), headers(3, GET));
    server.socket.close();
    expect(server.log.all.filter((line) => line.startsWith('reset'))).toEqual([
      'reset connection termination',
      'reset connection termination',
    ]);
    expect(server.stat('streams_active')).toBe(0);
  });
});

describe('going away', () => {
  test('a notice first, then the last stream; later ones are not served', () => {
    const server = new H2ServerHarness(hello);
    server.turn(() => server.connection.shutdownNotice());
    server.feed(headers(1, POST, false));
    server.turn(() => server.connection.goAway());
    expect(server.frames()).toEqual(['GOAWAY 2147483647 NO_ERROR', 'GOAWAY 1 NO_ERROR']);
    expect(server.stat('goaway_sent')).toBe(1);
    server.feed(headers(3, POST, false), data(3, 'x', true), data(1, 'y', true));
    expect(server.log.all).toEqual(['stream', 'headers POST / | authority=h | scheme=http', 'data y', 'end']);
    expect(server.frames()).toEqual(['HEADERS 1 :status: 200, a: b', 'DATA 1 hello END']);
    expect(server.connection.hasPendingOutput).toBe(false);
  });

  test('closeAfterResponse gives notice', () => {
    const server = new H2ServerHarness({
      onEnd(stream) {
        stream.closeAfterResponse(false);
        stream.closeAfterResponse(false);
        stream.sendHeaders(response(200), true);
      },
    });
    server.feed(headers(1, GET));
    expect(server.frames()).toEqual(['GOAWAY 2147483647 NO_ERROR', 'HEADERS 1 :status: 200 END']);
    expect(server.stream.closesConnection).toBe(false);
  });

  test('a client that goes away is served on, its PINGs too', () => {
    const server = new H2ServerHarness(hello);
    server.feed(h2.goAway(0, 77), ping(), headers(1, GET));
    expect(server.frames()).toHaveLength(3);
  });
});

describe('keepalive', () => {
  const keepalive = { intervalMs: 1000, timeoutMs: 100, jitterPercent: 0, connectionIdleIntervalMs: 0 };

  test('a PING each interval; answered, the next follows', () => {
    const server = new H2ServerHarness({}, { settings: { keepalive } });
    server.clock.advance(1000);
    const [sent] = h2.parseFrames(server.output.take()).frames;
    expect(sent).toMatchObject({ type: T.PING, flags: 0 });
    server.clock.advance(99);
    server.feed(frame(T.PING, F.ACK, 0, sent!.payload));
    server.clock.advance(999);
    expect(server.output.closes).toEqual([]);
    server.clock.advance(1);
    expect(server.frames()).toHaveLength(1);
  });

  test('unanswered, the connection is aborted; other frames give it time', () => {
    const server = new H2ServerHarness({}, { settings: { keepalive } });
    server.clock.advance(1000);
    server.clock.advance(90);
    server.feed(ping());
    server.clock.advance(90);
    expect(server.output.closes).toEqual([]);
    server.clock.advance(10);
    expect(server.output.closes).toEqual(['abort']);
    expect(server.stat('keepalive_timeout')).toBe(1);
  });
});
