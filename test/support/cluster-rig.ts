import { create, fromJson, toBinary, type JsonObject } from '@bufbuild/protobuf';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { ConfigSourceSchema } from '../../src/api/generated/envoy/config/core/v3/config_source_pb.js';
import { ClusterLoadAssignmentSchema } from '../../src/api/generated/envoy/config/endpoint/v3/endpoint_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { MessageValidator } from '../../src/api/validate.ts';
import { buildCluster } from '../../src/config/builders/cluster.ts';
import { durationMs } from '../../src/api/duration.ts';
import type { ClusterModel, HostSetModel } from '../../src/config/cluster-model.ts';
import { SeededRandom } from '../../src/lib/random.ts';
import { SharedCells } from '../../src/lib/shared-cells.ts';
import type { SecretArrivals } from '../../src/proxy/upstream/cluster-control.ts';
import { ClusterRegistry, type ClusterDelta } from '../../src/proxy/upstream/cluster-registry.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { CdsApi } from '../../src/xds/cds-api.ts';
import { EdsApi } from '../../src/xds/eds-api.ts';
import { ResourceDecoder } from '../../src/xds/resource-decoder.ts';
import type { ResourceUpdate, XdsResource } from '../../src/xds/resource-update.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import { Subscription } from '../../src/xds/subscription.ts';
import { WatchSet } from '../../src/xds/watch-set.ts';
import type { XdsSource } from '../../src/xds/xds-source.ts';
import { FakeClock } from './fake-clock.ts';

/** A cluster of type EDS over ADS; `fields` are added to its proto JSON. */
export function edsClusterJson(name: string, fields: JsonObject = {}): JsonObject {
  return {
    name,
    type: 'EDS',
    connect_timeout: '1s',
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } },
    ...fields,
  };
}

export function clusterBytes(json: JsonObject): Uint8Array {
  return toBinary(ClusterSchema, fromJson(ClusterSchema, json));
}

/** A load assignment of one locality; each endpoint is `ip:port`, or fields of an LbEndpoint. */
export function assignmentJson(
  name: string,
  endpoints: readonly (string | JsonObject)[],
  fields: JsonObject = {},
): JsonObject {
  return {
    cluster_name: name,
    ...(endpoints.length > 0 && {
      endpoints: [{ lb_endpoints: endpoints.map((each) => (typeof each === 'string' ? lbEndpointJson(each) : each)) }],
    }),
    ...fields,
  };
}

export function lbEndpointJson(address: string, fields: JsonObject = {}): JsonObject {
  const [host, port] = address.split(':') as [string, string];
  return {
    endpoint: { address: { socket_address: { address: host, port_value: Number(port) } } },
    ...fields,
  };
}

export function assignmentBytes(json: JsonObject): Uint8Array {
  return toBinary(ClusterLoadAssignmentSchema, fromJson(ClusterLoadAssignmentSchema, json));
}

export interface ClusterRigOptions {
  readonly secrets?: SecretArrivals;
  /** In place of what `deliver` reaches. */
  readonly source?: (rig: ClusterRig) => XdsSource;
  readonly incremental?: boolean;
}

/**
 * CDS, EDS and the registry as a proxy puts them together, without transports: a test says what comes, and sees what
 * workers would hold.
 */
export class ClusterRig {
  readonly clock = new FakeClock();
  readonly stats = new ThreadStats();
  readonly cells = new SharedCells([], 1);
  readonly types = new TypeRegistry();
  readonly registry: ClusterRegistry;
  readonly logged: string[] = [];
  /** What the workers hold. */
  readonly clusters = new Map<string, ClusterModel>();
  readonly hosts = new Map<string, HostSetModel>();
  readonly deltas: ClusterDelta[] = [];
  readonly #sets = new Map<string, WatchSet>();
  readonly eds: EdsApi;
  cds!: CdsApi;
  initialized = false;
  /** The names of each kind that somebody watches. */
  readonly watched = (kind: 'cds' | 'eds'): readonly string[] => this.#set(RESOURCE_TYPES[kind]).names;

  private constructor(options: ClusterRigOptions) {
    const validator = new MessageValidator(this.types);
    const log = {
      info: (_: string, text: string) => void this.logged.push(text),
      warn: (_: string, text: string) => void this.logged.push(text),
    };
    const source = options.source?.(this) ?? {
      watch: (typeUrl, names, watcher) => this.#set(typeUrl).add(names, watcher),
      close: () => {},
    };
    const subscriber = {
      subscribe: (config, target) =>
        new Subscription(target, {
          source,
          clock: this.clock,
          initialFetchTimeoutMs: durationMs(config.initialFetchTimeout) ?? 15_000,
          transport: options.incremental === true ? 'delta' : 'stream',
        }),
    } satisfies ConstructorParameters<typeof EdsApi>[0]['subscriber'];
    this.eds = new EdsApi({ subscriber, types: this.types, validator, log });
    this.registry = new ClusterRegistry({
      clock: this.clock,
      random: new SeededRandom(1),
      cells: this.cells,
      stats: this.stats,
      resolver: () => ({ resolve: () => Promise.resolve({ kind: 'failed' as const, reason: 'no DNS here' }) }),
      endpoints: this.eds,
      ...(options.secrets !== undefined && { secrets: options.secrets }),
      onDelta: (delta) => this.#apply(delta),
    });
    this.cds = new CdsApi({
      source: create(ConfigSourceSchema),
      subscriber,
      decoder: new ResourceDecoder(this.types, validator),
      clock: this.clock,
      stats: this.stats,
      log,
      clusters: this.registry,
      build: (message, problems) => buildCluster(message, problems, this.types),
      onInitialized: () => (this.initialized = true),
    });
  }

  static async start(options: ClusterRigOptions = {}): Promise<ClusterRig> {
    const rig = new ClusterRig(options);
    await rig.types.load([ClusterSchema.typeName, ClusterLoadAssignmentSchema.typeName]);
    return rig;
  }

  /** Resolves to the verdict. `set` maps names to proto JSON. */
  async deliverClusters(
    version: string,
    set: Readonly<Record<string, JsonObject>>,
    removed: readonly string[] = [],
  ): Promise<string> {
    const resources = Object.entries(set).map(([name, json]) => ({ name, version: '', value: clusterBytes(json) }));
    return this.deliver('cds', { version, set: resources, removed });
  }

  async deliverEndpoints(version: string, ...assignments: readonly JsonObject[]): Promise<string> {
    const set = assignments.map((json) => ({
      name: json['cluster_name'] as string,
      version,
      value: assignmentBytes(json),
    }));
    return this.deliver('eds', { version, set, removed: [] });
  }

  async deliver(
    kind: 'cds' | 'eds',
    update: ResourceUpdate & { readonly set: readonly XdsResource[] },
  ): Promise<string> {
    const watches = this.#set(RESOURCE_TYPES[kind]);
    const error = await watches.dispatch(update);
    if (error !== '') watches.rejected(error);
    await this.settle();
    return error;
  }

  /** Deltas leave at the end of the present job of the event loop. */
  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** `cluster -> ip:port ...` of all that workers hold. */
  get held(): Record<string, string[]> {
    const names = [...this.clusters.keys()].toSorted();
    return Object.fromEntries(names.map((name) => [name, this.addresses(name)]));
  }

  addresses(cluster: string): string[] {
    return (this.hosts.get(cluster)?.hosts ?? []).map(({ address }) =>
      address.kind === 'socket' ? `${address.host}:${address.port}` : address.path,
    );
  }

  #set(typeUrl: string): WatchSet {
    let set = this.#sets.get(typeUrl);
    if (set === undefined) this.#sets.set(typeUrl, (set = new WatchSet(() => {})));
    return set;
  }

  /** As SnapshotStore and ClusterSet do. */
  #apply(delta: ClusterDelta): void {
    this.deltas.push(delta);
    for (const name of delta.clusters?.remove ?? []) {
      this.clusters.delete(name);
      this.hosts.delete(name);
    }
    for (const model of delta.clusters?.set ?? []) this.clusters.set(model.name, model);
    for (const set of delta.hosts ?? []) this.hosts.set(set.cluster, set);
  }
}
