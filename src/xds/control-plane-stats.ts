import { CONTROL_PLANE_STATS } from '../telemetry/stats/subscription-stats.ts';
import type { StatBlock, StatsScope, TextReadout } from '../telemetry/stats/stats.ts';

const AT = CONTROL_PLANE_STATS.at;

/** `control_plane.` of one stream, below the scope that it is given. */
export class ControlPlaneStats {
  readonly #block: StatBlock;
  readonly #identifier: TextReadout;
  #pending = false;

  constructor(scope: StatsScope) {
    this.#block = scope.block(CONTROL_PLANE_STATS, 'control_plane.');
    this.#identifier = scope.textReadout('control_plane.identifier');
  }

  /** 0 = not at all, 1 = to the first service of the list, 2 = to the second. */
  connected(state: number): void {
    this.#block.set(AT.connected_state, state);
  }

  rateLimited(): void {
    this.#block.inc(AT.rate_limit_enforced);
  }

  /** A stat that was never anything but 0 stays unused. */
  pending(count: number): void {
    if (count === 0 && !this.#pending) return;
    this.#pending = true;
    this.#block.set(AT.pending_requests, count);
  }

  identifier(text: string): void {
    this.#identifier.set(text);
  }
}
