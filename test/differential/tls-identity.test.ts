import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CertificateAuthority, type IssuedCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { findTool } from '../support/tools.ts';

/**
 * Who the peers of a TLS connection are, as a real Envoy and Outrigger tell it: in x-forwarded-client-cert, in header
 * formats, in access logs, to routes, and on the admin pages.
 */

const envoyBinary = findTool('envoy');
const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
const TLS = `${EXTENSIONS}.transport_sockets.tls.v3`;

const root = CertificateAuthority.create({
  subject: [
    { type: 'C', value: 'DE' },
    { type: 'CN', value: 'root ca' },
  ],
});
const intermediate = root.intermediate();
const names = { email: ['s@x'], otherNames: [{ oid: '1.2.3.4', value: 'other' }] };
const server = root.issue({
  ...names,
  subject: [
    { type: 'O', value: 'Acme' },
    { type: 'CN', value: 'server' },
  ],
  dns: ['a.test', 'b.test'],
  uri: ['spiffe://td/server', 'spiffe://td/server2'],
  ip: ['127.0.0.1'],
});
const upstreamCertificate = root.issue({ dns: ['up.test'], uri: ['spiffe://td/up'], ip: ['1.2.3.4'] });
const clients: Readonly<Record<string, IssuedCertificate | undefined>> = {
  everything: intermediate.issue({
    ...names,
    subject: [
      { type: 'C', value: 'US' },
      [
        { type: 'O', value: 'Foo, "Bar"' },
        { type: 'OU', value: ' #x ' },
      ],
      { type: 'CN', value: 'client ü' },
    ],
    uri: ['spiffe://td/c', 'https://x/y?a=b;c,d'],
    dns: ['c1.test', 'c2.test'],
    ip: ['10.0.0.1', '::1'],
    serial: '00a1b2',
  }),
  'a URI': intermediate.issue({ commonName: '', uri: ['spiffe://td/only'] }),
  'a name': root.issue({ commonName: 'plain', key: 'rsa' }),
  nothing: undefined,
};

const MODES = ['SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'];
const DETAILS: readonly object[] = [
  {},
  { subject: true, cert: true, chain: true, dns: true, uri: true },
  { uri: true },
  { dns: true, subject: true },
];
const LOGGED = `
  DOWNSTREAM_TLS_VERSION DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_IP_SAN
  DOWNSTREAM_PEER_EMAIL_SAN DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_ISSUER
  DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_FINGERPRINT_1
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_SERIALS
  DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_CERT_V_END(%Y/%j) DOWNSTREAM_PEER_ISSUER_SERIAL
  DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_IP_SAN
  DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_TLS_SESSION_ID
  REQUESTED_SERVER_NAME TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT UPSTREAM_TLS_VERSION UPSTREAM_TLS_CIPHER
  UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_ISSUER UPSTREAM_PEER_CERT UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_CERT_V_END
  UPSTREAM_PEER_URI_SAN UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN UPSTREAM_LOCAL_URI_SAN UPSTREAM_LOCAL_DNS_SAN
  UPSTREAM_LOCAL_IP_SAN
`
  .trim()
  .split(/\s+/);

const inline = (text: string): object => ({ inline_string: text });
const common = {
  tls_certificates: [{ certificate_chain: inline(server.chain), private_key: inline(server.key) }],
  validation_context: { trusted_ca: inline(root.certificate) },
};

function listener(name: string, mode: string, details: object): object {
  const hcm = {
    '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    forward_client_cert_details: mode,
    set_current_client_cert_details: details,
    access_log: [
      {
        name: 'log',
        typed_config: {
          '@type': `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`,
          path: '@DIR@/access.log',
          log_format: {
            text_format_source: inline(
              `%REQ(X-ID)%|${LOGGED.map((field) => `${field.replace(/\(.*/, '')}=%${field}%`).join('|')}\n`,
            ),
          },
        },
      },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          request_headers_to_add: [
            {
              header: {
                key: 'x-peer',
                value: '%DOWNSTREAM_PEER_SUBJECT%|%DOWNSTREAM_PEER_CERT_V_START(%b %d)%|%DOWNSTREAM_LOCAL_SUBJECT%',
              },
            },
          ],
          routes: [
            ...['presented', 'validated'].flatMap((what) => [
              {
                match: { prefix: `/${what}`, tls_context: { [what]: true } },
                direct_response: { status: 200, body: inline('yes') },
              },
              { match: { prefix: `/${what}` }, direct_response: { status: 200, body: inline('no') } },
            ]),
            { match: { prefix: '/' }, route: { cluster: 'upstream' } },
          ],
        },
      ],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` } }],
  };
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    listener_filters: [
      {
        name: 'tls_inspector',
        typed_config: {
          '@type': `${EXTENSIONS}.filters.listener.tls_inspector.v3.TlsInspector`,
          enable_ja3_fingerprinting: true,
          enable_ja4_fingerprinting: true,
        },
      },
    ],
    filter_chains: [
      {
        transport_socket: {
          name: 'tls',
          typed_config: {
            '@type': `${TLS}.DownstreamTlsContext`,
            require_client_certificate: false,
            common_tls_context: common,
          },
        },
        filters: [{ name: 'http', typed_config: hcm }],
      },
    ],
  };
}

const listenerNames = MODES.flatMap((mode) =>
  DETAILS.map((details, index) => ({ name: `${mode}-${index}`, mode, details })),
);

function config(upstreamPort: number): string {
  return JSON.stringify({
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: {
      secrets: [
        { name: 'pair', tls_certificate: common.tls_certificates[0] },
        { name: 'tickets', session_ticket_keys: { keys: [{ inline_bytes: Buffer.alloc(80).toString('base64') }] } },
        { name: 'text', generic_secret: { secret: inline('hidden') } },
      ],
      listeners: listenerNames.map(({ name, mode, details }) => listener(name, mode, details)),
      clusters: [
        {
          name: 'upstream',
          load_assignment: {
            cluster_name: 'upstream',
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: upstreamPort } } } },
                ],
              },
            ],
          },
          transport_socket: {
            name: 'tls',
            typed_config: { '@type': `${TLS}.UpstreamTlsContext`, sni: 'up.test', common_tls_context: common },
          },
        },
      ],
    },
  });
}

interface Told {
  readonly status: number;
  /** What the upstream got: x-forwarded-client-cert and x-peer. */
  readonly headers: string;
  readonly log: string;
}

describe.skipIf(envoyBinary === undefined)('who the peers are', () => {
  let upstream: Server;
  let envoy: ProxyProcess;
  let outrigger: ProxyProcess;
  let nextId = 0;

  beforeAll(async () => {
    const { chain: cert, key } = upstreamCertificate;
    upstream = createServer({ cert, key, ca: root.certificate, requestCert: true }, ({ headers }, response) => {
      response.end(JSON.stringify([headers['x-forwarded-client-cert'], headers['x-peer']]));
    }).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const text = config((upstream.address() as AddressInfo).port);
    [envoy, outrigger] = await Promise.all([
      ProxyProcess.start('envoy', envoyBinary!, text),
      ProxyProcess.start('outrigger', OUTRIGGER, text),
    ]);
  });
  afterAll(async () => {
    await envoy?.[Symbol.asyncDispose]();
    await outrigger?.[Symbol.asyncDispose]();
    upstream?.close();
  });

  async function ask(
    proxy: ProxyProcess,
    listenerName: string,
    client: IssuedCertificate | undefined,
    path: string,
    forwarded: string | undefined,
  ): Promise<Told> {
    const id = `id-${nextId++}`;
    const answer = request({
      host: '127.0.0.1',
      port: proxy.ports.get(listenerName)!,
      path,
      servername: 'a.test',
      ca: root.certificate,
      agent: false,
      ...(client !== undefined && { cert: client.chain, key: client.key }),
      headers: { 'x-id': id, ...(forwarded !== undefined && { 'x-forwarded-client-cert': forwarded }) },
    });
    answer.end();
    const [response] = (await once(answer, 'response')) as [NodeJS.ReadableStream & { statusCode: number }];
    let headers = '';
    for await (const chunk of response) headers += chunk;
    const log = await eventually('the log line', () =>
      readFileSync(`${proxy.dir}/access.log`, 'latin1')
        .split('\n')
        // The last one may not be whole yet.
        .slice(0, -1)
        .find((line) => line.startsWith(`${id}|`)),
    );
    return { status: response.statusCode, headers, log: log.slice(id.length + 1).replaceAll('|', '\n') };
  }

  /** Both, one after the other. */
  async function compare(...args: [string, IssuedCertificate | undefined, string, string | undefined]): Promise<void> {
    const told = await ask(envoy, ...args);
    expect(await ask(outrigger, ...args)).toEqual(told);
    expect(told.status).toBe(200);
  }

  const shown = listenerNames.flatMap(({ name }) => Object.keys(clients).map((client) => [name, client] as const));

  test.each(shown)('%s: %s', async (name, client) => {
    await compare(name, clients[client], '/', undefined);
    await compare(name, clients[client], '/', 'By=x;Hash=y');
  });

  test.each(Object.keys(clients))('what routes see: %s', async (client) => {
    for (const path of ['/presented', '/validated']) await compare('SANITIZE-0', clients[client], path, undefined);
  });

  test.each([
    '/certs',
    '/config_dump?resource=static_secrets',
    '/config_dump?resource=static_listeners&mask=listener.filter_chains',
    '/config_dump?resource=static_clusters&mask=cluster.transport_socket',
  ])('%s', async (path) => {
    const page = async ({ adminPort, dir }: ProxyProcess): Promise<unknown> => {
      const text = await (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
      return JSON.parse(text.replaceAll(dir, '@DIR@'));
    };
    expect(await page(outrigger)).toEqual(await page(envoy));
  });
});
