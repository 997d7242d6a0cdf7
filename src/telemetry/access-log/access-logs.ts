import type { AccessLogModel, FormatModel } from '../../config/common-model.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { FILESYSTEM_STATS } from '../stats/server-stats.ts';
import type { Counter, StatBlock, StatsScope } from '../stats/stats.ts';
import type { LogSinkModel } from './access-log-plan.ts';
import type { AccessLogFactory, AccessLogger, FormatContext, TextFormatter } from './access-log.ts';
import { compileText, DEFAULT_LOG_FORMAT } from './format.ts';
import { compileJson } from './json-format.ts';
import { LogFile } from './log-file.ts';
import { compileLogFilter, type LogFilter, type LogRuntime } from './log-filter.ts';

export interface AccessLogsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly runtime: LogRuntime;
  /** The root scope. */
  readonly stats: StatsScope;
  /** --file-flush-interval-msec. */
  readonly flushIntervalMs: number;
  /** Told of a file that cannot be opened. */
  readonly warn: (message: string) => void;
}

/** The access logs of one thread: loggers that name the same file share its writer. */
export class AccessLogs implements AccessLogFactory {
  readonly #options: AccessLogsOptions;
  readonly #fileStats: StatBlock;
  readonly #dropped: Counter;
  /** By path; stdout and stderr by names that no path has. Files stay open, as in Envoy. */
  readonly #files = new Map<string, LogFile>();

  constructor(options: AccessLogsOptions) {
    this.#options = options;
    this.#fileStats = options.stats.block(FILESYSTEM_STATS, 'filesystem');
    this.#dropped = options.stats.counter('filesystem.write_dropped');
  }

  /** `model` comes from `buildAccessLog`. A file that cannot be opened (any more) is reported, and its logger drops. */
  create(model: AccessLogModel): AccessLogger {
    const { plan } = model;
    if (plan === undefined) throw new Error(`access log '${model.name}' has no plan`);
    const filter = plan.filter === undefined ? undefined : compileLogFilter(plan.filter, this.#options);
    const file = this.#open(plan.sink);
    if (file === undefined) return nowhere;
    return new FileLogger(filter, compileFormat(plan.format), file);
  }

  /** After log rotation (SIGUSR1). */
  reopen(): void {
    for (const file of this.#files.values()) file.reopen();
  }

  /** Resolves when what was logged so far is in the files. */
  async drained(): Promise<void> {
    await Promise.all(Array.from(this.#files.values(), (file) => file.drained()));
  }

  /** Writes out everything at once and closes. */
  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  #open(sink: LogSinkModel): LogFile | undefined {
    if (sink.kind === 'none') return undefined;
    const key = sink.kind === 'file' ? sink.path : `\0${sink.kind}`;
    let file = this.#files.get(key);
    if (file !== undefined) return file;
    try {
      file = new LogFile(sink.kind === 'file' ? sink : { fd: sink.kind === 'stdout' ? 1 : 2 }, {
        clock: this.#options.clock,
        stats: this.#fileStats,
        flushIntervalMs: this.#options.flushIntervalMs,
        onDropped: () => this.#dropped.inc(),
      });
    } catch (error) {
      this.#options.warn((error as Error).message);
      return undefined;
    }
    this.#files.set(key, file);
    return file;
  }
}

/** Compiles a substitution format. Throws FormatError; a format that went through a builder has been checked. */
export function compileFormat(format: FormatModel | undefined): TextFormatter {
  if (format === undefined) return compileText(DEFAULT_LOG_FORMAT);
  const { omitEmptyValues } = format;
  return format.kind === 'text'
    ? compileText(format.format, { omitEmptyValues })
    : compileJson(format.format, { omitEmptyValues });
}

class FileLogger implements AccessLogger {
  readonly #filter: LogFilter | undefined;
  readonly #formatter: TextFormatter;
  readonly #file: LogFile;

  constructor(filter: LogFilter | undefined, formatter: TextFormatter, file: LogFile) {
    this.#filter = filter;
    this.#formatter = formatter;
    this.#file = file;
  }

  log(context: FormatContext): void {
    if (this.#filter === undefined || this.#filter(context)) this.#file.write(this.#formatter.format(context));
  }
}

const nowhere: AccessLogger = { log() {} };
