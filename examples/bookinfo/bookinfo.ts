import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { XdsServer } from '../xds-server/xds-server.ts';
import { createMeshAuthority, type MeshAuthority } from './mesh-authority.ts';
import { allPorts, GATEWAY_PORT, ISTIOD_PORTS, shiftPorts, WORKLOADS, XDS_PORT, type Workload } from './workloads.ts';

const HERE = import.meta.dirname;
const PROXY = join(HERE, '../../bin/outrigger');
const READY_MS = 60_000;
/** istiod may have to be built first. */
const BUILD_MS = 1_200_000;
/** How long a process may take to end by itself. */
const END_MS = 3_000;

export interface BookinfoOptions {
  /** The folder that the control plane watches; emptied and filled with the mesh as it is at first. */
  readonly live: string;
  /** Added to every port. */
  readonly portOffset?: number;
  /** The proxy to run: any program with Envoy's command line. */
  readonly proxy?: string;
  /** A program that runs istiod with the Istio YAML in `live`, to be the control plane; ours is by default. */
  readonly istiod?: string | undefined;
  /** A line for whatever happens. */
  readonly log: (line: string) => void;
  /** Aborted while it starts: ends what has been started, and rejects. */
  readonly signal?: AbortSignal;
}

/** The bookstore: six services, a sidecar beside each, a gateway, and the control plane (in this process). */
export class Bookinfo implements AsyncDisposable {
  /** Of the gateway. */
  readonly url: string;
  readonly #options: BookinfoOptions & {
    readonly portOffset: number;
    readonly proxy: string;
    readonly signal: AbortSignal;
  };
  /** Where its files are: `mesh`, `rules` and the bootstrap. */
  readonly #home: string;
  /** Certificates, and all that a proxy starts with. */
  #folder = '';
  readonly #processes = new Map<string, ChildProcess>();
  readonly #stack = new AsyncDisposableStack();

  private constructor(options: BookinfoOptions) {
    this.#options = {
      portOffset: 0,
      proxy: PROXY,
      signal: new AbortController().signal,
      ...options,
    };
    this.#home = this.#options.istiod === undefined ? HERE : join(HERE, 'istio');
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
    const to = join(this.#options.live, `${rule.split('-')[0]}.yaml`);
    await this.#copy(join(this.#home, 'rules', `${rule}.yaml`), to);
  }

  /** Ends one process: a service (`details`), or a proxy (`details-proxy`). */
  async end(name: string): Promise<void> {
    const child = this.#processes.get(name);
    if (child !== undefined) await endProcess(child);
  }

  adminUrl(workload: string): string {
    return `http://127.0.0.1:${this.#workload(workload).adminPort + this.#options.portOffset}`;
  }

  /** Where a service reaches another one (`RATINGS`) through its own sidecar. */
  outboundUrl(workload: string, service: string): string {
    const { address, calls = {} } = this.#workload(workload);
    // istiod has one listener for all services; they are told apart by their names.
    if (this.#options.istiod !== undefined) return `http://${address}:9080`;
    return `http://127.0.0.1:${(calls[service] ?? 0) + this.#options.portOffset}`;
  }

  /** Where a sidecar takes requests from other proxies. */
  inbound(workload: string): { readonly host: string; readonly port: number } {
    const { address, inboundPort } = this.#workload(workload);
    if (this.#options.istiod !== undefined) return { host: address, port: 9081 };
    return { host: '127.0.0.1', port: inboundPort + this.#options.portOffset };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #workload(name: string): Workload {
    const found = WORKLOADS.find((workload) => workload.name === name);
    if (found === undefined) throw new Error(`there is no workload '${name}'`);
    return found;
  }

  async #start(): Promise<void> {
    const { portOffset, istiod, live, log } = this.#options;
    if (istiod !== undefined && portOffset !== 0) throw new Error('the ports of the mesh under istiod are fixed');
    await demandPorts(portOffset);
    this.#folder = this.#stack.adopt(await mkdtemp(join(tmpdir(), 'bookinfo-')), remove);
    await this.#layOut();
    await this.#copy(join(this.#home, 'bootstrap.yaml'), join(this.#folder, 'bootstrap.yaml'));
    // Under istiod ours serves the certificates only: an agent does that in a cluster.
    const folder = istiod === undefined ? live : join(this.#folder, 'secrets');
    const address = `127.0.0.1:${XDS_PORT + portOffset}`;
    this.#stack.use(await XdsServer.start({ folder, address, log: (line) => log(`xds: ${line}`) }));
    this.#stack.defer(async () => {
      await Promise.all([...this.#processes.values()].map(endProcess));
    });
    if (istiod !== undefined) await this.#runIstiod(istiod);
    for (const workload of WORKLOADS) {
      this.#runService(workload);
      this.#runProxy(workload);
    }
    await Promise.all(WORKLOADS.map(({ name }) => this.#answers(`${this.adminUrl(name)}/ready`, `${name}-proxy`)));
    await this.#answers(`${this.url}/productpage`, 'productpage');
  }

  /** Fills the live folder: the mesh, the rules to begin with, and a certificate for each proxy. */
  async #layOut(): Promise<void> {
    const { live } = this.#options;
    await rm(live, { recursive: true, force: true });
    const mesh = join(this.#home, 'mesh');
    for (const file of await readdir(mesh, { recursive: true }))
      if (file.endsWith('.yaml')) await this.#copy(join(mesh, file), join(live, file));
    await this.apply('reviews-all');
    await this.apply('ratings');
    await (this.#options.istiod === undefined ? this.#writeSecrets() : this.#writeIstioSecrets());
  }

  async #writeSecrets(): Promise<void> {
    const { live } = this.#options;
    const authority = createMeshAuthority('bookinfo');
    await writePrivate(join(live, 'secrets.yaml'), rootSecret('root', authority));
    for (const { name, account } of WORKLOADS) {
      const issued = authority.issue(`spiffe://bookinfo/sa/${account}`);
      await writePrivate(join(live, name, 'secrets.yaml'), certificateSecret('certificate', issued));
    }
  }

  /** With the names and identities that istiod counts on. */
  async #writeIstioSecrets(): Promise<void> {
    const folder = join(this.#folder, 'secrets');
    const authority = createMeshAuthority('cluster.local');
    await writePrivate(join(folder, 'secrets.yaml'), rootSecret('ROOTCA', authority));
    for (const { account } of WORKLOADS) {
      const issued = authority.issue(`spiffe://cluster.local/ns/bookinfo/sa/${account}`);
      await writePrivate(join(folder, account, 'secrets.yaml'), certificateSecret('default', issued));
    }
  }

  async #copy(from: string, to: string): Promise<void> {
    const yaml = await readFile(from, 'utf8');
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, shiftPorts(yaml, this.#options.portOffset));
  }

  async #runIstiod(program: string): Promise<void> {
    const [grpc, tls, http, monitoring] = ISTIOD_PORTS.map((port) => String(port + this.#options.portOffset));
    this.#run('istiod', program, [], {
      ISTIOD_GRPC_PORT: grpc,
      ISTIOD_TLS_PORT: tls,
      ISTIOD_HTTP_PORT: http,
      ISTIOD_MONITORING_PORT: monitoring,
      ISTIOD_CONFIG: this.#options.live,
      ISTIOD_OUT: join(this.#folder, 'istiod'),
      ISTIOD_MTLS: '1',
    });
    await this.#answers(`http://127.0.0.1:${http}/ready`, 'istiod', BUILD_MS);
  }

  #runService({ name, appPort, calls = {} }: Workload): void {
    if (appPort === undefined) return;
    const { portOffset } = this.#options;
    const urls = Object.keys(calls).map((key) => [key, this.outboundUrl(name, key)]);
    const main = join(HERE, 'services/main.ts');
    this.#run(name, process.execPath, [main, name, String(appPort + portOffset)], Object.fromEntries(urls));
  }

  #runProxy(workload: Workload): void {
    const { proxy, portOffset, istiod } = this.#options;
    const { name, account, adminPort } = workload;
    const address = { socket_address: { address: '127.0.0.1', port_value: adminPort + portOffset } };
    const node = istiod === undefined ? { id: name, cluster: account } : istioNode(workload);
    const more = ['--config-yaml', JSON.stringify({ node, admin: { address } })];
    const how = ['--concurrency', '1', '--disable-hot-restart', '-l', 'warning'];
    this.#run(`${name}-proxy`, proxy, ['-c', join(this.#folder, 'bootstrap.yaml'), ...more, ...how]);
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

  async #answers(url: string, name: string, withinMs = READY_MS): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const { signal } = this.#options;
      signal.throwIfAborted();
      const child = this.#processes.get(name);
      if (child?.pid === undefined || hasEnded(child)) throw new Error(`${name} could not start`);
      const either = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
      const response = await fetch(url, { signal: either }).catch(() => undefined);
      await response?.arrayBuffer();
      if (response?.status === 200) return;
      if (performance.now() > deadline) throw new Error(`${name} is not ready after ${withinMs / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** What istiod wants to know of a proxy; Istio's agent would tell it. */
function istioNode({ name, account, address }: Workload): object {
  const gateway = name === 'gateway';
  const version = /v\d$/.exec(name)?.[0] ?? 'v1';
  return {
    id: `${gateway ? 'router' : 'sidecar'}~${address}~${name}.bookinfo~bookinfo.svc.cluster.local`,
    cluster: account,
    metadata: {
      ISTIO_VERSION: '1.31.0',
      NAMESPACE: 'bookinfo',
      NAME: name,
      WORKLOAD_NAME: name,
      SERVICE_ACCOUNT: account,
      INSTANCE_IPS: address,
      CLUSTER_ID: 'Kubernetes',
      MESH_ID: 'cluster.local',
      INTERCEPTION_MODE: 'NONE',
      LABELS: { app: account, version, ...(gateway && { istio: 'ingressgateway' }) },
    },
  };
}

function rootSecret(name: string, { root }: MeshAuthority): string {
  return secretFile({ name, validation_context: { trusted_ca: { inline_string: root } } });
}

function certificateSecret(name: string, issued: ReturnType<MeshAuthority['issue']>): string {
  const chain = { inline_string: issued.certificate };
  return secretFile({
    name,
    tls_certificate: { certificate_chain: chain, private_key: { inline_string: issued.key } },
  });
}

/** JSON is YAML, too. */
function secretFile(secret: object): string {
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
  return JSON.stringify({ resources: [{ '@type': type, ...secret }] }, undefined, 2);
}

async function writePrivate(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode: 0o600 });
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

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await ended;
  clearTimeout(timer);
}
