import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { HttpClient } from '../support/http-client.ts';
import { proxyConfig, tcp } from '../support/proxy-config.ts';
import { OUTRIGGER } from '../support/proxy-process.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'exec-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** `outrigger exec`, with a proxy that listens on a port and an application in JavaScript. */
class Exec {
  readonly port: number;
  readonly #child;
  output = '';

  private constructor(port: number, upstream: number, app: readonly string[], args: readonly string[]) {
    this.port = port;
    const config = proxyConfig({ upstream, listener: { address: tcp(port) } });
    const file = join(dir, `${port}.json`);
    writeFileSync(file, JSON.stringify(config));
    const flags = ['-c', file, '--concurrency', '1', '-l', 'error', '--drain-time-s', '10', ...args];
    this.#child = spawn(OUTRIGGER, ['exec', ...flags, '--', ...app], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PROXY_PORT: String(port) },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
  }

  static async start(upstream: number, app: readonly string[] | string, ...args: string[]): Promise<Exec> {
    const command = typeof app === 'string' ? [process.execPath, '-e', app] : app;
    return new Exec(await freePort(), upstream, command, args);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async said(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.#child.exitCode !== null) throw new Error(`ended: ${this.output}`);
      await once(this.#child.stdout, 'data');
    }
  }

  async exit(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'close');
    return this.#child.exitCode;
  }
}

describe.concurrent('exec', { timeout: 60_000 }, () => {
  test('the application starts behind the proxy, and its exit status is that of both', async () => {
    await using upstream = await ScriptedUpstream.start();
    const app =
      "fetch('http://127.0.0.1:' + process.env.PROXY_PORT).then((r) => { console.log('got', r.status); process.exit(7) })";
    const exec = await Exec.start(upstream.port, app);
    expect(await exec.exit()).toBe(7);
    expect(exec.output).toBe('got 200\n');
  });

  test('signals are forwarded; the proxy serves until the application ends', async () => {
    await using upstream = await ScriptedUpstream.start();
    const app = `for (const signal of ['SIGHUP', 'SIGUSR2']) process.on(signal, () => console.log(signal));
      process.on('SIGTERM', () => {
        console.log('SIGTERM');
        fetch('http://127.0.0.1:' + process.env.PROXY_PORT).then((r) => { console.log('then', r.status); process.exit(0) });
      });
      setInterval(() => {}, 1000); console.log('up');`;
    const exec = await Exec.start(upstream.port, app);
    await exec.said('up');
    for (const signal of ['SIGHUP', 'SIGUSR2', 'SIGTERM'] as const) {
      exec.signal(signal);
      await exec.said(signal);
    }
    expect(await exec.exit()).toBe(0);
    expect(exec.output).toContain('then 200');
  });

  test('requests in flight finish behind the application', async () => {
    await using upstream = await ScriptedUpstream.start();
    const app = "process.on('SIGTERM', () => process.exit(3)); setInterval(() => {}, 1000); console.log('up')";
    const exec = await Exec.start(upstream.port, app);
    await exec.said('up');
    using client = HttpClient.connect(exec.port);
    const answered = client.get('/', 'x-up: delay:1500').response();
    await eventually('the request upstream', () => upstream.take().length === 1);
    exec.signal('SIGTERM');
    const response = await answered;
    expect([response.status, response.headers.get('connection')]).toEqual([200, 'close']);
    expect(await exec.exit()).toBe(3);
  });

  test('an application that a signal ended', async () => {
    await using upstream = await ScriptedUpstream.start();
    const exec = await Exec.start(upstream.port, "process.kill(process.pid, 'SIGKILL')");
    expect(await exec.exit()).toBe(137);
  });

  test('an application that is not there', async () => {
    const exec = await Exec.start(1, ['/no/such/app']);
    expect(await exec.exit()).toBe(127);
    expect(exec.output).toContain("there is no command '/no/such/app'");
  });

  test('a bad configuration starts no application', async () => {
    const exec = await Exec.start(1, "console.log('up')", '--config-yaml', 'nope: 1');
    expect(await exec.exit()).toBe(1);
    expect(exec.output).not.toContain('up\n');
  });
});
