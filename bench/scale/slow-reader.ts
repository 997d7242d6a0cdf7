// A reader that stops: 1 GiB down and 1 GiB up through a proxy process, whose reader stops for a minute in the middle.
// Prints the proxy's RSS every second.
//
//   node bench/scale/slow-reader.ts [--stop-seconds 60] [--mebibytes 1024] [--proxy bin/outrigger]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const MIB = 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

const { values } = parseArgs({
  options: {
    'stop-seconds': { type: 'string', default: '60' },
    mebibytes: { type: 'string', default: '1024' },
    proxy: { type: 'string', default: join(import.meta.dirname, '../../bin/outrigger') },
  },
});
const stopMs = Number(values['stop-seconds']) * 1000;
const total = Number(values.mebibytes) * MIB;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Writes `bytes` as fast as the peer takes them; `progress` counts what the socket has taken. */
function pump(socket: Socket, bytes: number, progress: { sent: number }): void {
  const more = (): void => {
    while (progress.sent < bytes) {
      progress.sent += CHUNK.length;
      if (!socket.write(CHUNK)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
}

/** Reads half, stops, reads the rest; `progress` counts the bytes. */
async function readSlowly(socket: Socket, progress: { received: number }): Promise<void> {
  let stopped = false;
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (!stopped && progress.received >= total / 2) {
        stopped = true;
        socket.pause();
        setTimeout(() => socket.resume(), stopMs);
      }
      if (progress.received >= total) resolve();
    };
    socket.on('data', (chunk: Buffer) => {
      progress.received += chunk.length;
      look();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`the connection closed after ${progress.received} bytes`)));
    look();
  });
}

/** Skips the head of a message; what is behind it goes back to the socket. */
async function head(socket: Socket): Promise<void> {
  let text = '';
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) continue;
    socket.pause();
    const rest = Buffer.from(text.slice(end + 4), 'latin1');
    if (rest.length > 0) socket.unshift(rest);
    return;
  }
}

function config(upstreamPort: number): object {
  const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  const type = 'type.googleapis.com/envoy.extensions.filters';
  return {
    admin: { address: address(0) },
    static_resources: {
      listeners: [
        {
          name: 'ingress',
          address: address(0),
          filter_chains: [
            {
              filters: [
                {
                  name: 'envoy.filters.network.http_connection_manager',
                  typed_config: {
                    '@type': `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
                    stat_prefix: 'ingress',
                    stream_idle_timeout: '3600s',
                    route_config: {
                      virtual_hosts: [
                        {
                          name: 'all',
                          domains: ['*'],
                          routes: [{ match: { prefix: '/' }, route: { cluster: 'backend', timeout: '0s' } }],
                        },
                      ],
                    },
                    http_filters: [
                      {
                        name: 'envoy.filters.http.router',
                        typed_config: { '@type': `${type}.http.router.v3.Router` },
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'backend',
          load_assignment: {
            cluster_name: 'backend',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstreamPort) } }] }],
          },
        },
      ],
    },
  };
}

const dir = mkdtempSync(join(tmpdir(), 'slow-reader-'));
const upload = { received: 0 };
const download = { sent: 0 };
let uploaded: Promise<void> | undefined;
const upstream = createServer((socket) => {
  socket.on('error', () => {});
  void (async () => {
    let first = '';
    socket.once('data', (chunk: Buffer) => (first = chunk.toString('latin1', 0, 4)));
    await head(socket);
    if (first === 'GET ') {
      socket.write(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${total}\r\n\r\n`);
      pump(socket, total, download);
    } else {
      uploaded = readSlowly(socket, upload);
      socket.resume();
      await uploaded;
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    }
  })();
});
upstream.listen(0, '127.0.0.1');
await once(upstream, 'listening');
const file = join(dir, 'config.json');
const adminFile = join(dir, 'admin');
writeFileSync(file, JSON.stringify(config((upstream.address() as AddressInfo).port)));
const proxy = spawn(
  values.proxy,
  ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--admin-address-path', adminFile, '-l', 'error'],
  { stdio: 'inherit' },
);
try {
  let admin = '';
  while (admin === '') {
    await sleep(50);
    try {
      admin = readFileSync(adminFile, 'utf8');
    } catch {
      // Not there yet.
    }
  }
  let port = 0;
  while (port === 0) {
    await sleep(50);
    const listeners = await fetch(`http://${admin}/listeners`).then(
      (response) => response.text(),
      () => '',
    );
    port = Number(/:(\d+)\s*$/.exec(listeners)?.[1] ?? 0);
  }
  const rss = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

  for (const direction of ['download', 'upload'] as const) {
    const client = connect({ port, host: '127.0.0.1' });
    await once(client, 'connect');
    const from = performance.now();
    const sent = direction === 'download' ? download : { sent: 0 };
    const received = direction === 'download' ? { received: 0 } : upload;
    console.log(`${direction}: ${total / MIB} MiB, the reader stops for ${stopMs / 1000} s in the middle`);
    console.log('     s   sent MiB  read MiB   RSS MiB');
    const line = (): void => {
      const at = (performance.now() - from) / 1000;
      const columns = [
        at.toFixed(0),
        (sent.sent / MIB).toFixed(1),
        (received.received / MIB).toFixed(1),
        rss().toFixed(1),
      ];
      console.log(
        `${columns[0]!.padStart(6)}${columns
          .slice(1)
          .map((text) => text.padStart(10))
          .join('')}`,
      );
    };
    line();
    const ticks = setInterval(line, Math.max(250, Math.min(5000, stopMs / 12)));
    if (direction === 'download') {
      client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await head(client);
      const done = readSlowly(client, received);
      client.resume();
      await done;
    } else {
      client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${total}\r\n\r\n`);
      pump(client, total, sent);
      await head(client);
    }
    clearInterval(ticks);
    line();
    client.destroy();
  }
} finally {
  proxy.kill('SIGKILL');
  upstream.close();
  rmSync(dir, { recursive: true });
}
process.exit(0);
