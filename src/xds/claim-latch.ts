/** A use of something that may have to be fetched first. */
export interface LatchClaim {
  /** It has come, or nobody is to wait for it any longer; `onReady` won't be called. */
  readonly isReady: boolean;
  /** Idempotent. */
  close(): void;
}

/** The uses of one thing that is fetched while somebody uses it, and who of them waits for it. */
export class ClaimLatch {
  readonly #onUnused: () => void;
  readonly #waiting = new Set<() => void>();
  #claims = 0;
  #isReady = false;

  /** `onUnused`: the last claim was closed. */
  constructor(onUnused: () => void) {
    this.#onUnused = onUnused;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** `onReady` is called once, inside of `setReady`. */
  claim(onReady: () => void): LatchClaim {
    // Of its own: two claims may have the same function.
    const wake = (): void => onReady();
    this.#claims++;
    if (!this.#isReady) this.#waiting.add(wake);
    let closed = false;
    const isReady = (): boolean => this.#isReady;
    return {
      get isReady() {
        return isReady();
      },
      close: () => {
        if (closed) return;
        closed = true;
        this.#waiting.delete(wake);
        if (--this.#claims === 0) this.#onUnused();
      },
    };
  }

  /** Wakes everybody who waits. Idempotent. */
  setReady(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    // Who closes its claim meanwhile isn't called any more.
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
