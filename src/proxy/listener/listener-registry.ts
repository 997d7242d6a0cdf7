import type { AddressModel } from '../../config/common-model.ts';
import type { ListenerModel } from '../../config/listener-model.ts';
import type { SnapshotDelta } from '../../config/snapshot.ts';
import type { Clock, ClockTimer } from '../../lib/clock.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';
import { LISTENER_MANAGER_STATS } from '../../telemetry/stats/server-stats.ts';
import type { StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import { connectionCellCount } from './connection-limit.ts';
import type { ListenerOutcome } from './listener-set.ts';
import { addressesOf, isInPlaceUpdate, modelText, sharedAddress } from './listener-comparison.ts';

const AT = LISTENER_MANAGER_STATS.at;

/** What a listener is made from: its model, and whatever else its source wants to find again. */
export interface ListenerSpec {
  readonly model: ListenerModel;
}

/** What a version of a listener uses besides its model (route configurations, secrets), until it is closed. */
export interface ListenerClaim {
  /** Everything is there; `onReady` won't be called. */
  readonly isReady: boolean;
  /** What is served in place of the spec's model; absent: that. Asked when it is ready, and when it is refreshed. */
  readonly model?: ListenerModel | undefined;
  /** What it still waits for, for people. */
  readonly waitingFor: readonly string[];
  /** Idempotent. */
  close(): void;
}

export interface ListenerRegistryOptions<Spec extends ListenerSpec> {
  readonly clock: Clock;
  readonly stats: StatsScope;
  readonly shared: SharedCells;
  /** Fills in the shared cells that a listener's network filters count in. */
  assignSlots(model: ListenerModel): ListenerModel;
  /** How many workers open each listener. */
  readonly workers: number;
  readonly drainTimeMs: number;
  /** See `checkBind`. */
  checkBind(model: ListenerModel, held: readonly AddressModel[]): Promise<string>;
  /** Hands a delta to the workers. */
  apply(delta: SnapshotDelta): Promise<readonly ListenerOutcome[]>;
  /** Begins to fetch what a listener needs. `onReady` is called once, never inside of the call. */
  claim(spec: Spec, onReady: () => void): ListenerClaim;
  /** A version that had to wait could not be opened. */
  onFailure(name: string, error: string): void;
}

/** One version of a listener. */
export interface ListenerRevision<Spec extends ListenerSpec> {
  readonly spec: Spec;
  /** '' for static ones. */
  readonly versionInfo: string;
  /** ms since the epoch. */
  readonly lastUpdatedMs: number;
}

interface Revision<Spec extends ListenerSpec> extends ListenerRevision<Spec> {
  readonly text: string;
  readonly claim: ListenerClaim;
  isReady: boolean;
  /** The workers are opening it. */
  isInFlight: boolean;
  /** Told what became of it when the workers have it; undefined: nobody waits any more. */
  settle: ((error: string) => void) | undefined;
}

/** All versions of one listener, for those who show them. */
export interface ListenerStates<Spec extends ListenerSpec> {
  readonly name: string;
  readonly viaApi: boolean;
  readonly active: ListenerRevision<Spec> | undefined;
  readonly warming: ListenerRevision<Spec> | undefined;
  readonly draining: ListenerRevision<Spec> | undefined;
}

interface Entry<Spec extends ListenerSpec> {
  readonly name: string;
  readonly viaApi: boolean;
  active: Revision<Spec> | undefined;
  warming: Revision<Spec> | undefined;
  isRemoved: boolean;
}

interface Draining<Spec extends ListenerSpec> {
  readonly name: string;
  readonly revision: Revision<Spec>;
  /** Its sockets are another listener's now. */
  readonly inPlace: boolean;
  readonly timer: ClockTimer;
}

/**
 * All listeners on the control thread (Envoy's listener manager). A new or changed listener warms until what it needs
 * is there; until then its predecessor serves. What was replaced or removed drains, and holds on to what it uses until
 * then. Before `start` nothing is opened.
 */
export class ListenerRegistry<Spec extends ListenerSpec> {
  readonly #options: ListenerRegistryOptions<Spec>;
  readonly #stats: StatBlock;
  readonly #entries = new Map<string, Entry<Spec>>();
  readonly #draining = new Set<Draining<Spec>>();
  /** Where the connections of each listener are counted; kept by name, since one that was removed still drains. */
  readonly #slots = new Map<string, number>();
  readonly #removed = new Set<string>();
  #started = false;
  #closed = false;
  #flushing: Promise<void> = Promise.resolve();
  #checking: Promise<unknown> = Promise.resolve();
  #isFlushScheduled = false;
  #waiting: (() => void)[] = [];

  constructor(options: ListenerRegistryOptions<Spec>) {
    this.#options = options;
    this.#stats = options.stats.block(LISTENER_MANAGER_STATS, 'listener_manager.');
  }

  /** First cells of the connection counts of all listeners there ever were. */
  get connectionSlots(): Iterable<number> {
    return this.#slots.values();
  }

  /** The specs that serve, or will when they have warmed. */
  *specs(): Generator<Spec, void, void> {
    for (const { active, warming } of this.#entries.values()) {
      if (active !== undefined) yield active.spec;
      if (warming !== undefined) yield warming.spec;
    }
    for (const { revision } of this.#draining) yield revision.spec;
  }

  /** Active ones, warming ones and those that drain, by listener; before `start` what will be opened is active. */
  *states(): Generator<ListenerStates<Spec>, void, void> {
    const shown = new Set<string>();
    for (const { name, viaApi, active, warming } of this.#entries.values()) {
      shown.add(name);
      const draining = this.#drainingOf(name);
      if (this.#started || active !== undefined) yield { name, viaApi, active, warming, draining };
      else yield { name, viaApi, active: warming, warming: undefined, draining };
    }
    for (const { name } of this.#draining) {
      if (shown.has(name)) continue;
      shown.add(name);
      yield { name, viaApi: true, active: undefined, warming: undefined, draining: this.#drainingOf(name) };
    }
  }

  /** What keeps listeners from being opened. */
  *waitingFor(): Generator<string, void, void> {
    for (const { warming } of this.#entries.values())
      if (warming !== undefined && !warming.isReady) yield* warming.claim.waitingFor;
  }

  /**
   * Adds a listener or replaces one. Resolves, when the workers have it or as soon as it has to wait for something, to
   * '' or to why it can't be had; its predecessor serves on then. What is the same as before changes nothing, and a
   * static listener is not replaced by one that is discovered.
   */
  async set(spec: Spec, versionInfo: string, viaApi: boolean): Promise<string> {
    const { model } = spec;
    const { name } = model;
    const text = modelText(spec);
    if (this.#isSame(name, text, viaApi)) return '';
    if (viaApi) {
      const error = await this.#checkAddress(model);
      // Meanwhile another may have come.
      if (this.#closed || this.#isSame(name, text, viaApi)) return '';
      const taken = sharedAddress(model, this.#models(name));
      const failure =
        taken === undefined
          ? error
          : `error adding listener: '${name}' has duplicate address '${taken}' as existing listener`;
      if (failure !== '') {
        this.#stats.inc(AT.listener_create_failure);
        return failure;
      }
    }
    return this.#add(spec, text, versionInfo, viaApi);
  }

  #isSame(name: string, text: string, viaApi: boolean): boolean {
    const entry = this.#entries.get(name);
    if (entry === undefined) return false;
    return (!entry.viaApi && viaApi) || (entry.warming ?? entry.active)?.text === text;
  }

  /** One after the other: each tries a port. What was removed lets go of its own before. */
  #checkAddress(model: ListenerModel): Promise<string> {
    const checked = this.#checking.then(async () => {
      if (sharedAddress(model, this.#models(model.name)) !== undefined) return '';
      if (this.#removed.size > 0) await this.flushed();
      const { active } = this.#entries.get(model.name) ?? {};
      return this.#options.checkBind(model, active === undefined ? [] : addressesOf(active.spec.model));
    });
    this.#checking = checked;
    return checked;
  }

  #add(spec: Spec, text: string, versionInfo: string, viaApi: boolean): Promise<string> {
    const { name } = spec.model;
    const entry = this.#entries.get(name);
    const former = entry?.warming ?? entry?.active;
    const current: Entry<Spec> = entry ?? { name, viaApi, active: undefined, warming: undefined, isRemoved: false };
    if (entry === undefined) this.#entries.set(name, current);
    this.#stats.inc(former === undefined ? AT.listener_added : AT.listener_modified);
    this.#forget(current.warming);
    const claim = this.#options.claim(spec, () => this.#onReady(current, revision));
    const revision: Revision<Spec> = {
      spec,
      text,
      versionInfo,
      lastUpdatedMs: this.#options.clock.epoch(),
      claim,
      isReady: claim.isReady,
      isInFlight: false,
      settle: undefined,
    };
    current.warming = revision;
    this.#setGauges();
    if (!this.#started || !revision.isReady) return Promise.resolve('');
    const settled = new Promise<string>((resolve) => (revision.settle = resolve));
    this.#schedule();
    return settled;
  }

  /** The model of a listener's claim is another one: hands it to the workers, if the listener serves. '' or why it can't. */
  async refresh(name: string): Promise<string> {
    const active = this.#entries.get(name)?.active;
    if (active === undefined || this.#closed) return '';
    const model = this.#placed(name, active.claim.model ?? active.spec.model);
    const [outcome] = await this.#options.apply({ listeners: { set: [model], remove: [] } });
    return outcome?.error ?? '';
  }

  /** False: there is none of this name, or it is static and `viaApi` is set. */
  remove(name: string, viaApi: boolean): boolean {
    const entry = this.#entries.get(name);
    if (entry === undefined || (viaApi && !entry.viaApi)) return false;
    this.#entries.delete(name);
    entry.isRemoved = true;
    this.#forget(entry.warming);
    entry.warming = undefined;
    this.#stats.inc(AT.listener_removed);
    if (entry.active !== undefined) {
      this.#drain(name, entry.active, false);
      this.#removed.add(name);
      this.#schedule();
    }
    this.#setGauges();
    this.#wake();
    return true;
  }

  /** The names of static (or discovered) listeners. */
  names(viaApi: boolean): readonly string[] {
    return [...this.#entries.values()].filter((entry) => entry.viaApi === viaApi).map(({ name }) => name);
  }

  /** Resolves when no listener waits for anything. */
  async initialized(): Promise<void> {
    if (this.#closed || !this.#isWaiting) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Opens what is ready, and from now on each listener as soon as it is. Resolves to what could not be opened. */
  async start(): Promise<ReadonlyMap<string, string>> {
    this.#started = true;
    const failures = new Map<string, string>();
    for (const { name, warming } of this.#entries.values())
      if (warming?.isReady === true) warming.settle = (error) => error !== '' && failures.set(name, error);
    this.#schedule();
    await this.flushed();
    return failures;
  }

  /** Resolves when the workers have all that is ready now. */
  async flushed(): Promise<void> {
    while (this.#isFlushScheduled) await this.#flushing;
    await this.#flushing;
  }

  /** Some listener, or some of its filter chains, has connections that it doesn't take any more. */
  get isDraining(): boolean {
    return this.#draining.size > 0;
  }

  close(): void {
    this.#closed = true;
    for (const { timer, revision } of this.#draining) {
      timer.cancel();
      revision.claim.close();
    }
    this.#draining.clear();
    for (const { active, warming } of this.#entries.values()) {
      active?.claim.close();
      this.#forget(warming);
    }
    this.#entries.clear();
    this.#wake();
  }

  get #isWaiting(): boolean {
    for (const { warming } of this.#entries.values()) if (warming !== undefined && !warming.isReady) return true;
    return false;
  }

  *#models(except: string): Generator<ListenerModel, void, void> {
    for (const { name, active, warming } of this.#entries.values()) {
      const revision = warming ?? active;
      if (name !== except && revision !== undefined) yield revision.spec.model;
    }
  }

  #drainingOf(name: string): Revision<Spec> | undefined {
    for (const draining of this.#draining) if (draining.name === name && !draining.inPlace) return draining.revision;
    return undefined;
  }

  #onReady(entry: Entry<Spec>, revision: Revision<Spec>): void {
    if (this.#closed || entry.warming !== revision) return;
    revision.isReady = true;
    if (this.#started) this.#schedule();
    this.#wake();
  }

  #wake(): void {
    if (!this.#closed && this.#isWaiting) return;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** What becomes ready in one job of the event loop goes to the workers together. */
  #schedule(): void {
    if (this.#isFlushScheduled || this.#closed) return;
    this.#isFlushScheduled = true;
    this.#flushing = this.#flushing.then(() => this.#flush());
  }

  async #flush(): Promise<void> {
    this.#isFlushScheduled = false;
    if (this.#closed) return;
    const remove = [...this.#removed];
    this.#removed.clear();
    const ready = [...this.#entries.values()].flatMap((entry) =>
      entry.warming?.isReady === true ? [[entry, entry.warming] as const] : [],
    );
    if (ready.length === 0 && remove.length === 0) return;
    for (const [, revision] of ready) revision.isInFlight = true;
    const set = ready.map(([{ name }, { spec, claim }]) => this.#placed(name, claim.model ?? spec.model));
    const errors = new Map<string, string>();
    try {
      for (const { name, error } of await this.#options.apply({ listeners: { set, remove } }))
        if (error !== undefined) errors.set(name, error);
    } catch (error) {
      for (const [{ name }] of ready) errors.set(name, error instanceof Error ? error.message : String(error));
    }
    for (const [entry, revision] of ready) this.#conclude(entry, revision, errors.get(entry.name));
    this.#setGauges();
  }

  #placed(name: string, model: ListenerModel): ListenerModel {
    const { shared } = this.#options;
    let connectionSlot = this.#slots.get(name);
    if (connectionSlot === undefined) {
      connectionSlot = shared.allocate(connectionCellCount(shared.lanes));
      this.#slots.set(name, connectionSlot);
    }
    return { ...this.#options.assignSlots(model), connectionSlot };
  }

  #conclude(entry: Entry<Spec>, revision: Revision<Spec>, error: string | undefined): void {
    const { settle } = revision;
    revision.isInFlight = false;
    // While the workers were at it, another version may have come, or the listener may have gone.
    if (entry.warming === revision) entry.warming = undefined;
    if (error !== undefined) {
      this.#stats.inc(AT.listener_create_failure);
      revision.claim.close();
      if (entry.active === undefined && entry.warming === undefined && !entry.isRemoved)
        this.#entries.delete(entry.name);
      if (settle === undefined) this.#options.onFailure(entry.name, error);
      settle?.(error);
      return;
    }
    this.#stats.add(AT.listener_create_success, Math.max(1, this.#options.workers));
    const former = entry.active;
    if (former !== undefined) {
      const inPlace = isInPlaceUpdate(former.spec.model, revision.spec.model);
      if (inPlace) this.#stats.inc(AT.listener_in_place_updated);
      this.#drain(entry.name, former, inPlace);
    }
    entry.active = revision;
    if (entry.isRemoved) {
      // It went while the workers opened it.
      this.#drain(entry.name, revision, false);
      this.#removed.add(entry.name);
      this.#schedule();
    }
    settle?.('');
  }

  /** What a version uses stays until its connections have had their time. */
  #drain(name: string, revision: Revision<Spec>, inPlace: boolean): void {
    const timer = this.#options.clock.setTimer(this.#options.drainTimeMs, () => {
      this.#draining.delete(draining);
      revision.claim.close();
      this.#setGauges();
    });
    const draining: Draining<Spec> = { name, revision, inPlace, timer };
    this.#draining.add(draining);
  }

  /** A version that another one came before, or its removal. If the workers are opening it, it will drain. */
  #forget(revision: Revision<Spec> | undefined): void {
    if (revision === undefined) return;
    if (!revision.isInFlight) revision.claim.close();
    revision.settle?.('');
  }

  #setGauges(): void {
    let active = 0;
    let warming = 0;
    for (const entry of this.#entries.values()) {
      if (entry.active !== undefined || !this.#started) active++;
      if (entry.warming !== undefined && this.#started) warming++;
    }
    let draining = 0;
    for (const { inPlace } of this.#draining) if (!inPlace) draining++;
    this.#stats.set(AT.total_listeners_active, active);
    this.#stats.set(AT.total_listeners_warming, warming);
    this.#stats.set(AT.total_listeners_draining, draining);
    this.#stats.set(AT.total_filter_chains_draining, this.#draining.size - draining);
  }
}
