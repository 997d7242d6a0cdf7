import type { Dispatcher } from '../dispatcher.ts';
import type { Logger } from '../worker-context.ts';
import type { SecretSet } from './secret-set.ts';

/** What TLS transport sockets need of their worker; a WorkerContext has it all. */
export interface TlsEnvironment {
  /** Of the worker; what is the same on all of them is told by the first. -1: the main thread, beside them. */
  readonly index: number;
  readonly dispatcher: Dispatcher;
  readonly secrets: SecretSet;
  readonly log: Logger;
}
