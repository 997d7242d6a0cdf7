// The floor: a raw TCP relay in Node.js that understands nothing.
import { connect, createServer } from 'node:net';

const [port, upstream] = process.argv.slice(2).map(Number) as [number, number];
createServer({ noDelay: true }, (down) => {
  const up = connect({ port: upstream, host: '127.0.0.1', noDelay: true });
  down.on('data', (chunk) => {
    if (up.write(chunk)) return;
    down.pause();
    up.once('drain', () => down.resume());
  });
  up.on('data', (chunk) => {
    if (down.write(chunk)) return;
    up.pause();
    down.once('drain', () => up.resume());
  });
  const close = (): void => {
    down.destroy();
    up.destroy();
  };
  for (const socket of [down, up]) socket.on('error', close).on('close', close);
}).listen({ port, host: '127.0.0.1', backlog: 4096 });
