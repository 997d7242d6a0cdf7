/**
 * What writing HTTP/1 heads costs, as text and with the conversion to bytes that a socket does; and what it takes to
 * read a request and write it again. `node bench/micro/h1-serializer.ts`
 */
import { defaultHttp1Settings } from '../../src/proxy/codec/codec.ts';
import { acceptRequest } from '../../src/proxy/codec/h1/framing.ts';
import { HeadParser } from '../../src/proxy/codec/h1/head-parser.ts';
import { HeadSerializer } from '../../src/proxy/codec/h1/serializer.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';

const bytes = Buffer.from(
  'GET /svc3/hello?x=1 HTTP/1.1\r\nHost: example.com\r\n' +
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: */*\r\n' +
    'Accept-Encoding: gzip, deflate, br\r\nCookie: sid=0123456789abcdef; theme=dark\r\n' +
    'X-Request-Id: 6c1c1b3e-5b0c-4b6e-9c3f-3e1d3b8a7f10\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz\r\n' +
    'X-Forwarded-For: 10.1.2.3\r\n\r\n',
);
const parser = new HeadParser('request', defaultHttp1Settings);
const lower = new HeadSerializer(defaultHttp1Settings);
const proper = new HeadSerializer({ ...defaultHttp1Settings, headerCase: 'proper' });
const scratch = Buffer.alloc(4096);
let written = 0;

function parse(): HeaderMap {
  parser.begin();
  parser.feed(bytes, 0, bytes.length);
  acceptRequest(parser, defaultHttp1Settings);
  return parser.headers;
}

const request = parse();
const response = HeaderMap.of([
  ['content-type', 'application/json'],
  ['content-length', '128'],
  ['date', 'Sat, 21 Nov 2026 00:00:00 GMT'],
  ['server', 'envoy'],
  ['x-envoy-upstream-service-time', '3'],
]);
response.status = 200;

measure('request head, text', () => {
  written += lower.request(request, false).length;
});
measure('request head, bytes', () => {
  written += scratch.write(lower.request(request, false), 0, 'latin1');
});
measure('request head, proper case', () => {
  written += scratch.write(proper.request(request, false), 0, 'latin1');
});
measure('response head, bytes', () => {
  written += scratch.write(lower.response(response, true, 'GET', false, true, false), 0, 'latin1');
});
measure('request read and written', () => {
  written += scratch.write(lower.request(parse(), false), 0, 'latin1');
});
if (written === 0) throw new Error('nothing was written');

function measure(name: string, body: () => void): void {
  const rounds = 200_000;
  let best = Infinity;
  for (let attempt = 0; attempt < 10; attempt++) {
    const start = performance.now();
    for (let i = 0; i < rounds; i++) body();
    best = Math.min(best, ((performance.now() - start) * 1e6) / rounds);
  }
  console.log(`${name.padEnd(30)} ${best.toFixed(0).padStart(8)} ns`);
}
