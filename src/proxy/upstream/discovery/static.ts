import type { AssignmentModel } from '../../../config/cluster-model.ts';
import type { DiscoverySink, HostDiscovery } from './host-discovery.ts';

/** STATIC: the hosts are those of the configuration. */
export class StaticDiscovery implements HostDiscovery {
  readonly identity = 'address';
  readonly #assignment: AssignmentModel;

  constructor(assignment: AssignmentModel) {
    this.#assignment = assignment;
  }

  start(sink: DiscoverySink): void {
    sink.onEndpoints(this.#assignment);
    sink.onInitialized();
  }

  close(): void {}
}
