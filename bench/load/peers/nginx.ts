import type { BenchCase } from '../cases.ts';
import { installed } from '../installed.ts';
import { configFile, type Peer, type PeerSetup } from './peer.ts';

const grpc = (test: BenchCase): boolean => test.load === 'grpc' || test.load === 'grpc-stream';

/** nginx speaks HTTP/2 to upstreams for gRPC only; its TCP proxy is a module that is seldom installed. */
function can(test: BenchCase): boolean {
  if (test.config !== 'plain' || test.downstream === 'tcp') return false;
  return test.upstream === 'http1' || (test.upstream === 'http2' && grpc(test));
}

function config({ test, port, upstream, certificates, dir }: PeerSetup): string {
  const secure = test.downstream.includes('tls');
  const listen = `${secure ? ' ssl' : ''}${test.downstream.startsWith('http2') ? ' http2' : ''}`;
  const pass = grpc(test)
    ? 'grpc_pass grpc://up;'
    : `proxy_pass http://up; proxy_http_version 1.1; proxy_max_temp_file_size 0;
      proxy_set_header X-Request-Id $request_id; proxy_set_header X-Forwarded-For $remote_addr;
      ${
        test.downstream === 'websocket'
          ? 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
          : 'proxy_set_header Connection "";'
      }`;
  return `worker_processes 1; daemon off; pid ${dir}/nginx.pid; error_log /dev/null;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${dir}; proxy_temp_path ${dir}; fastcgi_temp_path ${dir}; uwsgi_temp_path ${dir}; scgi_temp_path ${dir};
  keepalive_requests 1000000000; client_max_body_size 0; http2_max_concurrent_streams 1000;
  upstream up { server 127.0.0.1:${upstream}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port}${listen} backlog=4096;
    ${secure ? `ssl_certificate ${certificates.cert}; ssl_certificate_key ${certificates.key}; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;` : ''}
    ${test.downstream === 'http1-mtls' ? `ssl_client_certificate ${certificates.ca}; ssl_verify_client on;` : ''}
    location / { ${pass} }
  }
}`;
}

export const nginx: Peer = {
  name: 'nginx',
  can,
  command(setup) {
    const binary = installed('nginx');
    return binary === undefined
      ? undefined
      : [binary, '-c', configFile(setup.dir, 'nginx.conf', config(setup)), '-p', setup.dir];
  },
};
