// Outrigger in a test: a proxy in this process between a client and a server under test, changed while it runs.
// Run it: node examples/test-harness.ts (in a checkout with the pinned Node.js: npx node examples/test-harness.ts).
import { createServer, get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createProxy } from '../src/index.ts'; // from 'outrigger' in a project of your own

const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const FAULT = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

/** A bootstrap that forwards everything to `port`, after the given fault. */
const config = (port: number, fault: object): object => ({
  static_resources: {
    listeners: [
      {
        name: 'in',
        address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
        filter_chains: [
          {
            filters: [
              {
                name: 'envoy.filters.network.http_connection_manager',
                typed_config: {
                  '@type': HCM,
                  stat_prefix: 'in',
                  route_config: {
                    virtual_hosts: [
                      { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }] },
                    ],
                  },
                  http_filters: [
                    { name: 'envoy.filters.http.fault', typed_config: { '@type': FAULT, ...fault } },
                    { name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER } },
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
        name: 'app',
        load_assignment: {
          cluster_name: 'app',
          endpoints: [
            {
              lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }],
            },
          ],
        },
      },
    ],
  },
});

/** The status of a request on a connection of its own: one that is kept alive finishes with the config it began with. */
async function status(url: string): Promise<number | undefined> {
  const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

/** Sends two requests, the second one with a fault injected meanwhile; returns what they and the stats said. */
export async function demonstrate(): Promise<{
  before: number | undefined;
  after: number | undefined;
  aborts: number | string | undefined;
}> {
  const app = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(app, 'listening');
  const { port } = app.address() as AddressInfo;
  try {
    await using proxy = await createProxy({ config: config(port, {}) });
    const url = `http://127.0.0.1:${proxy.port('in')}/`;
    const before = await status(url);
    await proxy.update(config(port, { abort: { http_status: 503, percentage: { numerator: 100 } } }));
    const after = await status(url);
    return { before, after, aborts: proxy.stat('http.in.fault.aborts_injected') };
  } finally {
    app.closeAllConnections();
    app.close();
  }
}

if (import.meta.main) console.log(await demonstrate());
