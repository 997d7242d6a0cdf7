import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http-client.ts';
import { proxyConfig, tcp } from '../support/proxy-config.ts';
import { certificateFiles, upstreamTls } from '../support/tls-config.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';
const FILTER = 'envoy.filters.http.dynamic_forward_proxy';
const cache = { name: 'names', dns_lookup_family: 'V4_ONLY' };

const dfpCluster = (config: object = {}, more: object = {}, dns: object = cache) => ({
  name: 'backend',
  lb_policy: 'CLUSTER_PROVIDED',
  cluster_type: {
    name: 'envoy.clusters.dynamic_forward_proxy',
    typed_config: {
      '@type': `${TYPE}.clusters.dynamic_forward_proxy.v3.ClusterConfig`,
      dns_cache_config: dns,
      ...config,
    },
  },
  ...more,
});
const filter = (dns: object = cache) => ({
  name: FILTER,
  typed_config: { '@type': `${TYPE}.filters.http.dynamic_forward_proxy.v3.FilterConfig`, dns_cache_config: dns },
});

let upstream: Server;
let port: number;

beforeEach(async () => {
  upstream = createServer((request, response) => response.end(`to ${request.headers.host}`)).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  ({ port } = upstream.address() as AddressInfo);
});
afterEach(() => {
  upstream.closeAllConnections();
  upstream.close();
});

const perRoute = (config: object) => ({
  typed_per_filter_config: {
    [FILTER]: { '@type': `${TYPE}.filters.http.dynamic_forward_proxy.v3.PerRouteConfig`, ...config },
  },
});
const start = (dns: object = cache) =>
  createProxy({
    config: proxyConfig({
      clusters: [dfpCluster({}, {}, dns)],
      httpFilters: [filter(dns)],
      routes: [
        {
          match: { prefix: '/literal' },
          route: { cluster: 'backend' },
          ...perRoute({ host_rewrite_literal: `localhost:${port}` }),
        },
        { match: { prefix: '/header' }, route: { cluster: 'backend' }, ...perRoute({ host_rewrite_header: 'X-To' }) },
        { match: { prefix: '/' }, route: { cluster: 'backend' } },
      ],
    }),
  });
/** Status and body of a GET with these headers. */
async function get(proxyPort: number, path: string, host: string, ...fields: string[]): Promise<[number, string]> {
  using client = HttpClient.connect(proxyPort);
  client.send([`GET ${path} HTTP/1.1`, `host: ${host}`, ...fields, 'connection: close', '', ''].join('\r\n'));
  const { status, body } = await client.response();
  return [status, body];
}

describe('HTTP', () => {
  test('goes to the host that the request names', async () => {
    await using proxy = await start();
    const at = proxy.port('ingress');
    expect(await get(at, '/', `localhost:${port}`)).toEqual([200, `to localhost:${port}`]);
    expect(await get(at, '/', `127.0.0.1:${port}`)).toEqual([200, `to 127.0.0.1:${port}`]);
    expect(await get(at, '/literal', 'nowhere.invalid')).toEqual([200, `to localhost:${port}`]);
    expect(await get(at, '/header', 'nowhere.invalid', `x-to: localhost:${port}`, 'x-to: b')).toEqual([
      200,
      `to localhost:${port}`,
    ]);
    await eventually('stats', () => proxy.stat('cluster.backend.membership_total') === 2);
    expect(proxy.stat('dns_cache.names.host_added')).toBe(2);
    expect(proxy.stat('dns_cache.names.circuit_breakers.rq_pending_remaining')).toBe(1024);
  });

  test('says why it cannot', async () => {
    await using proxy = await start({ ...cache, max_hosts: 1 });
    const at = proxy.port('ingress');
    expect(await get(at, '/', `[::1]:${port}`)).toEqual([503, 'DNS resolution failure']);
    expect(await get(at, '/', `localhost:${port}`)).toEqual([503, 'DNS cache overflow']);
    expect(proxy.stat('dns_cache.names.host_overflow')).toBe(1);
  });

  test('lets none wait where none may', async () => {
    await using proxy = await start({ ...cache, dns_cache_circuit_breaker: { max_pending_requests: 0 } });
    expect(await get(proxy.port('ingress'), '/', `localhost:${port}`)).toEqual([
      503,
      'Dynamic forward proxy pending request overflow',
    ]);
  });

  test('without the filter no host is known', async () => {
    await using proxy = await createProxy({ config: proxyConfig({ clusters: [dfpCluster()] }) });
    expect(await get(proxy.port('ingress'), '/', `localhost:${port}`)).toEqual([503, 'no healthy upstream']);
    expect(proxy.stat('cluster.backend.upstream_cx_none_healthy')).toBe(1);
  });

  test.each([
    [{ lb_policy: 'ROUND_ROBIN' }, {}, 'cluster provided LB not specified'],
    [{ upstream_http_protocol_options: { auto_sni: true } }, {}, 'auto_sni and auto_san_validation true'],
    [{}, { sub_clusters_config: {}, dns_cache_config: undefined }, 'clusters of clusters are not implemented'],
  ])('a cluster with %j %j is refused', async (more, config, message) => {
    await expect(createProxy({ config: proxyConfig({ clusters: [dfpCluster(config, more)] }) })).rejects.toThrow(
      message,
    );
  });

  test('TLS takes SNI and the names of the certificate from the authority', async () => {
    const { serverCert, serverKey } = certificateFiles();
    const names: unknown[] = [];
    const secure = createSecureServer(
      { cert: readFileSync(serverCert), key: readFileSync(serverKey) },
      (request, response) => {
        names.push((request.socket as TLSSocket).servername);
        response.end('secure');
      },
    ).listen(0, '127.0.0.1');
    await once(secure, 'listening');
    const { port: securePort } = secure.address() as AddressInfo;
    await using proxy = await createProxy({
      config: proxyConfig({
        clusters: [dfpCluster({}, { transport_socket: upstreamTls({ sni: '' }) })],
        httpFilters: [filter()],
      }),
    });
    const at = proxy.port('ingress');
    expect(await get(at, '/', `localhost:${securePort}`)).toEqual([200, 'secure']);
    expect(names).toEqual(['localhost']);
    // It exists, but the certificate doesn't speak for it.
    expect((await get(at, '/', `other.localhost:${securePort}`))[0]).toBe(503);
    expect(proxy.stat('cluster.backend.ssl.fail_verify_san')).toBe(1);
    secure.closeAllConnections();
    secure.close();
  });
});

describe('SNI', () => {
  test('TLS passes through to the host that the client names', async () => {
    const heard: Buffer[] = [];
    const backend = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (chunk: Buffer) => {
        heard.push(chunk);
        socket.destroy();
      });
    }).listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const network = `${TYPE}.filters.network`;
    await using proxy = await createProxy({
      config: proxyConfig({
        clusters: [dfpCluster()],
        listeners: [
          {
            name: 'ingress',
            address: tcp(0),
            listener_filters: [
              {
                name: 'tls_inspector',
                typed_config: { '@type': `${TYPE}.filters.listener.tls_inspector.v3.TlsInspector` },
              },
            ],
            filter_chains: [
              {
                filters: [
                  {
                    name: 'sni',
                    typed_config: {
                      '@type': `${network}.sni_dynamic_forward_proxy.v3.FilterConfig`,
                      port_value: (backend.address() as AddressInfo).port,
                      dns_cache_config: cache,
                    },
                  },
                  {
                    name: 'tcp',
                    typed_config: { '@type': `${network}.tcp_proxy.v3.TcpProxy`, stat_prefix: 't', cluster: 'backend' },
                  },
                ],
              },
            ],
          },
        ],
      }),
    });
    const open = { host: '127.0.0.1', port: proxy.port('ingress') };
    const client = connectTls({ ...open, servername: 'localhost' });
    client.on('error', () => {});
    await eventually('the ClientHello', () => heard.length === 1);
    expect([heard[0]![0], heard[0]!.includes('localhost')]).toEqual([0x16, true]);
    expect(proxy.stat('dns_cache.names.host_added')).toBe(1);
    // No name, no host.
    const plain = connect(open);
    plain.on('error', () => {});
    plain.write('GET / HTTP/1.1\r\n\r\n');
    await eventually('the end', () => plain.destroyed);
    expect(proxy.stat('cluster.backend.upstream_cx_none_healthy')).toBe(1);
    client.destroy();
    backend.close();
  });
});
