import type { ResourceUpdate } from './resource-update.ts';

/**
 * What a source delivered that another has taken the place of: it stays until the first update of that one tells what
 * there is.
 */
export class FormerNames {
  #names: Iterable<string>;

  constructor(names: Iterable<string>) {
    this.#names = [...names];
  }

  /** The names that an update removes: of the first one also those that it doesn't have. */
  removedBy({ set, removed }: ResourceUpdate): readonly string[] {
    const gone = new Set(this.#names);
    this.#names = [];
    for (const { name } of set) gone.delete(name);
    return gone.size === 0 ? removed : [...new Set([...removed, ...gone])];
  }
}
