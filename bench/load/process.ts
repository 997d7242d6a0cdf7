import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

/** Clock ticks a second in /proc/<pid>/stat. */
const TICKS = 100;

/** CPU that a process (all its threads) has used so far, in microseconds. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
}

/** A program under measurement, pinned to one core. */
export class BenchProcess implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts `argv` on core `cpu` and waits until `port` accepts. */
  static async start(
    argv: readonly string[],
    port: number,
    cpu: number,
    env: NodeJS.ProcessEnv = {},
  ): Promise<BenchProcess> {
    const child = spawn('taskset', ['-c', String(cpu), ...argv], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    const errors: string[] = [];
    child.stderr!.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
    child.on('exit', (code, signal) => {
      if (signal !== 'SIGKILL') console.error(`${argv[0]} ended (${code ?? signal}): ${errors.join('')}`);
    });
    const deadline = Date.now() + 20_000;
    while (!(await accepts(port))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`${argv.join(' ')} does not listen on ${port}: ${errors.join('')}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return new BenchProcess(child);
  }

  /** The process itself (taskset execs), or with `children` the ones it forked (nginx's worker). */
  get pids(): number[] {
    const own = this.#child.pid!;
    const children = readFileSync(`/proc/${own}/task/${own}/children`, 'utf8').trim();
    return [own, ...children.split(' ').filter(Boolean).map(Number)];
  }

  cpu(): CpuTime {
    let user = 0;
    let system = 0;
    for (const pid of this.pids) {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      user += Number(fields[11]);
      system += Number(fields[12]);
    }
    return { user: (user * 1e6) / TICKS, system: (system * 1e6) / TICKS };
  }

  /** Resident memory in MiB. */
  rss(): number {
    let kib = 0;
    for (const pid of this.pids)
      kib += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    return kib / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGKILL');
    for (const pid of this.pids.slice(1)) process.kill(pid, 'SIGKILL');
    await once(this.#child, 'exit');
  }
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });
