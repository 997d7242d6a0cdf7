import { describe, expect, test } from 'vitest';
import type { Http1Settings } from '../../../src/proxy/codec/codec.ts';
import { ClientHarness, request } from '../../proxy/codec/h1/h1-harness.ts';

/** What a client makes of odd and hostile responses; the counterpart of requests.test.ts. */
interface Case {
  readonly name: string;
  readonly bytes: string;
  /** A detail: the stream is reset with `protocol error`; else the events. */
  readonly outcome: string | readonly string[];
  /** How the exchange ends, if it does. */
  readonly end?: string;
  readonly method?: string;
  readonly envoy?: string;
  readonly settings?: Partial<Http1Settings>;
}

const CODEC = 'http1.codec_error';
const CHARS = 'http1.invalid_characters';
const ok = (fields: string, body = 'hello'): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;
const line = (start: string): string => `${start}\r\ncontent-length: 5\r\n\r\nhello`;
const length = (status = 200): string[] => [`headers ${status} | content-length: 5`, 'data hello', 'end'];
const chunked = ['headers 200', 'data abc', 'end'];

const groups: Record<string, readonly Case[]> = {
  'status line': [
    ...['HTTP/1.1 200 OK', 'HTTP/1.1 200', 'HTTP/1.1 200 ', 'HTTP/1.1 200 Fine by me', 'HTTP/1.1 200 O\xe9K'].map(
      (start) => ({ name: start, bytes: line(start), outcome: length(), end: 'reusable' }),
    ),
    { name: 'a status over 599', bytes: line('HTTP/1.1 999 X'), outcome: length(999), end: 'reusable' },
    ...['HTTP/1.1 99 X', 'HTTP/1.1 000 X', 'HTTP/1.1 2x0 X', 'http/1.1 200 OK', 'HTTP/1.1200 OK', 'OK', ''].map(
      (start) => ({ name: JSON.stringify(start), bytes: line(start), outcome: CODEC }),
    ),
    ...['HTTP/1.1 1000 X', 'HTTP/1.1  200 OK', 'HTTP/1.1 200\tOK', 'HTTP/1.2 200 OK', 'HTTP/2.0 200 OK'].map(
      (start) => ({ name: JSON.stringify(start), bytes: line(start), outcome: CODEC, envoy: '200' }),
    ),
    { name: 'a control character in the reason', bytes: line('HTTP/1.1 200 O\x01K'), outcome: CHARS },
    { name: 'empty lines before', bytes: `\r\n${line('HTTP/1.1 200 OK')}`, outcome: CODEC },
    { name: 'HTTP/1.0', bytes: line('HTTP/1.0 200 OK'), outcome: length(), end: 'close' },
    {
      name: 'HTTP/1.0 keep-alive',
      bytes: 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello',
      outcome: length(),
      end: 'reusable',
    },
  ],
  'message length': [
    {
      name: 'chunks',
      bytes: ok('transfer-encoding: Chunked\r\n', '3\r\nabc\r\n0\r\n\r\n'),
      outcome: chunked,
      end: 'reusable',
    },
    {
      name: 'trailers, not carried',
      bytes: ok('transfer-encoding: chunked\r\n', '3\r\nabc\r\n0\r\nx: y\r\n\r\n'),
      outcome: chunked,
      end: 'reusable',
    },
    {
      name: 'trailers, carried',
      bytes: ok('transfer-encoding: chunked\r\n', '3\r\nabc\r\n0\r\nx: y\r\n\r\n'),
      outcome: ['headers 200', 'data abc', 'trailers x: y'],
      end: 'reusable',
      settings: { enableTrailers: true },
    },
    {
      name: 'length and chunked',
      bytes: ok('content-length: 3\r\ntransfer-encoding: chunked\r\n'),
      outcome: 'http1.content_length_and_chunked_not_allowed',
    },
    {
      name: 'length and chunked, allowed',
      bytes: ok('content-length: 9\r\ntransfer-encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n'),
      outcome: chunked,
      end: 'reusable',
      settings: { allowChunkedLength: true },
    },
    ...['gzip', 'gzip, chunked', 'identity', 'chunked, chunked', ''].map((coding) => ({
      name: `coding "${coding}"`,
      bytes: ok(`transfer-encoding: ${coding}\r\n`),
      outcome: 'http1.invalid_transfer_encoding',
    })),
    {
      name: 'chunked in HTTP/1.0',
      bytes: 'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      outcome: 'http1.transfer_encoding_not_allowed',
      envoy: '200',
    },
    ...['+5', '', '5, 5', '0x5', '5 5', '-5'].map((value) => ({
      name: `length "${value}"`,
      bytes: ok(`content-length: ${value}\r\n`),
      outcome: CODEC,
    })),
    { name: 'two lengths', bytes: ok('content-length: 5\r\ncontent-length: 5\r\n'), outcome: CODEC },
    {
      name: '204 with a length',
      bytes: 'HTTP/1.1 204 X\r\ncontent-length: 5\r\n\r\nhello',
      outcome: 'http1.content_length_not_allowed',
    },
    {
      name: '204 with a length of 0',
      bytes: 'HTTP/1.1 204 X\r\ncontent-length: 0\r\n\r\n',
      outcome: ['headers 204', 'end'],
      end: 'reusable',
    },
    {
      name: '204 with chunks',
      bytes: 'HTTP/1.1 204 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      outcome: 'http1.transfer_encoding_not_allowed',
    },
    {
      name: '304 with a length',
      bytes: 'HTTP/1.1 304 X\r\ncontent-length: 20\r\n\r\n',
      outcome: ['headers 304 | content-length: 20', 'end'],
      end: 'reusable',
    },
    {
      name: 'HEAD',
      method: 'HEAD',
      bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n',
      outcome: ['headers 200 | content-length: 20', 'end'],
      end: 'reusable',
    },
    {
      name: 'HEAD with chunked',
      method: 'HEAD',
      bytes: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      outcome: ['headers 200', 'end'],
      end: 'reusable',
    },
    {
      name: '100 with a length',
      bytes: 'HTTP/1.1 100 X\r\ncontent-length: 2\r\n\r\n',
      outcome: 'http1.content_length_not_allowed',
    },
    {
      name: '103 with chunks',
      bytes: 'HTTP/1.1 103 X\r\ntransfer-encoding: chunked\r\n\r\n',
      outcome: 'http1.transfer_encoding_not_allowed',
    },
    {
      name: 'an error behind data',
      bytes: ok('transfer-encoding: chunked\r\n', '3\r\nabc\r\nzz'),
      outcome: ['headers 200', 'data abc', `reset protocol error ${CODEC}`],
      end: 'reset',
    },
  ],
  'what follows': [
    {
      name: 'bytes behind the body',
      bytes: ok('content-length: 5\r\n', 'helloEXTRA'),
      outcome: length(),
      end: 'close',
    },
    {
      name: 'a second response',
      bytes: ok('content-length: 5\r\n', `hello${line('HTTP/1.1 200 OK')}`),
      outcome: length(),
      end: 'close',
    },
    {
      name: 'a body behind a 204',
      bytes: 'HTTP/1.1 204 X\r\n\r\nhello',
      outcome: ['headers 204', 'end'],
      end: 'close',
    },
    {
      name: 'a body to HEAD',
      method: 'HEAD',
      bytes: ok('content-length: 5\r\n'),
      outcome: ['headers 200 | content-length: 5', 'end'],
      end: 'close',
    },
    {
      name: 'connection: close',
      bytes: ok('connection: Close\r\ncontent-length: 5\r\n'),
      outcome: length(),
      end: 'close-notify',
    },
    {
      name: 'proxy-connection: close',
      bytes: ok('proxy-connection: close\r\ncontent-length: 5\r\n'),
      outcome: length(),
      end: 'close-notify',
    },
    {
      name: 'informational ones',
      bytes: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nlink: a\r\n\r\n${line('HTTP/1.1 200 OK')}`,
      outcome: ['informational 100', 'informational 103 | link: a', ...length()],
      end: 'reusable',
    },
    {
      name: 'a 101 that nobody asked for',
      bytes: 'HTTP/1.1 101 SP\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      outcome: CODEC,
      envoy: 'forwards it',
    },
  ],
  fields: [
    ...['x: a\nb: c', 'x: a\r\n b', 'x: a\rb'].map((field) => ({
      name: JSON.stringify(field),
      bytes: ok(`${field}\r\ncontent-length: 5\r\n`),
      outcome: CODEC,
      envoy: '200',
    })),
    ...['x : a', 'x(: a', ': a', 'xa'].map((field) => ({
      name: JSON.stringify(field),
      bytes: ok(`${field}\r\ncontent-length: 5\r\n`),
      outcome: CODEC,
    })),
    ...['x: a\0b', 'x: a\x01b', 'x: a\x7fb'].map((field) => ({
      name: JSON.stringify(field),
      bytes: ok(`${field}\r\ncontent-length: 5\r\n`),
      outcome: CHARS,
    })),
    {
      name: 'obs-text',
      bytes: ok('x: \x80\xff\r\ncontent-length: 5\r\n'),
      outcome: ['headers 200 | x: \x80\xff | content-length: 5', 'data hello', 'end'],
      end: 'reusable',
    },
    {
      name: 'hop-by-hop fields go, nominated ones and te stay',
      bytes: ok(
        'connection: x-a\r\nx-a: 1\r\nkeep-alive: 5\r\nproxy-connection: x\r\nte: x\r\nupgrade: h2c\r\ncontent-length: 5\r\n',
      ),
      outcome: ['headers 200 | x-a: 1 | te: x | content-length: 5', 'data hello', 'end'],
      end: 'reusable',
    },
    { name: '101 fields', bytes: ok('x: 1\r\n'.repeat(101)), outcome: 'http1.too_many_headers' },
    { name: '62 kB', bytes: ok(`x: ${'a'.repeat(62000)}\r\n`), outcome: 'http1.headers_too_large' },
  ],
};

for (const [group, cases] of Object.entries(groups)) {
  describe(`responses: ${group}`, () => {
    for (const { name, bytes, outcome, end, method = 'GET', envoy, settings } of cases) {
      test(envoy === undefined ? name : `${name} (Envoy: ${envoy})`, () => {
        const client = new ClientHarness(settings);
        client.get(request(method, '/'));
        client.socket.feed(bytes);
        const events = typeof outcome === 'string' ? `reset protocol error ${outcome}` : outcome;
        if (typeof events === 'string') expect(client.log.all.at(-1)).toBe(events);
        else expect(client.log.all).toEqual(events);
        expect(client.ends).toEqual([end ?? 'reset']);
        expect(client.output.closes).toEqual(end === 'reusable' ? [] : ['abort']);
      });
    }
  });
}
