import { fromBinary } from '@bufbuild/protobuf';
import {
  ClusterLoadAssignmentSchema,
  type ClusterLoadAssignment,
} from '../api/generated/envoy/config/endpoint/v3/endpoint_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { MessageValidator } from '../api/validate.ts';
import type { AssignmentModel, EdsModel } from '../config/cluster-model.ts';
import type { Problem } from '../config/problem.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { AssignmentReader } from './assignment-reader.ts';
import { RESOURCE_TYPES } from './resource-type.ts';
import type { ResourceUpdate } from './resource-update.ts';
import type { Subscriber } from './xds-sources.ts';

export interface EdsApiOptions {
  readonly subscriber: Subscriber;
  /** Has loaded ClusterLoadAssignment. */
  readonly types: TypeRegistry;
  readonly validator: MessageValidator;
  readonly log: Pick<ProcessLog, 'warn'>;
}

/** Who is told of the endpoints of one cluster. */
export interface AssignmentSink {
  /** The same object as before: what was sent is no other than what was sent last. */
  onAssignment(assignment: AssignmentModel): void;
  onEmpty(): void;
  onUnavailable(): void;
}

/** What control planes say of the endpoints of a cluster, as it came in: for `/config_dump`. */
export interface DeliveredAssignment {
  readonly serviceName: string;
  readonly versionInfo: string;
  readonly message: ClusterLoadAssignment;
}

/**
 * The endpoints of clusters of type EDS: a subscription each, whatever the source. What comes is compared byte by byte
 * with what came last, decoded and built only if it differs; all of that happens inside of the delivery.
 */
export class EdsApi {
  readonly #options: EdsApiOptions;
  readonly #live = new Set<ClusterEndpoints>();
  /** Fields that have been named as not implemented: a field of every endpoint is news once. */
  readonly #reported = new Set<string>();

  constructor(options: EdsApiOptions) {
    this.#options = options;
  }

  /** `stats`: the cluster's scope. The sink is called later, never inside of the call. */
  subscribe({ serviceName, source }: EdsModel, stats: StatsScope, sink: AssignmentSink): { close(): void } {
    const endpoints = new ClusterEndpoints(
      serviceName,
      sink,
      new AssignmentReader(serviceName, this.#options),
      (problems) => this.#report(serviceName, problems),
    );
    this.#live.add(endpoints);
    const subscription = this.#options.subscriber.subscribe(source, {
      typeUrl: RESOURCE_TYPES.eds,
      names: [serviceName],
      stats,
      onUpdate: (update) => endpoints.update(update),
      onFetchTimeout: () => sink.onUnavailable(),
      onRejected: () => sink.onUnavailable(),
    });
    return {
      close: () => {
        this.#live.delete(endpoints);
        subscription.close();
      },
    };
  }

  /** What is in use and was delivered, each resource once. */
  *delivered(): Generator<DeliveredAssignment, void, void> {
    const seen = new Set<string>();
    for (const { serviceName, versionInfo, bytes } of this.#live) {
      if (bytes === undefined || seen.has(serviceName)) continue;
      seen.add(serviceName);
      yield { serviceName, versionInfo, message: fromBinary(ClusterLoadAssignmentSchema, bytes) };
    }
  }

  #report(serviceName: string, problems: readonly Problem[]): void {
    for (const { path, message } of problems) {
      const field = path.replaceAll(/\[\d+\]/g, '[]');
      if (this.#reported.has(field)) continue;
      this.#reported.add(field);
      this.#options.log.warn('config', `endpoints '${serviceName}': unsupported: ${path} ${message}`);
    }
  }
}

/** One cluster's subscription. */
class ClusterEndpoints {
  readonly serviceName: string;
  /** What was accepted last. */
  bytes: Uint8Array | undefined = undefined;
  versionInfo = '';
  #assignment: AssignmentModel | undefined = undefined;
  readonly #sink: AssignmentSink;
  readonly #reader: AssignmentReader;
  readonly #report: (unsupported: readonly Problem[]) => void;

  constructor(
    serviceName: string,
    sink: AssignmentSink,
    reader: AssignmentReader,
    report: (unsupported: readonly Problem[]) => void,
  ) {
    this.serviceName = serviceName;
    this.#sink = sink;
    this.#reader = reader;
    this.#report = report;
  }

  update({ set }: ResourceUpdate): string {
    const [resource] = set;
    if (resource === undefined) {
      // Its removal: Envoy keeps the endpoints, since what goes has its cluster taken away.
      this.#sink.onEmpty();
      return '';
    }
    if (set.length > 1) return `Unexpected EDS resource length: ${set.length}`;
    const { value, version } = resource;
    if (this.bytes === undefined || Buffer.compare(this.bytes, value) !== 0) {
      const read = this.#reader.read(value);
      if (typeof read === 'string') return read;
      this.#report(read.unsupported);
      // A copy: the bytes may be a small part of a large response, which would stay in memory with them.
      this.bytes = new Uint8Array(value);
      this.#assignment = read.assignment;
    }
    this.versionInfo = version;
    this.#sink.onAssignment(this.#assignment!);
    return '';
  }
}
