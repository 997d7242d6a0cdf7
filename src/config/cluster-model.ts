import type { AddressModel } from './common-model.ts';
import type { Metadata } from '../filters/stream-info.ts';

/** What a builder makes of envoy.config.cluster.v3.Cluster. Filled in by builders/cluster.ts. */
export interface ClusterModel {
  readonly name: string;
  readonly altStatName: string;
  readonly metadata: Metadata | undefined;
  /** First slot of this cluster's cells in SharedCells (circuit breakers of both priorities; see circuit-breaker.ts). */
  readonly sharedSlot: number;
}

/** The hosts of one cluster, all priorities. Replaces the cluster's former host set. */
export interface HostSetModel {
  readonly cluster: string;
  readonly hosts: readonly HostModel[];
}

export interface HostModel {
  readonly address: AddressModel;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  /** First slot of this host's cells in SharedCells (health flags, active requests; see host.ts). */
  readonly sharedSlot: number;
}
