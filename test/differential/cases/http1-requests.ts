import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

/** How requests are framed: valid, odd and malicious. */
export const listeners: Readonly<Record<string, ListenerParts>> = {
  strict: {},
  lenient: {
    hcm: {
      http_protocol_options: {
        accept_http_10: true,
        default_host_for_http_10: 'default.example',
        enable_trailers: true,
        allow_chunked_length: true,
      },
    },
  },
  proper: { hcm: { http_protocol_options: { header_key_format: { proper_case_words: {} } } } },
  'delayed-close': { hcm: { delayed_close_timeout: '1s' } },
  small: { hcm: { max_request_headers_kb: 1, common_http_protocol_options: { max_headers_count: 8 } } },
  'no-absolute': { hcm: { http_protocol_options: { allow_absolute_url: false } } },
};

const HOST = 'Host: example.com\n';
const one = (listener: string, name: string, send: string, more: Partial<Case> = {}): Case => ({
  name: `${listener}: ${name}`,
  listener,
  send,
  responses: 1,
  ...more,
});
/** A request that is refused: the proxy closes after its answer. */
const bad = (name: string, send: string, more: Partial<Case> = {}): Case =>
  one('strict', name, send, { responses: undefined, timeoutMs: 300, ...more });
const line = (name: string, field: string, more: Partial<Case> = {}): Case =>
  bad(name, `GET /x HTTP/1.1\n${HOST}${field}\n\n`, more);
const ok = (name: string, field: string, more: Partial<Case> = {}): Case =>
  one('strict', name, `GET /x HTTP/1.1\n${HOST}${field}\n\n`, more);
const post = (name: string, head: string, body: string, more: Partial<Case> = {}): Case =>
  one('strict', name, `POST /x HTTP/1.1\n${HOST}${head}\n${body}`, more);
const badPost = (name: string, head: string, body: string, more: Partial<Case> = {}): Case =>
  post(name, head, body, { responses: undefined, timeoutMs: 300, ...more });

export const cases: readonly Case[] = [
  // request line
  ...['GET', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND'].map((method) =>
    one('strict', `method ${method}`, `${method} /m HTTP/1.1\n${HOST}\n`),
  ),
  one('strict', 'OPTIONS *', `OPTIONS * HTTP/1.1\n${HOST}\n`, { responses: undefined, timeoutMs: 300 }),
  bad('unknown method', `FOO /m HTTP/1.1\n${HOST}\n`, { timeoutMs: 300 }),
  bad('lower-case method', `get /m HTTP/1.1\n${HOST}\n`, { timeoutMs: 300 }),
  bad('no path', `GET HTTP/1.1\n${HOST}\n`),
  bad('relative path', `GET foo HTTP/1.1\n${HOST}\n`),
  bad('two spaces', `GET  /x HTTP/1.1\n${HOST}\n`),
  bad('a tab for a space', `GET\t/x HTTP/1.1\n${HOST}\n`),
  bad('a space in the path', `GET /a b HTTP/1.1\n${HOST}\n`),
  bad('HTTP/2.0', `GET /x HTTP/2.0\n${HOST}\n`),
  bad('HTTP/0.9', `GET /x\n`),
  bad('HTTP/1.2', `GET /x HTTP/1.2\n${HOST}\n`, { timeoutMs: 300 }),
  bad('http/1.1 in lower case', `GET /x http/1.1\n${HOST}\n`),
  bad('HTTP/1.0 unless allowed', `GET /x HTTP/1.0\n${HOST}\n`),
  bad('a line of garbage', 'garbage\n\n'),
  bad('a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', { exact: true, timeoutMs: 300 }),
  one('strict', 'empty lines before', `\n\nGET /x HTTP/1.1\n${HOST}\n`),
  bad('a fragment', `GET /x#frag HTTP/1.1\n${HOST}\n`),
  one('strict', 'a backslash', `GET /a\\b HTTP/1.1\n${HOST}\n`),
  bad('a NUL in the path', `GET /a\0b HTTP/1.1\n${HOST}\n`),
  bad('a control character in the path', `GET /a\x01b HTTP/1.1\n${HOST}\n`),
  one('strict', 'obs-text in the path', `GET /a\xe9b HTTP/1.1\n${HOST}\n`, { timeoutMs: 500 }),
  one('strict', 'percent signs', `GET /%zz%41 HTTP/1.1\n${HOST}\n`),
  one('strict', 'a long path', `GET /${'p'.repeat(4000)} HTTP/1.1\n${HOST}\n`),
  // targets and authority
  one('strict', 'absolute form', 'GET http://other.example/p?q HTTP/1.1\nHost: example.com\n\n'),
  one('strict', 'absolute form, https', 'GET https://other.example/p HTTP/1.1\nHost: example.com\n\n'),
  one('strict', 'absolute form without a path', 'GET http://other.example HTTP/1.1\nHost: example.com\n\n'),
  one('strict', 'absolute form with a port', 'GET http://other.example:81/p HTTP/1.1\nHost: example.com\n\n'),
  one('strict', 'absolute form with user info', 'GET http://u@other.example/p HTTP/1.1\nHost: example.com\n\n', {
    timeoutMs: 300,
  }),
  one('no-absolute', 'absolute form not allowed', 'GET http://other.example/p HTTP/1.1\nHost: example.com\n\n', {
    responses: undefined,
    timeoutMs: 300,
  }),
  bad('authority form', `GET example.com:80 HTTP/1.1\n${HOST}\n`),
  bad('CONNECT', 'CONNECT example.com:80 HTTP/1.1\nHost: example.com:80\n\n', { timeoutMs: 300 }),
  bad('no host', 'GET /x HTTP/1.1\n\n'),
  bad('an empty host', 'GET /x HTTP/1.1\nHost:\n\n', { timeoutMs: 300 }),
  bad('two hosts', 'GET /x HTTP/1.1\nHost: a\nHost: b\n\n', { timeoutMs: 300 }),
  one('strict', 'host with a port', 'GET /x HTTP/1.1\nHost: example.com:8080\n\n'),
  bad('host with a path', 'GET /x HTTP/1.1\nHost: a@b/c\n\n', { timeoutMs: 300 }),
  bad('host with a blank', 'GET /x HTTP/1.1\nHost: a b\n\n', { timeoutMs: 300 }),
  one('strict', 'an IPv6 host', 'GET /x HTTP/1.1\nHost: [::1]:80\n\n'),
  one('strict', 'host in upper case', 'GET /x HTTP/1.1\nHOST: EXAMPLE.com\n\n'),
  // header fields
  ok('obs-text in a value', 'x-a: caf\xe9'),
  ok('an empty value', 'x-a:'),
  ok('blanks around a value', 'x-a: \t b \t '),
  ok('no blank after the colon', 'x-a:b'),
  ok('a repeated field', 'x-a: 1\nx-a: 2'),
  ok('names in upper case', 'X-Up-Case: Yes'),
  ok('every token character', "a!#$%&'*+-.^_`|~1: v"),
  ok('an underscore in a name', 'x_a: 1'),
  line('a space before the colon', 'x-a : b'),
  line('no colon', 'x-a'),
  line('an empty name', ': b'),
  line('a space in a name', 'x a: b'),
  line('obs-fold', 'x-a: b\n c'),
  line('obs-fold with a tab', 'x-a: b\n\tc'),
  bad('a leading space on the first field', `GET /x HTTP/1.1\n Host: a\n\n`),
  line('a NUL in a value', 'x-a: b\0c'),
  line('a control character in a value', 'x-a: b\x01c'),
  line('DEL in a value', 'x-a: b\x7fc'),
  line('a tab inside a value', 'x-a: b\tc', { responses: 1 }),
  line('obs-text in a name', 'x-\xe9: b'),
  bad('a bare LF ends a line', 'GET /x HTTP/1.1\r\nHost: a\nx-b: c\r\n\r\n', { exact: true, timeoutMs: 300 }),
  bad('bare LFs only', 'GET /x HTTP/1.1\nHost: a\n\n', { exact: true, timeoutMs: 300 }),
  bad('a bare CR in a value', 'GET /x HTTP/1.1\r\nHost: a\r\nx-b: c\rd\r\n\r\n', { exact: true, timeoutMs: 300 }),
  bad('CR CR LF', 'GET /x HTTP/1.1\r\r\nHost: a\r\n\r\n', { exact: true, timeoutMs: 300 }),
  line('100 fields more', Array.from({ length: 110 }, (_, i) => `x-${i}: v`).join('\n')),
  line('a head over 60 KiB', `x-big: ${'v'.repeat(70_000)}`, { ignore: ['end'] }),
  one('small', 'eight fields', `GET /x HTTP/1.1\n${HOST}a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\n\n`),
  one('small', 'nine fields', `GET /x HTTP/1.1\n${HOST}a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\nh: 8\n\n`, {
    responses: undefined,
  }),
  one('small', 'a head over 1 KiB', `GET /x HTTP/1.1\n${HOST}a: ${'v'.repeat(1100)}\n\n`, { responses: undefined }),
  one('small', 'a path over 1 KiB', `GET /${'p'.repeat(1100)} HTTP/1.1\n${HOST}\n`, { responses: undefined }),
  // bodies
  post('content-length 0', 'Content-Length: 0\n', ''),
  post('content-length with zeros', 'Content-Length: 005\n', 'hello', { timeoutMs: 500 }),
  post('no length', '', ''),
  one('strict', 'GET with a body', `GET /x HTTP/1.1\n${HOST}Content-Length: 2\n\nhi`),
  badPost('content-length not a number', 'Content-Length: abc\n', 'hello'),
  badPost('content-length with a sign', 'Content-Length: +5\n', 'hello'),
  badPost('content-length negative', 'Content-Length: -5\n', 'hello'),
  badPost('content-length in hex', 'Content-Length: 0x5\n', 'hello'),
  badPost('content-length with a blank', 'Content-Length: 5 5\n', 'hello'),
  badPost('an empty content-length', 'Content-Length:\n', 'hello'),
  badPost('content-length list, equal', 'Content-Length: 5, 5\n', 'hello', { timeoutMs: 300 }),
  badPost('content-length twice, equal', 'Content-Length: 5\nContent-Length: 5\n', 'hello', { timeoutMs: 300 }),
  badPost('content-length twice, different', 'Content-Length: 5\nContent-Length: 6\n', 'hello'),
  badPost('content-length too large', 'Content-Length: 99999999999999999999\n', 'hello'),
  badPost('content-length and chunked', 'Content-Length: 5\nTransfer-Encoding: chunked\n', '0\n\n'),
  badPost('chunked and content-length', 'Transfer-Encoding: chunked\nContent-Length: 5\n', '0\n\n'),
  post('chunked', 'Transfer-Encoding: chunked\n', '5\nhello\n6\n world\n0\n\n'),
  post('Chunked in mixed case', 'Transfer-Encoding: Chunked\n', '5\nhello\n0\n\n', { timeoutMs: 500 }),
  post('chunk sizes in hex, both cases', 'Transfer-Encoding: chunked\n', 'A\n0123456789\na\n0123456789\n0\n\n'),
  post('chunk sizes with zeros', 'Transfer-Encoding: chunked\n', '0005\nhello\n000\n\n'),
  post('chunk extensions', 'Transfer-Encoding: chunked\n', '5;a=b;c="d"\nhello\n0;x\n\n'),
  post('chunked with trailers', 'Transfer-Encoding: chunked\n', '5\nhello\n0\nx-t: 1\n\n'),
  badPost('xchunked', 'Transfer-Encoding: xchunked\n', '0\n\n'),
  badPost('chunked, identity', 'Transfer-Encoding: chunked, identity\n', '0\n\n'),
  badPost('identity, chunked', 'Transfer-Encoding: identity, chunked\n', '0\n\n', { timeoutMs: 300 }),
  badPost('gzip, chunked', 'Transfer-Encoding: gzip, chunked\n', '0\n\n', { timeoutMs: 300 }),
  badPost('identity', 'Transfer-Encoding: identity\n', 'hello', { timeoutMs: 300 }),
  badPost('transfer-encoding twice', 'Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n', '0\n\n', {
    timeoutMs: 300,
  }),
  badPost('transfer-encoding empty', 'Transfer-Encoding:\n', '0\n\n', { timeoutMs: 300 }),
  badPost('a vertical tab before chunked', 'Transfer-Encoding: \x0bchunked\n', '0\n\n'),
  badPost('a chunk size of 0x5', 'Transfer-Encoding: chunked\n', '0x5\nhello\n0\n\n', {
    timeoutMs: 300,
    ignore: ['upstream'],
  }),
  badPost('a chunk size with a sign', 'Transfer-Encoding: chunked\n', '+5\nhello\n0\n\n', { ignore: ['upstream'] }),
  badPost('a chunk size too large', 'Transfer-Encoding: chunked\n', 'fffffffffffffffff\nhello\n0\n\n', {
    ignore: ['upstream'],
  }),
  badPost('an empty chunk size', 'Transfer-Encoding: chunked\n', '\nhello\n0\n\n', { ignore: ['upstream'] }),
  badPost('a chunk that is too long', 'Transfer-Encoding: chunked\n', '3\nhello\n0\n\n', { ignore: ['upstream'] }),
  bad(
    'a chunk size line with a bare LF',
    'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n',
    { exact: true, timeoutMs: 300, ignore: ['upstream'] },
  ),
  // pieces
  // Whether the pool has a connection left depends on how the exchange before ended.
  one('strict', 'a head in pieces', 'GET /x HT', {
    pieces: ['TP/1.1\r\nHo', 'st: a\r\n\r', '\n'],
    ignore: ['counters'],
  }),
  one('strict', 'a body in pieces', `POST /x HTTP/1.1\n${HOST}Content-Length: 10\n\n`, { pieces: ['hello', 'world'] }),
  bad('the client goes in the middle of a head', `GET /x HTTP/1.1\nHos`, { end: true }),
  bad('the client goes in the middle of a body', `POST /x HTTP/1.1\n${HOST}Content-Length: 10\n\nhel`, {
    end: true,
    ignore: ['upstream'],
  }),
  // persistence
  one(
    'strict',
    'three pipelined requests',
    `GET /1 HTTP/1.1\n${HOST}\nGET /2 HTTP/1.1\n${HOST}\nGET /3 HTTP/1.1\n${HOST}\n`,
    { responses: 3 },
  ),
  one('strict', 'a pipelined POST', `POST /1 HTTP/1.1\n${HOST}Content-Length: 3\n\nabcGET /2 HTTP/1.1\n${HOST}\n`, {
    responses: 2,
  }),
  one('strict', 'connection: close', `GET /1 HTTP/1.1\n${HOST}Connection: close\n\n`, { responses: undefined }),
  one('strict', 'connection: keep-alive', `GET /1 HTTP/1.1\n${HOST}Connection: keep-alive\nKeep-Alive: timeout=5\n\n`),
  one('strict', 'connection nominates a field', `GET /1 HTTP/1.1\n${HOST}Connection: x-hop\nx-hop: 1\nx-stay: 2\n\n`),
  one(
    'strict',
    'connection nominates x-forwarded-for',
    `GET /1 HTTP/1.1\n${HOST}Connection: x-forwarded-for\nx-forwarded-for: 1.2.3.4\n\n`,
    { timeoutMs: 500 },
  ),
  one('strict', 'proxy-connection', `GET /1 HTTP/1.1\n${HOST}Proxy-Connection: keep-alive\n\n`),
  one('strict', 'te: trailers', `GET /1 HTTP/1.1\n${HOST}TE: trailers\nConnection: te\n\n`),
  one('strict', 'te: gzip', `GET /1 HTTP/1.1\n${HOST}TE: gzip\n\n`),
  one('strict', 'expect: 100-continue', `POST /1 HTTP/1.1\n${HOST}Expect: 100-continue\nContent-Length: 5\n\nhello`),
  one('strict', 'another expectation', `POST /1 HTTP/1.1\n${HOST}Expect: 200-ok\nContent-Length: 5\n\nhello`),
  one(
    'strict',
    'an upgrade that is not configured',
    `GET /1 HTTP/1.1\n${HOST}Connection: upgrade\nUpgrade: websocket\n\n`,
    { timeoutMs: 500 },
  ),
  one(
    'strict',
    'an h2c upgrade',
    `GET /1 HTTP/1.1\n${HOST}Connection: upgrade, http2-settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk\n\n`,
    { timeoutMs: 500 },
  ),
  // lenient
  one('lenient', 'HTTP/1.0', `GET /1 HTTP/1.0\n${HOST}\n`, { responses: undefined }),
  one('lenient', 'HTTP/1.0 without a host', 'GET /1 HTTP/1.0\n\n', { responses: undefined }),
  one('lenient', 'HTTP/1.0 keep-alive', `GET /1 HTTP/1.0\n${HOST}Connection: keep-alive\n\n`),
  one('lenient', 'HTTP/1.0 with a chunked answer', `GET /1 HTTP/1.0\n${HOST}x-up: chunked\n\n`, {
    responses: undefined,
  }),
  one('lenient', 'HTTP/1.0 with transfer-encoding', `POST /1 HTTP/1.0\n${HOST}Transfer-Encoding: chunked\n\n0\n\n`, {
    responses: undefined,
    timeoutMs: 300,
  }),
  one('lenient', 'trailers', `POST /1 HTTP/1.1\n${HOST}Transfer-Encoding: chunked\n\n5\nhello\n0\nX-T: 1\nx-u: 2\n\n`),
  one(
    'lenient',
    'content-length and chunked',
    `POST /1 HTTP/1.1\n${HOST}Content-Length: 3\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n`,
    { timeoutMs: 500 },
  ),
  one('delayed-close', 'a malformed request', 'garbage\n\n', { responses: undefined }),
  one('proper', 'proper case', `GET /1 HTTP/1.1\n${HOST}x-some-thing: v\n\n`),
];
