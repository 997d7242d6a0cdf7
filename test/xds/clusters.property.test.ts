import { create } from '@bufbuild/protobuf';
import { AnySchema, type Any } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NodeSchema } from '../../src/api/generated/envoy/config/core/v3/base_pb.js';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DiscoveryRequest,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { DeltaMux } from '../../src/xds/delta-mux.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import { SotwMux } from '../../src/xds/sotw-mux.ts';
import { ClusterRig, assignmentBytes, assignmentJson, clusterBytes, edsClusterJson } from '../support/cluster-rig.ts';

const { cds, eds } = RESOURCE_TYPES;

interface ServedCluster {
  readonly eds: boolean;
  readonly timeoutSeconds: number;
  readonly bad: boolean;
}
interface ServedEndpoints {
  readonly ports: readonly number[];
  readonly bad: boolean;
}

function clusterResource(name: string, { eds: isEds, timeoutSeconds, bad }: ServedCluster): Any {
  const json = edsClusterJson(name, {
    connect_timeout: `${timeoutSeconds}s`,
    ...(bad && { lb_policy: 'CLUSTER_PROVIDED' }),
    ...(!isEds && { type: 'STATIC', eds_cluster_config: null }),
  });
  return create(AnySchema, { typeUrl: cds, value: clusterBytes(json) });
}

function endpointsResource(name: string, { ports, bad }: ServedEndpoints): Any {
  const addresses = ports.map((port) => `${bad ? 'nowhere' : '10.0.0.1'}:${port}`);
  return create(AnySchema, { typeUrl: eds, value: assignmentBytes(assignmentJson(name, addresses)) });
}

/** A control plane that holds clusters and endpoints, and knows what the client should have come to. */
abstract class Server {
  readonly clusters = new Map<string, ServedCluster>();
  readonly endpoints = new Map<string, ServedEndpoints>();
  /** What the client has to end with: what it was last sent and had no reason to refuse. */
  readonly expected = new Map<string, { cluster: ServedCluster; ports: readonly number[] }>();
  protected version = 0;

  abstract pushClusters(): void;
  abstract pushEndpoints(): void;
  abstract connect(): void;
  abstract disconnect(): void;

  protected tookClusters(names: Iterable<string>, removed: Iterable<string>): void {
    for (const name of names) {
      const cluster = this.clusters.get(name)!;
      if (cluster.bad) continue;
      const former = this.expected.get(name);
      this.expected.set(name, { cluster, ports: cluster.eds && former?.cluster.eds ? former.ports : [] });
    }
    for (const name of removed) this.expected.delete(name);
  }

  protected tookEndpoints(names: Iterable<string>): void {
    for (const name of names) {
      const held = this.expected.get(name);
      const { bad, ports } = this.endpoints.get(name)!;
      if (held?.cluster.eds && !bad) this.expected.set(name, { ...held, ports });
    }
  }
}

class SotwServer extends Server {
  readonly mux: SotwMux;
  #wanted: readonly string[] = [];
  #held = new Set<string>();
  #open = false;

  constructor(mux: SotwMux) {
    super();
    this.mux = mux;
  }

  connect(): void {
    this.#open = true;
    this.mux.onStreamOpen((request: DiscoveryRequest) => {
      if (request.typeUrl === eds) this.#wanted = [...request.resourceNames];
    });
  }

  disconnect(): void {
    this.#open = false;
    this.mux.onStreamClosed();
  }

  pushClusters(): void {
    if (!this.#open) return;
    const removed = [...this.#held].filter((name) => !this.clusters.has(name));
    this.#held = new Set(this.clusters.keys());
    this.tookClusters(this.clusters.keys(), removed);
    this.#send(
      cds,
      [...this.clusters].map(([name, cluster]) => clusterResource(name, cluster)),
    );
  }

  pushEndpoints(): void {
    if (!this.#open) return;
    const names = this.#wanted.filter((name) => this.endpoints.has(name));
    this.tookEndpoints(names);
    this.#send(
      eds,
      names.map((name) => endpointsResource(name, this.endpoints.get(name)!)),
    );
  }

  #send(typeUrl: string, resources: Any[]): void {
    const version = String(++this.version);
    this.mux.onResponse(create(DiscoveryResponseSchema, { typeUrl, versionInfo: version, nonce: version, resources }));
  }
}

class DeltaServer extends Server {
  readonly mux: DeltaMux;
  readonly #wanted = new Set<string>();
  /** What the client was sent on this stream, or said it had: name -> resource as text. */
  readonly #sent: Readonly<Record<string, Map<string, string>>> = { [cds]: new Map(), [eds]: new Map() };
  #open = false;

  constructor(mux: DeltaMux) {
    super();
    this.mux = mux;
  }

  connect(): void {
    this.#open = true;
    this.#wanted.clear();
    for (const sent of Object.values(this.#sent)) sent.clear();
    this.mux.onStreamOpen((request: DeltaDiscoveryRequest) => {
      const sent = this.#sent[request.typeUrl]!;
      for (const [name, version] of Object.entries(request.initialResourceVersions)) sent.set(name, version);
      if (request.typeUrl !== eds) return;
      for (const name of request.resourceNamesSubscribe) {
        this.#wanted.add(name);
        // Whoever asks again wants an answer.
        if (request.initialResourceVersions[name] === undefined) sent.delete(name);
      }
      for (const name of request.resourceNamesUnsubscribe) {
        this.#wanted.delete(name);
        sent.delete(name);
      }
    });
  }

  disconnect(): void {
    this.#open = false;
    this.mux.onStreamClosed();
  }

  pushClusters(): void {
    if (!this.#open) return;
    const served = [...this.clusters].map(([name, cluster]) => ({ name, resource: clusterResource(name, cluster) }));
    const names = this.#send(cds, served, (name) => !this.clusters.has(name));
    this.tookClusters(names.changed, names.removed);
  }

  pushEndpoints(): void {
    if (!this.#open) return;
    const served = [...this.#wanted]
      .filter((name) => this.endpoints.has(name))
      .map((name) => ({ name, resource: endpointsResource(name, this.endpoints.get(name)!) }));
    this.tookEndpoints(this.#send(eds, served, () => false).changed);
  }

  #send(
    typeUrl: string,
    served: readonly { readonly name: string; readonly resource: Any }[],
    isGone: (name: string) => boolean,
  ): { readonly changed: string[]; readonly removed: string[] } {
    const sent = this.#sent[typeUrl]!;
    const versionOf = ({ value }: Any): string => Buffer.from(value).toString('base64');
    const changed = served.filter(({ name, resource }) => sent.get(name) !== versionOf(resource));
    const removed = [...sent.keys()].filter(isGone);
    const names = { changed: changed.map(({ name }) => name), removed };
    if (changed.length + removed.length === 0) return names;
    for (const { name, resource } of changed) sent.set(name, versionOf(resource));
    for (const name of removed) sent.delete(name);
    const version = String(++this.version);
    this.mux.onResponse(
      create(DeltaDiscoveryResponseSchema, {
        typeUrl,
        systemVersionInfo: version,
        nonce: version,
        resources: changed.map(({ name, resource }) => ({ name, version: versionOf(resource), resource })),
        removedResources: removed,
      }),
    );
    return names;
  }
}

const name = fc.constantFrom('a', 'b', 'c');
const seldom = fc.constantFrom(true, false, false, false, false);
const action = fc.oneof(
  fc.record({
    kind: fc.constant('cluster' as const),
    name,
    eds: fc.constantFrom(true, true, true, false),
    timeoutSeconds: fc.integer({ min: 1, max: 3 }),
    bad: seldom,
  }),
  fc.record({ kind: fc.constant('remove' as const), name }),
  fc.record({
    kind: fc.constant('endpoints' as const),
    name,
    ports: fc.subarray([80, 81, 82], { minLength: 1 }),
    bad: seldom,
  }),
  fc.record({
    kind: fc.constantFrom('reconnect' as const, 'wait' as const),
  }),
  { arbitrary: fc.record({ kind: fc.constantFrom('push-clusters' as const, 'push-endpoints' as const) }), weight: 4 },
);

async function start(variant: 'sotw' | 'delta'): Promise<{ rig: ClusterRig; server: Server }> {
  let server: Server | undefined;
  const rig = await ClusterRig.start({
    incremental: variant === 'delta',
    source: (made) => {
      const options = {
        clock: made.clock,
        node: create(NodeSchema, { id: 'test' }),
        nodeOnFirstMessageOnly: true,
        warn: () => {},
      };
      const mux = variant === 'delta' ? new DeltaMux(options) : new SotwMux(options);
      server = mux instanceof DeltaMux ? new DeltaServer(mux) : new SotwServer(mux);
      return { watch: (typeUrl, names, watcher) => mux.watch(typeUrl, names, watcher), close: () => {} };
    },
  });
  return { rig, server: server! };
}

describe.each(['sotw', 'delta'] as const)('clusters by %s', (variant) => {
  test('whatever comes in whatever order, what serves is what was last accepted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 60, size: 'max' }), async (actions) => {
        const { rig, server } = await start(variant);
        server.connect();
        await rig.settle();
        for (const step of actions) {
          if (step.kind === 'cluster') server.clusters.set(step.name, step);
          else if (step.kind === 'remove') server.clusters.delete(step.name);
          else if (step.kind === 'endpoints') server.endpoints.set(step.name, step);
          else if (step.kind === 'push-clusters') server.pushClusters();
          else if (step.kind === 'push-endpoints') server.pushEndpoints();
          else if (step.kind === 'wait') rig.clock.advance(20_000);
          else {
            server.disconnect();
            server.connect();
          }
          await rig.settle();
        }
        // Whatever still warms has its chance.
        rig.clock.advance(20_000);
        await rig.settle();
        const found = [...rig.clusters].map(([cluster, { connectTimeoutMs, discoveryType }]) => [
          cluster,
          [discoveryType, connectTimeoutMs / 1000, ...rig.addresses(cluster)],
        ]);
        const expected = [...server.expected].map(([cluster, { cluster: served, ports }]) => [
          cluster,
          [served.eds ? 'EDS' : 'STATIC', served.timeoutSeconds, ...ports.map((port) => `10.0.0.1:${port}`)],
        ]);
        expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
        expect(rig.registry.warmingNames).toEqual([]);
        rig.registry.close();
      }),
      { numRuns: 80 },
    );
  });
});
