import type { Random } from '../../../lib/random.ts';
import type { UpstreamHost } from '../host.ts';
import type { HostPicker } from './host-picker.ts';

/** RANDOM: any host, whatever its weight, as in Envoy. */
export class RandomPicker implements HostPicker {
  readonly #hosts: readonly UpstreamHost[];
  readonly #random: Random;

  constructor(hosts: readonly UpstreamHost[], random: Random) {
    this.#hosts = hosts;
    this.#random = random;
  }

  pick(): UpstreamHost {
    return this.#hosts[this.#random.below(this.#hosts.length)]!;
  }
}
