import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The launcher of this checkout. */
export const OUTRIGGER = join(import.meta.dirname, '../../bin/outrigger');

const poll = async <T>(
  what: string,
  attempt: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 20_000,
): Promise<T> => {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await attempt();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** A proxy (Envoy, or Outrigger by the same command line) run as a process with a config of its own. */
export class ProxyProcess implements AsyncDisposable {
  readonly name: string;
  readonly adminPort: number;
  /** Listener name -> port. */
  readonly ports: ReadonlyMap<string, number>;
  readonly dir: string;
  readonly #process: ChildProcess;
  readonly #output: string[];

  private constructor(
    name: string,
    process: ChildProcess,
    dir: string,
    adminPort: number,
    ports: ReadonlyMap<string, number>,
    output: string[],
  ) {
    this.name = name;
    this.#process = process;
    this.dir = dir;
    this.adminPort = adminPort;
    this.ports = ports;
    this.#output = output;
  }

  /**
   * `config` is YAML in which `@DIR@` stands for a fresh folder; its admin listens on port 0. `args` go before the
   * defaults: one worker, logs written at once, no process log but errors.
   */
  static async start(
    name: string,
    binary: string,
    config: string,
    args: readonly string[] = [],
  ): Promise<ProxyProcess> {
    const dir = mkdtempSync(join(tmpdir(), `${name}-`));
    const file = join(dir, 'config.yaml');
    writeFileSync(file, config.replaceAll('@DIR@', dir));
    const adminFile = join(dir, 'admin.txt');
    const defaults = ['--concurrency', '1', '--file-flush-interval-msec', '5', '-l', 'error'];
    const flags: string[] = [];
    for (let i = 0; i < defaults.length; i += 2)
      if (!args.includes(defaults[i]!)) flags.push(defaults[i]!, defaults[i + 1]!);
    const child = spawn(
      binary,
      ['-c', file, '--disable-hot-restart', '--admin-address-path', adminFile, ...flags, ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const output: string[] = [];
    child.stdout!.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    child.stderr!.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    const running = (): void => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended: ${output.join('')}`);
    };
    const adminPort = await poll(`${name}'s admin address`, () => {
      running();
      try {
        return Number(/:(\d+)\s*$/.exec(readFileSync(adminFile, 'utf8'))?.[1]) || undefined;
      } catch {
        return undefined;
      }
    });
    await poll(`${name} to be ready`, async () => {
      running();
      const response = await fetch(`http://127.0.0.1:${adminPort}/ready`).catch(() => undefined);
      return response?.status === 200 ? true : undefined;
    });
    const listeners = await (await fetch(`http://127.0.0.1:${adminPort}/listeners`)).text();
    const ports = new Map(
      [...listeners.matchAll(/^(\S+?)::127\.0\.0\.1:(\d+)$/gm)].map(([, listener, port]) => [listener!, Number(port)]),
    );
    return new ProxyProcess(name, child, dir, adminPort, ports, output);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get output(): string {
    return this.#output.join('');
  }

  async admin(path: string, method = 'GET'): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.adminPort}${path}`, { method })).text();
  }

  /** Every counter by name; `usedOnly`: those that have ever counted, which are a few of the many. */
  async counters(usedOnly = false): Promise<Map<string, number>> {
    const query = `/stats?format=json&type=Counters${usedOnly ? '&usedonly' : ''}`;
    const { stats } = JSON.parse(await this.admin(query)) as {
      stats: { name: string; value: number }[];
    };
    return new Map(stats.filter(({ value }) => value !== undefined).map(({ name, value }) => [name, value]));
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Waits for the process to end by itself; resolves to its exit code. */
  async exit(): Promise<number | null> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'exit');
    return this.#process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGKILL');
      await once(this.#process, 'exit');
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}
