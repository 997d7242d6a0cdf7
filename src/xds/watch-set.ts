import { canonicalName, collectionOf, isXdstp } from '../config/xdstp-name.ts';
import { deliverUpdate } from './deliver-update.ts';
import type { ResourceUpdate, ResourceWatcher, Verdict, XdsResource, XdsWatch } from './resource-update.ts';

interface Entry {
  readonly watcher: ResourceWatcher;
  /** Undefined: everything there is. */
  names: ReadonlySet<string> | undefined;
}

const NOBODY: readonly Entry[] = [];

/**
 * All watches of one resource type on one source: what they want together, and who gets what of a response. `onChange`
 * is called when the sum of the names has changed, and
 * when somebody new wants a name that others have: whoever comes later needs an answer, too. `xdstp:` names are asked for
 * in their canonical spelling, and recognised in any; who wants a glob collection gets what is in it.
 */
export class WatchSet {
  readonly #entries = new Set<Entry>();
  /** Who wants a name: there may be ten thousand watches, and a response concerns a few of them. */
  readonly #byName = new Map<string, readonly Entry[]>();
  readonly #onChange: (added: readonly string[], removed: readonly string[]) => void;
  #wildcards = 0;

  constructor(onChange: (added: readonly string[], removed: readonly string[]) => void) {
    this.#onChange = onChange;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  get isWildcard(): boolean {
    return this.#wildcards > 0;
  }

  /** Every name that some watch wants, in the order in which they were first wanted. */
  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  wants(name: string): boolean {
    return this.#wildcards > 0 || this.#wanting(name).length > 0;
  }

  /** `names` undefined: a wildcard. */
  add(names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    const entry: Entry = { watcher, names: undefined };
    this.#entries.add(entry);
    if (names === undefined) this.#wildcards++;
    this.#replace(entry, names === undefined ? undefined : canonicalNames(names), names === undefined, true);
    return {
      setNames: (next) => {
        if (this.#entries.has(entry)) this.#replace(entry, canonicalNames(next), false);
      },
      close: () => {
        if (!this.#entries.delete(entry)) return;
        if (entry.names === undefined) this.#wildcards--;
        this.#replace(entry, new Set(), entry.names === undefined);
      },
    };
  }

  /** Hands each watcher its share; the error texts of those that refuse, one a line. */
  dispatch({ version, set, removed }: ResourceUpdate): Verdict {
    const verdicts: Verdict[] = [];
    // Whoever begins to watch meanwhile gets its own answer.
    const shares = new Map<Entry, { readonly set: XdsResource[]; readonly removed: string[] }>();
    const shareOf = (entry: Entry): { readonly set: XdsResource[]; readonly removed: string[] } => {
      let share = shares.get(entry);
      if (share === undefined) shares.set(entry, (share = { set: [], removed: [] }));
      return share;
    };
    const wildcards = this.#wildcards === 0 ? [] : Array.from(this.#entries).filter(({ names }) => names === undefined);
    for (const resource of set) for (const entry of this.#wanting(resource.name)) shareOf(entry).set.push(resource);
    for (const name of removed) for (const entry of this.#wanting(name)) shareOf(entry).removed.push(name);
    for (const { watcher } of wildcards) verdicts.push(deliverUpdate(watcher, { version, set, removed }));
    for (const [{ watcher }, share] of shares) verdicts.push(deliverUpdate(watcher, { version, ...share }));
    if (verdicts.every((verdict) => typeof verdict === 'string')) return join(verdicts);
    return Promise.all(verdicts).then(join);
  }

  /** The response was refused; every watch counts it. */
  rejected(error: string): void {
    const entries = Array.from(this.#entries);
    for (const { watcher } of entries) watcher.onRejected?.(error);
  }

  connectionFailed(): void {
    const entries = Array.from(this.#entries);
    for (const { watcher } of entries) watcher.onConnectionFailure?.();
  }

  /** Wildcards apart. What is wanted by its own name isn't looked for in a collection, as in Envoy. */
  #wanting(name: string): readonly Entry[] {
    const exact = this.#byName.get(name);
    if (exact !== undefined || !isXdstp(name)) return exact ?? NOBODY;
    return this.#byName.get(canonicalName(name)) ?? this.#byName.get(collectionOf(name) ?? '') ?? NOBODY;
  }

  #replace(entry: Entry, next: ReadonlySet<string> | undefined, wildcardChanged: boolean, isNew = false): void {
    const added: string[] = [];
    const removed: string[] = [];
    for (const name of next ?? []) {
      if (entry.names?.has(name) === true) continue;
      const others = this.#byName.get(name);
      this.#byName.set(name, others === undefined ? [entry] : [...others, entry]);
      if (others === undefined || isNew) added.push(name);
    }
    for (const name of entry.names ?? []) {
      if (next?.has(name) === true) continue;
      const others = this.#byName.get(name)!.filter((other) => other !== entry);
      if (others.length > 0) this.#byName.set(name, others);
      else {
        this.#byName.delete(name);
        removed.push(name);
      }
    }
    entry.names = next;
    if (added.length > 0 || removed.length > 0 || wildcardChanged) this.#onChange(added, removed);
  }
}

function canonicalNames(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map(canonicalName));
}

function join(verdicts: readonly string[]): string {
  return verdicts.filter((verdict) => verdict !== '').join('\n');
}
