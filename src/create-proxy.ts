import { DEFAULT_OPTIONS, type ServerOptions } from './cli/options.ts';
import { logOptions } from './cli/log-options.ts';
import { loadBootstrap, withoutConsequences, withPositions, type LoadedBootstrap } from './config/bootstrap.ts';
import { formatProblem } from './config/format-problem.ts';
import type { Problem } from './config/problem.ts';
import { Server } from './server/server.ts';
import { validateConfig } from './server/validate-config.ts';
import type { LogLevel } from './telemetry/log-level.ts';
import { ProcessLog } from './telemetry/log.ts';

/** An Envoy v3 bootstrap: YAML text, or the same as an object (proto3 JSON). */
export type ProxyConfig = string | object;

export interface ProxyOptions {
  readonly config?: ProxyConfig;
  /** A bootstrap file; `config` is merged over it. */
  readonly configPath?: string;
  /** Worker threads; 0 (the default here): everything runs in this thread, where it can be debugged. */
  readonly concurrency?: number;
  /** Default: `warning`. */
  readonly logLevel?: LogLevel;
  /** The process log is appended to this file. Default: stderr. */
  readonly logPath?: string;
  /** How long `shutDown` waits for requests in flight, seconds. Default: 5. */
  readonly drainTimeSeconds?: number;
}

/** A config was refused. `problems` has everything that is wrong with it, with positions. */
export class ProxyConfigError extends Error {
  override readonly name = 'ProxyConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(
      problems
        .filter(({ severity }) => severity === 'error')
        .map(formatProblem)
        .join('\n'),
    );
    this.problems = problems;
  }
}

/**
 * A proxy in this process. `await using proxy = await createProxy({ config })` starts one and ends it with the scope.
 */
export class Proxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: ServerOptions;
  /** What the config sets and Outrigger does not implement. */
  readonly unsupported: readonly Problem[];

  constructor(server: Server, options: ServerOptions, unsupported: readonly Problem[]) {
    this.#server = server;
    this.#options = options;
    this.unsupported = unsupported;
  }

  /** The port that the listener of this name got. Throws if there is no such listener, or it has no port. */
  port(listener: string): number {
    const address = this.#server.listeners[listener]?.[0];
    if (address?.kind !== 'socket') throw new Error(`there is no listener '${listener}' with a port`);
    return address.port;
  }

  /** The port of the admin server; undefined without one. */
  get adminPort(): number | undefined {
    const address = this.#server.adminAddress;
    return address?.kind === 'socket' ? address.port : undefined;
  }

  /** The value of a counter or gauge by its full Envoy name; undefined if there is no such stat. */
  stat(name: string): number | string | undefined {
    return this.#server.stat(name);
  }

  /** Replaces the config while traffic flows. Throws ProxyConfigError, and changes nothing, if it is refused. */
  async update(config: ProxyConfig): Promise<void> {
    const loaded = await loadBootstrap(bootstrapOptions(this.#options, config));
    if (loaded.problems.some(isError)) throw await refusal(loaded);
    const problems = await this.#server.update(loaded);
    if (problems.some(isError)) throw new ProxyConfigError(withPositions(problems, loaded.locate));
  }

  /** Ends gracefully: requests in flight finish first. */
  shutDown(): Promise<void> {
    return this.#server.shutDown().then(() => this.#server.stopped);
  }

  /** Ends now. */
  close(): Promise<void> {
    return this.#server.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Starts a proxy in this process. Throws ProxyConfigError if the config is refused. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const serverOptions: ServerOptions = {
    ...DEFAULT_OPTIONS,
    configPath: options.configPath ?? '',
    concurrency: options.concurrency ?? 0,
    logLevel: options.logLevel ?? 'warning',
    logPath: options.logPath ?? '',
    drainTimeSeconds: options.drainTimeSeconds ?? 5,
    fileFlushIntervalMs: 100,
  };
  const loaded = await loadBootstrap(bootstrapOptions(serverOptions, options.config));
  if (loaded.problems.some(isError)) throw await refusal(loaded);
  const log = logOptions(serverOptions);
  const start = { options: serverOptions, loaded, log: new ProcessLog(log), logOptions: log };
  const { server, problems } = await Server.start(start);
  if (server === undefined) throw new ProxyConfigError(withPositions(problems, loaded.locate));
  const failures = await server.initialized;
  if (failures.length > 0) {
    await server.close();
    throw new ProxyConfigError(withPositions(failures, loaded.locate));
  }
  return new Proxy(server, serverOptions, problems);
}

/** What could be read of a config is built as well, so that everything that is wrong with it is told at once. */
async function refusal(loaded: LoadedBootstrap): Promise<ProxyConfigError> {
  const { problems, locate } = loaded;
  if (problems.some(({ severity, path }) => severity === 'error' && path === '')) return new ProxyConfigError(problems);
  const found = withoutConsequences(await validateConfig(loaded), problems);
  return new ProxyConfigError([...problems, ...withPositions(found, locate)]);
}

const isError = ({ severity }: Problem): boolean => severity === 'error';

function bootstrapOptions(options: ServerOptions, config: ProxyConfig | undefined) {
  return typeof config === 'string' ? { ...options, configYaml: config } : { ...options, config };
}
