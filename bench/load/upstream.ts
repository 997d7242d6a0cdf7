// The upstream of the benchmarks: answers every request on a raw socket with as many bytes as the last number of its
// path says. It parses no more than it has to, so that the proxies are what is measured.
import { createServer, type Socket } from 'node:net';

const port = Number(process.argv[2]);
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

createServer({ noDelay: true }, (socket) => {
  let pending = '';
  let bodyLeft = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
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
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      const taken = Math.min(length, pending.length);
      pending = pending.slice(taken);
      bodyLeft = length - taken;
      const size = Number(/(\d+) HTTP/.exec(head)?.[1] ?? 128);
      socket.write(response(size));
      if (size > block.length) stream(socket, size);
    }
  });
}).listen({ port, host: '127.0.0.1', backlog: 4096 });
