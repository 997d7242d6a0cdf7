import { execFileSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { TOOL_SCRIPTS } from './loopback.ts';
import { LoopbackNamespace } from './loopback-namespace.ts';

const ISTIOD = join(TOOL_SCRIPTS, 'istiod');
const DEBUG = 'http://127.0.0.1:15080';

export interface MeshProxyOptions {
  readonly binary: string;
  /** Of the pod: 127.0.1.x, as the configuration in test/tools/istiod names it. */
  readonly ip: string;
  readonly app: string;
  readonly version?: string;
  readonly adminPort: number;
  readonly role?: 'sidecar' | 'router';
  readonly interception?: 'NONE' | 'REDIRECT' | 'TPROXY';
  /** False: it asks istiod itself for what an agent would get for it. Default: an agent where certificates are needed. */
  readonly agent?: boolean;
  /** For how long a proxy without an agent wants its certificates. */
  readonly certificateTtl?: string;
}

/** istiod, a folder of Istio's configuration that it watches, applications and sidecars, in one network namespace. */
export class IstioMesh implements AsyncDisposable {
  readonly inside: LoopbackNamespace;
  readonly #config: string;
  readonly #mtls: boolean;
  /** The proxies that have an agent. */
  readonly #agents = new Set<string>();

  private constructor(inside: LoopbackNamespace, config: string, mtls: boolean) {
    this.inside = inside;
    this.#config = config;
    this.#mtls = mtls;
  }

  /**
   * `mtls`: its sidecars get certificates; it starts with what is in test/tools/istiod/{config,mtls} or plaintext, but
   * for the VirtualService of `echo`.
   */
  static async start(
    applications: readonly string[],
    { mtls, extensions = 'stock' }: { mtls: boolean; extensions?: 'stock' | 'istio' },
  ): Promise<IstioMesh> {
    const inside = await LoopbackNamespace.start(applications);
    const config = join(inside.dir, 'config');
    mkdirSync(config);
    for (const from of ['config', mtls ? 'mtls' : 'plaintext']) cpSync(join(ISTIOD, from), config, { recursive: true });
    const documents = readFileSync(join(config, 'echo.yaml'), 'utf8').split('\n---\n');
    writeFileSync(
      join(config, 'echo.yaml'),
      documents.filter((document) => !document.includes('kind: VirtualService')).join('\n---\n'),
    );
    const mesh = new IstioMesh(inside, config, mtls);
    inside.spawn('istiod', join(TOOL_SCRIPTS, 'istiod.sh'), [], {
      ISTIOD_CONFIG: config,
      ISTIOD_MTLS: mtls ? '1' : '0',
      ISTIOD_EXTENSIONS: extensions,
      ISTIOD_OUT: join(inside.dir, 'run'),
      ISTIOD_CA: join(inside.dir, 'ca'),
    });
    await eventually('istiod', async () => (await inside.request(`${DEBUG}/ready`)).status === 200, 60_000);
    return mesh;
  }

  /** Writes a file of Istio's configuration; istiod pushes what changes. */
  write(name: string, yaml: string): void {
    writeFileSync(join(this.#config, name), yaml);
  }

  /** Starts a proxy and waits until it is live: under pilot-agent where it needs certificates, alone otherwise. */
  async proxy(options: MeshProxyOptions): Promise<ChildProcess> {
    const { binary, ip, app, version = 'v1', adminPort, role = 'sidecar', interception = 'NONE' } = options;
    const name = `${app}-${version}`;
    const { agent = this.#mtls, certificateTtl = '86400s' } = options;
    if (agent) this.#agents.add(name);
    const child = agent
      ? this.inside.spawn(name, join(TOOL_SCRIPTS, 'pilot-agent.sh'), [role], {
          INTERCEPTION: interception,
          ENVOY: binary,
          POD_NAME: name,
          APP: app,
          VERSION: version,
          INSTANCE_IP: ip,
          ADMIN_PORT: String(adminPort),
          STATUS_PORT: String(adminPort + 20),
          ENVOY_STATUS_PORT: String(adminPort + 21),
          ENVOY_PROMETHEUS_PORT: String(adminPort + 22),
          OUT: join(this.inside.dir, `${name}-home`),
          ISTIOD_CA: join(this.inside.dir, 'ca'),
        })
      : this.inside.spawn(name, binary, [
          '-c',
          this.#bootstrap(name, { ...options, version, role, interception, agent, certificateTtl }),
          '--concurrency',
          '1',
          '--disable-hot-restart',
          '--drain-time-s',
          '1',
          '-l',
          'warning',
        ]);
    // The agent's readiness means that the proxy took over what istiod sent.
    const url = agent ? `http://127.0.0.1:${adminPort + 20}/healthz/ready` : `http://127.0.0.1:${adminPort}/ready`;
    await eventually(name, async () => (await this.inside.request(url)).status === 200, 60_000).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${this.logOf(app, version).slice(-4000)}`);
      },
    );
    return child;
  }

  #bootstrap(
    name: string,
    { ip, app, version, adminPort, role, interception, certificateTtl }: Required<MeshProxyOptions>,
  ): string {
    const file = join(this.inside.dir, `${name}.yaml`);
    const text = execFileSync(join(ISTIOD, 'bootstrap.sh'), [role, ip, name, app], {
      env: {
        ...process.env,
        ADMIN_PORT: String(adminPort),
        VERSION: version,
        INTERCEPTION: interception,
        ...(this.#mtls && {
          ISTIOD_CA: join(this.inside.dir, 'ca'),
          TOKEN: this.#token(app),
          SECRET_TTL: certificateTtl,
        }),
      },
    });
    writeFileSync(file, text);
    return file;
  }

  /** The file of a service account's token. */
  #token(account: string): string {
    const file = join(this.inside.dir, `${account}.token`);
    const script = `. "${join(ISTIOD, 'token.sh')}"; token default "$1"`;
    writeFileSync(file, execFileSync('bash', ['-c', script, 'bash', account]));
    return file;
  }

  /** Ends a proxy before its time. */
  async end(proxy: ChildProcess): Promise<void> {
    proxy.kill('SIGTERM');
    if (proxy.exitCode === null) await once(proxy, 'exit');
  }

  /** What a sidecar logged. */
  logOf(app: string, version = 'v1'): string {
    const name = `${app}-${version}`;
    return this.inside.log(this.#agents.has(name) ? `${name}-home/agent` : name);
  }

  /** Every refusal that istiod was told of. */
  get refusals(): readonly string[] {
    return this.inside
      .log('istiod')
      .split('\n')
      .filter((line) => line.includes('ACK ERROR'));
  }

  /** What istiod knows of a proxy: for each type, whether what was sent last was acknowledged. */
  async syncStatus(name: string): Promise<string> {
    const proxies = await this.inside.json<{ proxy?: string }[]>(`${DEBUG}/debug/syncz`);
    const found = proxies.find((each) => JSON.stringify(each).includes(`${name}.default`));
    return JSON.stringify(found ?? null);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.inside[Symbol.asyncDispose]();
  }
}
