import { closeSync, openSync, writeSync } from 'node:fs';
import { isMainThread, threadId } from 'node:worker_threads';
import { compileLogFormat, DEFAULT_LOG_FORMAT } from './log-format.ts';
import type { LogRecord } from './log-format.ts';
import type { LogLevel } from './log-level.ts';
import { LOG_COMPONENTS, LOG_LEVELS } from './log-level.ts';

/** What a thread needs to open the process log. Structured-cloneable. */
export interface LogOptions {
  readonly level: LogLevel;
  /** Component -> level, where it differs. */
  readonly componentLevels?: Readonly<Record<string, LogLevel>>;
  /** In spdlog's syntax. */
  readonly format?: string | undefined;
  /** Escapes quotes and line ends in messages. */
  readonly escapeMessages?: boolean;
  /** Appended to; stderr if absent. */
  readonly path?: string | undefined;
}

const RANK: Readonly<Record<LogLevel, number>> = Object.fromEntries(
  LOG_LEVELS.map((level, rank) => [level, rank]),
) as Record<LogLevel, number>;
/** How often a full pipe is tried again before a line is given up. */
const MAX_RETRIES = 50;

/**
 * The process log of one thread: lines in Envoy's format to stderr or a file, with a level for each component. Each
 * line is one write, so threads may share the file. A line that cannot be written is dropped and counted, never an
 * error: the proxy goes on without its log.
 */
export class ProcessLog {
  /** Lines that could not be written. */
  dropped = 0;
  readonly #path: string | undefined;
  readonly #threadId: number;
  readonly #now: () => Date;
  readonly #levels = new Map<string, number>();
  #defaultLevel: number;
  #format: (record: LogRecord) => string;
  #fd: number;

  /** Throws if the file cannot be opened. */
  constructor(options: LogOptions, now: () => Date = () => new Date()) {
    this.#path = options.path === '' ? undefined : options.path;
    this.#threadId = isMainThread ? process.pid : threadId;
    this.#now = now;
    this.#defaultLevel = RANK[options.level];
    for (const component of LOG_COMPONENTS) this.#levels.set(component, this.#defaultLevel);
    for (const [component, level] of Object.entries(options.componentLevels ?? {}))
      this.#levels.set(component, RANK[level]);
    this.#format = compileLogFormat(options.format || DEFAULT_LOG_FORMAT, options.escapeMessages);
    this.#fd = this.#path === undefined ? 2 : openSync(this.#path, 'a');
  }

  trace(component: string, message: string): void {
    this.#log(0, component, message);
  }

  debug(component: string, message: string): void {
    this.#log(1, component, message);
  }

  info(component: string, message: string): void {
    this.#log(2, component, message);
  }

  warn(component: string, message: string): void {
    this.#log(3, component, message);
  }

  error(component: string, message: string): void {
    this.#log(4, component, message);
  }

  critical(component: string, message: string): void {
    this.#log(5, component, message);
  }

  /** Ask first where making the message costs something. */
  isEnabled(component: string, level: LogLevel): boolean {
    return RANK[level] >= (this.#levels.get(component) ?? this.#defaultLevel) && level !== 'off';
  }

  /** Of one component, or of all. False if there is no such component. */
  setLevel(level: LogLevel, component?: string): boolean {
    if (component === undefined) {
      this.#defaultLevel = RANK[level];
      for (const name of this.#levels.keys()) this.#levels.set(name, RANK[level]);
      return true;
    }
    if (!this.#levels.has(component)) return false;
    this.#levels.set(component, RANK[level]);
    return true;
  }

  /** Every component with its level, in Envoy's order: the /logging page. */
  levels(): readonly (readonly [component: string, level: LogLevel])[] {
    return Array.from(this.#levels, ([component, rank]) => [component, LOG_LEVELS[rank]!]);
  }

  /** Changes the line format (the bootstrap's application_log_config). */
  setFormat(pattern: string, escapeMessages = false): void {
    this.#format = compileLogFormat(pattern, escapeMessages);
  }

  /** Opens the file anew, after it was moved away (SIGUSR1, POST /reopen_logs). Keeps the old one if that fails. */
  reopen(): void {
    if (this.#path === undefined) return;
    let fd: number;
    try {
      fd = openSync(this.#path, 'a');
    } catch (error) {
      this.error('main', `unable to reopen ${this.#path}: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    closeSync(this.#fd);
    this.#fd = fd;
  }

  #log(rank: number, component: string, message: string): void {
    if (rank < (this.#levels.get(component) ?? this.#defaultLevel)) return;
    const time = this.#now();
    this.#write(`${this.#format({ time, level: LOG_LEVELS[rank]!, component, message, threadId: this.#threadId })}\n`);
  }

  #write(line: string): void {
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      try {
        writeSync(this.#fd, line);
        return;
      } catch (error) {
        // A reader of stderr that is slow for a moment; anything else will not get better.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') break;
      }
    }
    this.dropped++;
  }
}
