import type { HostModel, HostSetModel } from '../config/cluster-model.ts';
import type { SnapshotDelta } from '../config/snapshot.ts';

/** Below that a host set travels whole. */
const MANY = 64;

/** Hosts that the worker has already: from which index of the last set on, and how many. */
type Run = readonly [from: number, count: number];

/** A host set on its way to a worker. */
export interface EncodedHostSet extends Omit<HostSetModel, 'hosts'> {
  readonly hosts: readonly (HostModel | Run)[];
}

/** A delta on its way to a worker. */
export interface EncodedDelta extends Omit<SnapshotDelta, 'hosts'> {
  readonly hosts?: readonly EncodedHostSet[];
}

/**
 * Host sets as one worker gets them. A large set mostly repeats the one before: what is the same object as there is
 * named by its place, so that neither thread copies thousands of hosts for the sake of one. Both ends remember the large
 * sets by the same rule, and all deltas go through them, in order.
 */
export class HostSetEncoder {
  readonly #last = new Map<string, readonly HostModel[]>();

  encode(delta: SnapshotDelta): EncodedDelta {
    forget(this.#last, delta);
    const { hosts } = delta;
    if (hosts === undefined) return delta as EncodedDelta;
    return { ...delta, hosts: hosts.map((set) => this.#encodeSet(set)) };
  }

  #encodeSet(set: HostSetModel): EncodedHostSet {
    const former = this.#last.get(set.cluster);
    remember(this.#last, set);
    return former === undefined ? set : { ...set, hosts: encodeHosts(set.hosts, former) };
  }
}

/** The worker's end; see HostSetEncoder. */
export class HostSetDecoder {
  readonly #last = new Map<string, readonly HostModel[]>();

  decode(delta: EncodedDelta): SnapshotDelta {
    forget(this.#last, delta);
    const { hosts } = delta;
    if (hosts === undefined) return delta as SnapshotDelta;
    return { ...delta, hosts: hosts.map((set) => this.#decodeSet(set)) };
  }

  #decodeSet(encoded: EncodedHostSet): HostSetModel {
    const former = this.#last.get(encoded.cluster) ?? [];
    const hosts: HostModel[] = [];
    for (const item of encoded.hosts) {
      if (!isRun(item)) hosts.push(item);
      else for (let i = item[0]; i < item[0] + item[1]; i++) hosts.push(former[i]!);
    }
    const set = { ...encoded, hosts };
    remember(this.#last, set);
    return set;
  }
}

function forget(last: Map<string, readonly HostModel[]>, { clusters }: Pick<SnapshotDelta, 'clusters'>): void {
  for (const name of clusters?.remove ?? []) last.delete(name);
}

function remember(last: Map<string, readonly HostModel[]>, { cluster, hosts }: HostSetModel): void {
  if (hosts.length >= MANY) last.set(cluster, hosts);
  else last.delete(cluster);
}

const isRun = (item: HostModel | Run): item is Run => Array.isArray(item);

function encodeHosts(hosts: readonly HostModel[], former: readonly HostModel[]): (HostModel | Run)[] {
  const items: (HostModel | Run)[] = [];
  /** Made when hosts have moved; one that was replaced in its place needs none. */
  let places: ReadonlyMap<HostModel, number> | undefined;
  let at = 0;
  for (let i = 0; i < hosts.length;) {
    if (hosts[i] !== former[at]) {
      const replaced = i + 1 < hosts.length && hosts[i + 1] === former[at + 1];
      places ??= replaced ? undefined : new Map(former.map((host, place) => [host, place]));
      const place = replaced ? undefined : places?.get(hosts[i]!);
      if (place === undefined) {
        items.push(hosts[i]!);
        i++;
        if (replaced) at++;
        continue;
      }
      at = place;
    }
    const from = at;
    while (i < hosts.length && at < former.length && hosts[i] === former[at]) {
      i++;
      at++;
    }
    items.push([from, at - from]);
  }
  return items;
}
