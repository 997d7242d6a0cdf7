import type { AssignmentModel, EndpointModel } from '../../../config/cluster-model.ts';
import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import { CLUSTER_UPDATE_STATS } from '../cluster-stats.ts';
import { DnsRefresh, type DnsEnvironment } from './dns-refresh.ts';
import type { DnsRecord } from './dns-resolver.ts';
import type { DiscoverySink, HostDiscovery } from './host-discovery.ts';

/** STRICT_DNS: every address that a configured name has is a host. A name that can't be resolved keeps its last hosts. */
export class StrictDnsDiscovery implements HostDiscovery {
  readonly identity = 'address';
  readonly #assignment: AssignmentModel;
  readonly #environment: DnsEnvironment;
  readonly #stats: StatBlock;
  /** What each configured endpoint resolved to; undefined until its first answer. */
  readonly #resolved: (readonly EndpointModel[] | undefined)[];
  readonly #refreshes: DnsRefresh[] = [];
  /** Endpoints that have not been asked for yet. */
  #waiting: number;
  #sink: DiscoverySink | undefined = undefined;

  constructor(assignment: AssignmentModel, environment: DnsEnvironment, stats: StatBlock) {
    this.#assignment = assignment;
    this.#environment = environment;
    this.#stats = stats;
    this.#resolved = assignment.endpoints.map(() => undefined);
    this.#waiting = assignment.endpoints.length;
  }

  start(sink: DiscoverySink): void {
    this.#sink = sink;
    if (this.#waiting === 0) return sink.onInitialized();
    this.#assignment.endpoints.forEach((endpoint, index) => {
      const { address } = endpoint;
      // A pipe among names needs no resolving.
      if (address.kind === 'pipe') return this.#onAnswer(index, endpoint, [{ address: '', ttlMs: undefined }]);
      const refresh = new DnsRefresh(address.host, this.#environment, (records) =>
        this.#onAnswer(index, endpoint, records),
      );
      this.#refreshes.push(refresh);
      refresh.start();
    });
  }

  close(): void {
    this.#sink = undefined;
    for (const refresh of this.#refreshes) refresh.close();
  }

  #onAnswer(index: number, endpoint: EndpointModel, records: readonly DnsRecord[] | undefined): boolean {
    const first = this.#resolved[index] === undefined && this.#waiting > 0;
    if (records === undefined) {
      this.#stats.inc(CLUSTER_UPDATE_STATS.at.update_failure);
      this.#resolved[index] ??= [];
    } else {
      this.#stats.inc(CLUSTER_UPDATE_STATS.at.update_success);
      this.#resolved[index] = records.map((record) => resolvedEndpoint(endpoint, record));
      this.#sink?.onEndpoints({ ...this.#assignment, endpoints: this.#resolved.flatMap((list) => list ?? []) });
    }
    if (first && --this.#waiting === 0) this.#sink?.onInitialized();
    return records !== undefined;
  }
}

/** The endpoint at one of the addresses that its name has. The name becomes the hostname, unless one is configured. */
export function resolvedEndpoint(endpoint: EndpointModel, record: DnsRecord): EndpointModel {
  const { address } = endpoint;
  if (address.kind === 'pipe') return endpoint;
  return {
    ...endpoint,
    address: { ...address, host: record.address },
    hostname: endpoint.hostname === '' ? address.host : endpoint.hostname,
  };
}
