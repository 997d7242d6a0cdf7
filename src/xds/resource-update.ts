/** One resource as a control plane sent it. */
export interface XdsResource {
  readonly name: string;
  /** Of the resource itself (delta), or of the response that it came in. */
  readonly version: string;
  /** The serialised message of the type that is watched. */
  readonly value: Uint8Array;
}

/** What has changed for one watcher. */
export interface ResourceUpdate {
  /** Of the response: `version_info`, or `system_version_info` of a delta. */
  readonly version: string;
  readonly set: readonly XdsResource[];
  /** Names of resources that are gone: left out of the whole state, removed by a delta, or past their time to live. */
  readonly removed: readonly string[];
}

/** An error text, '' if there is nothing to complain about. */
export type Verdict = string | Promise<string>;

/**
 * Who wants resources of one type. An error text refuses the update (NACK); what was good in it may have been applied.
 * Watches may be opened and closed from inside.
 */
export interface ResourceWatcher {
  /** Sources that are polled, and files, are about to be read. */
  onAttempt?(): void;
  /** '' = accepted. A promise holds up whatever else the source sends until it settles. */
  onUpdate(update: ResourceUpdate): Verdict;
  /**
   * A response of this type was refused, for this watcher's own verdict, another's, or because it made no sense as a
   * whole. Called after `onUpdate`, if that was called at all.
   */
  onRejected?(error: string): void;
  /** The stream is gone or was never there; what was received stays. It is tried again. */
  onConnectionFailure?(): void;
  /** A file can't be read, which nothing but its change will mend; what was received stays. */
  onUnreadable?(error: string): void;
}

/** An interest in resources of one type. */
export interface XdsWatch {
  /** Replaces the names. Not for wildcards. */
  setNames(names: readonly string[]): void;
  /** Idempotent. */
  close(): void;
}
