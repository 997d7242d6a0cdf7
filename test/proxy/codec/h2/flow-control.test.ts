import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as h2 from '../../../support/h2-frames.ts';
import type { ServerStream } from '../../../../src/proxy/codec/codec.ts';
import type { Serve } from '../h1/h1-harness.ts';
import { H2ClientHarness, h2Request, H2ServerHarness, response, Wire } from './h2-harness.ts';

const { GET, POST, data, headers, settings, windowUpdate } = h2;

/** Answers each request with `size` bytes. */
const body = (size: number): Serve => ({
  onEnd(stream) {
    stream.sendHeaders(response(200), false);
    stream.sendData(Buffer.alloc(size, 'x'), true);
  },
});
const sizes = (server: H2ServerHarness): string[] => server.frames().filter((line) => line.startsWith('DATA'));

describe('receiving', () => {
  test('windows go back half at a time, of the stream and of the connection', () => {
    const server = new H2ServerHarness(
      {},
      { settings: { initialStreamWindowSize: 65_535, initialConnectionWindowSize: 100_000 } },
    );
    server.feed(headers(1, POST, false), data(1, Buffer.alloc(16_384)));
    expect(server.frames()).toEqual([]);
    server.feed(data(1, Buffer.alloc(16_384)));
    expect(server.frames()).toEqual(['WINDOW_UPDATE 1 32768']);
    server.feed(data(1, Buffer.alloc(16_384)), data(1, Buffer.alloc(16_384)));
    expect(server.frames()).toEqual(['WINDOW_UPDATE 0 65536', 'WINDOW_UPDATE 1 32768']);
  });

  test('padding is given back as well', () => {
    const server = new H2ServerHarness(
      {},
      { settings: { initialStreamWindowSize: 65_535, initialConnectionWindowSize: 65_535 } },
    );
    const padded = h2.frame(h2.T.DATA, h2.F.PADDED, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(1 + 255)]));
    server.feed(headers(1, POST, false), ...Array.from({ length: 128 }, () => padded));
    expect(server.frames()).toEqual(['WINDOW_UPDATE 0 32896', 'WINDOW_UPDATE 1 32896']);
  });

  test('a paused stream keeps its window, and others go on', () => {
    const server = new H2ServerHarness(
      {},
      { settings: { initialStreamWindowSize: 65_535, initialConnectionWindowSize: 200_000 } },
    );
    server.feed(headers(1, POST, false), headers(3, POST, false));
    const [slow] = server.streams as [ServerStream];
    server.turn(() => slow.pause());
    for (let i = 0; i < 3; i++) server.feed(data(1, Buffer.alloc(16_384, 'a')), data(3, Buffer.alloc(16_384, 'b')));
    expect(server.frames()).toEqual(['WINDOW_UPDATE 3 32768']);
    const received = (letter: string): boolean => server.log.all.at(-1) === `data ${letter.repeat(3 * 16_384)}`;
    expect(received('b')).toBe(true);
    server.turn(() => slow.resume());
    expect(received('a')).toBe(true);
    expect(server.frames()).toEqual(['WINDOW_UPDATE 1 32768']);
  });

  test('events of a paused stream come after resume, in order', () => {
    const server = new H2ServerHarness();
    server.feed(headers(1, POST, false));
    server.turn(() => {
      server.stream.pause();
      server.stream.pause();
    });
    server.feed(data(1, 'abc'), headers(1, [['t', '1']]));
    server.turn(() => server.stream.resume());
    expect(server.log.all).toHaveLength(2);
    server.turn(() => server.stream.resume());
    expect(server.log.all.slice(2)).toEqual(['data abc', 'trailers t: 1']);
  });

  test('more than the windows is an error of the stream, or of the connection', () => {
    const stream = new H2ServerHarness({}, { settings: { initialStreamWindowSize: 65_535 } });
    stream.feed(headers(1, POST, false));
    stream.turn(() => stream.stream.pause());
    stream.feed(...Array.from({ length: 5 }, () => data(1, Buffer.alloc(16_384))));
    expect(stream.frames()).toEqual(['RST_STREAM 1 FLOW_CONTROL_ERROR']);
    const connection = new H2ServerHarness({}, { settings: { initialConnectionWindowSize: 65_535 } });
    connection.feed(headers(1, POST, false));
    connection.turn(() => connection.stream.pause());
    connection.feed(...Array.from({ length: 5 }, () => data(1, Buffer.alloc(16_384))));
    expect(connection.frames()).toEqual(['GOAWAY 1 FLOW_CONTROL_ERROR']);
  });

  test('what a stream holds when it is reset goes back to the connection', () => {
    const server = new H2ServerHarness({}, { settings: { initialConnectionWindowSize: 65_535 } });
    server.feed(headers(1, POST, false));
    server.turn(() => server.stream.pause());
    server.feed(...Array.from({ length: 3 }, () => data(1, Buffer.alloc(16_384))));
    server.feed(h2.reset(1, 8));
    expect(server.frames()).toEqual(['WINDOW_UPDATE 0 49152']);
  });
});

describe('sending', () => {
  test('within the windows, in frames of 16 KiB', () => {
    const server = new H2ServerHarness(body(100_000));
    server.feed(headers(1, GET));
    expect(sizes(server)).toEqual([...Array.from({ length: 3 }, () => 'DATA 1 16384 bytes'), 'DATA 1 16383 bytes']);
    expect(server.stat('pending_send_bytes')).toBe(34_465);
    server.feed(windowUpdate(0, 100_000));
    expect(sizes(server)).toEqual([]);
    server.feed(windowUpdate(1, 100_000));
    expect(sizes(server)).toEqual(['DATA 1 16384 bytes', 'DATA 1 16384 bytes', 'DATA 1 1697 bytes END']);
    expect(server.stat('pending_send_bytes')).toBe(0);
    expect(server.stat('streams_active')).toBe(0);
  });

  test('a smaller initial window makes windows negative', () => {
    const server = new H2ServerHarness(body(20), { peer: [[4, 10]] });
    server.feed(headers(1, GET));
    expect(server.frames()).toEqual(['HEADERS 1 :status: 200', 'DATA 1 xxxxxxxxxx']);
    server.feed(settings([[4, 5]]), windowUpdate(1, 5));
    expect(sizes(server)).toEqual([]);
    server.feed(windowUpdate(1, 1));
    expect(sizes(server)).toEqual(['DATA 1 x']);
    server.feed(settings([[4, 100]]));
    expect(sizes(server)).toEqual(['DATA 1 xxxxxxxxx END']);
  });

  test('trailers wait for the data in front of them', () => {
    const serve: Serve = {
      onEnd(stream) {
        stream.sendHeaders(response(200), false);
        stream.sendData(Buffer.from('hello'), false);
        stream.sendTrailers(response(0, [['t', '1']]));
      },
    };
    const server = new H2ServerHarness(serve, { peer: [[4, 2]] });
    server.feed(headers(1, GET));
    expect(server.frames()).toEqual(['HEADERS 1 :status: 200', 'DATA 1 he']);
    expect(server.connection.hasPendingOutput).toBe(true);
    server.feed(windowUpdate(1, 10));
    expect(server.frames()).toEqual(['DATA 1 llo', 'HEADERS 1 t: 1 END']);
    expect(server.connection.hasPendingOutput).toBe(false);
  });

  test('a scarce window is shared: streams take turns', () => {
    const server = new H2ServerHarness(body(100_000), { peer: [[4, 1_000_000]] });
    server.feed(headers(1, GET), headers(3, GET), headers(5, GET));
    server.frames();
    server.feed(windowUpdate(0, 6 * 16_384));
    const turns = sizes(server).map((line) => line.slice(0, 6));
    expect(turns.toSorted()).toEqual(['DATA 1', 'DATA 1', 'DATA 3', 'DATA 3', 'DATA 5', 'DATA 5']);
    expect(new Set(turns.slice(0, 3)).size).toBe(3);
  });

  test('over the limit of its buffer a stream has to wait, until half of that has left', () => {
    const server = new H2ServerHarness({}, { settings: { bufferLimitBytes: 1000 }, peer: [[4, 0]] });
    server.feed(headers(1, GET));
    const said: boolean[] = [];
    server.turn(() => {
      server.stream.sendHeaders(response(200), false);
      for (let i = 0; i < 3; i++) said.push(server.stream.sendData(Buffer.alloc(400), false));
    });
    expect(said).toEqual([true, true, false]);
    server.feed(windowUpdate(1, 600));
    expect(server.log.all.at(-1)).toBe('end');
    server.feed(windowUpdate(1, 100));
    expect(server.log.all.at(-1)).toBe('writable');
  });

  test('no DATA is written to a socket that takes none, and memory stays bounded', () => {
    const server = new H2ServerHarness({}, { settings: { bufferLimitBytes: 1000 }, peer: [[4, 2 ** 31 - 1]] });
    server.feed(headers(1, GET), headers(3, GET), windowUpdate(0, 2 ** 31 - 1 - 65_535));
    server.frames();
    server.output.full = true;
    const [first, second] = server.streams as [ServerStream, ServerStream];
    server.turn(() => {
      first.sendHeaders(response(200), false);
      first.sendData(Buffer.alloc(500_000), false);
      second.sendHeaders(response(200), false);
      expect(second.sendData(Buffer.alloc(10), false)).toBe(false);
    });
    const sent = server.output.bufferedBytes;
    expect(sent).toBeLessThan(100_000);
    for (let i = 0; i < 10; i++) server.turn(() => expect(second.sendData(Buffer.alloc(1000), false)).toBe(false));
    expect(server.output.bufferedBytes).toBeLessThan(sent + 100);
    server.drain();
    expect(server.log.all.slice(-2)).toEqual(['writable', 'writable']);
    const all = h2.parseFrames(Buffer.concat(server.output.writes)).frames.filter(({ type }) => type === h2.T.DATA);
    expect(all.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(510_010);
  });

  test('what a dead stream had to send is forgotten', () => {
    const server = new H2ServerHarness(body(50), { peer: [[4, 10]] });
    server.feed(headers(1, GET), h2.reset(1, 8), windowUpdate(1, 100));
    expect(sizes(server)).toEqual(['DATA 1 xxxxxxxxxx']);
    expect(server.stat('pending_send_bytes')).toBe(0);
  });

  test('the rest of a response that makes no progress is given up', () => {
    const server = new H2ServerHarness(body(50), { settings: { streamFlushTimeoutMs: 100 }, peer: [[4, 10]] });
    server.feed(headers(1, GET));
    server.frames();
    server.clock.advance(90);
    server.feed(windowUpdate(1, 1));
    server.clock.advance(90);
    expect(sizes(server)).toEqual(['DATA 1 x']);
    server.clock.advance(10);
    expect(server.frames()).toEqual(['RST_STREAM 1 INTERNAL_ERROR']);
    expect(server.stat('tx_flush_timeout')).toBe(1);
    expect(server.log.all.at(-1)).toBe('end');
  });
});

describe('any interleaving', () => {
  const step = fc.record({
    stream: fc.nat(3),
    up: fc.nat(40_000),
    down: fc.nat(40_000),
    pause: fc.boolean(),
    cut: fc.constantFrom(1000, 16_384, 100_000),
  });

  test('conserves bytes and never gets stuck', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 20 }),
        fc.constantFrom(65_535, 70_000, 1_000_000),
        fc.constantFrom(65_535, 100_000),
        (steps, streamWindow, connectionWindow) => {
          const options = {
            settings: {
              initialStreamWindowSize: streamWindow,
              initialConnectionWindowSize: connectionWindow,
              bufferLimitBytes: 10_000,
            },
          };
          const received = [0, 0, 0, 0];
          const server = new H2ServerHarness(
            { onData: (stream, chunk) => void (received[server.streams.indexOf(stream)]! += chunk.length) },
            { ...options, raw: true },
          );
          const client = new H2ClientHarness({ ...options, raw: true });
          const wire = new Wire(client, server);
          const answered = [0, 0, 0, 0];
          const streams = answered.map((_, i) => {
            const stream = client.open({ onData: (chunk) => void (answered[i]! += chunk.length) });
            client.socket.turn(() => stream.sendHeaders(h2Request('POST', `/${i}`), false));
            return stream;
          });
          wire.run();
          const sent = [0, 0, 0, 0];
          const sentBack = [0, 0, 0, 0];
          server.turn(() => server.streams.forEach((stream) => stream.sendHeaders(response(200), false)));
          for (const { stream, up, down, pause, cut } of steps) {
            if (pause) {
              client.socket.turn(() => streams[stream]!.pause());
              server.turn(() => server.streams[stream]!.pause());
            }
            client.socket.turn(() => streams[stream]!.sendData(Buffer.alloc(up, 1), false));
            server.turn(() => server.streams[stream]!.sendData(Buffer.alloc(down, 2), false));
            sent[stream]! += up;
            sentBack[stream]! += down;
            wire.run(cut);
            if (pause && up % 2 === 0) {
              client.socket.turn(() => streams[stream]!.resume());
              server.turn(() => server.streams[stream]!.resume());
            }
          }
          for (const { stream } of steps) {
            client.socket.turn(() => streams[stream]!.resume());
            server.turn(() => server.streams[stream]!.resume());
          }
          wire.run();
          expect(received).toEqual(sent);
          expect(answered).toEqual(sentBack);
          server.turn(() => server.streams.forEach((stream) => stream.sendData(Buffer.alloc(0), true)));
          client.socket.turn(() => streams.forEach((stream) => stream.sendData(Buffer.alloc(0), true)));
          wire.run();
          expect(client.stat('streams_active') + server.stat('streams_active')).toBe(0);
          expect(client.stat('pending_send_bytes') + server.stat('pending_send_bytes')).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
