import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import type { AddressSchema } from '../api/generated/envoy/config/core/v3/address_pb.js';
import type { Node } from '../api/generated/envoy/config/core/v3/base_pb.js';
import type {
  ClusterStatsSchema,
  UpstreamEndpointStatsSchema,
} from '../api/generated/envoy/config/endpoint/v3/load_report_pb.js';
import {
  LoadStatsRequestSchema,
  LoadStatsResponseSchema,
  type LoadStatsResponse,
} from '../api/generated/envoy/service/load_stats/v3/lrs_pb.js';
import { durationMs } from '../api/duration.ts';
import type { ClusterStatus, HostStatus } from '../config/cluster-status-model.ts';
import type { AddressModel } from '../config/common-model.ts';
import type { Clock, ClockTimer } from '../lib/clock.ts';
import { LOAD_REPORTER_STATS } from '../telemetry/stats/subscription-stats.ts';
import type { StatBlock, StatsScope } from '../telemetry/stats/stats.ts';
import { GRPC_STATUS, type GrpcChannel, type GrpcStatus, type GrpcStreamHandle } from './grpc-channel.ts';

export interface LoadReporterOptions {
  /** Of `cluster_manager.load_stats_config`; its owner's. */
  readonly channel: GrpcChannel;
  readonly node: Node;
  readonly clock: Clock;
  /** The root. */
  readonly stats: StatsScope;
  readonly log: { warn(component: string, message: string): void };
  /** All clusters as they are now. */
  readonly clusters: () => Iterable<ClusterStatus>;
}

const METHOD = '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats';
const RETRY_DELAY_MS = 5000;
const AT = LOAD_REPORTER_STATS.at;

interface Counts {
  readonly success: number;
  readonly error: number;
  readonly issued: number;
}

/** What has been reported of a cluster. */
interface Reported {
  /** By host. */
  readonly counts: ReadonlyMap<string, Counts>;
  readonly drops: ClusterStatus['drops'];
}

interface Tracked extends Reported {
  readonly sinceMs: number;
}

interface LocalityLoad {
  readonly host: HostStatus;
  success: number;
  error: number;
  issued: number;
  active: number;
  readonly endpoints: MessageInitShape<typeof UpstreamEndpointStatsSchema>[];
}

const NONE: Counts = { success: 0, error: 0, issued: 0 };

/**
 * Tells a load-reporting server (LRS) how many requests went to each locality of the clusters that it asks about, in the
 * interval that it asks for. Numbers are those since the last report, or since the server first asked for the cluster.
 */
export class LoadReporter {
  readonly #options: LoadReporterOptions;
  readonly #block: StatBlock;
  #stream: GrpcStreamHandle | undefined = undefined;
  #wanted: LoadStatsResponse | undefined = undefined;
  #tracked = new Map<string, Tracked>();
  #timer: ClockTimer | undefined = undefined;
  #closed = false;

  constructor(options: LoadReporterOptions) {
    this.#options = options;
    this.#block = options.stats.block(LOAD_REPORTER_STATS, 'load_reporter.');
  }

  /** To be called once. */
  open(): void {
    if (this.#closed) return;
    let stream: GrpcStreamHandle | undefined = undefined;
    stream = this.#options.channel.openStream(METHOD, {
      onMessage: (bytes) => {
        if (this.#stream === stream) this.#onMessage(bytes);
      },
      onEnd: (status) => {
        if (this.#stream === stream) this.#onEnd(status);
      },
    });
    this.#stream = stream;
    this.#send();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  #onMessage(bytes: Uint8Array): void {
    try {
      this.#wanted = fromBinary(LoadStatsResponseSchema, bytes);
    } catch (error) {
      this.#stream?.cancel();
      return this.#onEnd({ code: GRPC_STATUS.INTERNAL, details: `cannot read a response: ${String(error)}` });
    }
    this.#block.inc(AT.requests);
    this.#startPeriod();
  }

  #onEnd({ code, details }: GrpcStatus): void {
    if (this.#closed) return;
    this.#stream = undefined;
    this.#timer?.cancel();
    const { log, channel, clock } = this.#options;
    if (code !== GRPC_STATUS.OK) {
      log.warn('upstream', `StreamLoadStats gRPC stream to ${channel.destination} closed: ${code}, ${details}`);
      this.#block.inc(AT.errors);
    }
    this.#timer = clock.setTimer(RETRY_DELAY_MS, () => {
      this.#block.inc(AT.retries);
      this.open();
    });
  }

  #send(): void {
    const { node, clusters } = this.#options;
    const clusterStats = [];
    for (const cluster of clusters()) {
      const tracked = this.#tracked.get(cluster.name);
      if (tracked !== undefined) clusterStats.push(this.#report(cluster, tracked));
    }
    const request = create(LoadStatsRequestSchema, { node, clusterStats });
    this.#stream?.send(toBinary(LoadStatsRequestSchema, request));
    this.#block.inc(AT.responses);
    if (this.#wanted !== undefined) this.#startPeriod();
  }

  /** Begins to count what is new among the clusters that are asked for, and forgets the others. */
  #startPeriod(): void {
    const { clusters: names, sendAllClusters, loadReportingInterval } = this.#wanted!;
    const { clock, clusters } = this.#options;
    const wanted = new Set(names);
    const next = new Map<string, Tracked>();
    for (const cluster of clusters())
      if (sendAllClusters || wanted.has(cluster.name))
        next.set(
          cluster.name,
          this.#tracked.get(cluster.name) ?? { sinceMs: clock.monotonic(), ...reportedOf(cluster) },
        );
    this.#tracked = next;
    this.#timer?.cancel();
    this.#timer = clock.setTimer(durationMs(loadReportingInterval) ?? 0, () => this.#send());
  }

  #report(cluster: ClusterStatus, before: Tracked): MessageInitShape<typeof ClusterStatsSchema> {
    const localities = new Map<string, LocalityLoad>();
    for (const host of cluster.hosts) {
      const { region, zone, subZone, priority, stats } = host;
      const key = JSON.stringify([priority, region, zone, subZone]);
      let load = localities.get(key);
      if (load === undefined)
        localities.set(key, (load = { host, success: 0, error: 0, issued: 0, active: 0, endpoints: [] }));
      const known = before.counts.get(keyOf(host)) ?? NONE;
      const success = stats.rqSuccess - known.success;
      const error = stats.rqError - known.error;
      const issued = stats.rqTotal - known.issued;
      load.success += success;
      load.error += error;
      load.issued += issued;
      load.active += stats.rqActive;
      if (this.#wanted?.reportEndpointGranularity === true && success + error + issued + stats.rqActive > 0)
        load.endpoints.push({ address: addressOf(host.address), ...totals(success, error, issued, stats.rqActive) });
    }
    const now = this.#options.clock.monotonic();
    this.#tracked.set(cluster.name, { sinceMs: now, ...reportedOf(cluster) });
    const { category, ...drops } = cluster.drops;
    const overload = drops.overload - before.drops.overload;
    return {
      clusterName: cluster.name,
      clusterServiceName: cluster.edsServiceName,
      upstreamLocalityStats: [...localities.values()]
        .filter(({ success, error, active }) => success + error + active !== 0)
        .map(({ host, success, error, issued, active, endpoints }) => ({
          locality: { region: host.region, zone: host.zone, subZone: host.subZone },
          priority: host.priority,
          ...totals(success, error, issued, active),
          upstreamEndpointStats: endpoints,
        })),
      totalDroppedRequests: BigInt(drops.total - before.drops.total),
      droppedRequests: overload > 0 ? [{ category, droppedCount: BigInt(overload) }] : [],
      loadReportInterval: durationOf(now - before.sinceMs),
    };
  }
}

function reportedOf({ hosts, drops }: ClusterStatus): Reported {
  const counts = new Map(
    hosts.map((host) => [
      keyOf(host),
      { success: host.stats.rqSuccess, error: host.stats.rqError, issued: host.stats.rqTotal },
    ]),
  );
  return { counts, drops };
}

const keyOf = ({ address, priority }: HostStatus): string => JSON.stringify([address, priority]);

function totals(success: number, error: number, issued: number, active: number) {
  return {
    totalSuccessfulRequests: BigInt(success),
    totalErrorRequests: BigInt(error),
    totalRequestsInProgress: BigInt(active),
    totalIssuedRequests: BigInt(issued),
  };
}

function addressOf(address: AddressModel): MessageInitShape<typeof AddressSchema> {
  if (address.kind === 'pipe') return { address: { case: 'pipe', value: { path: address.path } } };
  const { host, port } = address;
  return {
    address: {
      case: 'socketAddress',
      value: { address: host, portSpecifier: { case: 'portValue', value: port } },
    },
  };
}

/** In whole microseconds, as Envoy has it. */
function durationOf(ms: number): { readonly seconds: bigint; readonly nanos: number } {
  const micros = Math.round(ms * 1000);
  return { seconds: BigInt(Math.floor(micros / 1e6)), nanos: (micros % 1e6) * 1000 };
}
