import type { HostModel, HostSetModel } from '../../config/cluster-model.ts';
import type { ClusterStatus, HostHealth, HostStatus } from '../../config/cluster-status-model.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';
import { readDrops } from './circuit-breaker.ts';
import { HOST_CELLS, HostHealthFlag, readHostStats } from './host-cells.ts';
import type { ClusterControl } from './cluster-control.ts';

/** One cluster, as `/clusters` shows it. */
export function describeCluster(cluster: ClusterControl, cells: SharedCells): ClusterStatus {
  const { built, model, addedViaApi, hostSet } = cluster;
  return {
    name: model.name,
    observabilityName: model.altStatName,
    addedViaApi,
    edsServiceName: built.discovery.kind === 'eds' ? built.discovery.configuredServiceName : '',
    breakers: model.thresholds,
    outlier: undefined,
    hosts: hostSet.hosts.map((host) => describeHost(host, hostSet, cells)),
    drops: { ...readDrops(cells, model.sharedSlot), category: cluster.dropCategory },
  };
}

function describeHost(host: HostModel, hostSet: HostSetModel, cells: SharedCells): HostStatus {
  const locality = hostSet.localities[host.locality];
  return {
    address: host.address,
    hostname: host.hostname,
    weight: host.weight,
    priority: host.priority,
    region: locality?.region ?? '',
    zone: locality?.zone ?? '',
    subZone: locality?.subZone ?? '',
    canary: host.canary,
    health: describeHealth(cells.load(host.sharedSlot + HOST_CELLS.health)),
    stats: readHostStats(cells, host.sharedSlot),
    // There is no outlier detection to compute them.
    successRate: -1,
    localOriginSuccessRate: -1,
  };
}

function describeHealth(flags: number): HostHealth {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  return {
    failedActiveHealthCheck: has(HostHealthFlag.failedActiveHc),
    failedOutlierCheck: has(HostHealthFlag.failedOutlierCheck),
    failedActiveDegradedCheck: has(HostHealthFlag.degradedActiveHc),
    pendingDynamicRemoval: has(HostHealthFlag.pendingDynamicRemoval),
    pendingActiveHc: has(HostHealthFlag.pendingActiveHc),
    excludedViaImmediateHcFail: has(HostHealthFlag.excludedViaImmediateHcFail),
    activeHcTimeout: false,
    eds: has(HostHealthFlag.edsStatusDraining)
      ? 'DRAINING'
      : has(HostHealthFlag.failedEdsHealth)
        ? 'UNHEALTHY'
        : has(HostHealthFlag.degradedEdsHealth)
          ? 'DEGRADED'
          : 'HEALTHY',
  };
}
