import type { AssignmentModel } from '../../../config/cluster-model.ts';

/**
 * Finds the hosts of one cluster, on the control thread. What it found replaces what it found before; addresses are IPs
 * or sockets. Static lists and DNS are made here; a control plane's endpoints come in through the same interface.
 */
export interface HostDiscovery {
  /** `position`: a host is the same as the one before in its place, whatever its address (LOGICAL_DNS). */
  readonly identity: 'address' | 'position';
  /** Begins; `sink` may be called at once. */
  start(sink: DiscoverySink): void;
  /** Nothing is called after this. */
  close(): void;
}

export interface DiscoverySink {
  /** A new list, perhaps the same as the last. */
  onEndpoints(assignment: AssignmentModel): void;
  /** The first attempt is over, whether it found anything or not: the cluster need not warm any longer. Once. */
  onInitialized(): void;
}
