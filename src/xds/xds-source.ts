import type { ResourceWatcher, XdsWatch } from './resource-update.ts';

/** Where resources come from: a stream of a control plane, one that is polled, or a file. */
export interface XdsSource {
  /**
   * Declares interest in resources of a type; `names` undefined: in all. Updates come later, never inside of the call.
   */
  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch;
  /** Ends it and whatever it holds open. Idempotent. */
  close(): void;
}
