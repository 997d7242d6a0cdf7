import type { AddressModel } from '../../config/common-model.ts';
import type { ListenerModel } from '../../config/listener-model.ts';
import type { ResourceDelta } from '../../config/snapshot.ts';
import { Timer } from '../../lib/timer-wheel.ts';
import type { WorkerContext } from '../worker-context.ts';
import { Listener, type ListenerOptions } from './listener.ts';
import { PendingHandshakes } from './pending-handshakes.ts';

/** What became of a listener: its addresses, or why it could not be opened. */
export interface ListenerOutcome {
  readonly name: string;
  readonly addresses: readonly AddressModel[];
  readonly error: string | undefined;
}

/** The listeners of one worker by name, and those that drain. */
export class ListenerSet {
  readonly #worker: WorkerContext;
  readonly #options: ListenerOptions;
  readonly #active = new Map<string, Listener>();
  readonly #draining = new Set<Listener>();
  /** Made when first asked for. */
  #byAddress: Map<string, Listener> | undefined = undefined;

  constructor(worker: WorkerContext, options: ListenerOptions) {
    this.#worker = worker;
    this.#options = {
      handshakes: new PendingHandshakes(worker.runtime),
      findListener: (ip, port) => this.find(ip, port),
      ...options,
    };
  }

  /**
   * Takes over the changed listeners. One whose addresses stay keeps its sockets; another is opened anew first, and its
   * predecessor drains. `bound` has the addresses that another worker got for a listener already (port 0).
   */
  async apply(
    { set, remove }: ResourceDelta<ListenerModel>,
    bound: Readonly<Record<string, readonly AddressModel[]>>,
  ): Promise<readonly ListenerOutcome[]> {
    for (const name of remove) this.#retire(name);
    const outcomes = await Promise.all(set.map((model) => this.#set(model, bound[model.name])));
    this.#byAddress = undefined;
    return outcomes;
  }

  /**
   * The listener of connections that were going to this address before they were redirected to another one: that of
   * the very address, else that of its port on all addresses.
   */
  find(ip: string, port: number): Listener | undefined {
    const byAddress = (this.#byAddress ??= this.#indexAddresses());
    const any = ip.includes(':') ? '::' : '0.0.0.0';
    return (
      byAddress.get(`${ip} ${port}`) ??
      byAddress.get(`${any} ${port}`) ??
      (ip.includes(':') ? undefined : byAddress.get(`compat ${port}`))
    );
  }

  #indexAddresses(): Map<string, Listener> {
    const byAddress = new Map<string, Listener>();
    for (const listener of this.#active.values()) {
      const { model, addresses } = listener;
      for (const address of addresses.length > 0 ? addresses : [model.address, ...model.additionalAddresses]) {
        if (address.kind !== 'socket') continue;
        byAddress.set(`${address.host} ${address.port}`, listener);
        if (address.host === '::' && address.ipv4Compat) byAddress.set(`compat ${address.port}`, listener);
      }
    }
    return byAddress;
  }

  get active(): Iterable<Listener> {
    return this.#active.values();
  }

  /** All connections, those of listeners that drain included. */
  get connectionCount(): number {
    let count = 0;
    for (const listener of [...this.#active.values(), ...this.#draining]) count += listener.connectionCount;
    return count;
  }

  /** Ends everything now. */
  async close(): Promise<void> {
    await Promise.all([...this.#active.values(), ...this.#draining].map((listener) => listener.close()));
  }

  async #set(model: ListenerModel, bound: readonly AddressModel[] | undefined): Promise<ListenerOutcome> {
    const { name } = model;
    const former = this.#active.get(name);
    try {
      if (former !== undefined && sameAddresses(former.model, model)) {
        former.update(model);
        return { name, addresses: former.addresses, error: undefined };
      }
      const listener = new Listener(model, this.#worker, this.#options);
      await listener.listen(bound);
      if (former !== undefined) this.#retire(name);
      this.#active.set(name, listener);
      return { name, addresses: listener.addresses, error: undefined };
    } catch (error) {
      return { name, addresses: [], error: error instanceof Error ? error.message : String(error) };
    }
  }

  #retire(name: string): void {
    const listener = this.#active.get(name);
    if (listener === undefined) return;
    this.#active.delete(name);
    this.#byAddress = undefined;
    this.#draining.add(listener);
    void listener.stopAccepting();
    listener.drainConnections();
    // What is left after the drain time has had its chance.
    const end = new Timer({
      onTimer: () => {
        this.#draining.delete(listener);
        void listener.close();
      },
    });
    this.#worker.dispatcher.arm(end, listener.drain.drainTimeMs);
    for (const each of this.#draining) if (each.connectionCount === 0) this.#draining.delete(each);
  }
}

/** What a socket is opened with: a change of it needs a new socket. */
const socketOf = ({
  address,
  additionalAddresses,
  reusePort,
  backlog,
  bindToPort,
  transparent,
  keepAlive,
  statPrefix,
}: ListenerModel): string =>
  JSON.stringify([address, additionalAddresses, reusePort, backlog, bindToPort, transparent, keepAlive, statPrefix]);

const sameAddresses = (a: ListenerModel, b: ListenerModel): boolean => socketOf(a) === socketOf(b);
