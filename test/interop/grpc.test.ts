import { spawn, type ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, listening } from '../support/free-port.ts';
import { cluster, http2Upstream, listener, proxyConfig } from '../support/proxy-config.ts';
import type { ProxyProcess } from '../support/proxy-process.ts';
import { runTool } from '../support/run-tool.ts';
import { startSubject } from '../support/subject.ts';
import { certificateFiles, downstreamTls, upstreamTls } from '../support/tls-config.ts';
import { findTool } from '../support/tools.ts';

const client = findTool('grpc-interop-client');
const server = findTool('grpc-interop-server');

/** gRPC's interop test cases that grpc-go's client passes against its own server. */
const CASES = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
];

async function startServer(port: number, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(server!, ['-port', String(port), ...args], { stdio: 'ignore' });
  await listening(port);
  return child;
}

/** grpc-go's interop client and server, the proxy between them: in the clear, and with TLS on both sides (mTLS below). */
describe.skipIf(client === undefined || server === undefined)('gRPC interop', () => {
  const children: ChildProcess[] = [];
  let proxy: ProxyProcess;
  let ca = '';

  beforeAll(async () => {
    const files = certificateFiles();
    ca = files.ca;
    const plain = await freePort();
    const secure = await freePort();
    children.push(await startServer(plain, []));
    children.push(
      await startServer(secure, ['-use_tls', '-tls_cert_file', files.serverCert, '-tls_key_file', files.serverKey]),
    );
    const to = (name: string): object => ({
      hcm: { codec_type: 'HTTP2' },
      routes: [{ match: { prefix: '/' }, route: { cluster: name, timeout: '0s' } }],
    });
    proxy = await startSubject(
      proxyConfig({
        listeners: [
          listener('h2c', to('plain')),
          listener('tls', {
            ...to('secure'),
            filterChain: { transport_socket: downstreamTls({ alpn: ['h2'] }) },
          }),
        ],
        clusters: [
          cluster('plain', plain, http2Upstream()),
          cluster('secure', secure, { ...http2Upstream(), transport_socket: upstreamTls({ sni: 'localhost' }) }),
        ],
      }),
    );
  });

  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    for (const child of children) child.kill('SIGKILL');
  });

  for (const name of CASES)
    for (const over of ['h2c', 'tls'])
      test(`${name} over ${over}`, async () => {
        const port = String(proxy.ports.get(over));
        const secure = ['-use_tls', '-use_test_ca', '-ca_file', ca, '-server_host_override', 'localhost'];
        const { code, output } = await runTool(
          client!,
          ['-server_host', '127.0.0.1', '-server_port', port, '-test_case', name, ...(over === 'tls' ? secure : [])],
          20_000,
        );
        expect(code, output).toBe(0);
      });
});
