import { describe, expect, test } from 'vitest';
import * as h2 from '../../../support/h2-frames.ts';
import type { Http2Settings } from '../../../../src/proxy/codec/server-codec.ts';
import { H2ServerHarness, response } from './h2-harness.ts';

const { F, GET, POST, T, block, data, frame, headers, ping, reset, settings, windowUpdate } = h2;

const many = (count: number, make: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
const open = headers(1, POST, false);

describe('floods end the connection of who sends them', () => {
  test.each<
    [
      string,
      Buffer,
      'inbound_empty_frames_flood' | 'inbound_priority_frames_flood' | 'inbound_window_update_frames_flood',
      string,
    ]
  >([
    ['empty DATA', many(2, () => data(1, '')), 'inbound_empty_frames_flood', 'http2.inbound_empty_frames_flood'],
    [
      'DATA of nothing but padding',
      many(2, () => frame(T.DATA, F.PADDED, 1, '\x02aa')),
      'inbound_empty_frames_flood',
      'http2.inbound_empty_frames_flood',
    ],
    [
      'empty CONTINUATION',
      Buffer.concat([frame(T.HEADERS, 0, 3, block(GET)), many(2, () => frame(T.CONTINUATION, 0, 3))]),
      'inbound_empty_frames_flood',
      'http2.inbound_empty_frames_flood',
    ],
    [
      'PRIORITY',
      many(201, () => frame(T.PRIORITY, 0, 1, Buffer.alloc(5))),
      'inbound_priority_frames_flood',
      'codec_error:Too_many_PRIORITY_frames',
    ],
    [
      'WINDOW_UPDATE',
      many(4, () => windowUpdate(1, 1)),
      'inbound_window_update_frames_flood',
      'codec_error:Too_many_WINDOW_UPDATE_frames',
    ],
  ])('%s', (_name, bytes, stat, detail) => {
    const server = new H2ServerHarness();
    server.feed(open);
    server.frames();
    server.feed(bytes, headers(99, GET));
    expect(server.log.all.find((line) => line.startsWith('reset'))).toBe(`reset protocol error ${detail}`);
    expect(server.stat(stat)).toBe(1);
    expect(server.frames().at(-1)).toMatch(/^GOAWAY \d+ ENHANCE_YOUR_CALM$/);
    expect(server.connectionErrors).toEqual(['flood']);
    expect(server.output.closes).toEqual(['flush']);
  });

  test.each<[string, (i: number) => Buffer]>([
    ['PING', () => ping()],
    ['SETTINGS', () => settings()],
    ['DATA on a closed stream, which is answered', () => data(1, 'x')],
  ])('%s to a peer that does not read', (_name, make) => {
    const server = new H2ServerHarness({ onHeaders: (stream) => stream.sendHeaders(response(200), true) });
    server.feed(headers(1, GET));
    server.output.full = true;
    for (let i = 0; i < 12 && server.output.closes.length === 0; i++) server.feed(many(100, make));
    expect(server.output.closes).toEqual(['abort']);
    expect(server.stat('outbound_control_flood')).toBe(1);
    expect(server.output.bufferedBytes).toBeLessThan(20_000);
    expect(server.connectionErrors).toEqual(['flood']);
    server.socket.close();
    expect(server.stat('outbound_control_frames_active') + server.stat('outbound_frames_active')).toBe(0);
  });

  test('a peer that reads may go on asking', () => {
    const server = new H2ServerHarness();
    for (let i = 0; i < 20; i++) server.feed(many(100, () => ping()));
    expect(server.output.closes).toEqual([]);
    expect(server.frames()).toHaveLength(2000);
  });

  test('a socket that always has something to send is no flood', () => {
    const server = new H2ServerHarness();
    for (let i = 0; i < 100; i++) {
      server.feed(many(100, () => ping()));
      // What was there has left, what was just written has not.
      server.output.bufferedBytes = 1700;
    }
    expect(server.output.closes).toEqual([]);
  });

  test('responses that nobody reads', () => {
    const settingsOf: Partial<Http2Settings> = { maxOutboundFrames: 50 };
    const serve = {
      onHeaders: (stream: { sendHeaders(headers: ReturnType<typeof response>, end: boolean): void }) =>
        stream.sendHeaders(response(200), true),
    };
    const server = new H2ServerHarness(serve, { settings: settingsOf });
    server.output.full = true;
    for (let i = 0; i < 60 && server.output.closes.length === 0; i++) server.feed(headers(1 + 2 * i, GET));
    expect(server.streams.length).toBeGreaterThan(40);
    expect(server.output.closes).toEqual(['abort']);
    expect(server.stat('outbound_flood')).toBe(1);
  });

  test('CONTINUATION without end, in bytes and in frames', () => {
    const server = new H2ServerHarness();
    server.feed(frame(T.HEADERS, 1, 1, block(GET)));
    const fragment = frame(T.CONTINUATION, 0, 1, block([['x', 'v'.repeat(16_000)]]));
    let fed = 0;
    for (; fed < 100 && server.output.closes.length === 0; fed++) server.feed(fragment);
    expect(fed).toBeLessThan(12);
    expect(server.log.all).toEqual(['stream', 'reset protocol error http2.header_list_size_too_large']);
    const tiny = new H2ServerHarness();
    tiny.feed(
      frame(T.HEADERS, 1, 1, block(GET)),
      many(100, () => frame(T.CONTINUATION, 0, 1, block([['x', 'v']]))),
    );
    expect(tiny.output.closes).toEqual(['flush']);
  });

  test('CONTINUATION in reason', () => {
    const server = new H2ServerHarness();
    server.feed(
      frame(T.HEADERS, 1, 1, block(GET)),
      many(12, (i) => frame(T.CONTINUATION, i === 11 ? 4 : 0, 1, block([[`x${i}`, 'v']]))),
    );
    expect(server.log.all.at(-1)).toBe('end');
  });
});

describe('rapid resets', () => {
  const pair = (i: number): Buffer => Buffer.concat([headers(1 + 2 * i, POST, false), reset(1 + 2 * i, 8)]);

  test('half of 500 streams, unanswered, are enough', () => {
    const server = new H2ServerHarness();
    server.feed(many(249, pair));
    expect(server.output.closes).toEqual([]);
    server.feed(many(251, (i) => pair(249 + i)));
    expect(server.output.closes).toEqual(['abort']);
    expect(server.connectionErrors).toEqual(['premature resets']);
    expect(server.streams).toHaveLength(250);
    expect(server.stat('rx_reset')).toBe(250);
  });

  test('not of streams that were answered, or that lived', () => {
    const answered = new H2ServerHarness({ onHeaders: (stream) => stream.sendHeaders(response(200), false) });
    answered.feed(many(600, pair));
    expect(answered.output.closes).toEqual([]);
    const old = new H2ServerHarness({}, { runtime: { 'overload.premature_reset_total_stream_count': 4 } });
    for (let i = 0; i < 5; i++) {
      old.feed(headers(1 + 2 * i, POST, false));
      old.clock.advance(2000);
      old.feed(reset(1 + 2 * i, 8));
    }
    expect(old.output.closes).toEqual([]);
  });

  test('requests beyond the limit of a cycle wait, and are spared if they are reset meanwhile', () => {
    const server = new H2ServerHarness({}, { runtime: { 'http.max_requests_per_io_cycle': 1 } });
    server.feed(
      headers(1, GET),
      headers(3, POST, false),
      data(3, 'abc', true),
      headers(5, GET),
      headers(7, POST, false),
      reset(5, 8),
    );
    const request = (method: string): string => `headers ${method} / | authority=h | scheme=http`;
    expect(server.log.all).toEqual([
      'stream',
      request('GET'),
      'end',
      'stream',
      'stream',
      'stream',
      'reset remote reset http2.remote_reset',
    ]);
    server.clock.advance(1);
    expect(server.log.all.slice(7)).toEqual([request('POST'), 'data abc', 'end']);
    server.clock.advance(1);
    expect(server.log.all.slice(10)).toEqual([request('POST')]);
  });
});
