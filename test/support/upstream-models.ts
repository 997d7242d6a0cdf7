import type {
  AssignmentModel,
  BuiltCluster,
  ClusterModel,
  EndpointModel,
  Http2OptionsModel,
  HostModel,
  HostSetModel,
  LocalityModel,
  ThresholdsModel,
} from '../../src/config/cluster-model.ts';
import { defaultHttp1Settings } from '../../src/proxy/codec/codec.ts';
import type { Host, LoadBalancerContext } from '../../src/proxy/upstream/upstream.ts';

export function thresholds(overrides: Partial<ThresholdsModel> = {}): ThresholdsModel {
  return {
    maxConnections: 1024,
    maxPendingRequests: 1024,
    maxRequests: 1024,
    maxRetries: 3,
    maxConnectionPools: Infinity,
    retryBudget: undefined,
    trackRemaining: false,
    ...overrides,
  };
}

/** Envoy's defaults. */
export const defaultHttp2Options: Http2OptionsModel = {
  hpackTableSize: 4096,
  maxConcurrentStreams: 1024,
  initialStreamWindowSize: 16 << 20,
  initialConnectionWindowSize: 24 << 20,
  allowConnect: false,
  maxOutboundFrames: 10_000,
  maxOutboundControlFrames: 1000,
  maxConsecutiveInboundFramesWithEmptyPayload: 1,
  maxInboundPriorityFramesPerStream: 100,
  maxInboundWindowUpdateFramesPerDataFrameSent: 10,
  overrideStreamErrorOnInvalidHttpMessage: false,
  keepalive: undefined,
  customSettings: [],
};

export function clusterModel(overrides: Partial<ClusterModel> = {}): ClusterModel {
  const name = overrides.name ?? 'backend';
  return {
    name,
    altStatName: name,
    metadata: undefined,
    sharedSlot: 0,
    discoveryType: 'STATIC',
    connectTimeoutMs: 5000,
    perConnectionBufferLimitBytes: 1 << 20,
    loadBalancer: { policy: 'round-robin' },
    healthyPanicThresholdPercent: 50,
    failTrafficOnPanic: false,
    localityWeighted: false,
    closeConnectionsOnHostSetChange: false,
    closeConnectionsOnHostHealthFailure: false,
    thresholds: { default: thresholds(), high: thresholds() },
    perHostMaxConnections: Infinity,
    tcpKeepalive: undefined,
    bind: undefined,
    networkFilters: [],
    transportSocket: { kind: 'raw-buffer' },
    transportSocketMatches: [],
    httpVersion: 'http1',
    http1: defaultHttp1Settings,
    http2: defaultHttp2Options,
    autoSni: undefined,
    autoSanValidation: false,
    idleTimeoutMs: 3_600_000,
    tcpIdleTimeoutMs: 600_000,
    originalDestination: undefined,
    dynamicForwardProxy: undefined,
    maxConnectionDurationMs: 0,
    maxRequestsPerConnection: 0,
    maxStreamDurationMs: 0,
    trackTimeoutBudgets: false,
    trackRequestResponseSizes: false,
    overrideHostStatuses: ['unknown', 'healthy', 'degraded'],
    ...overrides,
  };
}

export function locality(overrides: Partial<LocalityModel> = {}): LocalityModel {
  return { region: '', zone: '', subZone: '', weight: undefined, priority: 0, metadata: undefined, ...overrides };
}

/** `address` is `host:port`. */
export function endpoint(address: string, overrides: Partial<EndpointModel> = {}): EndpointModel {
  const colon = address.lastIndexOf(':');
  return {
    address: {
      kind: 'socket',
      host: address.slice(0, colon),
      port: Number(address.slice(colon + 1)),
      ipv4Compat: false,
    },
    additionalAddresses: [],
    hostname: '',
    weight: 1,
    priority: 0,
    locality: 0,
    metadata: undefined,
    healthStatus: 'unknown',
    canary: false,
    ...overrides,
  };
}

export function assignment(
  endpoints: readonly EndpointModel[],
  localities: readonly LocalityModel[] = [locality()],
): AssignmentModel {
  return {
    localities,
    endpoints,
    overprovisioningFactor: 1.4,
    weightedPriorityHealth: false,
    dropOverload: 0,
    dropCategory: '',
    staleAfterMs: 0,
  };
}

export function hostSet(
  cluster: string,
  hosts: readonly HostModel[],
  localities: readonly LocalityModel[] = [locality()],
): HostSetModel {
  return { cluster, hosts, localities, overprovisioningFactor: 1.4, weightedPriorityHealth: false, dropOverload: 0 };
}

export function staticCluster(model: Partial<ClusterModel>, list: AssignmentModel): BuiltCluster {
  return {
    model: clusterModel(model),
    discovery: { kind: 'static', assignment: list },
    waitForWarmOnInit: true,
    ignoreHealthOnHostRemoval: false,
    secrets: [],
  };
}

/** A context that asks for nothing special. */
export class PlainContext implements LoadBalancerContext {
  readonly hash = undefined;
  readonly metadataMatch = undefined;
  overrideHost: string | undefined = undefined;
  overrideHostStrict = false;
  hostSelectionRetries = 1;
  readonly rejected = new Set<string>();

  rejectHost(host: Host): boolean {
    return this.rejected.has(host.address);
  }
}
