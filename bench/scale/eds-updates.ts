// What an update of the endpoints of one cluster among many costs, on all threads of a proxy: a control plane (delta
// ADS) serves the clusters, then changes one after the other. The CPU time is that of the whole process, from /proc.
//
//   node bench/scale/eds-updates.ts [--clusters 100,1000,10000] [--endpoints 5] [--updates 200] [--proxy bin/outrigger]
//   node bench/scale/eds-updates.ts --clusters 1 --endpoints 5,50,500,5000
//
// With --requests N, h2load sends N requests a second meanwhile, with and without updates in turn; it tells their p99.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { create, fromBinary, fromJson, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../src/api/generated/envoy/config/endpoint/v3/endpoint_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { requestTimes } from '../load/generators/h2load.ts';

const { values } = parseArgs({
  options: {
    clusters: { type: 'string', default: '100,1000,10000' },
    endpoints: { type: 'string', default: '5' },
    updates: { type: 'string', default: '200' },
    requests: { type: 'string', default: '0' },
    concurrency: { type: 'string', default: '2' },
    proxy: { type: 'string', default: join(import.meta.dirname, '../../bin/outrigger') },
  },
});
const numbers = (text: string): number[] => text.split(',').map(Number);
const updates = Number(values.updates);
const requests = Number(values.requests);

const CDS = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
const EDS = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';
/** Resources in one response: gRPC's servers bound the size of a message. */
const BATCH = 2000;
/** Between updates: each is to be applied by itself. */
const PACE_MS = 20;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const name = (index: number): string => `cluster-${index}`;

function clusterResource(index: number): Any {
  const json = {
    name: name(index),
    type: 'EDS',
    connect_timeout: '1s',
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' } },
  };
  const value = toBinary(ClusterSchema, fromJson(ClusterSchema, json));
  return { $typeName: 'google.protobuf.Any', typeUrl: CDS, value };
}

/** `round` moves one endpoint to another port. */
function endpointsResource(cluster: string, endpoints: number, round: number): Any {
  const lbEndpoints = Array.from({ length: endpoints }, (_, i) => ({
    endpoint: {
      address: {
        socket_address: { address: `10.1.${i >> 8}.${i & 255}`, port_value: i === 0 ? 1024 + (round % 60_000) : 80 },
      },
    },
    metadata: { filter_metadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' } } },
    load_balancing_weight: 1,
  }));
  const json = { cluster_name: cluster, endpoints: [{ locality: { zone: 'z' }, lb_endpoints: lbEndpoints }] };
  const value = toBinary(ClusterLoadAssignmentSchema, fromJson(ClusterLoadAssignmentSchema, json));
  return { $typeName: 'google.protobuf.Any', typeUrl: EDS, value };
}

/** A control plane for one client. */
class ControlPlane {
  readonly #server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
  readonly #clusters: number;
  readonly #endpoints: number;
  #stream: ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse> | undefined = undefined;
  #nonce = 0;
  acknowledged = 0;
  refused = '';

  constructor(clusters: number, endpoints: number) {
    this.#clusters = clusters;
    this.#endpoints = endpoints;
    this.#server.addService(
      {
        stream: {
          path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
          requestStream: true,
          responseStream: true,
          requestSerialize: (message: DeltaDiscoveryRequest) =>
            Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)),
          requestDeserialize: (bytes: Buffer) => fromBinary(DeltaDiscoveryRequestSchema, bytes),
          responseSerialize: (message: DeltaDiscoveryResponse) =>
            Buffer.from(toBinary(DeltaDiscoveryResponseSchema, message)),
          responseDeserialize: (bytes: Buffer) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
        },
      },
      {
        stream: (stream: ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>) => {
          this.#stream = stream;
          stream.on('data', (request: DeltaDiscoveryRequest) => this.#onRequest(request));
          stream.on('error', () => {});
        },
      },
    );
  }

  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  /** Changes the endpoints of one cluster. */
  update(cluster: string, round: number): void {
    this.#send(EDS, [[cluster, endpointsResource(cluster, this.#endpoints, round)]]);
  }

  close(): void {
    this.#server.forceShutdown();
  }

  #onRequest({ typeUrl, responseNonce, errorDetail, resourceNamesSubscribe }: DeltaDiscoveryRequest): void {
    if (errorDetail !== undefined) this.refused = errorDetail.message;
    else if (responseNonce !== '') this.acknowledged++;
    if (typeUrl === CDS && responseNonce === '')
      this.#send(
        CDS,
        Array.from({ length: this.#clusters }, (_, i) => [name(i), clusterResource(i)]),
      );
    if (typeUrl === EDS)
      this.#send(
        EDS,
        resourceNamesSubscribe.map((each) => [each, endpointsResource(each, this.#endpoints, 0)]),
      );
  }

  #send(typeUrl: string, resources: readonly (readonly [string, Any])[]): void {
    for (let i = 0; i < resources.length; i += BATCH) {
      const nonce = String(++this.#nonce);
      this.#stream?.write(
        create(DeltaDiscoveryResponseSchema, {
          typeUrl,
          nonce,
          systemVersionInfo: nonce,
          resources: resources
            .slice(i, i + BATCH)
            .map(([resourceName, resource]) => ({ name: resourceName, version: nonce, resource })),
        }),
      );
    }
  }
}

const socket = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** Answers by itself: what its requests wait for is the worker's thread. */
const listener = (port: number) => ({
  name: 'traffic',
  address: socket(port),
  filter_chains: [
    {
      filters: [
        {
          name: 'envoy.filters.network.http_connection_manager',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
            stat_prefix: 'traffic',
            route_config: {
              virtual_hosts: [
                {
                  name: 'all',
                  domains: ['*'],
                  routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'ok' } } }],
                },
              ],
            },
            http_filters: [
              {
                name: 'envoy.filters.http.router',
                typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
              },
            ],
          },
        },
      ],
    },
  ],
});

function bootstrap(adminPort: number, xdsPort: number, trafficPort: number): object {
  return {
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: socket(adminPort) },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
      cds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' },
    },
    static_resources: {
      listeners: [listener(trafficPort)],
      clusters: [
        {
          name: 'xds',
          connect_timeout: '1s',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'xds',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(xdsPort) } }] }],
          },
        },
      ],
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** CPU time of each thread, in ms. */
function cpuMs(pid: number): Map<string, number> {
  const threads = new Map<string, number>();
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const [ran] = readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'latin1').split(' ');
    threads.set(id, Number(ran) / 1e6);
  }
  return threads;
}

const sum = (threads: ReadonlyMap<string, number>): number => [...threads.values()].reduce((all, ms) => all + ms, 0);

function rssMib(pid: number): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))!;
  return Number(kib) / 1024;
}

async function until(what: string, isTrue: () => Promise<boolean> | boolean, timeoutMs = 120_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`never ${what}`);
    await sleep(50);
  }
}

async function gauge(adminPort: number, stat: string): Promise<number> {
  try {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/stats?filter=^${stat}$`)).text();
    return Number(text.slice(text.indexOf(':') + 1));
  } catch {
    return NaN;
  }
}

/** 99th percentile of requests at a steady pace on 20 connections, in ms. */
async function p99Ms(port: number, seconds: number, directory: string): Promise<number> {
  const log = join(directory, 'h2load.log');
  rmSync(log, { force: true });
  const pace = ['--h1', '-c', '20', '--rps', String(requests / 20), '-D', String(seconds)];
  await promisify(execFile)('h2load', [...pace, `--log-file=${log}`, `http://127.0.0.1:${port}/`]);
  const times = requestTimes(log);
  return (times[Math.floor(times.length * 0.99)] ?? NaN) / 1000;
}

/** The p99 of traffic without updates and with them, medians of five times in turn. */
async function p99WithUpdates(port: number, directory: string, update: () => void): Promise<[number, number]> {
  const found: [number[], number[]] = [[], []];
  for (let i = 0; i < 10; i++) {
    const timer = i % 2 === 1 ? setInterval(update, PACE_MS) : undefined;
    found[i % 2]!.push(await p99Ms(port, 4, directory));
    clearInterval(timer);
  }
  return found.map((times) => times.toSorted((a, b) => a - b)[2]!) as [number, number];
}

async function run(clusters: number, endpoints: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'eds-updates-'));
  const plane = new ControlPlane(clusters, endpoints);
  const adminPort = await freePort();
  const trafficPort = await freePort();
  const file = join(directory, 'bootstrap.json');
  writeFileSync(file, JSON.stringify(bootstrap(adminPort, await plane.listen(), trafficPort)));
  const started = performance.now();
  const proxy: ChildProcess = spawn(
    values.proxy,
    ['-c', file, '--concurrency', values.concurrency, '-l', 'error', '--disable-hot-restart', '--base-id', '7301'],
    { stdio: 'inherit' },
  );
  try {
    await until('active', async () => (await gauge(adminPort, 'cluster_manager.active_clusters')) === clusters + 1);
    const readyMs = performance.now() - started;
    const pid = proxy.pid!;
    // Until garbage collection and compilation of the start are through.
    await sleep(5000);
    const rss = rssMib(pid);
    // What it does while nothing happens.
    const idleFrom = sum(cpuMs(pid));
    await sleep(updates * PACE_MS);
    const idle = sum(cpuMs(pid)) - idleFrom;
    const before = cpuMs(pid);
    const acknowledged = plane.acknowledged;
    let round = 0;
    const update = (): void => plane.update(name((round * 7919) % clusters), ++round);
    for (let i = 0; i < updates; i++) {
      update();
      await sleep(PACE_MS);
    }
    await until('acknowledged', () => plane.acknowledged - acknowledged >= updates);
    await sleep(200);
    const after = cpuMs(pid);
    const perUpdate = (sum(after) - sum(before) - idle) / updates;
    const busiest = [...after]
      .map(([id, ms]) => (ms - (before.get(id) ?? 0)) / updates)
      .toSorted((a, b) => b - a)
      .slice(0, 3)
      .map((ms) => ms.toFixed(3));
    const [quiet, busy] = requests > 0 ? await p99WithUpdates(trafficPort, directory, update) : [0, 0];
    const p99 = requests > 0 ? `; p99 ${quiet.toFixed(2)} ms, with updates ${busy.toFixed(2)} ms` : '';
    console.log(
      `${String(clusters).padStart(6)} clusters x ${String(endpoints).padStart(4)}: ready in ${readyMs.toFixed(0)} ms, RSS ${rss.toFixed(0)} MiB; ` +
        `an update ${perUpdate.toFixed(3)} ms of CPU (busiest threads ${busiest.join(', ')})${p99}${plane.refused === '' ? '' : `; refused: ${plane.refused}`}`,
    );
  } finally {
    proxy.kill();
    await new Promise((resolve) => proxy.once('exit', resolve));
    plane.close();
    rmSync(directory, { recursive: true });
  }
}

for (const clusters of numbers(values.clusters))
  for (const endpoints of numbers(values.endpoints)) await run(clusters, endpoints);
