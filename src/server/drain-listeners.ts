import type { DrainRequest } from '../admin/sources.ts';
import type { Clock } from '../lib/clock.ts';
import { LISTENER_MANAGER_STATS } from '../telemetry/stats/server-stats.ts';
import type { StatBlock } from '../telemetry/stats/stats.ts';
import type { WorkerFleet } from '../worker/worker-fleet.ts';

/**
 * POST /drain_listeners: stops listeners now, or after the drain time with `graceful`, asking connections to end until
 * then. `stats`: LISTENER_MANAGER_STATS.
 */
export async function drainListeners(
  { graceful, inboundOnly, skipExit }: DrainRequest,
  fleet: WorkerFleet,
  stats: StatBlock,
  clock: Clock,
  drainTimeMs: number,
): Promise<void> {
  const count = Object.keys(fleet.bound).length;
  const stop = async (): Promise<void> => {
    await fleet.drain({ inboundOnly, graceful: false, stop: false });
    stats.add(LISTENER_MANAGER_STATS.at.listener_stopped, count);
  };
  if (!graceful) return stop();
  await fleet.drain({ inboundOnly, graceful: true, stop: false });
  if (!skipExit) clock.setTimer(drainTimeMs, () => void stop());
}
