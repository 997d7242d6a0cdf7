// node ping-pong.ts JSON: connections that each send a message and wait for the answer, over and over; prints a
// LoadResult as JSON. For what wrk and h2load can't do: client certificates, handshakes, WebSocket, gRPC streams.
import { readFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { BenchCase } from '../cases.ts';
import { grpcMessage } from './h2load.ts';
import type { LoadTarget } from './load-result.ts';

const { test, target } = JSON.parse(process.argv[2]!) as { test: BenchCase; target: LoadTarget };
const { port } = target;
const host = '127.0.0.1';
const credentials = { cert: readFileSync(target.cert), key: readFileSync(target.key) };
const times: number[] = [];
let errors = 0;
let over = false;

const request = (more: string): string => `GET ${test.path} HTTP/1.1\r\nhost: localhost\r\n${more}\r\n`;

const secure = (session?: Buffer): TLSSocket =>
  connectTls({
    port,
    host,
    servername: 'localhost',
    rejectUnauthorized: false,
    ...(test.downstream === 'http1-mtls' && credentials),
    ...(session !== undefined && { session }),
  });

/** Sends `message` and counts each answer of as many bytes as the first one that came whole. */
function pingPong(socket: Socket, message: string | Buffer, answerBytes: (first: string) => number): void {
  let want = 0;
  let got = 0;
  let sent = performance.now();
  socket.on('data', (chunk: Buffer) => {
    if (want === 0) want = answerBytes(chunk.toString('latin1'));
    got += chunk.length;
    if (got < want) return;
    got -= want;
    const now = performance.now();
    times.push((now - sent) * 1000);
    sent = now;
    if (!over) socket.write(message);
  });
  socket.on('error', () => errors++);
  socket.write(message);
}

function headAndBody(first: string): number {
  return first.indexOf('\r\n\r\n') + 4 + test.responseBytes;
}

function webSocket(): void {
  const socket = connect({ port, host, noDelay: true });
  socket.write(
    request(
      'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    ),
  );
  socket.once('data', (chunk: Buffer) => {
    if (!chunk.toString('latin1').startsWith('HTTP/1.1 101')) errors++;
    // A masked binary frame; the upstream sends it back as it is.
    const frame = Buffer.alloc(test.requestBytes, 'y');
    frame.writeUInt16BE(0x82fe, 0);
    frame.writeUInt16BE(test.requestBytes - 8, 2);
    pingPong(socket, frame, () => frame.length);
  });
}

/** A connection, one request, and the next connection. */
function handshakes(session: Buffer | undefined): void {
  const began = performance.now();
  const socket = secure(test.load === 'resumed-handshake' ? session : undefined);
  let ticket = session;
  socket.on('session', (fresh: Buffer) => (ticket = fresh));
  socket.on('secureConnect', () => {
    if (test.load === 'resumed-handshake' && session !== undefined && !socket.isSessionReused()) errors++;
  });
  socket.on('error', () => errors++);
  socket.on('data', () => times.push((performance.now() - began) * 1000));
  socket.on('close', () => {
    if (!over) handshakes(ticket);
  });
  socket.write(request('connection: close\r\n'));
}

function grpcStreams(): void {
  const session = connectHttp2(`http://${host}:${port}`);
  session.on('error', () => errors++);
  const message = grpcMessage(test.requestBytes);
  for (let i = 0; i < test.streams; i++) {
    const headers = { ':method': 'POST', ':path': test.path, 'content-type': 'application/grpc', te: 'trailers' };
    const stream: ClientHttp2Stream = session.request(headers);
    let got = 0;
    let sent = performance.now();
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got < message.length) return;
      got -= message.length;
      const now = performance.now();
      times.push((now - sent) * 1000);
      sent = now;
      if (!over) stream.write(message);
    });
    stream.write(message);
  }
}

for (let i = 0; i < test.connections; i++)
  if (test.load === 'grpc-stream') grpcStreams();
  else if (test.load === 'full-handshake' || test.load === 'resumed-handshake') handshakes(undefined);
  else if (test.downstream === 'websocket') webSocket();
  else pingPong(secure(), request(''), headAndBody);

setTimeout(() => {
  over = true;
  times.sort((a, b) => a - b);
  const at = (quantile: number): number => times[Math.floor(times.length * quantile)] ?? -1;
  process.stdout.write(JSON.stringify({ requests: times.length, errors, p50us: at(0.5), p99us: at(0.99) }), () =>
    process.exit(),
  );
}, target.seconds * 1000);
