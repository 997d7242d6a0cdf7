import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { AddressModel } from './common-model.ts';
import type { ExtensionNetworkFilterModel } from './network-filter-model.ts';
import type { DnsCacheModel } from '../filters/dns-cache.ts';
import type { Metadata } from '../filters/stream-info.ts';
import type { TransportSocketMatchModel, UpstreamTransportSocketModel } from './transport-socket-model.ts';

/** What a builder makes of envoy.config.cluster.v3.Cluster. Filled in by builders/cluster.ts. Times in ms, sizes in bytes. */
export interface ClusterModel {
  readonly name: string;
  /** `alt_stat_name`, or the name: what stands in stat names and in %UPSTREAM_CLUSTER%. */
  readonly altStatName: string;
  readonly metadata: Metadata | undefined;
  /** First slot of this cluster's cells in SharedCells (circuit breakers of both priorities; see circuit-breaker.ts). */
  readonly sharedSlot: number;

  /** As `/clusters` and the admin name it. */
  readonly discoveryType: 'STATIC' | 'STRICT_DNS' | 'LOGICAL_DNS' | 'EDS' | 'ORIGINAL_DST' | 'CUSTOM';
  readonly connectTimeoutMs: number;
  readonly perConnectionBufferLimitBytes: number;
  readonly loadBalancer: LoadBalancerModel;
  /** Below this percentage of healthy (and degraded) hosts a priority level ignores health. 0: never. */
  readonly healthyPanicThresholdPercent: number;
  /** With panic: no host at all instead of any host (`fail_traffic_on_panic`). */
  readonly failTrafficOnPanic: boolean;
  /** Choose a locality by its weight first, then a host in it. */
  readonly localityWeighted: boolean;
  /** Close the connections to hosts of which membership or health has changed. */
  readonly closeConnectionsOnHostSetChange: boolean;
  readonly closeConnectionsOnHostHealthFailure: boolean;
  readonly thresholds: { readonly default: ThresholdsModel; readonly high: ThresholdsModel };
  /** How an ORIGINAL_DST cluster knows where to; undefined: it is none. */
  readonly originalDestination: OriginalDestinationModel | undefined;
  /** Of a dynamic forward proxy cluster; undefined: it is none. */
  readonly dynamicForwardProxy: DynamicForwardProxyModel | undefined;
  /** `per_host_thresholds.max_connections`; Infinity = none. */
  readonly perHostMaxConnections: number;
  readonly tcpKeepalive: TcpKeepaliveModel | undefined;
  /** Where upstream connections are bound to; undefined: the system chooses. */
  readonly bind: BindModel | undefined;

  /** Between the protocol and the transport socket, the first one next to the protocol. */
  readonly networkFilters: readonly ExtensionNetworkFilterModel[];
  /** What goes over the wire under the protocol; that of the first match whose criteria an endpoint's metadata fulfil. */
  readonly transportSocket: UpstreamTransportSocketModel;
  readonly transportSocketMatches: readonly TransportSocketMatchModel[];

  /**
   * Which HTTP is spoken. `auto`: what ALPN settles on, HTTP/1.1 without it. `downstream`: the version that the request
   * came with.
   */
  readonly httpVersion: 'http1' | 'http2' | 'auto' | 'downstream';
  readonly http1: UpstreamHttp1Model;
  readonly http2: Http2OptionsModel;
  /** The SNI is the request's authority (`auto_sni`), or this header of it. Undefined: that of the transport socket. */
  readonly autoSni: { readonly overrideHeader: string } | undefined;
  /** The certificate must have the SNI as one of its names (`auto_san_validation`). */
  readonly autoSanValidation: boolean;
  /** Of a pooled connection without streams. 0 = none; 1 h by default. */
  readonly idleTimeoutMs: number;
  /** Of a TCP connection that nobody uses yet. 0 = none; 10 min by default. */
  readonly tcpIdleTimeoutMs: number;
  /** 0 = none. */
  readonly maxConnectionDurationMs: number;
  /** 0 = none. */
  readonly maxRequestsPerConnection: number;
  /** The cluster's `max_stream_duration`, for routes that set none. 0 = none. */
  readonly maxStreamDurationMs: number;
  readonly trackTimeoutBudgets: boolean;
  readonly trackRequestResponseSizes: boolean;
  /** Statuses of hosts that an override host may have (`common_lb_config.override_host_status`). */
  readonly overrideHostStatuses: readonly HostHealthStatus[];
}

/** core.v3.Http2ProtocolOptions with Envoy's defaults; the codec's Http2Settings has the same shape and more. */
export interface Http2OptionsModel {
  readonly hpackTableSize: number;
  readonly maxConcurrentStreams: number;
  readonly initialStreamWindowSize: number;
  readonly initialConnectionWindowSize: number;
  /** Extended CONNECT (RFC 8441). */
  readonly allowConnect: boolean;
  readonly maxOutboundFrames: number;
  readonly maxOutboundControlFrames: number;
  readonly maxConsecutiveInboundFramesWithEmptyPayload: number;
  readonly maxInboundPriorityFramesPerStream: number;
  readonly maxInboundWindowUpdateFramesPerDataFrameSent: number;
  /** An invalid message ends its stream instead of the connection. */
  readonly overrideStreamErrorOnInvalidHttpMessage: boolean;
  readonly keepalive: Http2KeepaliveModel | undefined;
  /** Further SETTINGS parameters, identifier and value. */
  readonly customSettings: readonly { readonly id: number; readonly value: number }[];
}

/** core.v3.KeepaliveSettings. */
export interface Http2KeepaliveModel {
  /** Between PINGs; 0 = only after idleness. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly jitterPercent: number;
  /** Before a new stream on a connection that was silent for so long; 0 = never. */
  readonly connectionIdleIntervalMs: number;
}

/** Options of HTTP/1.1 towards upstreams; the same shape as the codec's Http1Settings. */
export interface UpstreamHttp1Model {
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly allowAbsoluteUrl: boolean;
  readonly enableTrailers: boolean;
  readonly allowChunkedLength: boolean;
  readonly headerCase: 'lower' | 'proper' | 'preserve';
  readonly forwardReasonPhrase: boolean;
  readonly overrideStreamErrorOnInvalidHttpMessage: boolean;
  readonly sendFullyQualifiedUrl: boolean;
  readonly maxHeadersCount: number;
  readonly maxHeadersBytes: number;
}

/** Cluster.OriginalDstLbConfig. */
export interface OriginalDestinationModel {
  /** Lower case; its first value is `ip:port`. Undefined: no header is looked at. */
  readonly headerName: string | undefined;
  /** Dynamic metadata that holds `ip:port`: the filter's name and the path of keys in its object. */
  readonly metadataKey: { readonly filter: string; readonly path: readonly string[] } | undefined;
  readonly portOverride: number | undefined;
  /** A host that was not chosen for so long, and has no connections, is forgotten. */
  readonly cleanupIntervalMs: number;
}

/** extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig. */
export interface DynamicForwardProxyModel {
  /** Where its hosts come from. */
  readonly cache: DnsCacheModel;
  /** Of authorities that name no port: 443 for TLS, else 80. */
  readonly defaultPort: number;
}

export type LoadBalancerModel =
  /** `cluster-provided`: ORIGINAL_DST, dynamic forward proxy. */
  | { readonly policy: 'round-robin' | 'random' | 'cluster-provided' }
  | RingHashModel
  | MaglevModel
  | {
      readonly policy: 'least-request';
      readonly choiceCount: number;
      readonly activeRequestBias: number;
      /** Runtime key that overrides the bias; '' = none. */
      readonly activeRequestBiasKey: string;
      readonly fullScan: boolean;
    };

export interface RingHashModel {
  readonly policy: 'ring-hash';
  /** 1024 by default. */
  readonly minimumRingSize: number;
  /** 8 Mi by default. */
  readonly maximumRingSize: number;
  readonly hashFunction: 'xx-hash' | 'murmur-hash-2';
  readonly useHostname: boolean;
  /** Percent of the average load that a host may have (bounded load); 0 = any. */
  readonly hashBalanceFactor: number;
}

export interface MaglevModel {
  readonly policy: 'maglev';
  /** A prime; 65537 by default. */
  readonly tableSize: number;
  readonly useHostname: boolean;
  /** See RingHashModel. */
  readonly hashBalanceFactor: number;
}

/** Limits of one routing priority; the defaults are Envoy's (1024, 1024, 1024, 3). */
export interface ThresholdsModel {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly maxConnectionPools: number;
  /** Replaces `maxRetries` when set. */
  readonly retryBudget: { readonly budgetPercent: number; readonly minRetryConcurrency: number } | undefined;
  readonly trackRemaining: boolean;
}

/** Socket keepalive; undefined = the system's value. */
export interface TcpKeepaliveModel {
  readonly probes: number | undefined;
  readonly timeMs: number | undefined;
  readonly intervalMs: number | undefined;
}

export interface BindModel {
  readonly address: string;
  /** 0: any. */
  readonly port: number;
}

/** The hosts of one cluster, all priorities. Replaces the cluster's former host set. */
export interface HostSetModel {
  readonly cluster: string;
  readonly hosts: readonly HostModel[];
  readonly localities: readonly LocalityModel[];
  /** 1.4 by default: how far below 100 % a level's health may fall before traffic spills over. */
  readonly overprovisioningFactor: number;
  /** Count hosts by weight for the health of a priority level. */
  readonly weightedPriorityHealth: boolean;
  /** The share of requests that is refused (`drop_overloads`), 0 to 1. */
  readonly dropOverload: number;
}

export interface LocalityModel {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  /** `load_balancing_weight` of the locality; undefined = it gets no traffic under locality weighting. */
  readonly weight: number | undefined;
  readonly priority: number;
  readonly metadata: Metadata | undefined;
}

export type HostHealthStatus = 'unknown' | 'healthy' | 'unhealthy' | 'draining' | 'timeout' | 'degraded';

export interface HostModel {
  readonly address: AddressModel;
  /** Tried in order after `address` failed to connect. */
  readonly additionalAddresses: readonly AddressModel[];
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  /** Index in the host set's `localities`. */
  readonly locality: number;
  readonly metadata: Metadata | undefined;
  /** The configured status; `unknown` counts as healthy. */
  readonly healthStatus: HostHealthStatus;
  readonly canary: boolean;
  /** First slot of this host's cells in SharedCells (health flags, active requests; see host.ts). */
  readonly sharedSlot: number;
}

/** How the control thread finds a cluster's hosts. It doesn't travel to workers. */
export type DiscoveryModel =
  | { readonly kind: 'static'; readonly assignment: AssignmentModel }
  | { readonly kind: 'strict-dns' | 'logical-dns'; readonly assignment: AssignmentModel; readonly dns: DnsModel }
  | EdsModel;

/** Cluster.EdsClusterConfig. */
export interface EdsModel {
  readonly kind: 'eds';
  /** Under which the control plane knows the endpoints. */
  readonly serviceName: string;
  /** '' if there is none; then the cluster's name stands in for it. As `/clusters` shows it. */
  readonly configuredServiceName: string;
  readonly source: ConfigSource;
}

/** A ClusterLoadAssignment: like a host set, but its addresses may be names. */
export interface AssignmentModel {
  readonly localities: readonly LocalityModel[];
  readonly endpoints: readonly EndpointModel[];
  readonly overprovisioningFactor: number;
  readonly weightedPriorityHealth: boolean;
  /** See HostSetModel. */
  readonly dropOverload: number;
  /** What load reports call what was refused so; '' if nothing is. */
  readonly dropCategory: string;
  /** How long it holds without another (`endpoint_stale_after`); 0 = for ever. Only discovery looks at it. */
  readonly staleAfterMs: number;
}

export type EndpointModel = Omit<HostModel, 'sharedSlot'>;

export interface DnsModel {
  readonly lookupFamily: 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL';
  readonly refreshRateMs: number;
  readonly minRefreshRateMs: number;
  readonly jitterMs: number;
  /** Back-off after a failed query; undefined: the refresh rate. */
  readonly failureRefresh: { readonly baseMs: number; readonly maxMs: number } | undefined;
  readonly respectTtl: boolean;
  /** `ip:port` of the servers to ask; empty: the system's. */
  readonly resolvers: readonly string[];
}

/** A cluster as a resource: what the data plane needs, and what the control thread keeps. */
export interface BuiltCluster {
  readonly model: ClusterModel;
  readonly discovery: DiscoveryModel;
  /** False: the cluster counts as initialised before its first hosts are known. */
  readonly waitForWarmOnInit: boolean;
  readonly ignoreHealthOnHostRemoval: boolean;
  /** Of the secrets that its TLS contexts name: it warms until they have come. */
  readonly secrets: readonly string[];
}
