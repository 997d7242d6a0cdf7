/**
 * What reading HTTP/1 costs: the head parser alone, a whole request through the server connection with its response,
 * and chunked bodies. `node bench/micro/h1-parser.ts`
 */
import { systemClock } from '../../src/lib/clock.ts';
import { defaultHttp1Settings, type ServerStreamEvents } from '../../src/proxy/codec/codec.ts';
import { acceptRequest } from '../../src/proxy/codec/h1/framing.ts';
import { HeadParser } from '../../src/proxy/codec/h1/head-parser.ts';
import { H1ServerConnection } from '../../src/proxy/codec/h1/server.ts';
import { Dispatcher } from '../../src/proxy/dispatcher.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';

const fields =
  'Host: example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: */*\r\n' +
  'Accept-Encoding: gzip, deflate, br\r\nCookie: sid=0123456789abcdef; theme=dark\r\n' +
  'X-Request-Id: 6c1c1b3e-5b0c-4b6e-9c3f-3e1d3b8a7f10\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz\r\n' +
  'X-Forwarded-For: 10.1.2.3\r\n';
const get = Buffer.from(`GET /svc3/hello?x=1 HTTP/1.1\r\n${fields}\r\n`);
const small = Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
const parser = new HeadParser('request', defaultHttp1Settings);

function parse(chunk: Buffer): void {
  parser.begin();
  parser.feed(chunk, 0, chunk.length);
  acceptRequest(parser, defaultHttp1Settings);
}

const dispatcher = new Dispatcher(systemClock);
const output = { write: () => true, pauseRead() {}, resumeRead() {}, close() {} };
const ok = Buffer.from('ok');
let received = 0;
const server = new H1ServerConnection(output, dispatcher, defaultHttp1Settings, {
  newStream(stream): ServerStreamEvents {
    const answer = (endStream: boolean): void => {
      if (!endStream) return;
      const headers = new HeaderMap();
      headers.status = 200;
      headers.append('content-length', '2');
      headers.append('server', 'envoy');
      stream.sendHeaders(headers, false);
      stream.sendData(ok, true);
    };
    return {
      onHeaders: (_, endStream) => answer(endStream),
      onData(chunk, endStream) {
        received += chunk.length;
        answer(endStream);
      },
      onTrailers() {},
      onReset() {},
      onWritable() {},
      onProtocolError(error) {
        throw new Error(error.detail);
      },
    };
  },
});

function serve(chunk: Buffer): void {
  dispatcher.begin();
  server.onData(chunk);
  dispatcher.end();
}

/** 64 KiB of body in chunks of `size`; decoding joins small ones in place, so each round needs a copy. */
function chunkedBody(size: number): () => void {
  const head = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
  const chunk = `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`;
  const whole = Buffer.from(`${head}${chunk.repeat(65536 / size)}0\r\n\r\n`);
  const read = Buffer.alloc(whole.length);
  return () => {
    whole.copy(read);
    serve(read);
  };
}

measure('head of 8 fields, parsed', 200_000, () => parse(get));
measure('head of 1 field, parsed', 200_000, () => parse(small));
measure('request of 8 fields, served', 200_000, () => serve(get));
measure('request of 1 field, served', 200_000, () => serve(small));
measure('64 KiB in chunks of 16 KiB', 5_000, chunkedBody(16384));
measure('64 KiB in chunks of 64 B', 2_000, chunkedBody(64));
if (received === 0) throw new Error('nothing was read');

function measure(name: string, rounds: number, body: () => void): void {
  let best = Infinity;
  for (let attempt = 0; attempt < 10; attempt++) {
    const start = performance.now();
    for (let i = 0; i < rounds; i++) body();
    best = Math.min(best, ((performance.now() - start) * 1e6) / rounds);
  }
  console.log(`${name.padEnd(30)} ${best.toFixed(0).padStart(8)} ns`);
}
