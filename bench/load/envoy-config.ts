import type { BenchCase } from './cases.ts';
import type { BenchCertificates } from './certificates.ts';
import type { PeerSetup } from './peers/peer.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
const TYPE = 'type.googleapis.com/envoy.extensions.filters';

const filter = (name: string, type: string, config: { [key: string]: Json } = {}): Json => ({
  name,
  typed_config: { '@type': `${TYPE}.http.${type}`, ...config },
});

const mutation = (header: string): Json =>
  filter(`mutation-${header}`, 'header_mutation.v3.HeaderMutation', {
    mutations: {
      response_mutations: [
        { append: { header: { key: header, value: 'bench' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } },
      ],
    },
  });

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const HTTP_OPTIONS = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

const certificateFiles = ({ cert, key }: BenchCertificates): Json => [
  { certificate_chain: { filename: cert }, private_key: { filename: key } },
];

function downstreamTls(test: BenchCase, certificates: BenchCertificates): Json {
  const mutual = test.downstream === 'http1-mtls';
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TLS}.DownstreamTlsContext`,
      require_client_certificate: mutual,
      common_tls_context: {
        alpn_protocols: [test.downstream.startsWith('http2') ? 'h2' : 'http/1.1'],
        tls_certificates: certificateFiles(certificates),
        ...(mutual && { validation_context: { trusted_ca: { filename: certificates.ca } } }),
      },
    },
  };
}

function upstreamTls(certificates: BenchCertificates): Json {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TLS}.UpstreamTlsContext`,
      sni: 'localhost',
      common_tls_context: {
        alpn_protocols: ['h2'],
        validation_context: { trusted_ca: { filename: certificates.ca } },
      },
    },
  };
}

/** The bootstrap that Envoy and Outrigger both run, as YAML (JSON is YAML). */
export function benchBootstrap({ test, port, upstream, certificates }: PeerSetup): string {
  const { config, downstream } = test;
  const armed = config === 'armed';
  const forward: Json = {
    match: { prefix: '/' },
    route: {
      cluster: 'upstream',
      ...(test.load === 'grpc-stream' && { timeout: '0s' }),
      ...(armed && {
        timeout: '10s',
        retry_policy: { retry_on: 'connect-failure,reset,5xx', num_retries: 2, per_try_timeout: '5s' },
      }),
    },
  };
  const routes: Json[] = [
    { match: { path: '/healthz' }, direct_response: { status: 200 } },
    { match: { prefix: '/static/' }, route: { cluster: 'upstream' } },
    { match: { prefix: '/api/' }, route: { cluster: 'upstream' } },
    ...(config === 'routes'
      ? Array.from({ length: 1000 }, (_, i): Json => ({
          match: { prefix: `/service-${i}/` },
          route: { cluster: 'upstream' },
        }))
      : []),
    forward,
  ];
  return JSON.stringify({
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: port + 1 } } },
    static_resources: {
      listeners: [
        {
          name: 'bench',
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [
            {
              ...(downstream.includes('tls') && { transport_socket: downstreamTls(test, certificates) }),
              filters: [
                downstream === 'tcp'
                  ? {
                      name: 'envoy.filters.network.tcp_proxy',
                      typed_config: {
                        '@type': `${TYPE}.network.tcp_proxy.v3.TcpProxy`,
                        stat_prefix: 'bench',
                        cluster: 'upstream',
                      },
                    }
                  : {
                      name: 'envoy.filters.network.http_connection_manager',
                      typed_config: {
                        '@type': `${TYPE}.network.http_connection_manager.v3.HttpConnectionManager`,
                        stat_prefix: 'bench',
                        use_remote_address: true,
                        ...(downstream === 'websocket' && { upgrade_configs: [{ upgrade_type: 'websocket' }] }),
                        route_config: { name: 'local', virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
                        ...(armed && {
                          request_timeout: '30s',
                          access_log: [
                            {
                              name: 'envoy.access_loggers.file',
                              typed_config: {
                                '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
                                path: '/dev/null',
                              },
                            },
                          ],
                        }),
                        http_filters: [
                          ...(armed
                            ? [
                                filter('envoy.filters.http.fault', 'fault.v3.HTTPFault'),
                                mutation('x-bench-1'),
                                mutation('x-bench-2'),
                                mutation('x-bench-3'),
                                mutation('x-bench-4'),
                                mutation('x-bench-5'),
                              ]
                            : []),
                          filter('envoy.filters.http.router', 'router.v3.Router'),
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
          name: 'upstream',
          connect_timeout: '1s',
          ...(test.upstream.startsWith('http2') && {
            typed_extension_protocol_options: {
              'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
                '@type': HTTP_OPTIONS,
                explicit_http_config: { http2_protocol_options: {} },
              },
            },
          }),
          ...(test.upstream === 'http2-tls' && { transport_socket: upstreamTls(certificates) }),
          load_assignment: {
            cluster_name: 'upstream',
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: upstream } } } },
                ],
              },
            ],
          },
        },
      ],
    },
  });
}
