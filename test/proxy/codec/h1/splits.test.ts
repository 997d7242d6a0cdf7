import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Http1Settings } from '../../../../src/proxy/codec/codec.ts';
import { ClientHarness, ServerHarness, request } from './h1-harness.ts';

const settings: Partial<Http1Settings> = { enableTrailers: true, acceptHttp10: true, maxHeadersBytes: 400 };

function serve(pieces: readonly string[], end: boolean): unknown {
  const server = new ServerHarness(undefined, settings);
  for (const piece of pieces) server.socket.feed(piece);
  if (end) server.socket.end();
  return {
    events: server.log.all,
    sent: server.output.text,
    closes: server.output.closes,
    pauses: server.output.pauses,
  };
}

function ask(method: string, pieces: readonly string[], end: boolean): unknown {
  const client = new ClientHarness(settings);
  const upgrade = method === 'UPGRADE';
  const headers = request(upgrade ? 'GET' : method, '/');
  if (upgrade) headers.protocol = 'websocket';
  client.get(headers);
  for (const piece of pieces) client.socket.feed(piece);
  if (end) client.socket.end();
  return { events: client.log.all, ends: client.ends, closes: client.output.closes };
}

const H = 'Host: h\r\n';
const POST = `POST / HTTP/1.1\r\n${H}`;
const requests: Record<string, string> = {
  'a request': `GET /a?b HTTP/1.1\r\n${H}X-Foo: bar \t\r\nX-Empty:\r\n\r\n`,
  'pipelined requests': `\r\nGET /1 HTTP/1.1\r\n${H}\r\n\r\n${POST}Content-Length: 5\r\n\r\nhelloGET /3 HTTP/1.1\r\n${H}\r\n`,
  chunks: `${POST}Transfer-Encoding: chunked\r\n\r\n3;ext="x"\r\nabc\r\n1F\r\n${'z'.repeat(31)}\r\n0\r\n\r\n`,
  'chunks and trailers': `${POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\nX-U: w\r\n\r\nGET / HTTP/1.1\r\n${H}\r\n`,
  'a broken chunk': `${POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`,
  'a broken trailer': `${POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX T: v\r\n\r\n`,
  'HTTP/1.0': `GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n`,
  'a bare LF': 'GET / HTTP/1.1\nHost: h\n\n',
  'a folded line': `GET / HTTP/1.1\r\n${H}X: a\r\n b\r\n\r\n`,
  'a NUL': `GET / HTTP/1.1\r\n${H}X: a\0b\r\n\r\n`,
  'a bare CR': `GET / HTTP/1.1\r\n${H}X: a\rb\r\n\r\n`,
  garbage: '\x16\x03\x01\x02\x00\r\n',
  'a bad version': `GET / HTTQ/1.1\r\nX: \x01\r\n\r\n`,
  'a head over the limit': `GET / HTTP/1.1\r\n${H}X: ${'a'.repeat(400)}\r\n\r\n`,
  'an error behind the limit': `GET / HTTP/1.1\r\n${H}X: ${'a'.repeat(360)}\r\nY: ${'b'.repeat(20)}\x01\r\n\r\n`,
  'an error before the limit': `GET / HTTP/1.1\r\n${H}Y: \x01\r\nX: ${'a'.repeat(400)}\r\n\r\n`,
  connect: `CONNECT h:80 HTTP/1.1\r\n${H}\r\nearly`,
};
const responses: Record<string, readonly [method: string, text: string]> = {
  'a length': ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: \xe9\xff\r\n\r\nhello'],
  informational: ['GET', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n'],
  chunks: ['GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\n\r\n'],
  'until the end': ['GET', 'HTTP/1.1 200 OK\r\n\r\nhello'],
  HEAD: ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
  'a cut body': ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello'],
  'a cut head': ['GET', 'HTTP/1.1 200 OK\r\nConte'],
  'bad chunks': ['GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX'],
  'an upgrade': ['UPGRADE', 'HTTP/1.1 101 SP\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw bytes'],
  tunnel: ['CONNECT', 'HTTP/1.1 200 OK\r\n\r\nraw bytes'],
  'a bad status': ['GET', 'HTTP/1.1 2x0 OK\r\n\r\n'],
};

describe('any split of the bytes gives the same events', () => {
  for (const [name, text] of Object.entries(requests)) {
    for (const end of [false, true]) {
      test(`request: ${name}${end ? ', then the end' : ''}`, () => {
        const whole = serve([text], end);
        for (let i = 1; i < text.length; i++) expect(serve([text.slice(0, i), text.slice(i)], end)).toEqual(whole);
        expect(serve([...text], end)).toEqual(whole);
      });
    }
  }
  for (const [name, [method, text]] of Object.entries(responses)) {
    test(`response: ${name}`, () => {
      const whole = ask(method, [text], true);
      for (let i = 1; i < text.length; i++) expect(ask(method, [text.slice(0, i), text.slice(i)], true)).toEqual(whole);
      expect(ask(method, [...text], true)).toEqual(whole);
    });
  }
  test('several requests and random pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...Object.values(requests)), { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(600), { maxLength: 12 }),
        (texts, cuts) => {
          const text = texts.join('');
          expect(serve(cutAt(text, cuts), false)).toEqual(serve([text], false));
        },
      ),
      { numRuns: 300 },
    );
  });
});

function cutAt(text: string, cuts: readonly number[]): string[] {
  const points = [...new Set([0, ...cuts.map((cut) => cut % text.length), text.length])].sort((a, b) => a - b);
  return points.slice(1).map((to, i) => text.slice(points[i], to));
}
