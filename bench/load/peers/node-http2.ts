// What an own proxy on node:http2's stream interface costs: h2c in, HTTP/1.1 (or h2c, if the upstream has it) out.
import { connect, createServer, type ServerHttp2Stream } from 'node:http2';
import { Pool } from 'undici';

// A client that leaves makes later calls on its streams throw.
process.on('uncaughtException', () => {});

const [port, upstream] = process.argv.slice(2).map(Number) as [number, number];
const origin = `http://127.0.0.1:${upstream}`;
const pool = new Pool(origin, { connections: 256, pipelining: 1 });
const session = connect(origin);
let http2 = true;
session.on('error', () => (http2 = false));

createServer({ settings: { maxConcurrentStreams: 1000 } })
  .on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    if (http2) {
      const onward = session.request(headers);
      onward.on('error', () => stream.destroy());
      onward.on('response', (response) => stream.respond(response, { waitForTrailers: true }));
      let trailers = {};
      onward.on('trailers', (fields) => (trailers = fields));
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      onward.on('data', (chunk: Buffer) => stream.write(chunk));
      onward.on('end', () => stream.end());
      stream.on('data', (chunk: Buffer) => onward.write(chunk));
      stream.on('end', () => onward.end());
      return;
    }
    pool.dispatch(
      {
        path: headers[':path']!,
        method: headers[':method'] as 'GET',
        body: headers[':method'] === 'GET' ? null : stream,
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, fields) {
          stream.respond({ ':status': status, ...fields });
        },
        onResponseData(_controller, chunk) {
          stream.write(chunk);
        },
        onResponseEnd() {
          stream.end();
        },
        onResponseError() {
          stream.destroy();
        },
      },
    );
  })
  .listen({ port, host: '127.0.0.1', backlog: 4096 });
