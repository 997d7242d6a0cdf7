import type { ResourceWatcher, XdsWatch } from './resource-update.ts';

/**
 * The client's side of one xDS stream as a state machine: no I/O, messages in and messages out. SotwMux and DeltaMux
 * implement it for the two variants of the protocol; a transport drives it, stream after stream, and the state that
 * has to outlive a stream (versions, subscriptions) stays in it.
 */
export interface XdsMux<Request, Response> {
  /**
   * Declares interest in resources of a type; `names` undefined: in all. Requests that follow from it leave at the end
   * of the present job of the event loop, or before the acknowledgement of the response that is being processed.
   */
  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch;
  /**
   * A stream is open: everything is asked for anew, with the versions that are held. `newServer`: it leads to another
   * control plane than the last one did, whose versions mean nothing to this one.
   */
  onStreamOpen(send: (request: Request) => void, newServer?: boolean): void;
  onResponse(response: Response): void;
  /**
   * From now on, requests of this type stay here; what was received is acknowledged later, when it is released. Idempotent.
   */
  hold(typeUrl: string): void;
  /** Sends what was held. */
  release(typeUrl: string): void;
  /** The stream is gone. What was received stays. */
  onStreamClosed(): void;
  /** Ends all timers. */
  close(): void;
}
