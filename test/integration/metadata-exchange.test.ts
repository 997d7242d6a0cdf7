import { create, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { AnySchema, StructSchema } from '@bufbuild/protobuf/wkt';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, connect as connectTcp, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { cluster, fileAccessLog, listener, proxyConfig, tcp } from '../support/proxy-config.ts';
import { certificateFiles, downstreamTls, upstreamTls } from '../support/tls-config.ts';

const PROTOCOL = 'istio-peer-exchange';
const PEER = 'x-envoy-peer-metadata';
const MAGIC = 0x3d230467;
const EXCHANGE = {
  name: 'istio.metadata_exchange',
  typed_config: {
    '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct',
    type_url: 'type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange',
    value: { protocol: PROTOCOL },
  },
};
const FORMAT =
  '%FILTER_STATE(downstream_peer)% %UPSTREAM_FILTER_STATE(upstream_peer)% %FILTER_STATE(peer_not_found)%\n';

const dir = mkdtempSync(join(tmpdir(), 'metadata-exchange-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Sends everything back. */
let echo: Server;
let greet: string;
beforeEach(async () => {
  greet = '';
  echo = createServer((socket) => {
    socket.on('error', () => {});
    if (greet !== '') socket.write(greet);
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
});
afterEach(() => void echo.close());

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

const node = (name: string): object => ({
  id: `sidecar~10.0.0.1~${name}`,
  cluster: name,
  metadata: {
    NAME: `${name}-1`,
    NAMESPACE: 'shop',
    WORKLOAD_NAME: name,
    OWNER: `kubernetes://apis/apps/v1/namespaces/shop/deployments/${name}`,
    CLUSTER_ID: 'Kubernetes',
    LABELS: { app: name, 'service.istio.io/canonical-name': name, secret: 'not told' },
    SECRET: 'not told',
  },
});

/** What a node of that name tells of itself. */
const told = (name: string) => ({
  CLUSTER_ID: 'Kubernetes',
  LABELS: { app: name, 'service.istio.io/canonical-name': name },
  NAME: `${name}-1`,
  NAMESPACE: 'shop',
  OWNER: `kubernetes://apis/apps/v1/namespaces/shop/deployments/${name}`,
  WORKLOAD_NAME: name,
});
const known = (name: string): string => {
  const { CLUSTER_ID, ...more } = told(name);
  return JSON.stringify({ CLUSTER_ID, ID: `sidecar~10.0.0.1~${name}`, ...more });
};

function tcpListener(log: string, filters: readonly object[], transportSocket?: object): Record<string, unknown> {
  return {
    name: 'ingress',
    address: tcp(0),
    filter_chains: [
      {
        filters: [
          ...filters,
          {
            name: 'tcp',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
              stat_prefix: 't',
              cluster: 'backend',
              access_log: [fileAccessLog(log, FORMAT)],
            },
          },
        ],
        ...(transportSocket !== undefined && { transport_socket: transportSocket }),
      },
    ],
  };
}

/** TLS from peers, plain bytes to the echo. */
const startServer = (log: string) =>
  createProxy({
    config: proxyConfig({
      listeners: [tcpListener(log, [EXCHANGE], downstreamTls({ alpn: [PROTOCOL, 'h2'] }))],
      clusters: [cluster('backend', portOf(echo))],
      bootstrap: { node: node('server') },
    }),
  });

/** Plain bytes from clients, TLS to a peer. */
const startClient = (log: string, port: number) =>
  createProxy({
    config: proxyConfig({
      listeners: [tcpListener(log, [])],
      clusters: [
        cluster('backend', port, { filters: [EXCHANGE], transport_socket: upstreamTls({ alpn: [PROTOCOL, 'istio'] }) }),
      ],
      bootstrap: { node: node('client') },
    }),
  });

function message(fields: object): Buffer {
  const value = toBinary(StructSchema, fromJson(StructSchema, fields as never));
  const typeUrl = 'type.googleapis.com/google.protobuf.Struct';
  const body = toBinary(AnySchema, create(AnySchema, { typeUrl, value }));
  const header = Buffer.alloc(8);
  header.writeUInt32BE(MAGIC, 0);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

function parse(bytes: Buffer): { peer: unknown; rest: string } {
  expect(bytes.readUInt32BE(0)).toBe(MAGIC);
  const end = 8 + bytes.readUInt32BE(4);
  const any = fromBinary(AnySchema, bytes.subarray(8, end));
  expect(any.typeUrl).toBe('type.googleapis.com/google.protobuf.Struct');
  return { peer: toJson(StructSchema, fromBinary(StructSchema, any.value)), rest: bytes.toString('latin1', end) };
}

/** What comes back for these pieces, once so much of it is there. */
async function exchange(socket: ReturnType<typeof connectTcp>, pieces: readonly Buffer[], until: string) {
  let received = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually(`${until} to come`, () => received.toString('latin1').endsWith(until));
  socket.end();
  await once(socket, 'close');
  return received;
}

async function tlsTo(port: number, alpn: readonly string[]) {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca: readFileSync(certificateFiles().ca),
    ALPNProtocols: [...alpn],
  });
  await once(socket, 'secureConnect');
  return socket;
}

const logged = async (proxy: { close(): Promise<void> }, log: string): Promise<readonly string[]> => {
  await proxy.close();
  return readFileSync(log, 'utf8').trim().split('\n');
};

describe('two proxies', () => {
  const run = async (name: string, first: string, until: string, expected: string): Promise<void> => {
    const logs = [join(dir, `${name}-client.log`), join(dir, `${name}-server.log`)] as const;
    await using server = await startServer(logs[1]);
    await using client = await startClient(logs[0], server.port('ingress'));
    const socket = connectTcp(client.port('ingress'), '127.0.0.1');
    const received = await exchange(socket, first === '' ? [] : [Buffer.from(first)], until);
    expect(received.toString()).toBe(expected);
    await eventually('the end', () => server.stat('cluster.backend.upstream_cx_active') === 0);
    for (const proxy of [client, server]) {
      expect(proxy.stat('metadata_exchange.alpn_protocol_found')).toBe(1);
      expect(proxy.stat('metadata_exchange.metadata_added')).toBe(1);
      expect(proxy.stat('metadata_exchange.header_not_found')).toBe(0);
    }
    const [ofClient] = await logged(client, logs[0]);
    const [ofServer] = await logged(server, logs[1]);
    expect(ofClient).toBe(`- ${known('server')} -`);
    expect(ofServer).toBe(`${known('client')} - -`);
  };

  test('tell each other who they are, and clients see nothing of it', () =>
    run('client-first', 'hello', 'hello', 'hello'));

  test('also where the server speaks first', () => {
    greet = '220 ready';
    return run('server-first', '', 'ready', '220 ready');
  });
});

describe('a peer', () => {
  test('that speaks Istio’s format is understood, however its bytes are cut', async () => {
    const log = join(dir, 'cut.log');
    await using server = await startServer(log);
    const bytes = Buffer.concat([message({ [PEER]: { NAME: 'pod' }, [`${PEER}-id`]: 'sidecar~1' }), Buffer.from('hi')]);
    for (const pieces of [[bytes], [...bytes].map((byte) => Buffer.from([byte]))]) {
      const received = await exchange(await tlsTo(server.port('ingress'), [PROTOCOL]), pieces, 'hi');
      const { peer, rest } = parse(received);
      expect(peer).toEqual({ [PEER]: told('server'), [`${PEER}-id`]: 'sidecar~10.0.0.1~server' });
      expect(rest).toBe('hi');
    }
    await eventually('the end', () => server.stat('cluster.backend.upstream_cx_active') === 0);
    expect(await logged(server, log)).toEqual(Array(2).fill('{"ID":"sidecar~1","NAME":"pod"} - -'));
  });

  test('that agrees and then says something else is let through', async () => {
    const log = join(dir, 'other.log');
    await using server = await startServer(log);
    const { rest } = parse(
      await exchange(await tlsTo(server.port('ingress'), [PROTOCOL]), [Buffer.from('plain bytes')], 'plain bytes'),
    );
    expect(rest).toBe('plain bytes');
    expect(server.stat('metadata_exchange.initial_header_not_found')).toBe(1);
    const broken = message({});
    broken.writeUInt32BE(3, 4);
    const received = await exchange(await tlsTo(server.port('ingress'), [PROTOCOL]), [broken], 'Struct');
    expect(parse(received).rest).toBe(broken.toString('latin1', 8));
    expect(server.stat('metadata_exchange.header_not_found')).toBe(1);
    await eventually('the end', () => server.stat('cluster.backend.upstream_cx_active') === 0);
    expect(await logged(server, log)).toEqual(['- - true', '- - true']);
  });

  test('that does not agree gets no exchange', async () => {
    const log = join(dir, 'none.log');
    await using server = await startServer(log);
    const received = await exchange(await tlsTo(server.port('ingress'), ['h2']), [Buffer.from('hi')], 'hi');
    expect(received.toString()).toBe('hi');
    expect(server.stat('metadata_exchange.alpn_protocol_not_found')).toBe(1);
    expect(server.stat('metadata_exchange.metadata_added')).toBe(0);
    await eventually('the end', () => server.stat('cluster.backend.upstream_cx_active') === 0);
    expect(await logged(server, log)).toEqual(['- - true']);
  });

  test('that announces more than there can be is cut off', async () => {
    await using server = await startServer(join(dir, 'long.log'));
    const socket = await tlsTo(server.port('ingress'), [PROTOCOL]);
    const header = Buffer.alloc(8);
    header.writeUInt32BE(MAGIC, 0);
    header.writeUInt32BE(0x7fffffff, 4);
    socket.resume();
    socket.write(header);
    await once(socket, 'close');
    expect(server.stat('metadata_exchange.header_not_found')).toBe(1);
  });

  test('upstream that does not agree is served as ever', async () => {
    const { serverCert, serverKey } = certificateFiles();
    const options = { cert: readFileSync(serverCert), key: readFileSync(serverKey), ALPNProtocols: ['istio'] };
    const upstream = createTlsServer(options, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const log = join(dir, 'upstream.log');
    await using client = await startClient(log, portOf(upstream));
    const received = await exchange(connectTcp(client.port('ingress'), '127.0.0.1'), [Buffer.from('hi')], 'hi');
    expect(received.toString()).toBe('hi');
    expect(client.stat('metadata_exchange.alpn_protocol_not_found')).toBe(1);
    upstream.close();
  });
});

test('HTTP passes a chain and a cluster with the filter', async () => {
  const listeners = [
    listener('ingress', { routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }] }),
  ] as { filter_chains: { filters: object[] }[] }[];
  listeners[0]!.filter_chains[0]!.filters.unshift(EXCHANGE);
  await using server = await createProxy({ config: proxyConfig({ listeners, clusters: [] }) });
  const clusters = [cluster('backend', server.port('ingress'), { filters: [EXCHANGE] })];
  await using client = await createProxy({ config: proxyConfig({ clusters }) });
  for (let i = 0; i < 2; i++) expect((await fetch(`http://127.0.0.1:${client.port('ingress')}/`)).status).toBe(200);
  expect(client.stat('metadata_exchange.alpn_protocol_not_found')).toBe(1);
});

test('what is not done is named', async () => {
  const typed = { ...EXCHANGE.typed_config, value: { protocol: PROTOCOL, enable_discovery: true } };
  const filter = { ...EXCHANGE, typed_config: typed };
  const log = join(dir, 'unsupported.log');
  const clusters = [cluster('backend', 1, { filters: [filter] })];
  await using proxy = await createProxy({ config: proxyConfig({ listeners: [tcpListener(log, [filter])], clusters }) });
  expect(proxy.unsupported.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      'static_resources.clusters[0].filters[0].typed_config.enable_discovery',
      'static_resources.listeners[0].filter_chains[0].filters[0].typed_config.enable_discovery',
    ]),
  );
});
