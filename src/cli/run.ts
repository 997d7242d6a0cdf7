import type { LoadedBootstrap } from '../config/bootstrap.ts';
import { formatProblem } from '../config/format-problem.ts';
import type { Problem } from '../config/problem.ts';
import type { LogOptions, ProcessLog } from '../telemetry/log.ts';
import type { ServerOptions } from './options.ts';
import { parseArguments, usage } from './parse-arguments.ts';
import { versionLine } from './version.ts';

/** What the command line needs of the composition root (start-server.ts), which is loaded only when it is needed. */
export interface ServerModule {
  /** Builds every resource of a bootstrap that could be read, and returns what the builders refuse or do not support. */
  validateConfig(loaded: LoadedBootstrap): Promise<readonly Problem[]>;
  /**
   * Starts the proxy. Resolves once it runs, with the builders' problems; when there are errors among them, nothing
   * was started. Signals and the end of the process are the server's from then on.
   */
  startServer(start: ServerStart): Promise<readonly Problem[]>;
}

export interface ServerStart {
  readonly options: ServerOptions;
  readonly loaded: LoadedBootstrap;
  readonly log: ProcessLog;
  /** For the logs of the workers. */
  readonly logOptions: LogOptions;
  /** The command line of an application to run once the proxy is ready, which ends with it. */
  readonly app?: readonly [string, ...string[]] | undefined;
}

/** Where a run writes. */
export interface Terminal {
  out(text: string): void;
  error(text: string): void;
}

/** The name that tools know the executable by. */
const PROGRAM = 'outrigger';

/**
 * One run of the command line. Resolves with the exit status, or with undefined when the proxy is serving. All that is
 * wrong with the flags or the configuration goes to stderr, a line each.
 */
export async function run(
  argv: readonly string[],
  loadServer: () => Promise<ServerModule>,
  terminal: Terminal,
): Promise<number | undefined> {
  const commandLine = parseArguments(argv);
  switch (commandLine.kind) {
    case 'help':
      terminal.out(usage(PROGRAM));
      return 0;
    case 'version':
      terminal.out(`\n${versionLine(PROGRAM)}\n\n`);
      return 0;
    case 'hot-restart-version':
      terminal.out('disabled');
      return 0;
    case 'error':
      for (const message of commandLine.messages) terminal.error(`${PROGRAM}: ${message}\n`);
      terminal.error(`${PROGRAM}: --help shows the flags\n`);
      return 1;
    case 'run':
      return runOptions(commandLine.options, commandLine.app, loadServer, terminal);
  }
}

async function runOptions(
  options: ServerOptions,
  app: ServerStart['app'],
  loadServer: () => Promise<ServerModule>,
  terminal: Terminal,
): Promise<number | undefined> {
  // Loaded here, so that --version and mistakes in the flags need none of it.
  const [
    { loadBootstrap, withoutConsequences, withPositions },
    { logOptionsWith, logOptions },
    { ProcessLog },
    { Problems },
  ] = await Promise.all([
    import('../config/bootstrap.ts'),
    import('./log-options.ts'),
    import('../telemetry/log.ts'),
    import('../config/problem.ts'),
  ]);
  let log: ProcessLog;
  try {
    log = new ProcessLog(logOptions(options));
  } catch (error) {
    terminal.error(`${PROGRAM}: --log-path: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  const loaded = await loadBootstrap(options);
  const found = new Problems();
  const configuredLog = logOptionsWith(options, loaded.bootstrap, found);
  if (configuredLog.format !== undefined && configuredLog.format !== '' && !found.hasErrors)
    log.setFormat(configuredLog.format, configuredLog.escapeMessages);
  const report = new Report(options, terminal);
  report.add([...loaded.problems, ...withPositions(found.list, loaded.locate)]);
  const place = (problems: readonly Problem[]): readonly Problem[] =>
    withPositions(withoutConsequences(problems, loaded.problems), loaded.locate);

  if (options.mode === 'validate') {
    if (!report.isUnreadable) report.add(place(await (await loadServer()).validateConfig(loaded)));
    return report.conclude();
  }
  if (report.isRefused) {
    // What the builders find is told in the same run.
    if (!report.isUnreadable) report.add(place(await (await loadServer()).validateConfig(loaded)));
    return report.conclude();
  }
  for (const { path, field } of options.skipDeprecatedLogs ? [] : loaded.deprecated)
    log.warn('misc', `Deprecated field: '${field}' at ${path}`);
  for (const flag of options.withoutEffect) log.warn('main', `${flag} has no effect`);
  const server = await loadServer();
  try {
    report.add(place(await server.startServer({ options, loaded, log, logOptions: configuredLog, app })));
  } catch (error) {
    terminal.error(`${PROGRAM}: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  if (report.isRefused) return report.conclude();
  for (const line of report.lines()) log.warn('config', line);
  return undefined;
}

/** The problems of one configuration. */
class Report {
  readonly #options: ServerOptions;
  readonly #terminal: Terminal;
  #problems: readonly Problem[] = [];

  constructor(options: ServerOptions, terminal: Terminal) {
    this.#options = options;
    this.#terminal = terminal;
  }

  add(problems: readonly Problem[]): void {
    this.#problems = [...this.#problems, ...problems];
  }

  /** There is no message at all that could be built from. */
  get isUnreadable(): boolean {
    return this.#problems.some((problem) => problem.severity === 'error' && problem.path === '');
  }

  get isRefused(): boolean {
    return this.#refusals().length > 0;
  }

  #refusals(): readonly Problem[] {
    return this.#options.strict ? this.#problems : this.#problems.filter((problem) => problem.severity === 'error');
  }

  /** In the order of the file, each once. */
  lines(): readonly string[] {
    const inOrder = this.#problems.toSorted((a, b) => {
      if (a.position === undefined || b.position === undefined || a.position.file !== b.position.file) return 0;
      return a.position.line - b.position.line || a.position.column - b.position.column;
    });
    return [...new Set(inOrder.map(formatProblem))];
  }

  /** Prints everything; the exit status. */
  conclude(): number {
    for (const line of this.lines()) this.#terminal.error(`${line}\n`);
    const count = this.#refusals().length;
    const name = this.#options.configPath;
    if (count === 0) {
      this.#terminal.out(`configuration '${name}' OK\n`);
      return 0;
    }
    this.#terminal.error(`configuration '${name}' has ${count} ${count === 1 ? 'error' : 'errors'}\n`);
    return 1;
  }
}
