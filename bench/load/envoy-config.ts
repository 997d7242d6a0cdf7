import type { BenchCase } from './cases.ts';

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

/** The bootstrap that Envoy and Outrigger both run, as YAML (JSON is YAML). */
export function benchBootstrap(config: BenchCase['config'], port: number, adminPort: number, upstream: number): string {
  const armed = config === 'armed';
  const forward: Json = {
    match: { prefix: '/' },
    route: {
      cluster: 'upstream',
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
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: adminPort } } },
    static_resources: {
      listeners: [
        {
          name: 'bench',
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [
            {
              filters: [
                {
                  name: 'envoy.filters.network.http_connection_manager',
                  typed_config: {
                    '@type': `${TYPE}.network.http_connection_manager.v3.HttpConnectionManager`,
                    stat_prefix: 'bench',
                    use_remote_address: true,
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
