import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TOOL_SCRIPTS } from './loopback.ts';

export interface InsideResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** A network namespace with only a loopback interface, the programs that run inside, and a way to call them. */
export class LoopbackNamespace implements AsyncDisposable {
  /** For the programs' files; removed with the namespace. */
  readonly dir: string;
  readonly #relay: ChildProcess;
  readonly #socketPath: string;
  /** Of a process inside. */
  readonly #pid: string;
  readonly #children: ChildProcess[] = [];

  private constructor(dir: string, relay: ChildProcess, socketPath: string, pid: string) {
    this.dir = dir;
    this.#relay = relay;
    this.#socketPath = socketPath;
    this.#pid = pid;
  }

  /** `applications`: see loopback-relay.ts. */
  static async start(applications: readonly string[] = []): Promise<LoopbackNamespace> {
    const dir = mkdtempSync(join(tmpdir(), 'loopback-'));
    const socketPath = join(dir, 'relay.sock');
    const script = join(import.meta.dirname, 'loopback-relay.ts');
    const relay = spawn(
      join(TOOL_SCRIPTS, 'loopback.sh'),
      [process.execPath, '--disable-warning=ExperimentalWarning', script, socketPath, ...applications],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(relay.stdout!, 'data')) as [Buffer];
    return new LoopbackNamespace(dir, relay, socketPath, /^ready (\d+)/.exec(line.toString())![1]!);
  }

  /** Starts a program inside; both its streams go to `<name>.log`. It is told to end with the namespace. */
  spawn(
    name: string,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): ChildProcess {
    const enter = process.getuid?.() === 0 ? ['--net'] : ['--net', '--user', '--preserve-credentials'];
    const log = openSync(join(this.dir, `${name}.log`), 'a');
    const child = spawn('nsenter', [`--target=${this.#pid}`, ...enter, command, ...args], {
      cwd: this.dir,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env, OUTRIGGER_LOOPBACK: '1' },
    });
    closeSync(log);
    this.#children.push(child);
    return child;
  }

  log(name: string): string {
    return readFileSync(join(this.dir, `${name}.log`), 'utf8');
  }

  /** Calls a server inside; status 599 = it could not be reached. */
  request(
    url: string,
    headers: Readonly<Record<string, string>> = {},
    method = 'GET',
    timeoutMs = 20_000,
  ): Promise<InsideResponse> {
    return new Promise((resolve, reject) => {
      const { host } = new URL(url);
      const sent = request(
        { socketPath: this.#socketPath, path: url, method, headers: { host, ...headers }, timeout: timeoutMs },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
          );
        },
      );
      sent.on('error', reject);
      sent.on('timeout', () => sent.destroy(new Error(`${url} did not answer`)));
      sent.end();
    });
  }

  async text(url: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    return (await this.request(url, headers)).body.toString();
  }

  async json<T>(url: string): Promise<T> {
    return JSON.parse(await this.text(url)) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = [...this.#children, this.#relay].filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    const ended = running.map((child) => once(child, 'exit'));
    for (const child of running) child.kill('SIGTERM');
    const killer = setTimeout(() => {
      for (const child of running) child.kill('SIGKILL');
    }, 10_000);
    await Promise.all(ended);
    clearTimeout(killer);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
