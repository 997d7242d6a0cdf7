import { existsSync, watch, type FSWatcher } from 'node:fs';
import type { Clock, ClockTimer } from './clock.ts';

/** How soon to look again for a directory that went away. */
const RETRY_MS = 1000;

/**
 * Tells of every change in a directory: files written, renamed over others, symbolic links swapped (which is how
 * Kubernetes updates a volume). Survives the directory's being replaced. What changed is for the caller to find out;
 * changes come in bursts. Does not keep the process alive.
 */
export class DirectoryWatch {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #watcher: FSWatcher | undefined;
  #retry: ClockTimer | undefined;
  #closed = false;

  constructor(path: string, clock: Clock, onChange: () => void) {
    this.#path = path;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#open();
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#watcher?.close();
  }

  #open(): void {
    try {
      this.#watcher = watch(this.#path, { persistent: false }, () => {
        if (this.#closed) return;
        // A watch stays with the directory that it was opened on; the path may lead to another one by now.
        if (!existsSync(this.#path)) this.#reopen();
        this.#onChange();
      });
      this.#watcher.on('error', () => this.#reopen());
    } catch {
      this.#reopen();
    }
  }

  #reopen(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (this.#closed) return;
    this.#retry?.cancel();
    this.#retry = this.#clock.setTimer(RETRY_MS, () => {
      if (!existsSync(this.#path)) return this.#reopen();
      this.#open();
      this.#onChange();
    });
  }
}
