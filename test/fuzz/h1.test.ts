import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Http1Settings } from '../../src/proxy/codec/codec.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';
import { ClientHarness, ServerHarness, describe as show, request, response } from '../proxy/codec/h1/h1-harness.ts';

/** Hostile and broken input: nothing throws, every stream ends, and what goes out is well-formed. */

const seeds = [
  'GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: h\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-T: v\r\n\r\n',
  'GET http://u@h:80/x HTTP/1.1\r\nHost: h\r\nConnection: close, x\r\nTE: trailers\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\nraw',
  'CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\nraw',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\n\r\n',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello',
  'HTTP/1.1 101 SP\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw',
];
const pieces = [
  '\r\n',
  '\r',
  '\n',
  '\0',
  ' ',
  ':',
  '\t',
  '0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 3\r\n',
];

interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(300),
  remove: fc.nat(4),
  insert: fc.oneof(
    fc.constantFrom('', ...pieces, ...seeds),
    fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 6 }),
  ),
});
const mutated = fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 4 })).map(([seed, edits]) => {
  let text = seed;
  for (const { at, remove, insert } of edits) {
    const place = at % (text.length + 1);
    text = text.slice(0, place) + insert + text.slice(place + remove);
  }
  return text;
});
const anyBytes = fc.oneof(
  { weight: 4, arbitrary: mutated },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1')) },
);
const settings: fc.Arbitrary<Partial<Http1Settings>> = fc.record({
  acceptHttp10: fc.boolean(),
  enableTrailers: fc.boolean(),
  allowChunkedLength: fc.boolean(),
  headerCase: fc.constantFrom('lower' as const, 'proper' as const, 'preserve' as const),
  maxHeadersBytes: fc.constantFrom(80, 60 * 1024),
});
const cuts = fc.array(fc.nat(500), { maxLength: 4 });

function cut(text: string, at: readonly number[]): string[] {
  const points = [...new Set([0, ...at.map((place) => place % (text.length + 1)), text.length])].sort((a, b) => a - b);
  return points.slice(1).map((to, i) => text.slice(points[i], to));
}

/** Every stream's events end exactly once, with nothing behind it. */
function checkServer(lines: readonly string[]): void {
  let over = true;
  for (const line of lines) {
    if (line === 'stream') {
      expect(over).toBe(true);
      over = false;
    } else {
      expect(over).toBe(false);
      over = line === 'end' || /^(error|reset|trailers) ?/.test(line);
    }
  }
  expect(over).toBe(true);
}

describe('HTTP/1 fuzzing', () => {
  test('the server survives anything', () => {
    fc.assert(
      fc.property(anyBytes, cuts, settings, (text, at, options) => {
        const server = new ServerHarness(undefined, options);
        for (const piece of cut(text, at)) server.socket.feed(piece);
        server.socket.close();
        checkServer(server.log.all);
        expect(server.output.pauses).toBe(0);
        // Whatever came in, responses go out one for each complete or refused request.
        const answers = server.output.text.match(/^HTTP\/1\.[01] \d{3} /gm) ?? [];
        const expected = server.log.all.filter((line) => line === 'end' || /^(error|trailers)/.test(line));
        expect(answers).toHaveLength(expected.length);
      }),
      { numRuns: 2000 },
    );
  });

  test('the client survives anything', () => {
    fc.assert(
      fc.property(
        anyBytes,
        cuts,
        settings,
        fc.constantFrom('GET', 'HEAD', 'CONNECT', 'UPGRADE'),
        fc.boolean(),
        (text, at, options, method, end) => {
          const client = new ClientHarness(options);
          const headers = request(method === 'UPGRADE' ? 'GET' : method, '/');
          if (method === 'UPGRADE') headers.protocol = 'websocket';
          client.get(headers);
          for (const piece of cut(text, at)) client.socket.feed(piece);
          if (end) client.socket.end();
          client.socket.close();
          const finals = client.log.all.filter((line) => line === 'end' || /^(reset|trailers)/.test(line));
          expect(finals).toHaveLength(1);
          expect(client.log.all.at(-1)).toBe(finals[0]);
          expect(client.ends).toHaveLength(1);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('what one side writes the other reads', () => {
    const name = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
    const value = fc
      .string({
        unit: fc
          .nat(255)
          .filter((code) => code > 31 && code !== 127)
          .map((code) => String.fromCharCode(code)),
        maxLength: 30,
      })
      .map((text) => text.trim().replace(/^[\xa0]+|[\xa0]+$/g, ''));
    const fields = fc.array(fc.tuple(name, value), { maxLength: 8 });
    const chunks = fc.array(
      fc.nat(5000).map((size) => Buffer.alloc(size, 'ab')),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(fields, fields, chunks, chunks, fc.boolean(), (asked, answered, up, down, sized) => {
        const length = (parts: readonly Buffer[]): [string, string][] =>
          sized ? [['content-length', String(parts.reduce((sum, part) => sum + part.length, 0))]] : [];
        const server = new ServerHarness({
          onEnd(stream) {
            stream.sendHeaders(response(200, [...length(down), ...answered]), false);
            for (const chunk of down) stream.sendData(chunk, false);
            stream.sendData(Buffer.alloc(0), true);
          },
        });
        const client = new ClientHarness();
        const stream = client.open();
        const headers = request('POST', '/p', [...length(up), ...asked]);
        client.socket.turn(() => {
          stream.sendHeaders(headers, false);
          for (const chunk of up) stream.sendData(chunk, false);
          stream.sendData(Buffer.alloc(0), true);
        });
        server.socket.feed(client.output.text);
        client.socket.feed(server.output.text);
        const body = (parts: readonly Buffer[]): string[] => {
          const text = Buffer.concat(parts).toString('latin1');
          return text === '' ? [] : [`data ${text}`];
        };
        expect(server.log.all).toEqual(['stream', `headers ${show(headers)}`, ...body(up), 'end']);
        const expected = HeaderMap.of([...length(down), ...answered]);
        expected.status = 200;
        expect(client.log.all).toEqual([`headers ${show(expected)}`, ...body(down), 'end']);
        expect(client.ends).toEqual(['reusable']);
      }),
      { numRuns: 300 },
    );
  });
});
