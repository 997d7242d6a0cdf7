import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { AdminServer } from '../admin/admin-server.ts';
import type { LifecycleControl, ServerStateName } from '../admin/sources.ts';
import type { AdministeredServer } from './admin-sources.ts';
import { CertificateReport } from './certificate-report.ts';
import { checkChanges } from './check-changes.ts';
import { CompoundClaim } from './compound-claim.ts';
import type { Discovery } from './discovery.ts';
import { drainListeners } from './drain-listeners.ts';
import { ServerStats } from './server-stats.ts';
import { StaticClusters } from './static-clusters.ts';
import { usesDiscovery } from './uses-discovery.ts';
import type { ServerStart } from '../cli/run.ts';
import type { LoadedBootstrap } from '../config/bootstrap.ts';
import { durationMs } from '../api/duration.ts';
import { buildAddress } from '../config/builders/common.ts';
import type { BuiltListener } from '../config/built-listener.ts';
import type { AddressModel } from '../config/common-model.ts';
import { Problems, type Problem } from '../config/problem.ts';
import { buildStaticResources, type StaticResources } from '../config/static-resources.ts';
import { builtinNetworkFilters } from '../filters/builtin-network.ts';
import { FilterSlots } from '../config/filter-slots.ts';
import { builtinFilterRegistries } from '../filters/filter-registries.ts';
import { systemClock } from '../lib/clock.ts';
import { SystemRandom } from '../lib/random.ts';
import { SharedCells } from '../lib/shared-cells.ts';
import { checkBind } from '../proxy/listener/bind-check.ts';
import { connectionCellCount, settleConnections } from '../proxy/listener/connection-limit.ts';
import { ListenerRegistry } from '../proxy/listener/listener-registry.ts';
import { ClusterRegistry } from '../proxy/upstream/cluster-registry.ts';
import { DNS_STATS, HostsFile, NodeDnsResolver } from '../proxy/upstream/discovery/node-dns-resolver.ts';
import { listenerSecretNames } from '../config/tls-contexts-of.ts';
import type { SecretClaim } from './secret-claim.ts';
import { SecretStore } from './secret-store.ts';
import { StatsAggregator } from '../telemetry/stats/aggregator.ts';
import { ThreadStats } from '../telemetry/stats/arena.ts';
import { LISTENER_MANAGER_STATS, RUNTIME_STATS } from '../telemetry/stats/server-stats.ts';
import type { StatBlock } from '../telemetry/stats/stats.ts';
import { WorkerFleet } from '../worker/worker-fleet.ts';

const LISTENERS = LISTENER_MANAGER_STATS.at;
const RUNTIME = RUNTIME_STATS.at;
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
  readonly #serverStats: ServerStats;
  readonly #listenerStats: StatBlock;
  readonly #stopped = Promise.withResolvers<void>();
  #loaded: LoadedBootstrap;
  #loadedMs = systemClock.epoch();
  #resources: StaticResources;
  /** Undefined: what it reports on has changed. */
  #certificates: CertificateReport | undefined = undefined;
  readonly #listeners: ListenerRegistry<BuiltListener>;
  readonly #filterSlots: FilterSlots;
  #fleet: WorkerFleet | undefined;
  #admin: AdminServer | undefined;
  readonly #filters = builtinFilterRegistries();
  readonly #staticClusters: StaticClusters;
  /** Undefined: nothing has asked for a control plane yet. */
  #discovery: Discovery | undefined;
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
      beforeFlush: () => this.#serverStats.refresh(),
    });
    this.#aggregator.addLocal(0, this.#stats);
    this.#listenerStats = this.#stats.block(LISTENER_MANAGER_STATS, 'listener_manager.');
    this.#serverStats = new ServerStats({
      clock: this.#clock,
      stats: this.#stats,
      concurrency: this.#concurrency,
      startedMs: this.#startedMs,
      certificates: () => this.#certificateReport,
    });
    this.#secrets = new SecretStore({
      clock: this.#clock,
      log: start.log,
      stats: this.#stats,
      // Whoever subscribes was found by `usesDiscovery`.
      subscriber: { subscribe: (config, target) => this.#discovery!.subscribe(config, target) },
      onChange: (secrets) => {
        this.#certificates = undefined;
        this.#discovery?.applySecrets(secrets);
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
      endpoints: { subscribe: (eds, scope, sink) => this.#discovery!.endpoints.subscribe(eds, scope, sink) },
      secrets: {
        wait: (names, ready) => {
          const claim = this.#claimSecrets(names, ready);
          if (claim.isReady) ready();
          return () => claim.close();
        },
      },
      onWarming: (areWarming) => {
        // What comes first is acknowledged at once.
        if (this.#state !== 'PRE_INITIALIZING') this.#discovery?.setClustersWarming(areWarming);
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
      checkBind,
      apply: async (delta) => {
        this.#certificates = undefined;
        return (await this.#fleet?.apply(delta)) ?? [];
      },
      claim: (built, onReady) => this.#claim(built, onReady),
      onFailure: (name, error) => start.log.error('config', `listener '${name}': ${error}`),
    });
    this.#staticClusters = new StaticClusters({
      clock: this.#clock,
      clusters: this.#clusters,
      onRetired: () => this.#pruneSecrets(),
    });
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
    this.#serverStats.refresh();
    return this.#aggregator.value(name);
  }

  /**
   * Takes over another configuration while traffic flows: what is unchanged keeps its connections, what is gone drains.
   * Errors among the problems: nothing was changed.
   */
  async update(loaded: LoadedBootstrap): Promise<readonly Problem[]> {
    const resources = await buildStaticResources(loaded, builtinFilterRegistries(), this.#ticketSeed);
    const changes = checkChanges(this.#loaded.bootstrap, loaded.bootstrap, this.#discovery !== undefined);
    const problems = [...resources.problems, ...changes];
    if (problems.some(({ severity }) => severity === 'error')) return problems;
    for (const { path, message } of changes) this.#start.log.warn('config', `${path}: ${message}`);
    loaded.runtime.adopt(this.#loaded.runtime);
    this.#loaded = loaded;
    this.#loadedMs = this.#clock.epoch();
    resources.secretSources.adopt(this.#resources.secretSources, (name) => this.#secrets.has(name));
    this.#resources = resources;
    await this.#openDiscovery();
    if (this.#closing !== undefined) return problems;
    await this.#applySecrets();
    this.#staticClusters.set(resources.clusters);
    this.#discovery?.start();
    this.#applyRuntime();
    await this.#clusters.initialized();
    await this.#discovery?.dynamic.update();
    await this.#clusters.initialized();
    await this.#applyClusters();
    const failures = await this.#setListeners();
    await this.#listeners.initialized();
    await this.#listeners.flushed();
    // Clusters go last: routes may lead to them until now, and those of connections that drain for longer.
    this.#staticClusters.retire(resources.clusters, this.#listeners.isDraining ? this.#drainTimeMs : 0);
    await this.#applyClusters();
    this.#pruneSecrets();
    return [...problems, ...Array.from(failures, ([name, error]) => this.#listenFailure(name, error))];
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
    this.#clock.setTimer(this.#drainTimeMs, () => void this.close());
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
    this.#staticClusters.close();
    // First: what the others let go of is of no use to workers that end.
    this.#secrets.close();
    this.#discovery?.dynamic.close();
    this.#listeners.close();
    await this.#fleet?.close();
    this.#clusters.close();
    this.#discovery?.close();
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
      const [{ AdminServer }, { adminSources }] = await Promise.all([
        import('../admin/admin-server.ts'),
        import('./admin-sources.ts'),
      ]);
      this.#admin = new AdminServer({
        sources: adminSources(this.#administered()),
        clock: this.#clock,
        scope: this.#stats,
        onError: (path, error) =>
          log.error('admin', `${path}: ${error instanceof Error ? error.stack : String(error)}`),
      });
      if (address !== undefined) await this.#admin.listen(address);
      // Before anything is waited for: whoever looks there wants to see what the server waits for, too.
      if (options.adminAddressPath !== '') this.#admin.writeAddressFile(options.adminAddressPath);
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
          ...(bootstrap.node?.metadata !== undefined && { metadata: bootstrap.node.metadata }),
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
    this.#applyRuntime();
  }

  /** Clusters first, those of the bootstrap, then discovered ones; then listeners of both kinds: all as in Envoy. */
  async #initialize(): Promise<readonly Problem[]> {
    const { log } = this.#start;
    await this.#openDiscovery();
    if (this.#closing !== undefined) return [];
    const { dynamic } = this.#discovery ?? {};
    await this.#applySecrets();
    const runtime = dynamic?.startRuntime();
    this.#staticClusters.set(this.#resources.clusters);
    // What is subscribed to by now is asked for in this order: the runtime gates what follows.
    this.#discovery?.start();
    await runtime;
    await this.#clusters.initialized();
    await dynamic?.startClusters();
    await this.#clusters.initialized();
    await this.#applyClusters();
    if (this.#closing !== undefined) return [];
    this.#setState('INITIALIZING');
    await Promise.all([dynamic?.startListeners(), this.#setListeners()]);
    await this.#listeners.initialized();
    if (this.#closing !== undefined) return [];
    const failures = await this.#listeners.start();
    const fatal = this.#resources.listeners.filter(({ model }) => failures.has(model.name));
    if (fatal.length > 0) return fatal.map(({ model }) => this.#listenFailure(model.name, failures.get(model.name)!));
    for (const [name, error] of failures) log.error('config', `listener '${name}': ${error}`);
    this.#listenerStats.set(LISTENERS.workers_started, 1);
    if (this.#state === 'INITIALIZING') this.#setState('LIVE');
    this.#serverStats.recordInitialization();
    this.#aggregator.start();
    log.info('main', 'starting main dispatch loop');
    return [];
  }

  /** Loads what asks control planes, once something in the configuration does. */
  async #openDiscovery(): Promise<void> {
    const resources = this.#resources;
    if (this.#discovery !== undefined) return;
    if (!usesDiscovery(this.#loaded, resources) && resources.loadStats === undefined) return;
    const { Discovery } = await import('./discovery.ts');
    const { log } = this.#start;
    this.#discovery = new Discovery({
      loaded: () => this.#loaded,
      resources,
      random: new SystemRandom(),
      secretSources: () => this.#resources.secretSources,
      filters: this.#filters,
      ticketSeed: this.#ticketSeed,
      clock: this.#clock,
      stats: this.#stats,
      log,
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
    // A configuration that came later may have used the secrets before.
    const { secrets } = this.#fleet?.snapshot.whole() ?? {};
    if (secrets !== undefined) this.#discovery.applySecrets(secrets);
  }

  /** Everything that a listener uses: what is discovered, and secrets. */
  #claim(built: BuiltListener, onReady: () => void): CompoundClaim {
    const claim = new CompoundClaim(onReady);
    this.#discovery?.dynamic.claim(built, claim);
    const secrets = listenerSecretNames(built.model);
    if (secrets.length > 0) claim.add((onThere) => this.#claimSecrets(secrets, onThere));
    return claim;
  }

  #claimSecrets(names: readonly string[], onReady: () => void): SecretClaim {
    const { secretSources } = this.#resources;
    return this.#secrets.claim(
      names.flatMap((name) => secretSources.find(name) ?? []),
      onReady,
    );
  }

  #administered(): AdministeredServer {
    return {
      clock: this.#clock,
      options: this.#start.options,
      concurrency: this.#concurrency,
      log: this.#start.log,
      aggregator: this.#aggregator,
      clusters: this.#clusters,
      listeners: this.#listeners,
      secrets: this.#secrets,
      loaded: () => this.#loaded,
      loadedMs: () => this.#loadedMs,
      fleet: () => this.#fleet,
      dynamic: () => this.#discovery?.dynamic,
      certificates: () => this.#certificateReport,
      shownState: () => (this.#healthCheckFailing ? 'DRAINING' : this.#state),
      isInitializing: () => this.#state === 'PRE_INITIALIZING' || this.#state === 'INITIALIZING',
      uptimeMs: () => this.#serverStats.uptimeMs,
      reopenLogs: () => this.reopenLogs(),
      applyRuntime: () => this.#applyRuntime(),
      lifecycle: this.#lifecycle(),
    };
  }

  #lifecycle(): LifecycleControl {
    return {
      failHealthChecks: (fail) => {
        this.#healthCheckFailing = fail;
        this.#setState(this.#state);
        this.#fleet?.setHealthCheckFailing(fail);
      },
      drainListeners: (request) => {
        if (this.#fleet === undefined) return 'the workers have not been started yet';
        void drainListeners(request, this.#fleet, this.#listenerStats, this.#clock, this.#drainTimeMs);
        return undefined;
      },
      quit: () => void this.close(),
    };
  }

  async #applyClusters(): Promise<void> {
    const delta = this.#clusters.takeDelta();
    if (delta !== undefined) await this.#fleet?.apply(delta);
  }

  /** Hands the workers what clusters and listeners will use by name. */
  async #applySecrets(): Promise<void> {
    const { secrets: declared, secretSources } = this.#resources;
    const secrets = await this.#secrets.update(declared, secretSources.adopted);
    this.#certificates = undefined;
    this.#discovery?.applySecrets(secrets);
    if (secrets.set.length > 0) await this.#fleet?.apply({ secrets });
  }

  /** Secrets go after the clusters that used them; listeners have let go of them by then. */
  #pruneSecrets(): void {
    if (this.#staticClusters.isRetiring) return;
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

  get #drainTimeMs(): number {
    return this.#start.options.drainTimeSeconds * 1000;
  }

  #setState(state: ServerStateName): void {
    this.#state = state;
    this.#serverStats.setState(state, this.#healthCheckFailing);
  }
}
