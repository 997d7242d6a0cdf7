import type { HostStats } from '../../config/cluster-status-model.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';

/**
 * The layout of one host's cells in SharedCells: health flags, then 64-bit counters (two cells each), then what is in
 * flight on all workers, then the same for each lane. Read by `/clusters` and least-request, written by the workers.
 */
export const HOST_CELLS = {
  health: 0,
  cxConnectFail: 1,
  cxTotal: 3,
  rqError: 5,
  rqSuccess: 7,
  rqTimeout: 9,
  rqTotal: 11,
  cxActive: 13,
  rqActive: 14,
  rqPendingActive: 15,
} as const;

const FIRST_LANE = 16;
/** Offsets within a lane: cxActive, rqActive, rqPendingActive. */
const LANE = 3;

/** Why a host is not fully healthy; bits of its `health` cell, as Envoy's HealthFlag. */
export const HostHealthFlag = {
  failedActiveHc: 0x01,
  failedOutlierCheck: 0x02,
  failedEdsHealth: 0x04,
  degradedActiveHc: 0x08,
  degradedEdsHealth: 0x10,
  pendingDynamicRemoval: 0x20,
  pendingActiveHc: 0x40,
  excludedViaImmediateHcFail: 0x80,
  edsStatusDraining: 0x200,
} as const;

/** Any of these makes a host unhealthy; any of the other two `degraded*` makes it degraded. */
export const UNHEALTHY_FLAGS =
  HostHealthFlag.failedActiveHc | HostHealthFlag.failedOutlierCheck | HostHealthFlag.failedEdsHealth;
export const DEGRADED_FLAGS = HostHealthFlag.degradedActiveHc | HostHealthFlag.degradedEdsHealth;
/** A host with one of these counts neither as healthy nor as unhealthy in its priority's health. */
export const EXCLUDED_FLAGS = HostHealthFlag.pendingActiveHc | HostHealthFlag.excludedViaImmediateHcFail;

export function hostCellCount(lanes: number): number {
  return FIRST_LANE + lanes * LANE;
}

/** The lane's own cell for one of the three counts of things in flight. */
export function hostLaneCell(slot: number, lane: number, cell: 'cxActive' | 'rqActive' | 'rqPendingActive'): number {
  return slot + FIRST_LANE + lane * LANE + (HOST_CELLS[cell] - HOST_CELLS.cxActive);
}

/** Main thread: a worker died with connections and requests in flight. */
export function settleHostLane(shared: SharedCells, slot: number, lane: number): void {
  for (let i = 0; i < LANE; i++) shared.settle(slot + HOST_CELLS.cxActive + i, slot + FIRST_LANE + lane * LANE + i);
}

/** One host's numbers, for `/clusters`. */
export function readHostStats(shared: SharedCells, slot: number): HostStats {
  return {
    cxActive: shared.load(slot + HOST_CELLS.cxActive),
    cxConnectFail: shared.counted(slot + HOST_CELLS.cxConnectFail),
    cxTotal: shared.counted(slot + HOST_CELLS.cxTotal),
    rqActive: shared.load(slot + HOST_CELLS.rqActive),
    rqError: shared.counted(slot + HOST_CELLS.rqError),
    rqPendingActive: shared.load(slot + HOST_CELLS.rqPendingActive),
    rqSuccess: shared.counted(slot + HOST_CELLS.rqSuccess),
    rqTimeout: shared.counted(slot + HOST_CELLS.rqTimeout),
    rqTotal: shared.counted(slot + HOST_CELLS.rqTotal),
  };
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [HostHealthFlag.failedActiveHc, '/failed_active_hc'],
  [HostHealthFlag.failedOutlierCheck, '/failed_outlier_check'],
  [HostHealthFlag.failedEdsHealth, '/failed_eds_health'],
  [HostHealthFlag.degradedActiveHc, '/degraded_active_hc'],
  [HostHealthFlag.degradedEdsHealth, '/degraded_eds_health'],
  [HostHealthFlag.pendingDynamicRemoval, '/pending_dynamic_removal'],
  [HostHealthFlag.pendingActiveHc, '/pending_active_hc'],
  [HostHealthFlag.excludedViaImmediateHcFail, '/excluded_via_immediate_hc_fail'],
  [HostHealthFlag.edsStatusDraining, '/eds_status_draining'],
];

/** `healthy`, or the set flags as `/clusters` prints them. */
export function formatHealthFlags(flags: number): string {
  let text = '';
  for (const [flag, name] of FLAG_NAMES) if ((flags & flag) !== 0) text += name;
  return text === '' ? 'healthy' : text;
}
