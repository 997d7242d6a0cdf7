import type { UpstreamHost } from '../host.ts';
import { EdfScheduler } from './edf-scheduler.ts';
import type { HostPicker } from './host-picker.ts';
import { weightsAreEqual } from './weights.ts';

/** ROUND_ROBIN: plain rotation while all weights are equal, else by earliest deadline. Starts `seed` steps in. */
export class RoundRobinPicker implements HostPicker {
  readonly #hosts: readonly UpstreamHost[];
  readonly #weighted: EdfScheduler<UpstreamHost> | undefined;
  #next: number;

  constructor(hosts: readonly UpstreamHost[], seed: number) {
    this.#hosts = hosts;
    this.#next = seed % hosts.length;
    if (weightsAreEqual(hosts)) return;
    this.#weighted = new EdfScheduler(hosts, (host) => host.weight);
    for (let i = 0; i < this.#next; i++) this.#weighted.pick();
  }

  pick(): UpstreamHost {
    if (this.#weighted !== undefined) return this.#weighted.pick()!;
    const host = this.#hosts[this.#next]!;
    this.#next = this.#next + 1 === this.#hosts.length ? 0 : this.#next + 1;
    return host;
  }
}
