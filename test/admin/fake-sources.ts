import { create, createRegistry } from '@bufbuild/protobuf';
import { BootstrapSchema } from '../../src/api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { systemClock } from '../../src/lib/clock.ts';
import type { ClusterStatus, HostStatus } from '../../src/config/cluster-status-model.ts';
import type { LogLevel } from '../../src/telemetry/log-level.ts';
import type { AdminSources, DrainRequest, DumpedResource, ServerStateName } from '../../src/admin/sources.ts';
import { StatsAggregator } from '../../src/telemetry/stats/aggregator.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';

/** A server as the admin pages see it, and what they did to it. */
export class FakeServer {
  state: ServerStateName = 'LIVE';
  adminLayer: Map<string, string> | undefined = new Map();
  readonly done: string[] = [];
  readonly drains: DrainRequest[] = [];
  readonly levels = new Map<string, LogLevel>([
    ['admin', 'info'],
    ['http', 'info'],
  ]);
  clusters: ClusterStatus[] = [clusterStatus('backend', [hostStatus()])];
  clusterResources: DumpedResource[] = [clusterResource('backend'), clusterResource('other')];
  readonly thread = new ThreadStats();
  readonly stats = new StatsAggregator({ clock: systemClock });
  readonly sources: AdminSources;

  constructor() {
    this.stats.addLocal(0, this.thread);
    const bootstrap: DumpedResource = {
      name: '',
      desc: BootstrapSchema,
      message: create(BootstrapSchema, { node: { id: 'n1', cluster: 'c1' } }),
      versionInfo: '',
      lastUpdated: 0,
    };
    this.sources = {
      server: {
        state: () => this.state,
        version: 'abc/1.0.0/Clean/RELEASE/OpenSSL',
        uptimeMs: () => 12_345,
        commandLineOptions: () => ({ base_id: '0', concurrency: 1 }),
        node: () => ({ id: 'n1' }),
        unreadyTargets: () => [{ name: 'listener l', targets: ['rds r'] }],
      },
      stats: this.stats,
      flushStatsOnAdmin: false,
      processMetrics: async () => '# TYPE process_x gauge\nprocess_x 1\n',
      clusters: { clusters: () => this.clusters },
      certificates: { contexts: () => [], now: () => 0 },
      listeners: {
        listeners: () => [
          {
            name: 'ingress',
            addresses: [
              { kind: 'socket', host: '::1', port: 23912, ipv4Compat: false },
              { kind: 'socket', host: '127.0.0.1', port: 23914, ipv4Compat: false },
            ],
          },
          { name: 'pipe_l', addresses: [{ kind: 'pipe', path: '/run/p.sock', mode: 0 }] },
        ],
      },
      configDump: {
        registry: createRegistry(ClusterSchema),
        bootstrap: () => bootstrap,
        clusters: () => ({ versionInfo: '', static: this.clusterResources, active: [], warming: [] }),
        listeners: () => ({ versionInfo: 'v7', static: [], dynamic: [] }),
        routes: () => ({ static: [], dynamic: [] }),
        endpoints: () => ({ static: [], dynamic: [] }),
        secrets: () => ({ static: [], active: [], warming: [] }),
      },
      logging: {
        levels: () => this.levels,
        setLevel: (name, level) => this.levels.has(name) && this.levels.set(name, level).size > 0,
        setAllLevels: (level) => {
          for (const name of this.levels.keys()) this.levels.set(name, level);
        },
        reopenLogs: () => this.done.push('reopen'),
      },
      runtime: {
        layers: () => ['base', 'admin'],
        entries: () => [['a.b', { layers: ['1', ''], final: '1' }]],
        modify: (overrides) => {
          if (this.adminLayer === undefined) return false;
          for (const [key, value] of overrides) this.adminLayer.set(key, value);
          return true;
        },
      },
      lifecycle: {
        failHealthChecks: (fail) => {
          this.state = fail ? 'DRAINING' : 'LIVE';
        },
        drainListeners: (request) => {
          this.drains.push(request);
          return undefined;
        },
        quit: () => this.done.push('quit'),
      },
    };
  }
}

export function hostStatus(more: Partial<HostStatus> = {}): HostStatus {
  return {
    address: { kind: 'socket', host: '127.0.0.1', port: 23903, ipv4Compat: false },
    hostname: '',
    weight: 1,
    priority: 0,
    region: '',
    zone: '',
    subZone: '',
    canary: false,
    health: {
      failedActiveHealthCheck: false,
      failedOutlierCheck: false,
      failedActiveDegradedCheck: false,
      pendingDynamicRemoval: false,
      pendingActiveHc: false,
      excludedViaImmediateHcFail: false,
      activeHcTimeout: false,
      eds: 'HEALTHY',
    },
    stats: {
      cxActive: 0,
      cxConnectFail: 0,
      cxTotal: 2,
      rqActive: 0,
      rqPendingActive: 0,
      rqError: 2,
      rqSuccess: 6,
      rqTimeout: 0,
      rqTotal: 8,
    },
    successRate: -1,
    localOriginSuccessRate: -1,
    ...more,
  };
}

export function clusterStatus(name: string, hosts: HostStatus[], more: Partial<ClusterStatus> = {}): ClusterStatus {
  const limits = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };
  return {
    name,
    observabilityName: name,
    addedViaApi: false,
    edsServiceName: '',
    breakers: { default: limits, high: limits },
    outlier: undefined,
    hosts,
    drops: { total: 0, overload: 0, category: '' },
    ...more,
  };
}

export function clusterResource(name: string): DumpedResource {
  return {
    name,
    desc: ClusterSchema,
    message: create(ClusterSchema, {
      name,
      altStatName: 'alt',
      typedExtensionProtocolOptions: {
        x: { typeUrl: 'type.googleapis.com/some.unknown.Options', value: new Uint8Array([8, 1]) },
      },
    }),
    versionInfo: '',
    lastUpdated: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  };
}
