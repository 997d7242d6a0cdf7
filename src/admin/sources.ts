import type { DescMessage, JsonObject, Message, Registry } from '@bufbuild/protobuf';
import type { AddressModel } from '../config/common-model.ts';
import type { StatsAggregator } from '../telemetry/stats/aggregator.ts';

/**
 * What the admin pages show and change, as narrow interfaces that the server implements. Everything is asked for anew
 * at every request, on the main thread.
 */
export interface AdminSources {
  readonly server: ServerState;
  readonly stats: StatsAggregator;
  /** Called before stats are rendered when `stats_flush_on_admin` is set; else the last flush is shown. */
  readonly flushStatsOnAdmin: boolean;
  /** The exposition of prom-client (process and runtime metrics, metrics of filter authors), if there is one. */
  readonly processMetrics: (() => Promise<string>) | undefined;
  readonly clusters: ClustersSource;
  readonly listeners: ListenersSource;
  readonly configDump: ConfigDumpSource;
  readonly logging: LoggingControl;
  readonly runtime: RuntimeSource;
  readonly lifecycle: LifecycleControl;
}

/** envoy.admin.v3.ServerInfo.State. */
export type ServerStateName = 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING';

export interface ServerState {
  /** DRAINING also while health checks are told to fail. */
  state(): ServerStateName;
  /** `<revision>/<version>/<Clean|Modified>/<RELEASE|DEBUG>/<TLS library>`. */
  readonly version: string;
  uptimeMs(): number;
  /** envoy.admin.v3.CommandLineOptions in proto names, all fields, in the proto's order. */
  commandLineOptions(): JsonObject;
  /** envoy.config.core.v3.Node in proto names. */
  node(): JsonObject;
  /** What initialisation still waits for, by init manager. */
  unreadyTargets(): readonly { readonly name: string; readonly targets: readonly string[] }[];
}

export interface ClustersSource {
  /** In the order in which they are shown. */
  clusters(): Iterable<ClusterStatus>;
}

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

export interface ListenersSource {
  /** Active listeners with the addresses they are bound to (real ports); the first is the main one. */
  listeners(): Iterable<{ readonly name: string; readonly addresses: readonly AddressModel[] }>;
}

/** One resource of a config dump. */
export interface DumpedResource {
  /** What `name_regex` is compared with. */
  readonly name: string;
  readonly desc: DescMessage;
  readonly message: Message;
  /** '' for static resources. */
  readonly versionInfo: string;
  /** Milliseconds since the epoch. */
  readonly lastUpdated: number;
  /** envoy.admin.v3.ClientResourceStatus, where it is known. */
  readonly clientStatus?: string;
  /** The last update that was refused. */
  readonly error?: {
    readonly failedConfiguration?: JsonObject;
    readonly lastUpdateAttempt: number;
    readonly details: string;
  };
}

export interface DynamicListenerDump {
  readonly name: string;
  readonly active?: DumpedResource;
  readonly warming?: DumpedResource;
  readonly draining?: DumpedResource;
  readonly error?: DumpedResource['error'];
}

/** The lists can be walked more than once. */
export interface ConfigDumpSource {
  /** Types of all Anys in the messages; see TypeRegistry.loaded. */
  readonly registry: Registry;
  bootstrap(): DumpedResource;
  clusters(): {
    readonly versionInfo: string;
    readonly static: Iterable<DumpedResource>;
    readonly active: Iterable<DumpedResource>;
    readonly warming: Iterable<DumpedResource>;
  };
  listeners(): {
    readonly versionInfo: string;
    readonly static: Iterable<DumpedResource>;
    readonly dynamic: Iterable<DynamicListenerDump>;
  };
  routes(): { readonly static: Iterable<DumpedResource>; readonly dynamic: Iterable<DumpedResource> };
  /** ClusterLoadAssignments as they are in use; only asked for with `include_eds`. */
  endpoints(): { readonly static: Iterable<DumpedResource>; readonly dynamic: Iterable<DumpedResource> };
  /** extensions.transport_sockets.tls.v3.Secret, private keys already `[redacted]`. */
  secrets(): {
    readonly static: Iterable<DumpedResource>;
    readonly active: Iterable<DumpedResource>;
    readonly warming: Iterable<DumpedResource>;
  };
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggingControl {
  /** Loggers by name, in the order in which they are shown. */
  levels(): Iterable<readonly [name: string, level: LogLevel]>;
  /** False if there is no such logger. */
  setLevel(name: string, level: LogLevel): boolean;
  setAllLevels(level: LogLevel): void;
  /** Reopens access-log files, as SIGUSR1 does. */
  reopenLogs(): void;
}

export interface RuntimeSource {
  layers(): readonly string[];
  /** Keys with their value in each layer ('' = not set there) and the value that counts. */
  entries(): Iterable<readonly [key: string, value: { readonly layers: readonly string[]; readonly final: string }]>;
  /** Overrides in the admin layer; '' removes one. False if there is no admin layer. */
  modify(overrides: ReadonlyMap<string, string>): boolean;
}

export interface DrainRequest {
  readonly graceful: boolean;
  readonly inboundOnly: boolean;
  readonly skipExit: boolean;
}

export interface LifecycleControl {
  /** /healthcheck/fail (true) and /healthcheck/ok (false). */
  failHealthChecks(fail: boolean): void;
  /** Undefined = begun; else why it can't be. */
  drainListeners(request: DrainRequest): string | undefined;
  /** Begins to shut down; called after the response is out. */
  quit(): void;
}
