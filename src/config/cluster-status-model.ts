import type { AddressModel } from './common-model.ts';

/** One cluster as it is now: what the workers' shared memory says, for `/clusters`. */
export interface ClusterStatus {
  readonly name: string;
  /** `alt_stat_name`, else the name. */
  readonly observabilityName: string;
  readonly addedViaApi: boolean;
  /** '' if there is none. */
  readonly edsServiceName: string;
  readonly breakers: { readonly default: BreakerLimits; readonly high: BreakerLimits };
  /** Undefined without outlier detection. -1 = not enough requests. */
  readonly outlier: OutlierRates | undefined;
  readonly hosts: readonly HostStatus[];
  readonly drops: RequestDrops;
}

/** Requests that no host got, since the cluster came up, over all workers. */
export interface RequestDrops {
  readonly total: number;
  /** Those of them that the control plane wanted refused (`drop_overloads`). */
  readonly overload: number;
  /** What it calls them. */
  readonly category: string;
}

export interface BreakerLimits {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

export interface OutlierRates {
  readonly successRateAverage: number;
  readonly successRateEjectionThreshold: number;
  readonly localOriginSuccessRateAverage: number;
  readonly localOriginSuccessRateEjectionThreshold: number;
}

export interface HostStatus {
  readonly address: AddressModel;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly canary: boolean;
  readonly health: HostHealth;
  readonly stats: HostStats;
  /** 0 to 100, or -1. */
  readonly successRate: number;
  readonly localOriginSuccessRate: number;
}

/** Why a host is not used, each as envoy.admin.v3.HostHealthStatus has it. */
export interface HostHealth {
  readonly failedActiveHealthCheck: boolean;
  readonly failedOutlierCheck: boolean;
  readonly failedActiveDegradedCheck: boolean;
  readonly pendingDynamicRemoval: boolean;
  readonly pendingActiveHc: boolean;
  readonly excludedViaImmediateHcFail: boolean;
  readonly activeHcTimeout: boolean;
  /** What endpoint discovery says. */
  readonly eds: 'HEALTHY' | 'UNHEALTHY' | 'DEGRADED' | 'DRAINING';
}

/** Summed over the workers. */
export interface HostStats {
  readonly cxActive: number;
  readonly cxConnectFail: number;
  readonly cxTotal: number;
  readonly rqActive: number;
  readonly rqPendingActive: number;
  readonly rqError: number;
  readonly rqSuccess: number;
  readonly rqTimeout: number;
  readonly rqTotal: number;
}
