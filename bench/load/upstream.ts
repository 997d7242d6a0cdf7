// The upstream of the benchmarks, which does no more than it has to, so that the proxies are what is measured.
// On PORT: HTTP/1.1 on raw sockets: as many bytes as the last number of the path says; after an upgrade, an echo.
// On PORT + 1 and, over TLS, PORT + 2: HTTP/2: the same, and gRPC: an echo of each message with trailers at the end.
import { readFileSync } from 'node:fs';
import { createSecureServer, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Socket } from 'node:net';

const [port, cert, key] = process.argv.slice(2) as [string, string, string];
const block = Buffer.alloc(1024 * 1024, 'x');
const responses = new Map<number, Buffer>();
const response = (size: number): Buffer => {
  let bytes = responses.get(size);
  if (bytes === undefined) {
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: ${size}\r\n\r\n`;
    bytes = Buffer.concat([Buffer.from(head), block.subarray(0, size > block.length ? 0 : size)]);
    responses.set(size, bytes);
  }
  return bytes;
};

const stream = (socket: Socket, left: number): void => {
  while (left > 0) {
    const piece = left >= block.length ? block : block.subarray(0, left);
    left -= piece.length;
    if (!socket.write(piece) && left > 0) {
      socket.once('drain', () => stream(socket, left));
      return;
    }
  }
};

const UPGRADED =
  'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

createServer({ noDelay: true }, (socket) => {
  let pending = '';
  let bodyLeft = 0;
  let upgraded = false;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    if (upgraded) {
      socket.write(chunk);
      return;
    }
    let text = chunk.toString('latin1');
    if (bodyLeft > 0) {
      const taken = Math.min(bodyLeft, text.length);
      bodyLeft -= taken;
      text = text.slice(taken);
    }
    pending += text;
    for (let end = pending.indexOf('\r\n\r\n'); end !== -1; end = pending.indexOf('\r\n\r\n')) {
      const head = pending.slice(0, end);
      pending = pending.slice(end + 4);
      if (/\r\nupgrade: websocket/i.test(head)) {
        upgraded = true;
        socket.write(UPGRADED);
        return;
      }
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      const taken = Math.min(length, pending.length);
      pending = pending.slice(taken);
      bodyLeft = length - taken;
      const size = Number(/(\d+) HTTP/.exec(head)?.[1] ?? 128);
      socket.write(response(size));
      if (size > block.length) stream(socket, size);
    }
  });
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });

function onStream(http2: ServerHttp2Stream, headers: { ':path'?: string; 'content-type'?: string }): void {
  http2.on('error', () => {});
  if (headers['content-type'] === 'application/grpc') {
    http2.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    http2.on('wantTrailers', () => http2.sendTrailers({ 'grpc-status': '0' }));
    http2.on('data', (chunk: Buffer) => http2.write(chunk));
    http2.on('end', () => http2.end());
    return;
  }
  http2.resume();
  http2.respond({ ':status': 200, 'content-type': 'application/octet-stream' });
  http2.end(block.subarray(0, Number(/(\d+)$/.exec(headers[':path'] ?? '')?.[1] ?? 128)));
}

const settings = { settings: { maxConcurrentStreams: 1000 } };
createHttp2Server(settings)
  .on('stream', onStream)
  .listen({ port: Number(port) + 1, host: '127.0.0.1', backlog: 4096 });
createSecureServer({ ...settings, cert: readFileSync(cert), key: readFileSync(key), ALPNProtocols: ['h2'] })
  .on('stream', onStream)
  .listen({ port: Number(port) + 2, host: '127.0.0.1', backlog: 4096 });
