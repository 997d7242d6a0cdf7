import type { Any } from '@bufbuild/protobuf/wkt';
import type { BuiltListener } from '../config/built-listener.ts';
import type { ListenerModel } from '../config/listener-model.ts';
import type { ListenerClaim } from '../proxy/listener/listener-registry.ts';
import type { EcdsApi, ExtensionClaim, ExtensionUser } from '../xds/ecds-api.ts';

export interface ExtendedListenerOptions {
  readonly built: BuiltListener;
  readonly ecds: EcdsApi;
  /** Everything that it waited for has come. Called once, never inside of the constructor. */
  onReady(): void;
  /** It serves, and its model is another. */
  refresh(): Promise<string>;
  /** Its filters' configs, all that came, make no listener together. */
  onFailure(error: string): void;
}

/** A listener that has filters whose configs are delivered apart: its model, as their configs come and change. */
export class ExtendedListener implements ExtensionUser, ListenerClaim {
  readonly #options: ExtendedListenerOptions;
  readonly #claims = new Map<string, ExtensionClaim>();
  #model: ListenerModel | undefined = undefined;
  #prepared: ListenerModel | undefined = undefined;
  #isReady = false;
  #hasStarted = false;
  #building: Promise<unknown> = Promise.resolve();

  constructor(options: ExtendedListenerOptions) {
    this.#options = options;
    const { built, ecds } = options;
    for (const reference of built.extensions)
      this.#claims.set(`${reference.kind} ${reference.name}`, ecds.claim(reference, this));
    if (this.#hasAll) void this.#start();
  }

  /** Undefined as long as it isn't ready. */
  get model(): ListenerModel | undefined {
    return this.#model;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get waitingFor(): readonly string[] {
    if (this.#isReady) return [];
    return [...this.#claims].filter(([, { isReady }]) => !isReady).map(([key]) => `target ECDS ${key}`);
  }

  async prepare(): Promise<string> {
    // Alone it can't be checked before the others are there.
    if (!this.#isReady) return '';
    const built = await this.#build();
    if (typeof built === 'string') return built;
    this.#prepared = built;
    return '';
  }

  async commit(): Promise<void> {
    if (this.#prepared === undefined) return;
    this.#model = this.#prepared;
    this.#prepared = undefined;
    await this.#options.refresh();
  }

  onReady(): void {
    if (this.#hasAll) void this.#start();
  }

  close(): void {
    for (const claim of this.#claims.values()) claim.close();
  }

  get #hasAll(): boolean {
    for (const { isReady } of this.#claims.values()) if (!isReady) return false;
    return true;
  }

  async #start(): Promise<void> {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    const built = await this.#build();
    if (typeof built === 'string') {
      this.#hasStarted = false;
      this.#options.onFailure(built);
      return;
    }
    this.#model = built;
    this.#isReady = true;
    this.#options.onReady();
  }

  /** One build after the other. A text: why it can't be. */
  #build(): Promise<ListenerModel | string> {
    const { built } = this.#options;
    const building = this.#building.then(async () => {
      const configOf = (key: string): Any | undefined => this.#claims.get(key)?.config;
      const lacking = [...this.#claims.keys()].filter((key) => configOf(key) === undefined);
      if (lacking.length === 0) return built.extend(({ kind, name }) => configOf(`${kind} ${name}`)!);
      const { CLOSED_FILTERS } = await import('./closed-filters.ts');
      const model = await built.extend(
        ({ kind, name }) =>
          configOf(`${kind} ${name}`) ?? (kind === 'tcp_listener_filter' ? 'drop' : CLOSED_FILTERS[kind]),
      );
      // A connection that no chain takes is closed.
      return typeof model === 'string' || !lacking.some((key) => key.startsWith('tcp_listener_filter '))
        ? model
        : { ...model, filterChains: [], defaultFilterChain: undefined };
    });
    this.#building = building.catch(() => undefined);
    return building;
  }
}
