import { installed } from '../installed.ts';
import { configFile, type Peer, type PeerSetup } from './peer.ts';

function config({ test, port, upstream, certificates }: PeerSetup): string {
  const tcp = test.downstream === 'tcp';
  const http2 = test.downstream.startsWith('http2');
  const verify = test.downstream === 'http1-mtls' ? ` ca-file ${certificates.ca} verify required` : '';
  const ssl = test.downstream.includes('tls')
    ? ` ssl crt ${certificates.both} alpn ${http2 ? 'h2' : 'http/1.1'}${verify}`
    : '';
  const server = {
    http1: '',
    http2: ' proto h2',
    'http2-tls': ` ssl verify none sni str(localhost) alpn h2`,
    tcp: '',
  }[test.upstream];
  const http = `  unique-id-format %{+X}o%ci:%cp_%rt
  unique-id-header X-Request-Id
  option forwardfor
`;
  return `global
  nbthread 1
  maxconn 8192
  tune.h2.max-concurrent-streams 1000
defaults
  mode ${tcp ? 'tcp' : 'http'}
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  timeout tunnel 60s
${tcp ? '' : '  http-reuse always\n'}frontend in
  bind 127.0.0.1:${port}${ssl}${http2 && ssl === '' ? ' proto h2' : ''}
${tcp ? '' : http}  default_backend up
backend up
  server s 127.0.0.1:${upstream}${server}
`;
}

export const haproxy: Peer = {
  name: 'haproxy',
  can: (test) => test.config === 'plain',
  command(setup) {
    const binary = installed('haproxy');
    return binary === undefined
      ? undefined
      : [binary, '-db', '-f', configFile(setup.dir, 'haproxy.cfg', config(setup))];
  },
};
