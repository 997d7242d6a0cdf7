import { existsSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { benchBootstrap } from '../envoy-config.ts';
import type { BenchCase } from '../cases.ts';

/** A proxy that can be measured. */
export interface Peer {
  readonly name: string;
  /** Runs only the plain config: it has no routes, logs or filters to arm. */
  readonly plainOnly: boolean;
  /** The command that serves on `port` and forwards to `upstream`; undefined: not installed here. */
  command(config: BenchCase['config'], port: number, upstream: number, dir: string): string[] | undefined;
}

const root = join(import.meta.dirname, '../../..');
const node = (script: string) => (_: BenchCase['config'], port: number, upstream: number) => [
  process.execPath,
  join(import.meta.dirname, script),
  String(port),
  String(upstream),
];

/** The path of an installed program. */
export function installed(name: string): string | undefined {
  const cache = process.env['OUTRIGGER_TOOLS'] ?? join(homedir(), '.cache/outrigger-tools');
  const dirs = [join(cache, 'bin'), ...(process.env['PATH'] ?? '').split(':'), '/usr/sbin'];
  return dirs.map((dir) => join(dir, name)).find((path) => existsSync(path));
}

const write = (dir: string, name: string, text: string): string => {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
};

const envoyArgs = (
  binary: string,
  config: BenchCase['config'],
  port: number,
  upstream: number,
  dir: string,
  name: string,
): string[] => [
  binary,
  '-c',
  write(dir, `${name}-${config}.yaml`, benchBootstrap(config, port, port + 1, upstream)),
  '--concurrency',
  '1',
  '--disable-hot-restart',
  '-l',
  'error',
];

export const PEERS: readonly Peer[] = [
  {
    name: 'outrigger',
    plainOnly: false,
    command: (config, port, upstream, dir) =>
      envoyArgs(join(root, 'bin/outrigger'), config, port, upstream, dir, 'outrigger'),
  },
  {
    name: 'envoy',
    plainOnly: false,
    command(config, port, upstream, dir) {
      const binary = installed('envoy');
      return binary === undefined ? undefined : envoyArgs(binary, config, port, upstream, dir, 'envoy');
    },
  },
  {
    name: 'nginx',
    plainOnly: true,
    command(_config, port, upstream, dir) {
      const binary = installed('nginx');
      const config = `worker_processes 1; daemon off; pid ${dir}/nginx.pid; error_log /dev/null;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${dir}; proxy_temp_path ${dir}; fastcgi_temp_path ${dir}; uwsgi_temp_path ${dir}; scgi_temp_path ${dir};
  keepalive_requests 1000000000; client_max_body_size 0;
  upstream up { server 127.0.0.1:${upstream}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0;
      proxy_set_header X-Request-Id $request_id; proxy_set_header X-Forwarded-For $remote_addr; }
  }
}`;
      return binary === undefined ? undefined : [binary, '-c', write(dir, 'nginx.conf', config), '-p', dir];
    },
  },
  {
    name: 'haproxy',
    plainOnly: true,
    command(_config, port, upstream, dir) {
      const binary = installed('haproxy');
      const config = `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  unique-id-format %{+X}o%ci:%cp_%rt
  unique-id-header X-Request-Id
  option forwardfor
  default_backend up
backend up
  server s 127.0.0.1:${upstream}
`;
      return binary === undefined ? undefined : [binary, '-db', '-f', write(dir, 'haproxy.cfg', config)];
    },
  },
  { name: 'relay', plainOnly: true, command: node('relay.ts') },
  { name: 'undici', plainOnly: true, command: node('undici.ts') },
  { name: 'http-proxy', plainOnly: true, command: node('http-proxy.ts') },
];
