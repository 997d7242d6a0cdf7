import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import type { Clock, ClockTimer } from '../../src/lib/clock.ts';
import { DirectoryWatch } from '../../src/lib/directory-watch.ts';
import { readResourceFile } from './resource-file.ts';
import type { NodeName, Resource, Resources } from './resource.ts';

/** Editors and `cp` write a file in several steps: what has been quiet for so long is complete. */
const QUIET_MS = 30;

interface KnownFile {
  readonly content: string;
  /** The last ones without a problem. */
  readonly resources: readonly Resource[];
}

/**
 * A folder of resource files, watched. What lies in the folder itself is for every proxy; what lies in a folder inside
 * of it is for the proxies whose `node.cluster` or `node.id` is that folder's name, and wins over what is for everyone:
 *
 *     mesh/clusters.yaml              every proxy
 *     mesh/reviews/listeners.yaml     proxies of the cluster `reviews`
 *     mesh/reviews-v2/secrets.yaml    the one proxy whose id is `reviews-v2`
 *
 * A file with a mistake in it is reported, and what it said before stays.
 */
export class ResourceFolder {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #report: (problem: string) => void;
  readonly #registry = new TypeRegistry();
  readonly #files = new Map<string, KnownFile>();
  readonly #watches = new Map<string, DirectoryWatch>();
  readonly #listeners = new Set<() => void>();
  /** Folder ('' for the outermost) -> what lies there. */
  #layers = new Map<string, Resources>();
  #quiet: ClockTimer | undefined;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(path: string, clock: Clock, report: (problem: string) => void) {
    this.#path = path;
    this.#clock = clock;
    this.#report = report;
  }

  /** Resolves when everything has been read. `report` gets what is wrong, a line each, now and later. */
  static async open(path: string, clock: Clock, report: (problem: string) => void): Promise<ResourceFolder> {
    const folder = new ResourceFolder(path, clock, report);
    await folder.#read();
    return folder;
  }

  /** What this proxy is to have. */
  resourcesFor({ id, cluster }: NodeName): Resources {
    const result = new Map<string, Map<string, Resource>>();
    for (const layer of new Set(['', cluster, id]))
      for (const [typeUrl, resources] of this.#layers.get(layer) ?? [])
        result.set(typeUrl, new Map([...(result.get(typeUrl) ?? []), ...resources]));
    return result;
  }

  /** Calls `listener` after each change; the returned function ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#quiet?.cancel();
    for (const watch of this.#watches.values()) watch.close();
  }

  #changed(): void {
    this.#quiet?.cancel();
    this.#quiet = this.#clock.setTimer(QUIET_MS, () => {
      this.#reading = this.#reading.then(() => this.#read());
    });
  }

  async #read(): Promise<void> {
    // Watched before it is read: a change in between is seen.
    this.#watch('');
    const layers = new Map<string, Resources>();
    const seen = new Set<string>();
    for (const layer of ['', ...(await this.#list('', 'folders'))]) {
      this.#watch(layer);
      const resources = new Map<string, Map<string, Resource>>();
      for (const name of await this.#list(layer, 'files')) {
        const file = join(this.#path, layer, name);
        seen.add(file);
        for (const resource of await this.#readFile(file)) this.#add(resources, resource, file);
      }
      layers.set(layer, resources);
    }
    for (const file of this.#files.keys()) if (!seen.has(file)) this.#files.delete(file);
    if (this.#closed) return;
    this.#layers = layers;
    for (const listener of this.#listeners) listener();
  }

  #watch(layer: string): void {
    if (this.#closed || this.#watches.has(layer)) return;
    this.#watches.set(layer, new DirectoryWatch(join(this.#path, layer), this.#clock, () => this.#changed()));
  }

  async #list(layer: string, what: 'files' | 'folders'): Promise<string[]> {
    const entries = await readdir(join(this.#path, layer), { withFileTypes: true }).catch(() => []);
    const wanted = entries.filter(({ name }) => !name.startsWith('.'));
    return wanted
      .filter((entry) => (what === 'folders' ? entry.isDirectory() : /\.(ya?ml|json)$/.test(entry.name)))
      .map(({ name }) => name)
      .sort();
  }

  async #readFile(file: string): Promise<readonly Resource[]> {
    const known = this.#files.get(file);
    const bytes = await readFile(file).catch(() => undefined);
    if (bytes === undefined) return [];
    const content = bytes.toString('latin1');
    if (known?.content === content) return known.resources;
    const { resources, problems } = await readResourceFile(this.#registry, file, bytes);
    for (const problem of problems) this.#report(problem);
    const good = problems.length === 0 ? resources : (known?.resources ?? []);
    this.#files.set(file, { content, resources: good });
    return good;
  }

  #add(into: Map<string, Map<string, Resource>>, resource: Resource, file: string): void {
    const { typeUrl, name } = resource;
    let named = into.get(typeUrl);
    if (named === undefined) into.set(typeUrl, (named = new Map<string, Resource>()));
    if (named.has(name)) this.#report(`${file}: another file of this folder has a ${typeUrl} '${name}' too: it counts`);
    else named.set(name, resource);
  }
}
