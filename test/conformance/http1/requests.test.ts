import { describe, expect, test } from 'vitest';
import type { Http1Settings } from '../../../src/proxy/codec/codec.ts';
import { ServerHarness } from '../../proxy/codec/h1/h1-harness.ts';

/**
 * What a server makes of odd and hostile requests (RFC 9112; the classes of request smuggling). `envoy` is what Envoy
 * 1.40 does with the same bytes, given where we mean to differ: each difference is on the strict side.
 */
interface Case {
  readonly name: string;
  readonly bytes: string;
  /** `<status> <detail>`, or the events of the accepted request. */
  readonly outcome: string | readonly string[];
  readonly envoy?: string;
  readonly settings?: Partial<Http1Settings>;
}

const H = 'Host: h\r\n';
const get = (fields: string, target = '/'): string => `GET ${target} HTTP/1.1\r\n${H}${fields}\r\n`;
const post = (fields: string, body: string): string => `POST / HTTP/1.1\r\n${H}${fields}\r\n${body}`;
const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body);
const ok = (headers: string, ...rest: string[]): string[] => ['stream', `headers ${headers}`, ...rest, 'end'];
const CODEC = '400 http1.codec_error';
const CHARS = '400 http1.invalid_characters';
const TE = '501 http1.invalid_transfer_encoding';
const BOTH = '400 http1.content_length_and_chunked_not_allowed';
const AUTHORITY = '400 http.invalid_authority';
const LOW = '426 low_version';
const CONNECTION = '400 http1.connection_header_rejected';
const URL = '400 http1.invalid_url';
const plain = ok('GET / | authority=h');
const body3 = (length = '3'): string[] => ok(`POST / | authority=h | content-length: ${length}`, 'data abc');
const chunkedBody = ok('POST / | authority=h', 'data abc');

const groups: Record<string, readonly Case[]> = {
  'message length': [
    {
      name: 'length and chunked',
      bytes: post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
      outcome: BOTH,
    },
    {
      name: 'chunked and length',
      bytes: post('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', '0\r\n\r\n'),
      outcome: BOTH,
    },
    { name: 'length and gzip', bytes: post('Content-Length: 3\r\nTransfer-Encoding: gzip\r\n', 'abc'), outcome: BOTH },
    {
      name: 'length and chunked, allowed',
      bytes: post('Content-Length: 9\r\nTransfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n'),
      outcome: chunkedBody,
      settings: { allowChunkedLength: true },
    },
    ...[
      'xchunked',
      'chunked, identity',
      'identity, chunked',
      'gzip, chunked',
      'chunked, chunked',
      'identity',
      'gzip',
      '',
    ].map((value) => ({
      name: `coding "${value}"`,
      bytes: post(`Transfer-Encoding: ${value}\r\n`, '0\r\n\r\n'),
      outcome: TE,
    })),
    ...['chunked;q=1', ',chunked', 'chunked,', '"chunked"'].map((value) => ({
      name: `coding "${value}"`,
      bytes: post(`Transfer-Encoding: ${value}\r\n`, '0\r\n\r\n'),
      outcome: TE,
    })),
    {
      name: 'chunked twice',
      bytes: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
      outcome: TE,
    },
    {
      name: 'chunked, then identity',
      bytes: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', '0\r\n\r\n'),
      outcome: TE,
    },
    { name: 'VT before chunked', bytes: post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'), outcome: CHARS },
    { name: 'space before the colon', bytes: post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'), outcome: CODEC },
    {
      name: 'upper case and space around',
      bytes: post('Transfer-Encoding:  CHUNKED \t\r\n', '3\r\nabc\r\n0\r\n\r\n'),
      outcome: chunkedBody,
    },
    ...['+3', '-3', '0x3', '3,3', '3, 3', '3 3', '3a', '', '99999999999999999999'].map((value) => ({
      name: `length "${value}"`,
      bytes: post(`Content-Length: ${value}\r\n`, 'abc'),
      outcome: CODEC,
    })),
    {
      name: 'length beyond 2^53',
      bytes: post('Content-Length: 9007199254740993\r\n', 'abc'),
      outcome: CODEC,
      envoy: 'up to 2^64 - 1',
    },
    { name: 'length 03', bytes: post('Content-Length: 03\r\n', 'abc'), outcome: body3('03') },
    { name: 'space around a length', bytes: post('Content-Length: \t3 \r\n', 'abc'), outcome: body3() },
    { name: 'the same length twice', bytes: post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc'), outcome: CODEC },
    { name: 'two lengths', bytes: post('Content-Length: 3\r\nContent-Length: 4\r\n', 'abc'), outcome: CODEC },
    {
      name: 'a GET with a body',
      bytes: 'GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc',
      outcome: ok('GET / | authority=h | content-length: 3', 'data abc'),
    },
    {
      name: 'chunked in HTTP/1.0',
      bytes: `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      outcome: '400 http1.transfer_encoding_not_allowed',
      envoy: '200',
      settings: { acceptHttp10: true },
    },
  ],
  chunks: [
    { name: 'extensions', bytes: chunked('3;a=b;c="d;\\"e"\r\nabc\r\n0;x\r\n\r\n'), outcome: chunkedBody },
    { name: 'space before an extension', bytes: chunked('3 ;a\r\nabc\r\n0\r\n\r\n'), outcome: chunkedBody },
    {
      name: 'upper-case and leading zeros',
      bytes: chunked('00A\r\n0123456789\r\n000\r\n\r\n'),
      outcome: ok('POST / | authority=h', 'data 0123456789'),
    },
    { name: 'space behind the size', bytes: chunked('3 \r\nabc\r\n0\r\n\r\n'), outcome: CODEC, envoy: '200' },
    ...[
      ' 3\r\nabc',
      '0x3\r\nabc',
      '-3\r\nabc',
      '+3\r\nabc',
      '\r\nabc',
      'g\r\nabc',
      '3\nabc\r\n',
      '3;a\nabc\r\n',
      '3;a\rb\r\nabc\r\n',
    ].map((bytes) => ({ name: `size line ${JSON.stringify(bytes)}`, bytes: chunked(bytes), outcome: CODEC })),
    { name: 'a size over 2^53', bytes: chunked('FFFFFFFFFFFFFF\r\nabc'), outcome: CODEC, envoy: 'up to 2^64 - 1' },
    { name: 'a size over 2^64', bytes: chunked('FFFFFFFFFFFFFFFFF\r\nabc'), outcome: CODEC },
    {
      name: 'a control character in an extension',
      bytes: chunked('3;\x01\r\nabc\r\n0\r\n\r\n'),
      outcome: CODEC,
      envoy: '200',
    },
    {
      name: '20 kB of extension',
      bytes: chunked(`3;${'a'.repeat(20000)}\r\nabc\r\n0\r\n\r\n`),
      outcome: CODEC,
      envoy: '200',
    },
    { name: '20 kB of zeros', bytes: chunked(`${'0'.repeat(20000)}3\r\nabc\r\n0\r\n\r\n`), outcome: CODEC },
    { name: 'LF behind the data', bytes: chunked('3\r\nabc\n0\r\n\r\n'), outcome: CODEC, envoy: '200' },
    {
      name: 'data longer than its size',
      bytes: chunked('3\r\nabcX\r\n0\r\n\r\n'),
      outcome: CODEC,
      envoy: '200, dropping the X',
    },
    { name: 'LF behind the last chunk', bytes: chunked('3\r\nabc\r\n0\n\n'), outcome: CODEC },
    { name: 'trailers, not carried', bytes: chunked('3\r\nabc\r\n0\r\nX-T: v\r\n\r\n'), outcome: chunkedBody },
    {
      name: 'trailers, carried',
      bytes: chunked('3\r\nabc\r\n0\r\nX-T: v\r\n\r\n'),
      outcome: ['stream', 'headers POST / | authority=h', 'data abc', 'trailers x-t: v'],
      settings: { enableTrailers: true },
    },
    ...['Content-Length: 4', 'Transfer-Encoding: chunked', 'Host: evil'].map((field) => ({
      name: `trailer ${field}`,
      bytes: chunked(`3\r\nabc\r\n0\r\n${field}\r\n\r\n`),
      outcome: CODEC,
      envoy: '200',
    })),
    { name: 'a malformed trailer', bytes: chunked('0\r\nX T: v\r\n\r\n'), outcome: CODEC },
    { name: 'a control character in a trailer', bytes: chunked('0\r\nX-T: a\x01v\r\n\r\n'), outcome: CHARS },
    {
      name: 'a huge trailer',
      bytes: chunked(`0\r\nX: ${'a'.repeat(70000)}\r\n\r\n`),
      outcome: '431 http1.headers_too_large',
    },
    {
      name: '101 trailers',
      bytes: chunked(`0\r\n${'x: 1\r\n'.repeat(101)}\r\n`),
      outcome: '431 http1.too_many_headers',
      settings: { enableTrailers: true },
    },
  ],
  'request line': [
    { name: 'HTTP/1.0', bytes: `GET / HTTP/1.0\r\n${H}\r\n`, outcome: LOW },
    { name: 'HTTP/0.9', bytes: 'GET /\r\n\r\n', outcome: LOW },
    { name: 'HTTP/1.2', bytes: `GET / HTTP/1.2\r\n${H}\r\n`, outcome: LOW },
    { name: 'HTTP/2.0', bytes: `GET / HTTP/2.0\r\n${H}\r\n`, outcome: LOW },
    {
      name: 'HTTP/1.2, old ones allowed',
      bytes: `GET / HTTP/1.2\r\n${H}\r\n`,
      outcome: LOW,
      envoy: '200',
      settings: { acceptHttp10: true },
    },
    {
      name: 'HTTP/0.9, old ones allowed',
      bytes: 'GET /\r\n\r\n',
      outcome: LOW,
      envoy: '200',
      settings: { acceptHttp10: true },
    },
    {
      name: 'HTTP/1.0, allowed',
      bytes: 'GET / HTTP/1.0\r\n\r\n',
      outcome: ok('GET / | authority=default'),
      settings: { acceptHttp10: true, defaultHostForHttp10: 'default' },
    },
    ...['http/1.1', 'HTTP/1.1x', 'HTTP/11', 'HTTP/01.1', 'HTTP/1.10', 'HTTP/1', 'HTTP 1.1', 'HTTP/1,1'].map(
      (version) => ({
        name: `version ${version}`,
        bytes: `GET / ${version}\r\n${H}\r\n`,
        outcome: CODEC,
      }),
    ),
    ...['get', 'FOO', 'M-SEARCH', 'GE(T', 'G_T', '\xe9', 'A'.repeat(80)].map((method) => ({
      name: `method ${method}`,
      bytes: `${method} / HTTP/1.1\r\n${H}\r\n`,
      outcome: CODEC,
    })),
    {
      name: 'a custom method, allowed',
      bytes: `FOO / HTTP/1.1\r\n${H}\r\n`,
      outcome: ok('FOO / | authority=h'),
      settings: { allowCustomMethods: true },
    },
    { name: 'a control character in the method', bytes: `G\x01T / HTTP/1.1\r\n${H}\r\n`, outcome: CHARS },
    { name: 'a control character in the target', bytes: `GET /\x01 HTTP/1.1\r\n${H}\r\n`, outcome: CHARS },
    { name: 'DEL in the target', bytes: `GET /\x7f HTTP/1.1\r\n${H}\r\n`, outcome: CHARS },
    { name: 'obs-text in the target', bytes: `GET /\x80 HTTP/1.1\r\n${H}\r\n`, outcome: CODEC },
    { name: 'space in the target', bytes: `GET /a b HTTP/1.1\r\n${H}\r\n`, outcome: CODEC },
    ...['GET  / HTTP/1.1', 'GET /  HTTP/1.1', 'GET / HTTP/1.1 ', 'GET\t/ HTTP/1.1'].map((line) => ({
      name: JSON.stringify(line),
      bytes: `${line}\r\n${H}\r\n`,
      outcome: CODEC,
      envoy: '200',
    })),
    { name: 'a leading space', bytes: ` GET / HTTP/1.1\r\n${H}\r\n`, outcome: CODEC },
    { name: 'no target', bytes: `GET  HTTP/1.1\r\n${H}\r\n`, outcome: CODEC },
    { name: 'empty lines before', bytes: `\r\n\r\nGET / HTTP/1.1\r\n${H}\r\n`, outcome: plain },
    { name: 'a TLS handshake', bytes: '\x16\x03\x01', outcome: CODEC },
    { name: 'prose', bytes: 'hello world\r\n\r\n', outcome: CODEC },
  ],
  'request target': [
    {
      name: 'absolute-form replaces Host',
      bytes: get('', 'http://evil/x?y'),
      outcome: ok('GET /x?y | authority=evil | scheme=http'),
    },
    {
      name: 'absolute-form without a path',
      bytes: get('', 'https://evil'),
      outcome: ok('GET / | authority=evil | scheme=https'),
    },
    {
      name: 'absolute-form, upper case and port',
      bytes: get('', 'HTTP://Evil:80/x'),
      outcome: ok('GET /x | authority=Evil:80 | scheme=http'),
    },
    {
      name: 'absolute-form with IPv6',
      bytes: get('', 'http://[::1]:99/x'),
      outcome: ok('GET /x | authority=[::1]:99 | scheme=http'),
    },
    {
      name: 'userinfo is dropped',
      bytes: get('', 'http://u:p@evil/x'),
      outcome: ok('GET /x | authority=evil | scheme=http'),
    },
    {
      name: 'a query without a path',
      bytes: get('', 'http://evil?x'),
      outcome: ok('GET ?x | authority=evil | scheme=http'),
    },
    {
      name: 'absolute-form, not allowed',
      bytes: get('', 'http://evil/x'),
      outcome: ok('GET http://evil/x | authority=h'),
      settings: { allowAbsoluteUrl: false },
    },
    ...['ftp://evil/', 'ws://evil/', 'h://x'].map((target) => ({
      name: target,
      bytes: get('', target),
      outcome: '400 http1.invalid_scheme',
    })),
    ...['http://', 'http:///x', 'http://evil:99999/x', 'http://evil:/x', 'http://:80/', '*'].map((target) => ({
      name: target,
      bytes: get('', target),
      outcome: URL,
    })),
    ...['a/b', '?x', '://x', 'evil:80', 'http:/x', 'http://e\\x/', 'http://evil#f'].map((target) => ({
      name: target,
      bytes: get('', target),
      outcome: CODEC,
    })),
    { name: 'OPTIONS *', bytes: `OPTIONS * HTTP/1.1\r\n${H}\r\n`, outcome: ok('OPTIONS * | authority=h') },
    ...['//x', '/a#f', '/a\\b', '/%00', '/..;/a', '/"<>'].map((target) => ({
      name: `${target} is left to the connection manager`,
      bytes: get('', target),
      outcome: ok(`GET ${target} | authority=h`),
    })),
    {
      name: 'CONNECT',
      bytes: `CONNECT x:80 HTTP/1.1\r\n${H}\r\n`,
      outcome: ['stream', 'headers CONNECT  | authority=x:80'],
    },
    ...['x', '/', 'x:', 'x:y', 'http://x:80'].map((target) => ({
      name: `CONNECT ${target}`,
      bytes: `CONNECT ${target} HTTP/1.1\r\n${H}\r\n`,
      outcome: URL,
    })),
    {
      name: 'CONNECT with a body',
      bytes: `CONNECT x:80 HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\nabc`,
      outcome: '400 http1.body_disallowed',
    },
    {
      name: 'CONNECT with chunks',
      bytes: `CONNECT x:80 HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      outcome: TE,
    },
  ],
  host: [
    { name: 'none (the connection manager answers 400)', bytes: 'GET / HTTP/1.1\r\n\r\n', outcome: ok('GET /') },
    { name: 'empty', bytes: 'GET / HTTP/1.1\r\nHost:\r\n\r\n', outcome: ok('GET /'), envoy: '200' },
    {
      name: 'two',
      bytes: `GET / HTTP/1.1\r\n${H}Host: i\r\n\r\n`,
      outcome: AUTHORITY,
      envoy: '200 with the host "h,i"',
    },
    {
      name: 'twice the same',
      bytes: `GET / HTTP/1.1\r\n${H}${H}\r\n`,
      outcome: AUTHORITY,
      envoy: '200 with the host "h,h"',
    },
    {
      name: 'two beside absolute-form',
      bytes: `GET http://x/ HTTP/1.1\r\n${H}${H}\r\n`,
      outcome: AUTHORITY,
      envoy: '200',
    },
    ...['a/b', 'a b', '\xe9', 'a?b', 'a#b', 'a\\b', '"a"', 'a<b'].map((host) => ({
      name: host,
      bytes: `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      outcome: AUTHORITY,
    })),
    { name: 'a@b', bytes: 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n', outcome: AUTHORITY, envoy: '200' },
    ...['a:80', '[::1]', '[::1]:80', 'A.b', 'a%41', '_x', 'a,b', 'h..'].map((host) => ({
      name: host,
      bytes: `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      outcome: ok(`GET / | authority=${host}`),
    })),
  ],
  fields: [
    ...['X: a\r\n b\r\n', 'X: a\r\n\tb\r\n'].map((field) => ({
      name: `folding ${JSON.stringify(field)}`,
      bytes: get(field),
      outcome: CODEC,
      envoy: '200, joined',
    })),
    { name: 'folding of the first field', bytes: `GET / HTTP/1.1\r\n ${H}\r\n`, outcome: CODEC },
    { name: 'bare LF', bytes: 'GET / HTTP/1.1\nHost: h\n\n', outcome: CODEC, envoy: '200' },
    { name: 'one bare LF', bytes: get('X: a\nY: b\r\n'), outcome: CODEC, envoy: '200' },
    { name: 'bare LF at the end', bytes: `GET / HTTP/1.1\r\n${H}\n`, outcome: CODEC, envoy: '200' },
    { name: 'bare CR', bytes: get('X: a\rb\r\n'), outcome: CODEC, envoy: '200, without the CR' },
    { name: 'CR CR LF', bytes: get('X: a\r\r\n'), outcome: CODEC, envoy: '200, without the CR' },
    ...['\0', '\x01', '\x7f', '\x0b'].map((c) => ({
      name: `control character ${c.charCodeAt(0)}`,
      bytes: get(`X: a${c}b\r\n`),
      outcome: CHARS,
    })),
    { name: 'NUL in a name', bytes: get('X\0a: b\r\n'), outcome: CHARS },
    ...['X : a', 'X y: a', ': a', 'Xa', 'X(a: b', 'X\xffa: b', ':path: /b'].map((field) => ({
      name: JSON.stringify(field),
      bytes: get(`${field}\r\n`),
      outcome: CODEC,
    })),
    {
      name: 'obs-text, tabs and quotes',
      bytes: get('X: a\x80\xff\t"b"\r\n'),
      outcome: ok('GET / | authority=h | x: a\x80\xff\t"b"'),
    },
    { name: 'an empty value', bytes: get('X:\r\nY: \t \r\n'), outcome: ok('GET / | authority=h | x:  | y: ') },
    {
      name: 'an underscore (the connection manager decides)',
      bytes: get('X_a: b\r\n'),
      outcome: ok('GET / | authority=h | x_a: b'),
    },
    {
      name: '__proto__',
      bytes: get('__proto__: a\r\nconstructor: b\r\n'),
      outcome: ok('GET / | authority=h | __proto__: a | constructor: b'),
    },
    {
      name: '100 fields',
      bytes: get('x: 1\r\n'.repeat(99)),
      outcome: ok(`GET / | authority=h${' | x: 1'.repeat(99)}`),
    },
    { name: '101 fields', bytes: get('x: 1\r\n'.repeat(100)), outcome: '431 http1.too_many_headers' },
    { name: '62 kB', bytes: get(`X: ${'a'.repeat(62000)}\r\n`), outcome: '431 http1.headers_too_large' },
    { name: '62 kB of target', bytes: get('', `/${'a'.repeat(62000)}`), outcome: '431 http1.headers_too_large' },
    { name: '62 kB of method', bytes: 'A'.repeat(62000), outcome: '431 http1.headers_too_large' },
  ],
  connection: [
    {
      name: 'nominated fields go',
      bytes: get('Connection: X-Foo, keep-alive\r\nx-foo: 1\r\nx-bar: 2\r\n'),
      outcome: ok('GET / | authority=h | x-bar: 2'),
    },
    { name: 'several fields', bytes: get('Connection: a\r\nConnection: close\r\na: 1\r\n'), outcome: plain },
    {
      name: 'hop-by-hop fields go',
      bytes: get('Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n'),
      outcome: plain,
    },
    ...['X-Forwarded-For', 'x-forwarded-host', 'x-forwarded-proto', ':path', 'a,b,c,d,e,f,g,h,i,j'].map((value) => ({
      name: `nominating ${value}`,
      bytes: get(`Connection: close, ${value}\r\n`),
      outcome: CONNECTION,
    })),
    {
      name: 'nominating host',
      bytes: get('Connection: host\r\n'),
      outcome: CONNECTION,
      envoy: '400 missing_host_header',
    },
    {
      name: 'nominating authorization',
      bytes: get('Connection: authorization\r\nAuthorization: x\r\n'),
      outcome: CONNECTION,
      envoy: '200 without authorization',
    },
    {
      name: 'a nominated length still frames',
      bytes: post('Connection: content-length\r\nContent-Length: 3\r\n', 'abc'),
      outcome: ok('POST / | authority=h', 'data abc'),
    },
    {
      name: 'te: trailers',
      bytes: get('TE: trailers\r\nX: 1\r\n'),
      outcome: ok('GET / | authority=h | te: trailers | x: 1'),
    },
    {
      name: 'te with more',
      bytes: get('Connection: te\r\nTE: gzip, trailers\r\n'),
      outcome: ok('GET / | authority=h | te: trailers'),
    },
    { name: 'te without trailers', bytes: get('TE: gzip\r\n'), outcome: plain },
    {
      name: 'an upgrade keeps its fields in place',
      bytes: get('X: 1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nY: 2\r\n'),
      outcome: [
        'stream',
        'headers GET / | authority=h | protocol=WebSocket | x: 1 | connection: keep-alive, Upgrade | upgrade: WebSocket | y: 2',
      ],
    },
    {
      name: 'the other order, and te between',
      bytes: get('Upgrade: websocket\r\nTE: trailers\r\nConnection: Upgrade\r\n'),
      outcome: [
        'stream',
        'headers GET / | authority=h | protocol=websocket | upgrade: websocket | te: trailers | connection: Upgrade',
      ],
    },
    {
      name: 'an upgrade nominating more',
      bytes: get('Connection: Upgrade, x-a\r\nUpgrade: websocket\r\nx-a: 1\r\n'),
      outcome: [
        'stream',
        'headers GET / | authority=h | protocol=websocket | connection: Upgrade | upgrade: websocket',
      ],
      envoy: 'forwards both',
    },
    {
      name: 'an upgrade nominating x-forwarded-for',
      bytes: get('Connection: Upgrade, x-forwarded-for\r\nUpgrade: websocket\r\n'),
      outcome: CONNECTION,
      envoy: 'forwards it',
    },
    { name: 'upgrade without connection', bytes: get('Upgrade: websocket\r\n'), outcome: plain },
    {
      name: 'h2c is ignored',
      bytes: get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n'),
      outcome: plain,
    },
    {
      name: 'h2c beside another',
      bytes: get('Connection: Upgrade\r\nUpgrade: h2c, foo\r\n'),
      outcome: ['stream', 'headers GET / | authority=h | protocol=foo | connection: Upgrade | upgrade: foo'],
    },
    {
      name: 'an upgrade with a length',
      bytes: get('Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n'),
      outcome: '400 http1.body_disallowed',
      envoy: 'holds the body back',
    },
    {
      name: 'an upgrade with chunks',
      bytes: get('Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n'),
      outcome: '400 http1.body_disallowed',
      envoy: 'sends the chunks as raw bytes',
    },
    {
      name: 'an upgrade in HTTP/1.0',
      bytes: `GET / HTTP/1.0\r\n${H}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
      outcome: plain,
      envoy: '403',
      settings: { acceptHttp10: true },
    },
  ],
};

for (const [group, cases] of Object.entries(groups)) {
  describe(`requests: ${group}`, () => {
    for (const { name, bytes, outcome, envoy, settings } of cases) {
      test(envoy === undefined ? name : `${name} (Envoy: ${envoy})`, () => {
        const server = new ServerHarness(undefined, settings);
        server.socket.feed(bytes);
        if (typeof outcome !== 'string') {
          expect(server.log.all).toEqual(outcome);
          return;
        }
        expect(server.log.all.at(-1)).toBe(`error ${outcome}`);
        expect(server.output.text).toMatch(
          new RegExp(`^HTTP/1.1 ${outcome.slice(0, 3)} [^\r]*\r\nconnection: close\r\n`),
        );
        expect(server.output.closes).toEqual(['flush']);
        server.socket.feed(`GET /smuggled HTTP/1.1\r\n${H}\r\n`);
        expect(server.log.all.at(-1)).toBe(`error ${outcome}`);
      });
    }
  });
}
