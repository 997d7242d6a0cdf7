import type { AssignmentModel } from '../../../config/cluster-model.ts';
import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import { CLUSTER_UPDATE_STATS } from '../cluster-stats.ts';
import { DnsRefresh, type DnsEnvironment } from './dns-refresh.ts';
import type { DnsRecord } from './dns-resolver.ts';
import type { DiscoverySink, HostDiscovery } from './host-discovery.ts';
import { resolvedEndpoint } from './strict-dns.ts';

/**
 * LOGICAL_DNS: one host, at the first address that the name has now. New connections go there, existing ones stay where
 * they are. An empty answer changes nothing.
 */
export class LogicalDnsDiscovery implements HostDiscovery {
  readonly identity = 'position';
  readonly #assignment: AssignmentModel;
  readonly #environment: DnsEnvironment;
  readonly #stats: StatBlock;
  #refresh: DnsRefresh | undefined = undefined;
  #sink: DiscoverySink | undefined = undefined;
  #initialized = false;

  constructor(assignment: AssignmentModel, environment: DnsEnvironment, stats: StatBlock) {
    this.#assignment = assignment;
    this.#environment = environment;
    this.#stats = stats;
  }

  start(sink: DiscoverySink): void {
    this.#sink = sink;
    const address = this.#assignment.endpoints[0]?.address;
    if (address?.kind !== 'socket') {
      sink.onEndpoints(this.#assignment);
      return sink.onInitialized();
    }
    this.#refresh = new DnsRefresh(address.host, this.#environment, (records) => this.#onAnswer(records));
    this.#refresh.start();
  }

  close(): void {
    this.#sink = undefined;
    this.#refresh?.close();
  }

  #onAnswer(records: readonly DnsRecord[] | undefined): boolean {
    const first = records?.[0];
    const endpoint = this.#assignment.endpoints[0];
    if (first === undefined || endpoint === undefined) this.#stats.inc(CLUSTER_UPDATE_STATS.at.update_failure);
    else {
      this.#stats.inc(CLUSTER_UPDATE_STATS.at.update_success);
      this.#sink?.onEndpoints({ ...this.#assignment, endpoints: [resolvedEndpoint(endpoint, first)] });
    }
    if (!this.#initialized) {
      this.#initialized = true;
      this.#sink?.onInitialized();
    }
    return first !== undefined;
  }
}
