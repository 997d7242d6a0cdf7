import type { SecretModel } from '../config/secret-model.ts';
import type { DeclaredSecret } from '../config/secrets/declared-secret.ts';

/** A use of secrets, until it is closed. */
export interface SecretClaim {
  /** All of them have come, or are not worth waiting for any more; `onReady` won't be called then. */
  readonly isReady: boolean;
  /** What it still waits for, for people. */
  readonly waitingFor: readonly string[];
  /** Idempotent. */
  close(): void;
}

/** What claims look at of a secret. */
export interface ClaimedSecret {
  readonly declared: DeclaredSecret;
  readonly model: SecretModel | undefined;
  /** How many claims there are. */
  claims: number;
  /** False: it may still come for the first time. */
  isSettled: boolean;
  /** Called when that changes. */
  readonly waiting: Set<() => void>;
}

/** See `SecretStore.claim`. */
export class EntriesClaim implements SecretClaim {
  readonly #entries: readonly ClaimedSecret[];
  readonly #onReady: () => void;
  readonly #onClose: () => void;
  #isNotified: boolean;
  #isClosed = false;

  constructor(entries: readonly ClaimedSecret[], onReady: () => void, onClose: () => void) {
    this.#entries = entries;
    this.#onReady = onReady;
    this.#onClose = onClose;
    this.#isNotified = this.isReady;
    for (const entry of entries) {
      entry.claims++;
      if (!this.#isNotified) entry.waiting.add(this.#look);
    }
  }

  get isReady(): boolean {
    return this.#entries.every(isThere);
  }

  get waitingFor(): readonly string[] {
    return this.#entries.filter((entry) => !isThere(entry)).map(({ declared }) => describeSecret(declared));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const entry of this.#entries) {
      entry.claims--;
      entry.waiting.delete(this.#look);
    }
    this.#onClose();
  }

  readonly #look = (): void => {
    if (this.#isClosed || this.#isNotified || !this.isReady) return;
    this.#isNotified = true;
    queueMicrotask(() => {
      if (!this.#isClosed) this.#onReady();
    });
  };
}

/** It has come, or is not worth waiting for. */
function isThere({ isSettled, model }: ClaimedSecret): boolean {
  return isSettled || model !== undefined;
}

/** A first value needn't be waited for any more. */
export function settle(entry: ClaimedSecret): void {
  entry.isSettled = true;
  for (const look of entry.waiting) look();
  entry.waiting.clear();
}

/** For people. */
export function describeSecret({ subscription, directories, name }: DeclaredSecret): string {
  if (subscription !== undefined) return `the secret '${subscription.resource}'`;
  const kind = name.split(':')[1] ?? 'secret';
  return directories.length === 0 ? `the ${kind}` : `the ${kind} in ${directories.join(', ')}`;
}
