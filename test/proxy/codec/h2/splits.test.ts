import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as h2 from '../../../support/h2-frames.ts';
import { H2ClientHarness, H2ServerHarness, h2Request, response } from './h2-harness.ts';

const { F, GET, POST, T, block, data, frame, headers, ping, settings } = h2;

/** However the bytes of a connection are cut into reads, the events and the answers are the same. */

const REQUESTS = Buffer.concat([
  h2.PREFACE,
  settings([[4, 100]]),
  headers(1, POST, false),
  frame(T.HEADERS, F.PADDED, 3, Buffer.concat([Buffer.from([2]), block(POST), Buffer.alloc(2)])),
  frame(T.CONTINUATION, 0, 3, block([['x', 'y']])),
  frame(T.CONTINUATION, F.END_HEADERS, 3, block([['cookie', 'a']])),
  data(1, 'hello '),
  frame(T.DATA, F.PADDED, 3, Buffer.concat([Buffer.from([4]), Buffer.from('abc'), Buffer.alloc(4)])),
  frame(0xee, 0, 5, 'unknown'),
  data(1, 'world', true),
  ping(),
  frame(T.DATA, F.PADDED | F.END_STREAM, 3, Buffer.concat([Buffer.from([3]), Buffer.from('def'), Buffer.alloc(3)])),
  headers(5, [...GET, ['te', 'trailers']]),
  headers(7, POST, false),
  data(7, ''),
  headers(7, [['t', '1']]),
  h2.windowUpdate(1, 50),
  h2.reset(9, 8),
]);

const RESPONSES = Buffer.concat([
  settings(),
  headers(1, [[':status', '103']], false),
  headers(1, [[':status', '200']], false),
  data(1, 'x'.repeat(20_000).slice(0, 16_000)),
  frame(T.HEADERS, 0, 3, block([[':status', '200']])),
  frame(T.CONTINUATION, F.END_HEADERS, 3, block([['a', 'b']])),
  frame(T.DATA, F.PADDED | F.END_STREAM, 3, Buffer.concat([Buffer.from([3]), Buffer.from('def'), Buffer.alloc(3)])),
  headers(1, [['grpc-status', '0']]),
  h2.goAway(3, 0),
]);

function serve(cuts: readonly number[]): { events: string[]; frames: string[] } {
  const server = new H2ServerHarness(
    {
      onEnd(stream) {
        stream.sendHeaders(response(200), false);
        stream.sendData(Buffer.alloc(80, 'r'), true);
      },
    },
    { raw: true },
  );
  for (const part of pieces(REQUESTS, cuts)) server.feed(part);
  server.socket.close();
  return { events: server.log.all, frames: server.frames().filter((line) => !line.startsWith('WINDOW')) };
}

function fetch(cuts: readonly number[]): { events: string[]; ends: string[]; owner: string[] } {
  const client = new H2ClientHarness({ raw: true });
  client.start(h2Request('GET', '/1'));
  client.start(h2Request('GET', '/3'));
  for (const part of pieces(RESPONSES, cuts)) client.feed(part);
  return { events: client.log.all, ends: client.ends, owner: client.owner };
}

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const points = [...new Set([0, ...cuts.map((at) => at % bytes.length), bytes.length])].toSorted((a, b) => a - b);
  return points.slice(1).map((to, i) => bytes.subarray(points[i], to));
}

describe('any cutting of the byte stream', () => {
  const byteByByte = (bytes: Buffer): number[] => Array.from({ length: bytes.length }, (_, i) => i);

  test('requests', () => {
    const whole = serve([]);
    // The last frame resets a stream that never was; until then all is well.
    expect(whole.events.filter((line) => line === 'end')).toHaveLength(3);
    expect(whole.frames.at(-1)).toBe('GOAWAY 7 PROTOCOL_ERROR');
    expect(serve(byteByByte(REQUESTS))).toEqual(whole);
    fc.assert(
      fc.property(fc.array(fc.nat(REQUESTS.length)), (cuts) => {
        expect(serve(cuts)).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });

  test('responses', () => {
    const whole = fetch([]);
    expect(whole.ends).toEqual(['complete', 'complete']);
    expect(fetch(byteByByte(RESPONSES))).toEqual(whole);
    fc.assert(
      fc.property(fc.array(fc.nat(RESPONSES.length)), (cuts) => {
        expect(fetch(cuts)).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });
});
