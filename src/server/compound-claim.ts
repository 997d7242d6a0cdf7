import type { ListenerModel } from '../config/listener-model.ts';
import type { ListenerClaim } from '../proxy/listener/listener-registry.ts';

/** All that a version of a listener uses, as one claim. */
export class CompoundClaim implements ListenerClaim {
  readonly #onReady: () => void;
  readonly #claims: ListenerClaim[] = [];
  #left = 0;

  /** `onReady` is called once, never inside of `add`, and not at all if every claim was ready when it was added. */
  constructor(onReady: () => void) {
    this.#onReady = onReady;
  }

  /** `take` makes a claim, and has it call what it is given when it is ready; that must not be inside of the call. */
  add(take: (onReady: () => void) => ListenerClaim): void {
    const claim = take(() => {
      if (--this.#left === 0) this.#onReady();
    });
    this.#claims.push(claim);
    if (!claim.isReady) this.#left++;
  }

  get isReady(): boolean {
    return this.#left === 0;
  }

  get model(): ListenerModel | undefined {
    return this.#claims.find(({ model }) => model !== undefined)?.model;
  }

  get waitingFor(): readonly string[] {
    return this.#claims.flatMap(({ waitingFor }) => waitingFor);
  }

  close(): void {
    for (const claim of this.#claims) claim.close();
  }
}
