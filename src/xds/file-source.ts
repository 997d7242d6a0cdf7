import { stat, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TypeRegistry } from '../api/type-registry.ts';
import {
  DiscoveryResponseSchema,
  type DiscoveryResponse,
} from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { readConfig, syntaxOf } from '../config/read-config.ts';
import type { Clock, ClockTimer } from '../lib/clock.ts';
import { DirectoryWatch } from '../lib/directory-watch.ts';
import { deliverUpdate } from './deliver-update.ts';
import type { ResourceWatcher, XdsWatch } from './resource-update.ts';
import { updateOf } from './whole-response.ts';
import type { XdsSource } from './xds-source.ts';

export interface FileSourceOptions {
  /** A DiscoveryResponse in YAML, JSON, or protobuf's binary (`.pb`) or text format (`.pb_text`). */
  readonly path: string;
  /** `watched_directory`: what is watched in place of the file's own directory. */
  readonly watchedDirectory?: string | undefined;
  readonly types: TypeRegistry;
  readonly clock: Clock;
}

/** Changes come in bursts. */
const SETTLE_MS = 20;

/**
 * Resources in a file, read anew when it changes: replaced by a rename, as Envoy asks for, behind a symbolic link that
 * is swapped, or (which Envoy doesn't notice) written in place. A file that makes no sense changes nothing. It serves one
 * subscription; names choose nothing, the file does.
 */
export class FileSource implements XdsSource {
  readonly #options: FileSourceOptions;
  #watching: Watching | undefined = undefined;

  constructor(options: FileSourceOptions) {
    this.#options = options;
  }

  watch(typeUrl: string, _names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    const watching = new Watching(this.#options, typeUrl, watcher);
    this.#watching?.close();
    this.#watching = watching;
    return { setNames: () => {}, close: () => watching.close() };
  }

  close(): void {
    this.#watching?.close();
  }
}

class Watching {
  readonly #options: FileSourceOptions;
  readonly #typeUrl: string;
  readonly #watcher: ResourceWatcher;
  readonly #directory: DirectoryWatch;
  #timer: ClockTimer | undefined = undefined;
  /** One reading after the other. */
  #reading: Promise<void>;
  /** What was read last: inode, time and size. */
  #seen = '';
  #held: ReadonlySet<string> = new Set();
  #closed = false;

  constructor(options: FileSourceOptions, typeUrl: string, watcher: ResourceWatcher) {
    this.#options = options;
    this.#typeUrl = typeUrl;
    this.#watcher = watcher;
    const { clock, path, watchedDirectory } = options;
    this.#directory = new DirectoryWatch(watchedDirectory ?? dirname(path), clock, () => {
      // Not put off by further changes: there may be no end of them in a directory that others write to.
      this.#timer ??= clock.setTimer(SETTLE_MS, () => {
        this.#timer = undefined;
        this.#reading = this.#reading.then(() => this.#refresh(false));
      });
    });
    this.#reading = Promise.resolve().then(() => this.#refresh(true));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#directory.close();
  }

  async #refresh(first: boolean): Promise<void> {
    const found = await identityOf(this.#options.path);
    // A file that is away for a moment is being replaced.
    if (this.#closed || (!first && (found === '' || found === this.#seen))) return;
    this.#seen = found;
    this.#watcher.onAttempt?.();
    const read = await this.#read();
    if (this.#closed) return;
    if ('unreadable' in read) return this.#watcher.onUnreadable?.(read.unreadable);
    const result = 'rejected' in read ? read.rejected : updateOf(read.response, this.#typeUrl, this.#held);
    if (typeof result === 'string') return this.#watcher.onRejected?.(result);
    const error = await deliverUpdate(this.#watcher, result.update);
    // After a refusal some of both may be there.
    this.#held = error === '' ? result.names : new Set([...result.names, ...this.#held]);
    if (error !== '' && !this.#closed) this.#watcher.onRejected?.(error);
  }

  async #read(): Promise<
    { readonly response: DiscoveryResponse } | { readonly unreadable: string } | { readonly rejected: string }
  > {
    const { path, types } = this.#options;
    let content: Buffer;
    try {
      content = await readFile(path);
    } catch (error) {
      return { unreadable: `unable to read file: ${path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}` };
    }
    await types.load([DiscoveryResponseSchema.typeName]);
    const { message, problems } = await readConfig(types, DiscoveryResponseSchema, path, content, syntaxOf(path), true);
    const errors = problems.filter(({ severity }) => severity === 'error');
    if (errors.length === 0) return { response: message };
    const text = errors.map((error) => (error.path === '' ? error.message : `${error.path}: ${error.message}`));
    return { unreadable: `${path}: ${text.join('; ')}` };
  }
}

/** '' if there is no such file. */
async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino, mtimeNs, size } = await stat(path, { bigint: true });
    return `${dev}:${ino}:${mtimeNs}:${size}`;
  } catch {
    return '';
  }
}
