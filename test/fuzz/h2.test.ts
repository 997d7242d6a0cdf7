import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Http2Settings } from '../../src/proxy/codec/server-codec.ts';
import { H2ClientHarness, H2ServerHarness, h2Request, response, Wire } from '../proxy/codec/h2/h2-harness.ts';
import * as h2 from '../support/h2-frames.ts';

/** Hostile and broken peers: nothing throws or hangs, every stream ends once, and nothing of it stays behind. */

const { GET, POST, T, block, data, frame, goAway, headers, ping, reset, settings, windowUpdate } = h2;

const stream = fc.constantFrom(0, 1, 3, 5, 7, 2, 2 ** 31 - 1);
const flags = fc.oneof(fc.constantFrom(0, 1, 4, 5, 0xd, 0x2d), fc.nat(255));
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const field = fc.constantFrom<[string, string]>(
  ['x', 'y'],
  ['cookie', 'a'],
  ['content-length', '3'],
  ['te', 'trailers'],
  ['X', 'y'],
  [':path', '/'],
  ['connection', 'close'],
  ['', ''],
);
const anyFrame: fc.Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(
      stream,
      fc.array(field, { maxLength: 3 }),
      fc.boolean(),
      fc.constantFrom(GET, POST, [[':status', '200']] as const, []),
    )
    .map(([id, fields, end, start]) => headers(id, [...start, ...fields], end)),
  fc.tuple(stream, fc.nat(3000), fc.boolean()).map(([id, size, end]) => data(id, Buffer.alloc(size), end)),
  fc.tuple(stream, fc.nat(14)).map(([id, code]) => reset(id, code)),
  fc.tuple(stream, fc.oneof(fc.nat(100_000), fc.constant(2 ** 31 - 1))).map(([id, size]) => windowUpdate(id, size)),
  fc.tuple(fc.nat(9), fc.oneof(fc.nat(70_000), fc.constant(2 ** 31))).map(([id, value]) => settings([[id, value]])),
  fc.tuple(stream, fc.nat(12)).map(([id, code]) => goAway(id, code)),
  fc.constant(ping()),
  fc.constant(h2.settingsAck),
  fc
    .tuple(stream, flags, fc.array(field, { maxLength: 2 }))
    .map(([id, flag, fields]) => frame(T.CONTINUATION, flag, id, block(fields))),
  fc.tuple(fc.nat(12), flags, stream, bytes(40)).map(([type, flag, id, payload]) => frame(type, flag, id, payload)),
);
const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });
const settingsOf: fc.Arbitrary<Partial<Http2Settings>> = fc.record({
  overrideStreamErrorOnInvalidHttpMessage: fc.boolean(),
  allowConnect: fc.boolean(),
  maxConcurrentStreams: fc.constantFrom(1, 1024),
  maxHeadersBytes: fc.constantFrom(60, 60 * 1024),
  initialConnectionWindowSize: fc.constantFrom(65_535, 24 * 1024 * 1024),
  bufferLimitBytes: fc.constantFrom(100, 1024 * 1024),
});
const conversation = fc.record({
  frames: fc.array(anyFrame, { maxLength: 14 }),
  edits,
  cuts: fc.array(fc.nat(4000), { maxLength: 4 }),
  settings: settingsOf,
  pauses: fc.boolean(),
  full: fc.boolean(),
});

function parts(
  frames: readonly Buffer[],
  changes: readonly (readonly [number, number])[],
  cuts: readonly number[],
): Buffer[] {
  const all = Buffer.concat(frames);
  for (const [at, value] of changes) if (all.length > 0) all[at % all.length] = value;
  const points = [...new Set([0, ...cuts.map((at) => at % (all.length + 1)), all.length])].toSorted((a, b) => a - b);
  return points.slice(1).map((to, i) => all.subarray(points[i], to));
}

describe('HTTP/2 fuzzing', () => {
  test('the server survives anything', () => {
    fc.assert(
      fc.property(conversation, ({ frames, edits: changes, cuts, settings: options, pauses, full }) => {
        const server = new H2ServerHarness(
          {
            onHeaders(handle) {
              if (pauses) handle.pause();
              handle.sendHeaders(response(200), false);
            },
            onData: (handle, chunk) => void handle.sendData(chunk, false),
            onEnd: (handle) => void handle.sendData(Buffer.from('end'), true),
          },
          { settings: options },
        );
        server.output.full = full;
        for (const part of parts(frames, changes, cuts)) server.feed(part);
        server.turn(() => server.streams.forEach((handle) => handle.resume()));
        if (full) server.drain();
        server.socket.close();
        checkEnds(server.log.all);
        expect(server.stat('streams_active')).toBe(0);
        expect(server.stat('pending_send_bytes')).toBe(0);
        expect(server.stat('outbound_frames_active')).toBe(0);
        // Whatever came in, what goes out is whole frames.
        expect(h2.parseFrames(Buffer.concat(server.output.writes)).rest).toHaveLength(0);
      }),
      { numRuns: 3000 },
    );
  });

  test('the client survives anything', () => {
    fc.assert(
      fc.property(conversation, ({ frames, edits: changes, cuts, settings: options, pauses, full }) => {
        const client = new H2ClientHarness({ settings: options });
        client.output.full = full;
        const streams = ['GET', 'POST', 'HEAD', 'CONNECT'].map((method) =>
          client.start(h2Request(method, '/'), method === 'GET' || method === 'HEAD'),
        );
        if (pauses) client.socket.turn(() => streams[0]!.pause());
        for (const part of parts(frames, changes, cuts)) client.feed(part);
        client.socket.turn(() => {
          for (const handle of streams) {
            handle.resume();
            handle.sendData(Buffer.alloc(100_000), true);
          }
        });
        if (full) client.drain();
        client.socket.close();
        expect(client.ends).toHaveLength(4);
        expect(client.stat('streams_active')).toBe(0);
        expect(client.stat('pending_send_bytes')).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  test('bytes that are no HTTP/2 at all', () => {
    fc.assert(
      fc.property(bytes(200), fc.boolean(), (garbage, preface) => {
        const server = new H2ServerHarness({}, { raw: true });
        server.feed(preface ? Buffer.concat([h2.PREFACE, garbage]) : garbage);
        server.socket.close();
        checkEnds(server.log.all);
      }),
      { numRuns: 1000 },
    );
  });

  test('what one side writes the other reads', () => {
    const name = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
    const value = fc.string({
      unit: fc
        .nat(255)
        .filter((code) => code > 31 && code !== 127)
        .map((code) => String.fromCharCode(code)),
      maxLength: 30,
    });
    const fields = fc.array(fc.tuple(name, value), { maxLength: 8 });
    const chunks = fc.array(
      fc.nat(40_000).map((size) => Buffer.alloc(size, 'ab')),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(fields, fields, chunks, chunks, fc.nat(3000), (asked, answered, up, down, cut) => {
        const server = new H2ServerHarness(
          {
            onEnd(handle) {
              handle.sendHeaders(response(200, answered), false);
              for (const chunk of down) handle.sendData(chunk, false);
              handle.sendTrailers(response(0, answered));
            },
          },
          { raw: true },
        );
        const client = new H2ClientHarness({ raw: true });
        const wire = new Wire(client, server);
        const handle = client.open();
        client.socket.turn(() => {
          handle.sendHeaders(h2Request('POST', '/p', asked), false);
          for (const chunk of up) handle.sendData(chunk, false);
          handle.sendTrailers(response(0, asked));
        });
        wire.run(cut + 50);
        const text = (list: readonly (readonly [string, string])[]): string =>
          list.map(([n, v]) => ` | ${n}: ${v}`).join('');
        const size = (buffers: readonly Buffer[]): number => buffers.reduce((sum, { length }) => sum + length, 0);
        const seen = (lines: readonly string[]): (string | number)[] =>
          lines.map((line) => (line.startsWith('data ') ? line.length - 5 : line));
        const body = (buffers: readonly Buffer[]): number[] => (size(buffers) > 0 ? [size(buffers)] : []);
        const end = (list: readonly (readonly [string, string])[], buffers: readonly Buffer[]): (string | number)[] => [
          ...body(buffers),
          ...(list.length > 0 ? [`trailers ${text(list).slice(3)}`] : ['end']),
        ];
        expect(seen(server.log.all)).toEqual([
          'stream',
          `headers POST /p | authority=h | scheme=http${text(asked)}`,
          ...end(asked, up),
        ]);
        expect(seen(client.log.all)).toEqual([`headers 200${text(answered)}`, ...end(answered, down)]);
        expect(client.ends).toEqual(['complete']);
      }),
      { numRuns: 200 },
    );
  });
});

/** No more ends than streams: each line that ends one comes after its stream began. */
function checkEnds(lines: readonly string[]): void {
  const begun = lines.filter((line) => line === 'stream').length;
  const reset = lines.filter((line) => line.startsWith('reset')).length;
  expect(reset).toBeLessThanOrEqual(begun);
  expect(lines.filter((line) => line.startsWith('headers ')).length).toBeLessThanOrEqual(begun);
}
