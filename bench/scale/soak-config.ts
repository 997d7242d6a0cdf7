import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CertificateAuthority } from '../../test/support/certificates.ts';
import { assignment, edsCluster, rdsListener } from '../../test/support/ads-config.ts';
import { http2Upstream, tcp } from '../../test/support/proxy-config.ts';

type Json = Readonly<Record<string, unknown>>;

const TYPE = 'type.googleapis.com/envoy';
const TLS = `${TYPE}.extensions.transport_sockets.tls.v3`;
const KINDS = ['clusters', 'endpoints', 'routes', 'listeners', 'secrets'] as const;
/** After so many rounds of all kinds it begins again, with new names and values. */
const ROUNDS = 4;

export interface SoakPorts {
  /** Upstreams by what they speak. */
  readonly http1: readonly number[];
  readonly http2: readonly number[];
  readonly tls: readonly number[];
  /** Of the proxy's listeners; `extra` comes and goes. */
  readonly main: number;
  readonly secure: number;
  readonly extra: number;
}

/** A change. */
export interface SoakStep {
  readonly kind: (typeof KINDS)[number];
  readonly cycle: number;
  /** 1 to ROUNDS. */
  readonly phase: number;
  /** Whether the listener `extra` is there afterwards. */
  readonly extra: boolean;
}

const secret = (name: string, more: Json): Json => ({
  '@type': `${TLS}.Secret`,
  name,
  ...more,
});
const sds = (name: string): Json => ({ name, sds_config: { ads: {}, resource_api_version: 'V3' } });

/**
 * The folder that a control plane serves while it changes: each step changes one kind of resource, the kinds in turn.
 * A cluster is there before routes lead to it and for a while after.
 */
export class SoakConfig {
  readonly #folder: string;
  readonly #ports: SoakPorts;
  /** Issues all certificates. */
  readonly #ca: CertificateAuthority;
  readonly #identities = new Map<string, Json>();
  #step = 0;
  #round = 0;
  #extra = false;

  constructor(folder: string, ca: CertificateAuthority, ports: SoakPorts) {
    this.#folder = folder;
    this.#ca = ca;
    this.#ports = ports;
    for (const kind of KINDS) this.#write(kind, 0, 0);
  }

  /** How many versions of the routes there have been. */
  get rounds(): number {
    return this.#round;
  }

  /** The change that `next` is going to make. */
  peek(): SoakStep {
    const kind = KINDS[this.#step % KINDS.length]!;
    const turn = Math.floor(this.#step / KINDS.length);
    const phase = 1 + (turn % ROUNDS);
    const extra = kind === 'listeners' ? phase < ROUNDS : this.#extra;
    return { kind, cycle: 1 + Math.floor(turn / ROUNDS), phase, extra };
  }

  /** Makes the next change. */
  next(): void {
    const { kind, cycle, phase } = this.peek();
    this.#step++;
    this.#write(kind, cycle, phase);
  }

  /** `phase` 0: as it is before the first step; then 1 to ROUNDS. */
  #write(kind: (typeof KINDS)[number], cycle: number, phase: number): void {
    const file = join(this.#folder, `${kind}.json`);
    const resources = this.#resources(kind, cycle, phase);
    writeFileSync(`${this.#folder}/.next`, JSON.stringify({ resources }));
    renameSync(`${this.#folder}/.next`, file);
  }

  #resources(kind: (typeof KINDS)[number], cycle: number, phase: number): readonly Json[] {
    switch (kind) {
      case 'clusters':
        return this.#clusters(cycle, phase);
      case 'endpoints':
        return this.#endpoints(cycle, phase);
      case 'routes':
        return this.#routes(cycle, phase);
      case 'listeners':
        return this.#listeners(cycle, phase);
      case 'secrets':
        return this.#secrets(cycle, phase);
    }
  }

  /** Adds `green`, changes it and `web`, changes the TLS cluster, removes `green`. */
  #clusters(cycle: number, phase: number): Json[] {
    const cluster = (name: string, more: Json = {}): Json => ({
      '@type': `${TYPE}.config.cluster.v3.Cluster`,
      ...edsCluster(name, more),
    });
    const changed = cycle * 2 + (phase >= 2 ? 1 : 0);
    const context = {
      '@type': `${TLS}.UpstreamTlsContext`,
      sni: 'localhost',
      max_session_keys: cycle * 2 + (phase >= 3 ? 2 : 1),
      common_tls_context: {
        tls_certificate_sds_secret_configs: [sds('client')],
        combined_validation_context: {
          default_validation_context: {
            match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'localhost' } }],
          },
          validation_context_sds_secret_config: sds('root'),
        },
      },
    };
    return [
      cluster('web', {
        connect_timeout: `${(1000 + changed) / 1000}s`,
        lb_policy: changed % 2 === 0 ? 'ROUND_ROBIN' : 'RANDOM',
      }),
      cluster('web-h2', http2Upstream()),
      cluster('secure', { transport_socket: { name: 'tls', typed_config: context } }),
      ...(phase >= 1 && phase < 4
        ? [cluster(`green-${cycle}`, { lb_policy: phase === 1 ? 'ROUND_ROBIN' : 'LEAST_REQUEST' })]
        : []),
    ];
  }

  /** Endpoints come, go, are weighted, unhealthy, and of a lower priority. */
  #endpoints(cycle: number, phase: number): Json[] {
    const { http1, http2, tls } = this.#ports;
    const [a, b, c] = http1 as [number, number, number];
    const endpoint = (port: number, more: Json = {}): Json => ({ endpoint: { address: tcp(port) }, ...more });
    const web = [
      [endpoint(a), endpoint(b)],
      [endpoint(a), endpoint(b), endpoint(c)],
      [endpoint(a, { load_balancing_weight: 5 }), endpoint(b, { load_balancing_weight: 1 + cycle }), endpoint(c)],
      [endpoint(a), endpoint(b, { health_status: 'UNHEALTHY' }), endpoint(c)],
      [endpoint(b), endpoint(c, { health_status: 'DRAINING' })],
    ][phase]!;
    const of = (name: string, ...ports: readonly number[]): Json => ({
      '@type': `${TYPE}.config.endpoint.v3.ClusterLoadAssignment`,
      ...assignment(name, ...ports),
    });
    const locality = (priority: number, ports: readonly number[]): Json => ({
      locality: { zone: `z${priority}` },
      priority,
      lb_endpoints: ports.map((port) => endpoint(port)),
    });
    return [
      { ...of('web'), endpoints: [{ locality: { zone: 'z' }, lb_endpoints: web }] },
      of('web-h2', ...(phase % 2 === 0 ? http2 : http2.slice(0, 1))),
      of('secure', ...(phase % 2 === 0 ? tls : tls.slice(1))),
      // Also those of the cluster of the cycle to come: it doesn't wait for them.
      ...[cycle, cycle + 1].map((each) => ({
        ...of(`green-${each}`),
        endpoints: phase === 2 ? [locality(0, [a]), locality(1, [b, c])] : [locality(0, [b, c])],
      })),
    ];
  }

  /** Shifts weight to `green` and back; each change answers with a number of its own. */
  #routes(cycle: number, phase: number): Json[] {
    const green = [0, 50, 90, 0, 0][phase]!;
    const web =
      green === 0
        ? { cluster: 'web' }
        : {
            weighted_clusters: {
              clusters: [
                { name: 'web', weight: 100 - green },
                { name: `green-${cycle}`, weight: green },
              ],
            },
          };
    this.#round++;
    return [
      {
        '@type': `${TYPE}.config.route.v3.RouteConfiguration`,
        name: 'routes',
        response_headers_to_add: [{ header: { key: 'x-round', value: String(this.#round) } }],
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [
              { match: { prefix: '/h2' }, route: { cluster: 'web-h2' } },
              { match: { prefix: '/secure' }, route: { cluster: 'secure' } },
              { match: { prefix: '/' }, route: web },
            ],
          },
        ],
      },
    ];
  }

  /** Adds a listener, changes a filter chain of each, changes a listener as a whole, removes the one that was added. */
  #listeners(cycle: number, phase: number): Json[] {
    const { main, secure, extra } = this.#ports;
    const listener = (name: string, port: number, serverName: string, more: Json = {}): Json => ({
      '@type': `${TYPE}.config.listener.v3.Listener`,
      ...rdsListener(name, 'routes', { hcm: { server_name: serverName }, ...more }),
      address: tcp(port),
    });
    const name = `soak-${cycle}-${phase >= 2 ? 2 : 0}`;
    const limit = { per_connection_buffer_limit_bytes: 1_000_000 + cycle * 2 + (phase >= 3 ? 1 : 0) };
    const tls = listener('secure', secure, name);
    const context = {
      '@type': `${TLS}.DownstreamTlsContext`,
      common_tls_context: { tls_certificate_sds_secret_configs: [sds('server')] },
    };
    const chains = tls['filter_chains'] as readonly Json[];
    this.#extra = phase >= 1 && phase < 4;
    return [
      listener('main', main, name, limit),
      {
        ...tls,
        filter_chains: chains.map((chain) => ({ ...chain, transport_socket: { name: 'tls', typed_config: context } })),
      },
      ...(this.#extra ? [listener(`extra-${cycle}`, extra, 'extra')] : []),
    ];
  }

  /** Rotates the server's certificate, the client's, the roots (one more, one less), and all of them. */
  #secrets(cycle: number, phase: number): Json[] {
    const rotate = (name: string, phases: readonly number[]): Json => {
      if (phases.includes(phase)) {
        const { chain, key } = this.#ca.issue({ commonName: `${name} ${cycle}.${phase}`, dns: ['localhost'] });
        const certificate = { certificate_chain: { inline_string: chain }, private_key: { inline_string: key } };
        this.#identities.set(name, secret(name, { tls_certificate: certificate }));
      }
      return this.#identities.get(name)!;
    };
    const root = this.#ca.certificate;
    const roots = phase >= 3 ? root + CertificateAuthority.create({ commonName: `next ${cycle}` }).certificate : root;
    return [
      rotate('server', [0, 1, 4]),
      rotate('client', [0, 2, 4]),
      secret('root', { validation_context: { trusted_ca: { inline_string: roots } } }),
    ];
  }
}
