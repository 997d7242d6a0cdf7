import type { ResourceUpdate, ResourceWatcher, Verdict } from './resource-update.ts';

/** Hands a watcher an update. One that throws is a bug of ours; it costs the update, not its source. */
export function deliverUpdate(watcher: ResourceWatcher, update: ResourceUpdate): Verdict {
  try {
    const verdict = watcher.onUpdate(update);
    return typeof verdict === 'string' ? verdict : verdict.catch(describe);
  } catch (error) {
    return describe(error);
  }
}

function describe(error: unknown): string {
  return `internal error: ${error instanceof Error ? error.message : String(error)}`;
}
