import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { MisbehavingH2Upstream } from '../support/misbehaving-h2-upstream.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';
import { certificateFiles, upstreamTls } from '../support/tls-config.ts';
import { findTool } from '../support/tools.ts';

/** What HTTP/2, TCP, hashing and original-destination clusters do, and every counter of theirs, beside a real Envoy. */
const envoyBinary = findTool('envoy');

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Fields = { [key: string]: Json };

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const type = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`;
const http = (fields: Fields): Fields => ({
  typed_extension_protocol_options: { [HTTP_OPTIONS]: { '@type': `type.googleapis.com/${HTTP_OPTIONS}`, ...fields } },
});
const http2 = (options: Fields = {}, more: Fields = {}): Fields =>
  http({ explicit_http_config: { http2_protocol_options: options }, ...more });
const endpointAt = (port: string, address = '127.0.0.1', more: Fields = {}): Json => ({
  endpoint: { address: { socket_address: { address, port_value: port } } },
  ...more,
});
const assignment = (...endpoints: Json[]): Fields => ({
  load_assignment: { cluster_name: 'x', endpoints: [{ lb_endpoints: endpoints }] },
});
const hashed = (fields: Fields): Fields => ({
  ...assignment(
    ...[1, 3, 2, 1, 5].map((weight, index) =>
      endpointAt('@CLOSED@', `127.0.0.${index + 1}`, { load_balancing_weight: weight }),
    ),
  ),
  ...fields,
});

const tls = upstreamTls() as Fields;

/** Name -> what is particular to the cluster. Each has a listener of the same name. */
const HTTP_CLUSTERS: Readonly<Record<string, Fields>> = {
  plain: { ...assignment(endpointAt('@H2@')), ...http2() },
  narrow: { ...assignment(endpointAt('@H2@')), ...http2({ max_concurrent_streams: 2 }) },
  'peer-narrow': { ...assignment(endpointAt('@H2NARROW@')), ...http2() },
  'max-requests': {
    ...assignment(endpointAt('@H2@')),
    ...http2({}, { common_http_protocol_options: { max_requests_per_connection: 2 } }),
  },
  idle: {
    ...assignment(endpointAt('@H2@')),
    ...http2({}, { common_http_protocol_options: { idle_timeout: '0.05s' } }),
  },
  duration: {
    ...assignment(endpointAt('@H2@')),
    ...http2({}, { common_http_protocol_options: { max_connection_duration: '0.05s' } }),
  },
  refused: { ...assignment(endpointAt('@CLOSED@')), ...http2() },
  'not-http2': { ...assignment(endpointAt('@HTTP1@')), ...http2() },
  legacy: { ...assignment(endpointAt('@H2@')), http2_protocol_options: {} },
  breaker: {
    ...assignment(endpointAt('@H2@')),
    ...http2(),
    circuit_breakers: { thresholds: [{ max_requests: 2, max_pending_requests: 1 }] },
  },
  downstream: {
    ...assignment(endpointAt('@HTTP1@')),
    ...http({ use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } }),
  },
  'downstream-h2': {
    ...assignment(endpointAt('@H2@')),
    ...http({ use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } }),
  },
  'two-addresses': {
    ...assignment({
      endpoint: {
        address: { socket_address: { address: '127.0.0.1', port_value: '@CLOSED@' } },
        additional_addresses: [{ address: { socket_address: { address: '127.0.0.1', port_value: '@HTTP1@' } } }],
      },
    }),
  },
  'tls-http2': { ...assignment(endpointAt('@H2TLS@')), ...http2(), transport_socket: tls },
  'tls-auto': { ...assignment(endpointAt('@H2TLS@')), ...http({ auto_config: {} }), transport_socket: tls },
  'tls-auto-http1': { ...assignment(endpointAt('@HTTP1TLS@')), ...http({ auto_config: {} }), transport_socket: tls },
  'tls-http1': { ...assignment(endpointAt('@H2TLS@')), transport_socket: tls },
  'tls-by-endpoint': {
    ...assignment(
      endpointAt('@H2TLS@', '127.0.0.1', {
        metadata: { filter_metadata: { 'envoy.transport_socket_match': { secured: 'yes' } } },
      }),
    ),
    transport_socket_matches: [{ name: 'secured', match: { secured: 'yes' }, transport_socket: tls }],
  },
  'tls-to-plain': { ...assignment(endpointAt('@HTTP1@')), transport_socket: tls },
  ring: hashed({ lb_policy: 'RING_HASH' }),
  maglev: hashed({ lb_policy: 'MAGLEV', maglev_lb_config: { table_size: '1009' } }),
  original: {
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    original_dst_lb_config: { use_http_header: true },
  },
};

const log = (format: string): Json => [
  {
    name: 'file',
    typed_config: {
      '@type': type('access_loggers.file.v3.FileAccessLog'),
      path: '@DIR@/access.log',
      log_format: { text_format_source: { inline_string: `${format}\n` } },
    },
  },
];

const httpListener = (name: string): Json => ({
  name,
  address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
  filter_chains: [
    {
      filters: [
        {
          name: 'hcm',
          typed_config: {
            '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
            stat_prefix: name,
            access_log: log(
              '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %UPSTREAM_HOST% ' +
                '%UPSTREAM_PROTOCOL% %UPSTREAM_TRANSPORT_FAILURE_REASON% %UPSTREAM_REQUEST_ATTEMPT_COUNT%',
            ),
            route_config: {
              virtual_hosts: [
                {
                  name: 'all',
                  domains: ['*'],
                  routes: [
                    {
                      match: { prefix: '/', headers: [{ name: 'x-retry', present_match: true }] },
                      route: { cluster: name, retry_policy: { retry_on: 'refused-stream', num_retries: 1 } },
                    },
                    {
                      match: { prefix: '/' },
                      route: { cluster: name, hash_policy: [{ header: { header_name: 'x-key' } }] },
                    },
                  ],
                },
              ],
            },
            http_filters: [{ name: 'router', typed_config: { '@type': type('filters.http.router.v3.Router') } }],
          },
        },
      ],
    },
  ],
});

const TCP_CLUSTERS: Readonly<Record<string, Fields>> = {
  tcp: assignment(endpointAt('@ECHO@')),
  'tcp-refused': assignment(endpointAt('@CLOSED@')),
  'tcp-breaker': {
    ...assignment(endpointAt('@ECHO@')),
    circuit_breakers: { thresholds: [{ max_connections: 1, max_pending_requests: 1 }] },
  },
};

const tcpListener = (name: string): Json => ({
  name,
  address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
  filter_chains: [
    {
      filters: [
        {
          name: 'tcp',
          typed_config: {
            '@type': type('filters.network.tcp_proxy.v3.TcpProxy'),
            stat_prefix: name,
            cluster: name,
            access_log: log('TCP %RESPONSE_FLAGS% %UPSTREAM_HOST% %UPSTREAM_TRANSPORT_FAILURE_REASON%'),
          },
        },
      ],
    },
  ],
});

const CONFIG = JSON.stringify({
  admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
  static_resources: {
    listeners: [...Object.keys(HTTP_CLUSTERS).map(httpListener), ...Object.keys(TCP_CLUSTERS).map(tcpListener)],
    clusters: Object.entries({ ...HTTP_CLUSTERS, ...TCP_CLUSTERS }).map(([name, fields]) => ({
      name,
      connect_timeout: '1s',
      ...fields,
    })),
  },
});

/** One client of one proxy. */
class Client implements Disposable {
  readonly port: number;
  /** What was asked of the proxy, each with a line in its log. */
  calls = 0;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(port: number) {
    this.port = port;
  }

  /** Resolves to status, body and trailers. */
  get(path: string, headers: Readonly<Record<string, string>> = {}, body?: string, method?: string): Promise<string> {
    this.calls++;
    return new Promise((resolve) => {
      const request = httpRequest(
        {
          port: this.port,
          host: '127.0.0.1',
          path,
          agent: this.#agent,
          headers: { ...headers, host: 'a.test' },
          method: method ?? (body === undefined ? 'GET' : 'POST'),
        },
        (response) => {
          let text = '';
          response.setEncoding('latin1');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve(`${response.statusCode} ${text} ${JSON.stringify(response.trailers)}`));
          response.on('error', (error: NodeJS.ErrnoException) =>
            resolve(`${response.statusCode} ${text} ${error.code}`),
          );
        },
      );
      request.on('error', (error: NodeJS.ErrnoException) => resolve(`failed ${error.code}`));
      request.end(body);
    });
  }

  all(paths: readonly string[]): Promise<string[]> {
    return Promise.all(paths.map((path) => this.get(path)));
  }

  async overHttp2(path: string): Promise<string> {
    this.calls++;
    const session = connectHttp2(`http://127.0.0.1:${this.port}`);
    const stream = session.request({ ':path': path, ':authority': 'a.test' });
    let status = 0;
    let text = '';
    stream.on('response', (headers) => (status = headers[':status'] ?? 0));
    stream.on('data', (chunk) => (text += String(chunk)));
    await once(stream, 'close');
    session.close();
    return `${status} ${text}`;
  }

  /** Sends, half-closes, and reads to the end. */
  async tcp(data: string): Promise<string> {
    this.calls++;
    const socket = connect(this.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    // Whether the end is a reset depends on whether the proxy has read what was sent by then.
    socket.on('error', () => {});
    socket.end(data);
    await new Promise((resolve) => socket.on('close', resolve));
    return text;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

interface Scenario {
  readonly cluster: string;
  run(client: Client): Promise<unknown>;
  /** Counters that depend on timing, and why. */
  readonly ignore?: RegExp;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const cluster = (name: string, run: Scenario['run'], ignore?: RegExp): Scenario => ({
  cluster: name,
  run,
  ...(ignore !== undefined && { ignore }),
});
const keys = Array.from({ length: 12 }, (_, index) => `user-${index}`);

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'one request': cluster('plain', (client) => client.get('/')),
  'the next one takes the same connection': cluster('plain', (client) => client.get('/')),
  'what the upstream is sent': cluster('plain', (client) => client.get('/headers', { 'x-a': 'b', te: 'trailers' })),
  'a body both ways': cluster('plain', (client) => client.get('/echo', {}, 'x'.repeat(100_000))),
  'trailers, which HTTP/1 clients are not sent': cluster('plain', (client) => client.get('/trailers')),
  HEAD: cluster('plain', (client) => client.get('/', {}, undefined, 'HEAD')),
  'no content': cluster('plain', (client) => client.get('/status/204')),
  'an HTTP/2 client': cluster('plain', (client) => client.overHttp2('/trailers')),
  'ten at once, on the connection that is there': cluster('plain', (client) => client.all(Array(10).fill('/slow'))),
  'RST_STREAM CANCEL': cluster('plain', (client) => client.get('/rst/8')),
  'RST_STREAM NO_ERROR': cluster('plain', (client) => client.get('/rst/0')),
  'RST_STREAM INTERNAL_ERROR': cluster('plain', (client) => client.get('/rst/2')),
  'RST_STREAM REFUSED_STREAM': cluster('plain', (client) => client.get('/rst/7')),
  'RST_STREAM REFUSED_STREAM, tried again': cluster('plain', (client) => client.get('/rst/7', { 'x-retry': '1' })),
  'RST_STREAM HTTP_1_1_REQUIRED': cluster('plain', (client) => client.get('/rst/13')),
  'a GOAWAY behind a response': cluster('plain', async (client) => {
    const first = await client.get('/goaway');
    await pause(30);
    return [first, await client.get('/')];
  }),
  'a GOAWAY that refuses the request': cluster('plain', (client) => client.get('/refuse')),
  'a GOAWAY that refuses the request, tried again': cluster('plain', (client) =>
    client.get('/refuse', { 'x-retry': '1' }),
  ),
  'a connection that dies before the response': cluster('plain', async (client) => [
    await client.get('/'),
    await client.get('/kill'),
  ]),
  'a connection that dies amid the response': cluster('plain', (client) => client.get('/half')),
  // How many of them wait depends on how soon connections are up.
  'our own limit of streams, from nothing': cluster(
    'narrow',
    (client) => client.all(Array(5).fill('/slow')),
    /pending_total/,
  ),
  'the limit of the peer': cluster(
    'peer-narrow',
    async (client) => {
      await client.get('/');
      return client.all(Array(4).fill('/slow'));
    },
    /pending_total/,
  ),
  // Envoy counts a protocol error where it closes a connection from inside of its own codec.
  max_requests_per_connection: cluster(
    'max-requests',
    async (client) => {
      for (let i = 0; i < 5; i++) await client.get('/');
    },
    /protocol_error/,
  ),
  idle_timeout: cluster('idle', async (client) => {
    await client.get('/');
    await pause(150);
    return client.get('/slow');
  }),
  max_connection_duration: cluster(
    'duration',
    async (client) => {
      const slow = await client.get('/slow');
      await pause(30);
      return [slow, await client.get('/')];
    },
    /protocol_error/,
  ),
  'a closed port': cluster('refused', (client) => client.get('/')),
  'an upstream that speaks HTTP/1': cluster('not-http2', (client) => client.get('/')),
  'http2_protocol_options of the cluster': cluster('legacy', (client) => client.get('/')),
  max_requests: cluster('breaker', async (client) => {
    await client.get('/');
    const answers = await client.all(Array(3).fill('/slow'));
    return answers.sort();
  }),
  'the protocol of the client: HTTP/1': cluster('downstream', (client) => client.get('/')),
  'the protocol of the client: HTTP/2': cluster('downstream-h2', (client) => client.overHttp2('/')),
  'an endpoint with two addresses': cluster('two-addresses', (client) => client.get('/')),
  'HTTP/2 over TLS': cluster('tls-http2', async (client) => [
    await client.get('/'),
    await client.get('/echo', {}, 'x'),
  ]),
  // Envoy counts such a connection twice: once as it begins, once when it knows what it is.
  'ALPN settles on HTTP/2': cluster(
    'tls-auto',
    async (client) => [await client.get('/'), await client.get('/')],
    /upstream_cx_total/,
  ),
  'ALPN settles on HTTP/1.1': cluster(
    'tls-auto-http1',
    async (client) => [await client.get('/'), await client.get('/')],
    /upstream_cx_total/,
  ),
  'HTTP/1.1 over TLS': cluster('tls-http1', (client) => client.get('/')),
  'TLS because the endpoint says so': cluster('tls-by-endpoint', (client) => client.get('/')),
  'TLS to a server that speaks none': cluster('tls-to-plain', (client) => client.get('/')),
  'a ring': cluster('ring', async (client) => {
    for (const key of keys) await client.get(`/${key}`, { 'x-key': key });
  }),
  Maglev: cluster('maglev', async (client) => {
    for (const key of keys) await client.get(`/${key}`, { 'x-key': key });
  }),
  'an original destination by header': cluster('original', (client) =>
    client.get('/', { 'x-envoy-original-dst-host': `127.0.0.1:${ports.http1}` }),
  ),
  'no original destination': cluster('original', async (client) => [
    await client.get('/'),
    await client.get('/', { 'x-envoy-original-dst-host': 'nonsense' }),
  ]),
  TCP: cluster('tcp', async (client) => [await client.tcp('one'), await client.tcp('two')]),
  'TCP to a closed port': cluster('tcp-refused', (client) => client.tcp('x')),
};

const ports = { h2: 0, h2narrow: 0, h2tls: 0, http1tls: 0, http1: 0, echo: 0, closed: 0 };

/** What differs from run to run, is not what this is about, or (`sigalgs`) is what our TLS library doesn't tell. */
const NOT_COMPARED =
  /_bytes_total$|flow_control|update_|membership|assignment|nghttp2|connect_attempts|outbound_|pending_send|sigalgs/;

interface Observation {
  readonly result: unknown;
  readonly log: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
}

class Subject {
  readonly #proxy: ProxyProcess;
  #seen = 0;

  constructor(proxy: ProxyProcess) {
    this.#proxy = proxy;
  }

  async observe(scenario: Scenario): Promise<Observation> {
    const before = await this.#settled(scenario.cluster);
    using client = new Client(this.#proxy.ports.get(scenario.cluster)!);
    const result = this.#normalize(await scenario.run(client));
    client[Symbol.dispose]();
    await this.#logged(client.calls);
    const after = await this.#settled(scenario.cluster);
    const counters: Record<string, number> = {};
    for (const [stat, value] of [...after].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const delta = value - (before.get(stat) ?? 0);
      if (delta !== 0 && !NOT_COMPARED.test(stat) && scenario.ignore?.test(stat) !== true) counters[stat] = delta;
    }
    const lines = this.#lines();
    const log = lines.slice(this.#seen).map((line) => String(this.#normalize(line)));
    this.#seen = lines.length;
    return { result, log: log.sort(), counters };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]();
  }

  #lines(): string[] {
    try {
      const lines = readFileSync(join(this.#proxy.dir, 'access.log'), 'utf8').split('\n').slice(0, -1);
      // What strangers on this machine have sent is no concern of ours.
      return lines.filter((line) => !line.startsWith('- 400'));
    } catch {
      return [];
    }
  }

  async #logged(count: number): Promise<void> {
    for (const deadline = Date.now() + 5000; this.#lines().length < this.#seen + count;) {
      if (Date.now() > deadline)
        throw new Error(`only ${this.#lines().length - this.#seen} of ${count} lines were logged`);
      await pause(5);
    }
  }

  /** The cluster's counters once they, and the log, stay the same for a while. */
  async #settled(name: string): Promise<Map<string, number>> {
    let last = '';
    for (let quiet = 0; ;) {
      const counters = await this.#proxy.counters();
      const own = new Map([...counters].filter(([stat]) => stat.startsWith(`cluster.${name}.`)));
      const text = JSON.stringify([...own].filter(([stat]) => !NOT_COMPARED.test(stat)));
      quiet = text === last ? quiet + 1 : 0;
      if (quiet === 3) return own;
      last = text;
      await pause(15);
    }
  }

  #normalize(value: unknown): unknown {
    let text = JSON.stringify(value) ?? '';
    for (const [name, port] of Object.entries(ports)) text = text.replaceAll(`:${port}`, `:${name}`);
    return JSON.parse(text === '' ? 'null' : text);
  }
}

describe.skipIf(envoyBinary === undefined)('clusters', () => {
  const disposables = new AsyncDisposableStack();
  let envoy: Subject;
  let outrigger: Subject;

  beforeAll(async () => {
    const h2 = disposables.use(await MisbehavingH2Upstream.start());
    const narrow = disposables.use(await MisbehavingH2Upstream.start({ maxConcurrentStreams: 2 }));
    const http1 = disposables.use(await ScriptedUpstream.start());
    const { serverCert, serverKey } = certificateFiles();
    const pair = { cert: readFileSync(serverCert), key: readFileSync(serverKey) };
    const h2tls = disposables.use(await MisbehavingH2Upstream.start({ tls: pair }));
    const http1tls = createHttpsServer(pair, (_request, response) => response.end('HTTP/1')).listen(0, '127.0.0.1');
    await once(http1tls, 'listening');
    disposables.defer(() => {
      http1tls.closeAllConnections();
      http1tls.close();
    });
    const echo: Server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    }).listen(0, '127.0.0.1');
    const closed = createServer().listen(0, '127.0.0.1');
    await Promise.all([once(echo, 'listening'), once(closed, 'listening')]);
    disposables.defer(() => void echo.close());
    Object.assign(ports, {
      h2: h2.port,
      h2narrow: narrow.port,
      h2tls: h2tls.port,
      http1tls: (http1tls.address() as AddressInfo).port,
      http1: http1.port,
      echo: (echo.address() as AddressInfo).port,
      closed: (closed.address() as AddressInfo).port,
    });
    closed.close();
    const config = CONFIG.replaceAll(/"@([A-Z0-9]+)@"/g, (all, name: string) =>
      name === 'DIR' ? all : String(ports[name.toLowerCase() as keyof typeof ports]),
    );
    const start = async (name: string, binary: string): Promise<Subject> =>
      disposables.use(new Subject(await ProxyProcess.start(name, binary, config)));
    [envoy, outrigger] = await Promise.all([start('envoy', envoyBinary!), start('outrigger', OUTRIGGER)]);
  });
  afterAll(() => disposables.disposeAsync());

  test.each(Object.entries(SCENARIOS))('%s', async (_name, scenario) => {
    const theirs = await envoy.observe(scenario);
    expect(await outrigger.observe(scenario)).toEqual(theirs);
  });
});
