import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { AdminServer } from '../admin/admin-server.ts';
import type { AdminSources, ConfigDumpSource, ServerStateName } from '../admin/sources.ts';
import { CertificateReport } from './certificate-report.ts';
import type { ServerStart } from '../cli/run.ts';
import { ENVOY_VERSION } from '../cli/version.ts';
import { commandLineOptions } from '../cli/command-line-options.ts';
import type { LoadedBootstrap } from '../config/bootstrap.ts';
import { durationMs } from '../api/duration.ts';
import { buildAddress } from '../config/builders/common.ts';
import type { BuiltListener } from '../config/built-listener.ts';
import type { AddressModel } from '../config/common-model.ts';
import { Problems, type Problem } from '../config/problem.ts';
import { rawRuntimeValue } from '../config/runtime.ts';
import { buildStaticResources, type StaticResources } from '../config/static-resources.ts';
import { builtinNetworkFilters } from '../filters/builtin-network.ts';
import { FilterSlots } from '../config/filter-slots.ts';
import { builtinFilterRegistries } from '../filters/filter-registries.ts';
import { systemClock, type ClockTimer } from '../lib/clock.ts';
import { SystemRandom } from '../lib/random.ts';
import { SharedCells } from '../lib/shared-cells.ts';
import { connectionCellCount, settleConnections } from '../proxy/listener/connection-limit.ts';
import { ListenerRegistry } from '../proxy/listener/listener-registry.ts';
import { ClusterRegistry } from '../proxy/upstream/cluster-registry.ts';
import { ROUTER_STATS } from '../proxy/router/router-stats.ts';
import { DNS_STATS, HostsFile, NodeDnsResolver } from '../proxy/upstream/discovery/node-dns-resolver.ts';
import { ControlPlaneTransports } from './control-plane-transports.ts';
import { createDiscoverySources, usesDiscovery } from './discovery-sources.ts';
import { DynamicConfig } from './dynamic-config.ts';
import { dynamicConfigDump } from './dynamic-config-dump.ts';
import { serverNode } from './server-node.ts';
import { staticConfigDump } from './static-config-dump.ts';
import { EdsApi } from '../xds/eds-api.ts';
import { ResourceDecoder } from '../xds/resource-decoder.ts';
import type { XdsSources } from '../xds/xds-sources.ts';
import { SecretStore } from './secret-store.ts';
import { StatsAggregator } from '../telemetry/stats/aggregator.ts';
import { ThreadStats } from '../telemetry/stats/arena.ts';
import {
  LISTENER_MANAGER_STATS,
  OVERLOAD_STATS,
  RUNTIME_STATS,
  SERVER_STATS,
  THREAD_LOCAL_CLUSTER_MANAGER_STATS,
  WATCHDOG_STATS,
} from '../telemetry/stats/server-stats.ts';
import type { StatBlock } from '../telemetry/stats/stats.ts';
import { WorkerFleet } from '../worker/worker-fleet.ts';

const SERVER = SERVER_STATS.at;
const LISTENERS = LISTENER_MANAGER_STATS.at;
const RUNTIME = RUNTIME_STATS.at;
/** As `server.state` and /server_info number them. */
const STATE_NUMBERS: Readonly<Record<ServerStateName, number>> = {
  LIVE: 0,
  DRAINING: 1,
  PRE_INITIALIZING: 2,
  INITIALIZING: 3,
};
/** What `server.days_until_first_cert_expiring` says when nothing expires. */
const NEVER = 0xffff_ffff;
const DAY_MS = 86_400_000;
/** What session ticket keys are derived from, in bytes. */
const TICKET_SEED_LENGTH = 32;
/** How often a shutting-down server looks whether its last connection has gone. */
const DRAIN_POLL_MS = 50;

/**
 * The composition root: a bootstrap, data planes that serve it, and the admin server. Everything is built and checked
 * before anything listens.
 */
export class Server implements AsyncDisposable {
  readonly #start: ServerStart;
  readonly #clock = systemClock;
  readonly #startedMs = systemClock.monotonic();
  readonly #stats = new ThreadStats();
  readonly #aggregator: StatsAggregator;
  readonly #shared: SharedCells;
  readonly #clusters: ClusterRegistry;
  readonly #secrets: SecretStore;
  /** Workers and configurations share it, so that a session resumes on any of them. */
  readonly #ticketSeed: Uint8Array;
  readonly #concurrency: number;
  readonly #serverStats: StatBlock;
  readonly #listenerStats: StatBlock;
  readonly #stopped = Promise.withResolvers<void>();
  #loaded: LoadedBootstrap;
  #loadedMs = systemClock.epoch();
  #resources: StaticResources;
  /** Undefined: what it reports on has changed. */
  #certificates: CertificateReport | undefined = undefined;
  /** Clusters that are configured no more, with when they go. */
  readonly #retiring = new Map<string, ClockTimer>();
  readonly #listeners: ListenerRegistry<BuiltListener>;
  readonly #filterSlots: FilterSlots;
  #fleet: WorkerFleet | undefined;
  #admin: AdminServer | undefined;
  readonly #filters = builtinFilterRegistries();
  readonly #transports: ControlPlaneTransports;
  readonly #xds: XdsSources;
  readonly #endpoints: EdsApi;
  readonly #dynamic: DynamicConfig;
  readonly #staticClusters = new Set<string>();
  #initialized: Promise<readonly Problem[]> = Promise.resolve([]);
  #state: ServerStateName = 'PRE_INITIALIZING';
  #healthCheckFailing = false;
  #closing: Promise<void> | undefined;
  #shuttingDown = false;

  private constructor(start: ServerStart, resources: StaticResources, ticketSeed: Uint8Array) {
    const { options, loaded } = start;
    this.#start = start;
    this.#loaded = loaded;
    this.#resources = resources;
    this.#ticketSeed = ticketSeed;
    this.#concurrency = options.concurrency ?? availableParallelism();
    this.#shared = new SharedCells([], Math.max(1, this.#concurrency));
    this.#filterSlots = new FilterSlots(
      this.#shared,
      connectionCellCount(this.#shared.lanes),
      (typeName) => builtinNetworkFilters.find(({ configType }) => configType === typeName)?.counts === true,
    );
    const { bootstrap } = loaded;
    this.#aggregator = new StatsAggregator({
      clock: this.#clock,
      config: resources.stats,
      flushIntervalMs: durationMs(bootstrap.statsFlushInterval) ?? 5000,
      beforeRead: () => this.#clusters.refreshStats(),
      beforeFlush: () => this.#refreshStats(),
    });
    this.#aggregator.addLocal(0, this.#stats);
    this.#serverStats = this.#stats.block(SERVER_STATS, 'server.');
    this.#listenerStats = this.#stats.block(LISTENER_MANAGER_STATS, 'listener_manager.');
    this.#declareStats();
    this.#transports = new ControlPlaneTransports({ clock: this.#clock, log: start.log, stats: this.#stats });
    const subscriber = createDiscoverySources({
      loaded,
      resources,
      transports: this.#transports,
      clock: this.#clock,
      random: new SystemRandom(),
      stats: this.#stats,
      log: start.log,
    });
    this.#xds = subscriber;
    const decoder = new ResourceDecoder(loaded.registry, loaded.validator);
    this.#endpoints = new EdsApi({ subscriber, types: loaded.registry, validator: loaded.validator, log: start.log });
    this.#secrets = new SecretStore({
      clock: this.#clock,
      log: start.log,
      stats: this.#stats,
      subscriber,
      onChange: (secrets) => {
        this.#certificates = undefined;
        this.#transports.apply(secrets);
        this.#fleet
          ?.apply({ secrets })
          .catch((error: unknown) => start.log.error('config', `cannot apply secrets: ${String(error)}`));
      },
    });
    const hostsFile = new HostsFile();
    this.#clusters = new ClusterRegistry({
      clock: this.#clock,
      random: new SystemRandom(),
      cells: this.#shared,
      stats: this.#stats,
      resolver: (servers) => new NodeDnsResolver(servers, hostsFile, this.#stats.block(DNS_STATS, 'dns.cares.')),
      endpoints: this.#endpoints,
      secrets: {
        wait: (names, ready) => {
          const { secretSources } = this.#resources;
          const claim = this.#secrets.claim(
            names.flatMap((name) => secretSources.find(name) ?? []),
            ready,
          );
          if (claim.isReady) ready();
          return () => claim.close();
        },
      },
      onDelta: (delta) => {
        if (delta.clusters !== undefined) this.#certificates = undefined;
        this.#fleet
          ?.apply(delta)
          .catch((error: unknown) => start.log.error('upstream', `cannot apply clusters: ${String(error)}`));
      },
    });
    this.#listeners = new ListenerRegistry<BuiltListener>({
      clock: this.#clock,
      stats: this.#stats,
      shared: this.#shared,
      assignSlots: (model) => this.#filterSlots.assign(model),
      workers: this.#concurrency,
      drainTimeMs: options.drainTimeSeconds * 1000,
      apply: async (delta) => {
        this.#certificates = undefined;
        return (await this.#fleet?.apply(delta)) ?? [];
      },
      claim: (built, onReady) => this.#dynamic.claim(built, onReady),
      onFailure: (name, error) => start.log.error('config', `listener '${name}': ${error}`),
    });
    this.#dynamic = new DynamicConfig({
      loaded,
      secretSources: () => this.#resources.secretSources,
      secrets: this.#secrets,
      filters: this.#filters,
      ticketSeed,
      clock: this.#clock,
      stats: this.#stats,
      log: start.log,
      subscriber,
      decoder,
      clusters: this.#clusters,
      listeners: {
        set: (built, versionInfo) => this.#listeners.set(built, versionInfo, true),
        remove: (name) => this.#listeners.remove(name, true),
        refresh: (name) => this.#listeners.refresh(name),
      },
      apply: async (delta) => this.#fleet?.apply(delta),
      setRuntimeLayer: (layer, fields, problems) => {
        this.#loaded.runtime.setDiscovered(layer, fields, problems);
        if (!problems.hasErrors) this.#applyRuntime();
      },
    });
  }

  /** Families that dashboards expect of every Envoy, whether or not there is anything to count here. */
  #declareStats(): void {
    const stats = this.#stats;
    stats.block(ROUTER_STATS, 'http.async-client.');
    stats.block(OVERLOAD_STATS, 'overload.');
    const threads = ['main_thread', ...Array.from({ length: this.#concurrency }, (_, i) => `worker_${i}`)];
    for (const thread of threads) {
      stats.block(WATCHDOG_STATS, `server.${thread}.`);
      stats.block(THREAD_LOCAL_CLUSTER_MANAGER_STATS, `thread_local_cluster_manager.${thread}.`);
    }
    for (const name of ['main_thread.', 'workers.']) stats.block(WATCHDOG_STATS, name);
  }

  /**
   * Starts a proxy. `server` is undefined when `problems` has errors: nothing was started then. Rejects if it can't
   * listen. One that asks control planes is not initialised yet when this resolves.
   */
  static async start(start: ServerStart): Promise<{ server: Server | undefined; problems: readonly Problem[] }> {
    const ticketSeed = randomBytes(TICKET_SEED_LENGTH);
    const resources = await buildStaticResources(start.loaded, builtinFilterRegistries(), ticketSeed);
    const { problems } = resources;
    if (problems.some(({ severity }) => severity === 'error')) return { server: undefined, problems };
    const server = new Server(start, resources, ticketSeed);
    try {
      await server.#boot();
      server.#initialized = server.#initialize();
      // Who waits for a control plane can do without for now.
      const failures = usesDiscovery(start.loaded, resources) ? [] : await server.#initialized;
      if (failures.length > 0) {
        await server.close();
        return { server: undefined, problems: [...problems, ...failures] };
      }
    } catch (error) {
      await server.close();
      throw error;
    }
    return { server, problems };
  }

  /** Resolves when the server is live, or has ended before that, to the static listeners that it can't open. */
  get initialized(): Promise<readonly Problem[]> {
    return this.#initialized;
  }

  /** It drains, or has ended. */
  get isEnding(): boolean {
    return this.#shuttingDown || this.#closing !== undefined;
  }

  /** Resolves when the server has ended, by a signal, POST /quitquitquit or `close()`. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /** Listener name -> the addresses that it listens on, ports resolved. */
  get listeners(): Readonly<Record<string, readonly AddressModel[]>> {
    return this.#fleet?.bound ?? {};
  }

  /** Where the admin server listens; undefined without one. */
  get adminAddress(): AddressModel | undefined {
    return this.#admin?.address;
  }

  /** The value of a counter or gauge by its full name, summed over the workers. */
  stat(name: string): number | string | undefined {
    this.#refreshStats();
    return this.#aggregator.value(name);
  }

  /**
   * Takes over another configuration while traffic flows: what is unchanged keeps its connections, what is gone drains.
   * Errors among the problems: nothing was changed.
   */
  async update(loaded: LoadedBootstrap): Promise<readonly Problem[]> {
    const resources = await buildStaticResources(loaded, builtinFilterRegistries(), this.#ticketSeed);
    const { problems } = resources;
    if (problems.some(({ severity }) => severity === 'error')) return problems;
    this.#loaded = loaded;
    this.#loadedMs = this.#clock.epoch();
    this.#resources = resources;
    await this.#applySecrets();
    this.#setClusters();
    await this.#clusters.initialized();
    await this.#applyClusters();
    const failures = await this.#setListeners();
    await this.#retireClusters(this.#listeners.isDraining ? this.#start.options.drainTimeSeconds * 1000 : 0);
    return [...problems, ...Array.from(failures, ([name, error]) => this.#listenFailure(name, error))];
  }

  /** Clusters go last: routes may lead to them until now, and those of connections that drain for longer. */
  async #retireClusters(delayMs: number): Promise<void> {
    const names = new Set(this.#resources.clusters.map(({ model }) => model.name));
    const retire = (name: string): void => {
      this.#retiring.delete(name);
      this.#staticClusters.delete(name);
      this.#clusters.remove(name);
    };
    for (const name of this.#staticClusters) {
      this.#retiring.get(name)?.cancel();
      this.#retiring.delete(name);
      if (names.has(name)) continue;
      if (delayMs === 0) retire(name);
      else
        this.#retiring.set(
          name,
          this.#clock.setTimer(delayMs, () => {
            retire(name);
            this.#pruneSecrets();
          }),
        );
    }
    await this.#applyClusters();
    this.#pruneSecrets();
  }

  /** SIGUSR1, POST /reopen_logs. */
  reopenLogs(): void {
    this.#start.log.reopen();
    this.#fleet?.reopenLogs();
  }

  /**
   * Ends gracefully: stops accepting, lets requests in flight finish (their connections close behind them), at most for
   * the drain time; a second call ends at once.
   */
  async shutDown(): Promise<void> {
    if (this.#shuttingDown || this.#fleet === undefined) return this.close();
    this.#shuttingDown = true;
    this.#setState('DRAINING');
    // Whatever happens meanwhile: a worker that hangs doesn't answer.
    this.#clock.setTimer(this.#start.options.drainTimeSeconds * 1000, () => void this.close());
    await this.#fleet.drain({ inboundOnly: false, graceful: false, stop: true });
    const look = async (): Promise<void> => {
      if (this.#closing !== undefined) return;
      const open = (await this.#fleet?.connectionCount()) ?? 0;
      if (open === 0) return this.close();
      this.#clock.setTimer(DRAIN_POLL_MS, () => void look());
    };
    await look();
  }

  /** Ends now. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#setState('DRAINING');
    for (const timer of this.#retiring.values()) timer.cancel();
    this.#dynamic.close();
    this.#listeners.close();
    await this.#fleet?.close();
    this.#clusters.close();
    this.#secrets.close();
    this.#xds.close();
    this.#transports.close();
    await this.#admin?.close();
    this.#aggregator.close();
    this.#stopped.resolve();
  }

  /** What can be asked and told from the start: the admin server, and workers without a configuration. */
  async #boot(): Promise<void> {
    const { options, loaded, log, logOptions } = this.#start;
    const { bootstrap } = loaded;
    this.#setState('PRE_INITIALIZING');
    const problems = new Problems('admin.address');
    if (bootstrap.admin?.address !== undefined) {
      const address = buildAddress(bootstrap.admin.address, problems);
      this.#admin = new AdminServer({
        sources: this.#sources(),
        clock: this.#clock,
        scope: this.#stats,
        onError: (path, error) =>
          log.error('admin', `${path}: ${error instanceof Error ? error.stack : String(error)}`),
      });
      if (address !== undefined) await this.#admin.listen(address);
    }
    const connectionSlot = this.#shared.allocate(connectionCellCount(this.#shared.lanes));
    this.#fleet = await WorkerFleet.start({
      concurrency: this.#concurrency,
      settings: {
        concurrency: this.#concurrency,
        node: {
          id: bootstrap.node?.id ?? '',
          cluster: bootstrap.node?.cluster ?? '',
          zone: bootstrap.node?.locality?.zone ?? '',
        },
        fileFlushIntervalMs: options.fileFlushIntervalMs,
        drainTimeMs: options.drainTimeSeconds * 1000,
        drainStrategy: options.drainStrategy,
        log: logOptions,
        connectionSlot,
      },
      shared: this.#shared,
      aggregator: this.#aggregator,
      stats: this.#stats,
      log,
      onWorkerLost: (index) => {
        this.#clusters.settleLane(index);
        for (const slot of [connectionSlot, ...this.#listeners.connectionSlots, ...this.#filterSlots])
          settleConnections(this.#shared, slot, index);
      },
    });
    this.#serverStats.set(SERVER.concurrency, this.#concurrency);
    this.#applyRuntime();
  }

  /** Clusters first, those of the bootstrap, then discovered ones; then listeners of both kinds: all as in Envoy. */
  async #initialize(): Promise<readonly Problem[]> {
    const { options, log } = this.#start;
    await this.#applySecrets();
    const runtime = this.#dynamic.startRuntime();
    this.#setClusters();
    // What is subscribed to by now is asked for in this order: the runtime gates what follows.
    this.#xds.start();
    await runtime;
    await this.#clusters.initialized();
    await this.#dynamic.startClusters();
    await this.#clusters.initialized();
    await this.#applyClusters();
    if (this.#closing !== undefined) return [];
    this.#setState('INITIALIZING');
    await Promise.all([this.#dynamic.startListeners(), this.#setListeners()]);
    await this.#listeners.initialized();
    if (this.#closing !== undefined) return [];
    const failures = await this.#listeners.start();
    const fatal = this.#resources.listeners.filter(({ model }) => failures.has(model.name));
    if (fatal.length > 0) return fatal.map(({ model }) => this.#listenFailure(model.name, failures.get(model.name)!));
    for (const [name, error] of failures) log.error('config', `listener '${name}': ${error}`);
    this.#listenerStats.set(LISTENERS.workers_started, 1);
    if (this.#state === 'INITIALIZING') this.#setState('LIVE');
    this.#serverStats.record(SERVER.initialization_time_ms, this.#clock.monotonic() - this.#startedMs);
    this.#aggregator.start();
    if (options.adminAddressPath !== '') this.#admin?.writeAddressFile(options.adminAddressPath);
    log.info('main', 'starting main dispatch loop');
    return [];
  }

  #setClusters(): void {
    for (const built of this.#resources.clusters) {
      this.#staticClusters.add(built.model.name);
      this.#clusters.set(built, false);
    }
  }

  async #applyClusters(): Promise<void> {
    const delta = this.#clusters.takeDelta();
    if (delta !== undefined) await this.#fleet?.apply(delta);
  }

  /** Hands the workers what clusters and listeners will use by name. */
  async #applySecrets(): Promise<void> {
    const secrets = await this.#secrets.update(this.#resources.secrets);
    this.#certificates = undefined;
    this.#transports.apply(secrets);
    if (secrets.set.length > 0) await this.#fleet?.apply({ secrets });
  }

  /** Secrets go after the clusters that used them; listeners have let go of them by then. */
  #pruneSecrets(): void {
    if (this.#retiring.size > 0) return;
    const secrets = this.#secrets.prune();
    if (secrets.remove.length > 0) void this.#fleet?.apply({ secrets });
  }

  /** The certificates in use, read anew when something has changed. */
  get #certificateReport(): CertificateReport {
    const listeners = Array.from(this.#listeners.specs(), ({ model }) => model);
    return (this.#certificates ??= new CertificateReport(this.#clusters.models(), listeners, (name) =>
      this.#secrets.get(name),
    ));
  }

  /** Takes over the static listeners; resolves, once the registry has been started, to what can't be opened. */
  async #setListeners(): Promise<ReadonlyMap<string, string>> {
    const { listeners } = this.#resources;
    const names = new Set(listeners.map(({ model }) => model.name));
    for (const name of this.#listeners.names(false)) if (!names.has(name)) this.#listeners.remove(name, false);
    const outcomes = await Promise.all(
      listeners.map(async (built) => [built.model.name, await this.#listeners.set(built, '', false)] as const),
    );
    await this.#listeners.flushed();
    return new Map(outcomes.filter(([, error]) => error !== ''));
  }

  #listenFailure(name: string, error: string): Problem {
    const index = this.#resources.listeners.findIndex(({ model }) => model.name === name);
    const path = `static_resources.listeners[${index}].address`;
    const position = this.#loaded.locate(path);
    const message = `listener '${name}': ${error}`;
    return { severity: 'error', path, message, ...(position !== undefined && { position }) };
  }

  #applyRuntime(): void {
    const { runtime, overload } = this.#loaded;
    const values = runtime.merged();
    const stats = this.#stats.block(RUNTIME_STATS, 'runtime.');
    stats.inc(RUNTIME.load_success);
    stats.set(RUNTIME.num_keys, Object.keys(values).length);
    stats.set(RUNTIME.num_layers, runtime.names.length);
    stats.set(RUNTIME.admin_overrides_active, runtime.hasOverrides ? 1 : 0);
    // The overload manager's limit goes before the runtime's.
    const most = overload.maxDownstreamConnections;
    const limited = most === undefined ? values : { ...values, 'overload.global_downstream_max_connections': most };
    void this.#fleet?.apply({ runtime: limited });
  }

  #setState(state: ServerStateName): void {
    this.#state = state;
    this.#serverStats.set(SERVER.state, STATE_NUMBERS[state]);
    this.#serverStats.set(SERVER.live, state === 'LIVE' && !this.#healthCheckFailing ? 1 : 0);
  }

  #refreshStats(): void {
    const memory = process.memoryUsage();
    const stats = this.#serverStats;
    stats.set(SERVER.uptime, Math.floor((this.#clock.monotonic() - this.#startedMs) / 1000));
    stats.set(SERVER.memory_allocated, memory.heapUsed + memory.external);
    stats.set(SERVER.memory_heap_size, memory.heapTotal + memory.external);
    stats.set(SERVER.memory_physical_size, memory.rss);
    this.#refreshCertificateStats();
  }

  #refreshCertificateStats(): void {
    const stats = this.#serverStats;
    const { firstExpiryMs, firstOcspExpiryMs } = this.#certificateReport;
    const left = (ms: number, unitMs: number): number => Math.max(0, Math.floor((ms - this.#clock.epoch()) / unitMs));
    stats.set(SERVER.days_until_first_cert_expiring, firstExpiryMs === undefined ? NEVER : left(firstExpiryMs, DAY_MS));
    stats.set(
      SERVER.seconds_until_first_ocsp_response_expiring,
      firstOcspExpiryMs === undefined ? 0 : left(firstOcspExpiryMs, 1000),
    );
  }

  /** The configuration as it stands now. */
  #configDump(): ConfigDumpSource {
    const bootstrap = staticConfigDump(
      this.#loaded,
      this.#loadedMs,
      () => this.#fleet?.snapshot.hosts.values() ?? [],
      this.#secrets,
    );
    const { registry: types } = this.#loaded;
    return dynamicConfigDump(bootstrap, { types, dynamic: this.#dynamic, listeners: this.#listeners });
  }

  /** What the admin pages see of this server. */
  #sources(): AdminSources {
    const dump = (): ConfigDumpSource => this.#configDump();
    const { options, log } = this.#start;
    // Loaded with the first scrape: its modules are a good part of the time to start.
    let metrics: Promise<{ metrics(): Promise<string> }> | undefined;
    return {
      server: {
        state: () => (this.#healthCheckFailing ? 'DRAINING' : this.#state),
        version: `${'0'.repeat(40)}/${ENVOY_VERSION}/Clean/RELEASE/OpenSSL`,
        uptimeMs: () => this.#clock.monotonic() - this.#startedMs,
        commandLineOptions: () => commandLineOptions(options, this.#concurrency),
        node: () => serverNode(this.#loaded.bootstrap.node),
        unreadyTargets: () => this.#unreadyTargets(),
      },
      stats: this.#aggregator,
      flushStatsOnAdmin: this.#loaded.bootstrap.statsFlush.case === 'statsFlushOnAdmin',
      processMetrics: async () => {
        metrics ??= import('../telemetry/prometheus-process.ts').then((module) => module.createProcessMetrics());
        return (await metrics).metrics();
      },
      clusters: { clusters: () => this.#clusters.statuses() },
      listeners: {
        listeners: () => Object.entries(this.listeners).map(([name, addresses]) => ({ name, addresses })),
      },
      certificates: { contexts: () => this.#certificateReport.contexts, now: () => this.#clock.epoch() },
      configDump: {
        get registry() {
          return dump().registry;
        },
        bootstrap: () => dump().bootstrap(),
        clusters: () => dump().clusters(),
        listeners: () => dump().listeners(),
        routes: () => dump().routes(),
        extensions: () => dump().extensions?.() ?? [],
        endpoints: () => dump().endpoints(),
        secrets: () => dump().secrets(),
      },
      logging: {
        levels: () => log.levels(),
        setLevel: (name, level) => {
          if (!log.setLevel(level, name)) return false;
          this.#fleet?.setLogLevel(level, name);
          return true;
        },
        setAllLevels: (level) => {
          log.setLevel(level);
          this.#fleet?.setLogLevel(level);
        },
        reopenLogs: () => this.reopenLogs(),
      },
      runtime: {
        layers: () => this.#loaded.runtime.names,
        entries: () => this.#runtimeEntries(),
        modify: (overrides) => {
          if (!this.#loaded.runtime.modify(Object.fromEntries(overrides))) return false;
          this.#applyRuntime();
          return true;
        },
      },
      lifecycle: {
        failHealthChecks: (fail) => {
          this.#healthCheckFailing = fail;
          this.#setState(this.#state);
          this.#fleet?.setHealthCheckFailing(fail);
        },
        drainListeners: ({ graceful, inboundOnly, skipExit }) => {
          if (this.#fleet === undefined) return 'the workers have not been started yet';
          void this.#drainListeners(graceful, inboundOnly, skipExit);
          return undefined;
        },
        quit: () => void this.close(),
      },
    };
  }

  /** By init manager, in Envoy's words. */
  #unreadyTargets(): { name: string; targets: readonly string[] }[] {
    if (this.#state !== 'PRE_INITIALIZING' && this.#state !== 'INITIALIZING') return [];
    const targets = [
      ...this.#clusters.warmingNames.map((name) => `target Cluster-init-target ${name}`),
      ...this.#dynamic.waitingFor,
      ...this.#listeners.waitingFor(),
    ];
    return targets.length === 0 ? [] : [{ name: 'init manager Server', targets }];
  }

  /** Stops listeners now, or after the drain time with `graceful`, asking connections to end until then. */
  async #drainListeners(graceful: boolean, inboundOnly: boolean, skipExit: boolean): Promise<void> {
    const stopped = Object.keys(this.listeners).length;
    if (!graceful) {
      await this.#fleet?.drain({ inboundOnly, graceful: false, stop: false });
      this.#listenerStats.add(LISTENERS.listener_stopped, stopped);
      return;
    }
    await this.#fleet?.drain({ inboundOnly, graceful: true, stop: false });
    if (skipExit) return;
    this.#clock.setTimer(this.#start.options.drainTimeSeconds * 1000, () => {
      void this.#fleet?.drain({ inboundOnly, graceful: false, stop: false });
      this.#listenerStats.add(LISTENERS.listener_stopped, stopped);
    });
  }

  *#runtimeEntries(): Generator<readonly [string, { readonly layers: readonly string[]; readonly final: string }]> {
    const { runtime } = this.#loaded;
    for (const [key, value] of Object.entries(runtime.merged())) {
      const layers = runtime.valuesOf(key).map((each) => (each === undefined ? '' : rawRuntimeValue(each)));
      yield [key, { layers, final: rawRuntimeValue(value) }];
    }
  }
}
