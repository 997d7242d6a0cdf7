import { close, constants, openSync, closeSync, write, writeSync } from 'node:fs';
import type { Clock, ClockTimer } from '../../lib/clock.ts';
import { FILESYSTEM_STATS } from '../stats/server-stats.ts';
import type { StatBlock } from '../stats/stats.ts';

/** A batch leaves when it has this many bytes, or with the flush timer. */
const BATCH_BYTES = 64 * 1024;
/** What may wait in memory for a slow disk or a full pipe; lines beyond it are dropped and counted. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;
/** How long a full pipe is left alone. */
const BUSY_RETRY_MS = 20;

const { at } = FILESYSTEM_STATS;

export interface LogFileOptions {
  readonly clock: Clock;
  /** `filesystem.` */
  readonly stats: StatBlock;
  readonly flushIntervalMs: number;
  /** Called with what was lost: the bytes of a line that found the buffer full. */
  readonly onDropped: (bytes: number) => void;
}

/**
 * A file that log lines are appended to, in batches of whole lines. One a path and thread; threads share the file
 * itself, opened for appending. Nothing here blocks, waits or throws, but for `open` and `close`.
 */
export class LogFile {
  readonly #path: string;
  /** A file descriptor that isn't ours to close (stdout, stderr); -1 = `#path` is opened. */
  readonly #sharedFd: number;
  readonly #options: LogFileOptions;
  #fd = -1;
  #pending = '';
  #writing: Buffer | undefined = undefined;
  #writingFd = -1;
  #written = 0;
  #timer: ClockTimer | undefined = undefined;
  #closed = false;
  #idle: (() => void)[] = [];
  readonly #onWritten = (error: NodeJS.ErrnoException | null, bytes: number): void => this.#wrote(error, bytes);
  readonly #onTimer = (): void => {
    this.#timer = undefined;
    if (this.#pending === '') return;
    this.#options.stats.inc(at.flushed_by_timer);
    this.flush();
  };

  /** Throws if the file cannot be opened. */
  constructor(target: { readonly path: string } | { readonly fd: number }, options: LogFileOptions) {
    this.#options = options;
    if ('fd' in target) {
      this.#path = '';
      this.#sharedFd = target.fd;
      this.#fd = target.fd;
    } else {
      this.#path = target.path;
      this.#sharedFd = -1;
      this.#fd = openForAppend(target.path);
    }
  }

  /** Takes one or more whole lines as latin1 text. */
  write(text: string): void {
    if (this.#closed) return;
    const { stats } = this.#options;
    if (this.bufferedBytes + text.length > MAX_BUFFERED_BYTES) {
      this.#options.onDropped(text.length);
      return;
    }
    stats.inc(at.write_buffered);
    stats.add(at.write_total_buffered, text.length);
    this.#pending += text;
    if (this.#pending.length >= BATCH_BYTES) this.flush();
    else if (this.#timer === undefined)
      this.#timer = this.#options.clock.setTimer(this.#options.flushIntervalMs, this.#onTimer);
  }

  /** Bytes that have not reached the file yet. */
  get bufferedBytes(): number {
    return this.#pending.length + (this.#writing === undefined ? 0 : this.#writing.length - this.#written);
  }

  /** Starts writing what has been gathered. */
  flush(): void {
    if (this.#writing !== undefined || this.#pending === '') return;
    this.#writing = Buffer.from(this.#pending, 'latin1');
    this.#pending = '';
    this.#written = 0;
    this.#writingFd = this.#fd;
    this.#continueWriting();
  }

  /** Resolves once everything written so far is in the file, or lost for good. */
  async drained(): Promise<void> {
    this.flush();
    if (this.#writing !== undefined) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Opens the path anew, after the file was moved away (log rotation). If that fails the old file stays in use. */
  reopen(): void {
    if (this.#closed || this.#sharedFd !== -1) return;
    let fd: number;
    try {
      fd = openForAppend(this.#path);
    } catch {
      this.#options.stats.inc(at.reopen_failed);
      return;
    }
    const old = this.#fd;
    this.#fd = fd;
    if (this.#writing !== undefined) {
      // The write under way goes on in the file that it began in.
      this.#idle.push(() => close(old));
      return;
    }
    // What was logged before belongs into the old file.
    this.#flushSync(old);
    closeSync(old);
  }

  /**
   * Writes out what has been gathered, waiting for it, and closes. For the end of the process: a batch that is being
   * written is left to itself, so await `drained()` first where there is time.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#flushSync(this.#fd);
    if (this.#sharedFd === -1 && this.#writing === undefined) closeSync(this.#fd);
  }

  #continueWriting(): void {
    const buffer = this.#writing!;
    write(this.#writingFd, buffer, this.#written, buffer.length - this.#written, null, this.#onWritten);
  }

  #wrote(error: NodeJS.ErrnoException | null, bytes: number): void {
    const { stats, clock } = this.#options;
    const buffer = this.#writing;
    if (buffer === undefined) return;
    if (error?.code === 'EAGAIN') {
      // A pipe that is full; its reader decides how long.
      clock.setTimer(BUSY_RETRY_MS, () => {
        if (this.#writing === buffer) this.#continueWriting();
      });
      return;
    }
    if (error === null) {
      stats.add(at.write_total_buffered, -bytes);
      this.#written += bytes;
      if (this.#written < buffer.length) return this.#continueWriting();
      stats.inc(at.write_completed);
    } else {
      // A full disk, for one. The batch is lost; the next one tries again.
      stats.add(at.write_total_buffered, -(buffer.length - this.#written));
      stats.inc(at.write_failed);
    }
    this.#writing = undefined;
    const idle = this.#idle;
    this.#idle = [];
    for (const callback of idle) callback();
    if (this.#pending.length >= BATCH_BYTES) this.flush();
  }

  #flushSync(fd: number): void {
    const { stats } = this.#options;
    const buffer = Buffer.from(this.#pending, 'latin1');
    if (buffer.length === 0) return;
    this.#pending = '';
    stats.add(at.write_total_buffered, -buffer.length);
    stats.inc(writeFully(fd, buffer) ? at.write_completed : at.write_failed);
  }
}

/** Writes all of `buffer`, waiting up to a second for the reader of a full pipe. */
function writeFully(fd: number, buffer: Buffer): boolean {
  let done = 0;
  let waits = 0;
  while (done < buffer.length) {
    try {
      done += writeSync(fd, buffer, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || ++waits > 200) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  return true;
}

/** Opens (and creates) a log file; throws an Error with Envoy's text. */
export function openForAppend(path: string): number {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o644);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`unable to open file '${path}': ${(code !== undefined && reasons[code]) || code}`, {
      cause: error,
    });
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
  EROFS: 'Read-only file system',
  EMFILE: 'Too many open files',
};
