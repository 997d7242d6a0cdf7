import { fromBinary } from '@bufbuild/protobuf';
import {
  LbEndpointSchema,
  type LbEndpoint,
  type LocalityLbEndpoints,
} from '../api/generated/envoy/config/endpoint/v3/endpoint_components_pb.js';
import {
  ClusterLoadAssignmentSchema,
  type ClusterLoadAssignment,
} from '../api/generated/envoy/config/endpoint/v3/endpoint_pb.js';
import type { FieldProblem } from '../api/config-node.ts';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { MessageValidator } from '../api/validate.ts';
import { buildAssignment, buildEndpoint } from '../config/builders/endpoint.ts';
import type { AssignmentModel, EndpointModel } from '../config/cluster-model.ts';
import { Problems, type Problem } from '../config/problem.ts';
import { problemText } from './resource-problems.ts';
import { splitAssignment, type SplitAssignment } from './split-assignment.ts';

/** From this size on it is worth while to remember endpoints by their bytes, in bytes. */
const LARGE = 8 << 10;

export interface AssignmentReaderOptions {
  /** Has loaded ClusterLoadAssignment. */
  readonly types: TypeRegistry;
  readonly validator: MessageValidator;
  /** From how many bytes on endpoints are remembered; 8 KiB by default. */
  readonly largeBytes?: number;
}

export interface ReadAssignment {
  readonly assignment: AssignmentModel;
  /** Fields that are set and not implemented; of endpoints, when they are new. */
  readonly unsupported: readonly Problem[];
}

/** What is known of one locality's endpoints. */
interface KnownGroup {
  readonly priority: number;
  /** By their bytes. */
  readonly endpoints: ReadonlyMap<string, EndpointModel>;
}

/**
 * Reads the ClusterLoadAssignments of one cluster, one after the other. Large ones mostly repeat the one before: an
 * endpoint that was in it, in the same locality, is neither decoded nor built anew, and its model is the same object.
 */
export class AssignmentReader {
  readonly #serviceName: string;
  readonly #options: AssignmentReaderOptions;
  #known: readonly KnownGroup[] = [];

  constructor(serviceName: string, options: AssignmentReaderOptions) {
    this.#serviceName = serviceName;
    this.#options = options;
  }

  /** A text: why it is refused. */
  read(bytes: Uint8Array): ReadAssignment | string {
    const split = bytes.length < (this.#options.largeBytes ?? LARGE) ? undefined : splitAssignment(bytes);
    let message: ClusterLoadAssignment;
    try {
      message = fromBinary(ClusterLoadAssignmentSchema, split?.rest ?? bytes);
    } catch (error) {
      return `Unable to parse the ClusterLoadAssignment ${this.#serviceName}: ${reasonOf(error)}`;
    }
    if (message.clusterName !== this.#serviceName)
      return `Unexpected EDS cluster (expecting ${this.#serviceName}): ${message.clusterName}`;
    const { types, validator } = this.#options;
    const [broken] = validator.validate(ClusterLoadAssignmentSchema, message).problems;
    if (broken !== undefined) return this.#refusal('', broken);
    const problems = new Problems();
    const assignment = buildAssignment(message, false, types, problems);
    let whole: AssignmentModel | string = assignment;
    if (split === undefined) this.#known = [];
    else whole = this.#readEndpoints(assignment, message.endpoints, split, problems);
    if (typeof whole === 'string') return whole;
    if (problems.hasErrors) return `${this.#serviceName}: ${problemText(problems.list)}`;
    return { assignment: whole, unsupported: problems.list };
  }

  #readEndpoints(
    assignment: AssignmentModel,
    groups: readonly LocalityLbEndpoints[],
    split: SplitAssignment,
    problems: Problems,
  ): AssignmentModel | string {
    const endpoints: EndpointModel[] = [];
    const known: KnownGroup[] = [];
    for (const [index, group] of groups.entries()) {
      const former = this.#known[index];
      const formerEndpoints = former?.priority === group.priority ? former.endpoints : undefined;
      const byBytes = new Map<string, EndpointModel>();
      for (const [place, bytes] of split.endpoints[index]!.entries()) {
        const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
        let model = formerEndpoints?.get(key) ?? byBytes.get(key);
        if (model === undefined) {
          const at = problems.at('endpoints').at(index).at('lb_endpoints').at(place);
          const made = this.#readEndpoint(bytes, group, index, at);
          if (typeof made === 'string') return made;
          if (made === undefined) continue;
          model = made;
        }
        byBytes.set(key, model);
        endpoints.push(model);
      }
      known.push({ priority: group.priority, endpoints: byBytes });
    }
    if (!problems.hasErrors) this.#known = known;
    return { ...assignment, endpoints };
  }

  #readEndpoint(
    bytes: Uint8Array,
    group: LocalityLbEndpoints,
    locality: number,
    problems: Problems,
  ): EndpointModel | string | undefined {
    const { types, validator } = this.#options;
    let message: LbEndpoint;
    try {
      message = fromBinary(LbEndpointSchema, bytes);
    } catch (error) {
      return `Unable to parse the ClusterLoadAssignment ${this.#serviceName}: ${reasonOf(error)}`;
    }
    const [broken] = validator.validate(LbEndpointSchema, message).problems;
    if (broken !== undefined) return this.#refusal(`${problems.path}.`, broken);
    return buildEndpoint(message, group, locality, false, types, problems);
  }

  #refusal(at: string, { path, message }: FieldProblem): string {
    return `${this.#serviceName}: Proto constraint validation failed (${at}${path}: ${message})`;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
