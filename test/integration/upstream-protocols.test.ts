import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { MisbehavingH2Upstream } from '../support/misbehaving-h2-upstream.ts';
import { cluster, http2Upstream, proxyConfig } from '../support/proxy-config.ts';
import { certificateFiles, upstreamTls } from '../support/tls-config.ts';

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const MIB = 1 << 20;

/** Sends a body, and counts what comes back. */
async function echo(port: number, size: number): Promise<{ status: number; bytes: number }> {
  const sent = request({ port, host: '127.0.0.1', path: '/echo', method: 'POST', headers: { connection: 'close' } });
  sent.end(Buffer.alloc(size, 0x61));
  const [response] = await once(sent, 'response');
  let bytes = 0;
  response.on('data', (chunk: Buffer) => (bytes += chunk.length));
  await once(response, 'end');
  return { status: response.statusCode, bytes };
}

const get = async (port: number, path: string): Promise<number> => {
  const [response] = await once(request({ port, host: '127.0.0.1', path, agent: false }).end(), 'response');
  response.resume();
  return response.statusCode;
};

describe('clusters that speak HTTP/2', () => {
  test('carry large bodies both ways', async () => {
    await using upstream = await MisbehavingH2Upstream.start();
    const clusters = [cluster('backend', upstream.port, http2Upstream())];
    await using proxy = await createProxy({ config: proxyConfig({ clusters }) });
    const port = proxy.port('ingress');
    const results = await Promise.all([echo(port, 4 * MIB), echo(port, 4 * MIB), echo(port, 10)]);
    expect(results).toEqual([
      { status: 200, bytes: 4 * MIB },
      { status: 200, bytes: 4 * MIB },
      { status: 200, bytes: 10 },
    ]);
    expect(proxy.stat('cluster.backend.upstream_cx_http2_total')).toBe(1);
    expect(await get(port, '/rst/8')).toBe(503);
    expect(proxy.stat('cluster.backend.upstream_rq_rx_reset')).toBe(1);
    expect(proxy.stat('cluster.backend.upstream_rq_active')).toBe(0);
  });

  test('or what ALPN settles on', async () => {
    const { serverCert, serverKey } = certificateFiles();
    await using upstream = await MisbehavingH2Upstream.start({
      tls: { cert: readFileSync(serverCert), key: readFileSync(serverKey) },
    });
    const clusters = [
      cluster('backend', upstream.port, {
        typed_extension_protocol_options: {
          [HTTP_OPTIONS]: { '@type': `type.googleapis.com/${HTTP_OPTIONS}`, auto_config: {} },
        },
        transport_socket: upstreamTls(),
      }),
    ];
    await using proxy = await createProxy({ config: proxyConfig({ clusters }) });
    expect(await echo(proxy.port('ingress'), MIB)).toEqual({ status: 200, bytes: MIB });
    expect(proxy.stat('cluster.backend.upstream_cx_http2_total')).toBe(1);
    expect(proxy.stat('cluster.backend.ssl.handshake')).toBe(1);
  });
});
