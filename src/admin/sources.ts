import type { DescMessage, JsonObject, Message, Registry } from '@bufbuild/protobuf';
import type { ClusterStatus } from '../config/cluster-status-model.ts';
import type { AddressModel } from '../config/common-model.ts';
import type { Certificate } from '../lib/x509/certificate.ts';
import type { OcspResponse } from '../lib/x509/ocsp-response.ts';
import type { LogLevel } from '../telemetry/log-level.ts';
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
  readonly certificates: CertificatesSource;
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

export interface ListenersSource {
  /** Active listeners with the addresses they are bound to (real ports); the first is the main one. */
  listeners(): Iterable<{ readonly name: string; readonly addresses: readonly AddressModel[] }>;
}

/** The certificates in use, by TLS context. */
export interface CertificatesSource {
  contexts(): Iterable<{
    readonly trustedCa: CertificateShown | undefined;
    readonly chain: readonly CertificateShown[];
  }>;
  /** ms since the epoch. */
  now(): number;
}

export interface CertificateShown {
  /** The file, or `<inline>`. */
  readonly path: string;
  readonly certificate: Certificate;
  /** What is stapled to it. */
  readonly ocsp: OcspResponse | undefined;
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
    /** Of the update that was refused. */
    readonly versionInfo?: string;
  };
}

export interface DynamicListenerDump {
  readonly name: string;
  readonly active?: DumpedResource;
  readonly warming?: DumpedResource;
  readonly draining?: DumpedResource;
  readonly error?: DumpedResource['error'];
}

/** A set of scopes that was delivered (SRDS). */
export interface ScopedRoutesDump {
  readonly name: string;
  readonly versionInfo: string;
  /** Milliseconds since the epoch. */
  readonly lastUpdated: number;
  readonly scopes: Iterable<DumpedResource>;
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
  /** Absent: none. */
  scopedRoutes?(): Iterable<ScopedRoutesDump>;
  /** core.v3.TypedExtensionConfig that were delivered (ECDS). Absent: none. */
  extensions?(): Iterable<DumpedResource>;
  /** ClusterLoadAssignments as they are in use; only asked for with `include_eds`. */
  endpoints(): { readonly static: Iterable<DumpedResource>; readonly dynamic: Iterable<DumpedResource> };
  /** extensions.transport_sockets.tls.v3.Secret, private keys already `[redacted]`. */
  secrets(): {
    readonly static: Iterable<DumpedResource>;
    readonly active: Iterable<DumpedResource>;
    readonly warming: Iterable<DumpedResource>;
  };
}

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
