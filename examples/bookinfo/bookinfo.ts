import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { XdsServer } from '../xds-server/xds-server.ts';
import { createMeshAuthority } from './mesh-authority.ts';
import { allPorts, GATEWAY_PORT, shiftPorts, WORKLOADS, XDS_PORT, type Workload } from './workloads.ts';

const HERE = import.meta.dirname;
const PROXY = join(HERE, '../../bin/outrigger');
const READY_MS = 60_000;
/** How long a process may take to end by itself. */
const END_MS = 3_000;

export interface BookinfoOptions {
  /** The folder that the control plane watches; emptied and filled with the mesh as it is at first. */
  readonly live: string;
  /** Added to every port. */
  readonly portOffset?: number;
  /** The proxy to run: any program with Envoy's command line. */
  readonly proxy?: string;
  /** A line for whatever happens. */
  readonly log: (line: string) => void;
  /** Aborted while it starts: ends what has been started, and rejects. */
  readonly signal?: AbortSignal;
}

/** The bookstore: six services, a sidecar beside each, a gateway, and the control plane (in this process). */
export class Bookinfo implements AsyncDisposable {
  /** Of the gateway. */
  readonly url: string;
  readonly #options: Required<BookinfoOptions>;
  readonly #processes = new Map<string, ChildProcess>();
  readonly #stack = new AsyncDisposableStack();

  private constructor(options: BookinfoOptions) {
    this.#options = { portOffset: 0, proxy: PROXY, signal: new AbortController().signal, ...options };
    this.url = `http://127.0.0.1:${GATEWAY_PORT + this.#options.portOffset}`;
  }

  /** Resolves when every proxy is ready and the page can be asked for; rejects, with nothing left behind, otherwise. */
  static async start(options: BookinfoOptions): Promise<Bookinfo> {
    const bookinfo = new Bookinfo(options);
    try {
      await bookinfo.#start();
      return bookinfo;
    } catch (error) {
      await bookinfo[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Puts a rule of the folder `rules` in force, as `cp` would. */
  async apply(rule: string): Promise<void> {
    await writeLive(
      this.#options,
      `${rule.split('-')[0]}.yaml`,
      await readFile(join(HERE, 'rules', `${rule}.yaml`), 'utf8'),
    );
  }

  /** Ends one process: a service (`details`), or a proxy (`details-proxy`). */
  async end(name: string): Promise<void> {
    const child = this.#processes.get(name);
    if (child !== undefined) await endProcess(child);
  }

  adminUrl(workload: string): string {
    const found = WORKLOADS.find(({ name }) => name === workload);
    return `http://127.0.0.1:${(found?.adminPort ?? 0) + this.#options.portOffset}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #start(): Promise<void> {
    const { live, portOffset, log } = this.#options;
    await demandPorts(portOffset);
    await this.#layOut();
    const bootstrap = join(this.#stack.adopt(await mkdtemp(join(tmpdir(), 'bookinfo-')), remove), 'bootstrap.yaml');
    await writeFile(bootstrap, shiftPorts(await readFile(join(HERE, 'bootstrap.yaml'), 'utf8'), portOffset));
    const address = `127.0.0.1:${XDS_PORT + portOffset}`;
    this.#stack.use(await XdsServer.start({ folder: live, address, log: (line) => log(`xds: ${line}`) }));
    this.#stack.defer(async () => {
      await Promise.all([...this.#processes.values()].map(endProcess));
    });
    for (const workload of WORKLOADS) {
      this.#runService(workload);
      this.#runProxy(workload, bootstrap);
    }
    await Promise.all(WORKLOADS.map(({ name }) => this.#answers(`${this.adminUrl(name)}/ready`, `${name}-proxy`)));
    await this.#answers(`${this.url}/productpage`, 'productpage');
  }

  /** Fills the live folder: the mesh, the rules to begin with, and a certificate for each proxy. */
  async #layOut(): Promise<void> {
    const { live } = this.#options;
    await rm(live, { recursive: true, force: true });
    const mesh = join(HERE, 'mesh');
    for (const file of await readdir(mesh, { recursive: true }))
      if (file.endsWith('.yaml')) await writeLive(this.#options, file, await readFile(join(mesh, file), 'utf8'));
    await this.apply('reviews-all');
    await this.apply('ratings');
    const authority = createMeshAuthority('bookinfo');
    await writeLive(
      this.#options,
      'secrets.yaml',
      secrets('root', { validation_context: { trusted_ca: inline(authority.root) } }),
    );
    for (const { name, account } of WORKLOADS) {
      const { certificate, key } = authority.issue(`spiffe://bookinfo/sa/${account}`);
      const tls = { tls_certificate: { certificate_chain: inline(certificate), private_key: inline(key) } };
      await writeLive(this.#options, `${name}/secrets.yaml`, secrets('certificate', tls));
    }
  }

  #runService({ name, appPort, calls = {} }: Workload): void {
    if (appPort === undefined) return;
    const { portOffset } = this.#options;
    const urls = Object.entries(calls).map(([key, port]) => [key, `http://127.0.0.1:${port + portOffset}`]);
    const main = join(HERE, 'services/main.ts');
    this.#run(name, process.execPath, [main, name, String(appPort + portOffset)], Object.fromEntries(urls));
  }

  #runProxy({ name, account, adminPort }: Workload, bootstrap: string): void {
    const { proxy, portOffset } = this.#options;
    const address = { socket_address: { address: '127.0.0.1', port_value: adminPort + portOffset } };
    const who = ['--service-node', name, '--service-cluster', account];
    const admin = ['--config-yaml', JSON.stringify({ admin: { address } })];
    const how = ['--concurrency', '1', '--disable-hot-restart', '-l', 'warning'];
    this.#run(`${name}-proxy`, proxy, ['-c', bootstrap, ...who, ...admin, ...how]);
  }

  #run(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
    const { log } = this.#options;
    // A group of its own: Ctrl-C in a terminal reaches this process alone, which ends the others in its own time.
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      detached: true,
    });
    for (const output of [child.stdout, child.stderr])
      createInterface(output).on('line', (line) => log(`${name}: ${line}`));
    child.on('error', (error) => log(`${name}: ${error.message}`));
    child.on('exit', (code, signal) => log(`${name} ended (${signal ?? code})`));
    this.#processes.set(name, child);
  }

  async #answers(url: string, name: string): Promise<void> {
    const deadline = performance.now() + READY_MS;
    for (;;) {
      const { exitCode = null, signalCode = null } = this.#processes.get(name) ?? {};
      this.#options.signal.throwIfAborted();
      if (exitCode !== null || signalCode !== null) throw new Error(`${name} could not start`);
      const response = await fetch(url, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
      await response?.arrayBuffer();
      if (response?.status === 200) return;
      if (performance.now() > deadline) throw new Error(`${name} is not ready after ${READY_MS / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function writeLive({ live, portOffset = 0 }: BookinfoOptions, file: string, yaml: string): Promise<void> {
  const path = join(live, file);
  await mkdir(dirname(path), { recursive: true });
  // Keys are in it, too.
  await writeFile(path, shiftPorts(yaml, portOffset), { mode: 0o600 });
}

/** JSON is YAML, too. */
function secrets(name: string, content: object): string {
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
  return JSON.stringify({ resources: [{ '@type': type, name, ...content }] }, undefined, 2);
}

function inline(text: string): { inline_string: string } {
  return { inline_string: text };
}

/** Rejects if another program listens on a port that the mesh needs: better than seven proxies that wait. */
async function demandPorts(offset: number): Promise<void> {
  for (const port of new Set(allPorts())) {
    const server = createServer();
    server.listen(port + offset, '127.0.0.1');
    await once(server, 'listening').catch(() => {
      throw new Error(`127.0.0.1:${port + offset} is needed, and another program has it (see --port-offset)`);
    });
    server.close();
    await once(server, 'close');
  }
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await ended;
  clearTimeout(timer);
}
