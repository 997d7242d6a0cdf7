import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { adsBootstrap, assignment, edsCluster, rdsListener, routesTo } from '../support/ads-config.ts';
import { AdsServer } from '../support/ads-server.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';
import { findTool } from '../support/tools.ts';

type Json = Readonly<Record<string, unknown>>;
type Dump = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const SETTLED_MS = 5_000;
const envoyBinary = findTool('envoy');
const ca = CertificateAuthority.create();

/** The version of a resource in a delta is its content: too long to read. */
const shortened = (version: string): string =>
  version.length < 10 ? version : createHash('sha256').update(version).digest('hex').slice(0, 8);

/** Left out: what differs from run to run, and how a failure is told (Envoy names no version, ours does). */
const withoutNoise = (value: unknown, port: number, parent = ''): unknown => {
  if (Array.isArray(value)) return value.map((each) => withoutNoise(each, port));
  if (typeof value !== 'object' || value === null) return value === port ? 'ADS' : value;
  const kept = Object.entries(value).filter(
    ([key]) =>
      key !== 'last_updated' &&
      key !== 'last_update_attempt' &&
      !(parent === 'error_state' && (key === 'version_info' || key === 'details')),
  );
  // In one order: the text of an entry is then its identity.
  const ordered = kept.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    ordered.map(([key, each]) => [
      key,
      key === 'version_info' ? shortened(String(each)) : withoutNoise(each, port, key),
    ]),
  );
};

/** Envoy repeats the failures of the last response without their names. */
const isRepeatedFailure = (entry: unknown): boolean => Object.keys(entry as object).join() === 'error_state';

const sorted = (entries: readonly unknown[]): unknown[] =>
  entries.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

/** A proxy and the control plane that is its own: both get the same pushes. */
class Subject implements AsyncDisposable {
  readonly proxy: ProxyProcess;
  readonly ads: AdsServer;

  private constructor(proxy: ProxyProcess, ads: AdsServer) {
    this.proxy = proxy;
    this.ads = ads;
  }

  static async start(name: string, binary: string, delta: boolean, prepare: (ads: AdsServer) => void) {
    const ads = await AdsServer.start();
    prepare(ads);
    const config = JSON.stringify(adsBootstrap(ads.port, { delta }));
    return new Subject(await ProxyProcess.start(name, binary, config), ads);
  }

  /** Section -> list -> entries; lists have no order, and the bootstrap isn't of the control plane. */
  async dump(): Promise<Dump> {
    const { configs } = JSON.parse(await this.proxy.admin('/config_dump?include_eds')) as { configs: Json[] };
    const sections = configs
      .map(({ '@type': type, ...lists }) => [String(type).split('.').at(-1)!, lists] as const)
      .filter(([type]) => type !== 'BootstrapConfigDump')
      .map(
        ([type, lists]) =>
          [
            type,
            Object.fromEntries(
              Object.entries(withoutNoise(lists, this.ads.port) as Json).map(([list, entries]) => [
                list,
                Array.isArray(entries) ? sorted(entries.filter((entry) => !isRepeatedFailure(entry))) : entries,
              ]),
            ),
          ] as const,
      )
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sections) as Dump;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.ads[Symbol.asyncDispose]();
  }
}

const secret = (name: string): Json => {
  const { certificate, key } = ca.issue({ dns: ['a.test'] });
  return {
    name,
    tls_certificate: { certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } },
  };
};

function tlsListener(name: string, routes: string, secretName: string): Json {
  const plain = rdsListener(name, routes) as { filter_chains: Json[] };
  const sds_config = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };
  const transport_socket = {
    name: 'tls',
    typed_config: {
      '@type': `${TLS}.DownstreamTlsContext`,
      common_tls_context: { tls_certificate_sds_secret_configs: [{ name: secretName, sds_config }] },
    },
  };
  return { ...plain, filter_chains: plain.filter_chains.map((chain) => ({ ...chain, transport_socket })) };
}

/** Refused by both: no such filter. */
const badListener = (name: string): Json =>
  rdsListener(name, 'r', {
    hcm: { http_filters: [{ name: 'nope', typed_config: { '@type': `${TLS}.UpstreamTlsContext` } }] },
  });

const inline = (server_name: string): Json =>
  rdsListener('in', '', { hcm: { rds: undefined, route_config: { name: 'inline' }, server_name } });

const versionOf = (dump: Dump): unknown => {
  const [listener] = dump['ListenersConfigDump']!['dynamic_listeners'] as { active_state: Json }[];
  return listener!.active_state['version_info'];
};

const statesOf = (dump: Dump, listener: string): string => {
  const listeners = (dump['ListenersConfigDump']?.['dynamic_listeners'] ?? []) as Json[];
  const found = listeners.filter(({ name }) => name === listener);
  return found
    .flatMap((each) => Object.keys(each).filter((key) => key.endsWith('_state') && key !== 'draining_state'))
    .toSorted()
    .join();
};
const has = (dump: Dump, text: string): boolean => JSON.stringify(dump).includes(text);

describe.skipIf(envoyBinary === undefined).each([
  ['SotW', false],
  ['delta', true],
])('/config_dump after the same pushes, %s', (_, delta) => {
  test('the same resources, versions and states', async () => {
    await using upstream = await ScriptedUpstream.start();
    const first = secret('cert');
    const rotated = secret('cert');
    const begin = (ads: AdsServer): void =>
      ads.change((set) => {
        set('cds', 'c', edsCluster('c'));
        set('cds', 'd', edsCluster('d'));
        set('eds', 'c', assignment('c', upstream.port));
        set('eds', 'd', assignment('d', upstream.port));
        set('lds', 'in', rdsListener('in', 'r'));
        set('lds', 'tls', tlsListener('tls', 's', 'cert'));
        set('rds', 'r', routesTo('r', 'c'));
        set('rds', 's', routesTo('s', 'd'));
        set('sds', 'cert', first);
      });
    await using envoy = await Subject.start('envoy', envoyBinary!, delta, begin);
    await using ours = await Subject.start('outrigger', OUTRIGGER, delta, begin);

    /** Pushes the same to both, and compares once both show what is to come of it. */
    const step = async (what: string, push: (ads: AdsServer) => void, landed: (dump: Dump) => boolean) => {
      for (const { ads } of [envoy, ours]) push(ads);
      for (const subject of [envoy, ours])
        await eventually(`${what}, ${subject.proxy.name}`, async () => landed(await subject.dump()), SETTLED_MS);
      const same = async () => JSON.stringify(await ours.dump()) === JSON.stringify(await envoy.dump());
      await eventually(what, same, 500).catch(() => {});
      expect.soft(await ours.dump(), what).toEqual(await envoy.dump());
    };

    await step(
      'the first configuration',
      () => {},
      (dump) => has(dump, 'dynamic_active_secrets'),
    );
    await step(
      'a cluster and its endpoints',
      (ads) =>
        ads.change((set) => {
          set('cds', 'c', edsCluster('c', { connect_timeout: '7s' }));
          set('eds', 'c', assignment('c', upstream.port, upstream.port + 1));
        }),
      (dump) => has(dump, '"7s"') && !has(dump, 'dynamic_warming_clusters'),
    );
    await step(
      'endpoints alone',
      (ads) => ads.set('eds', 'd', { ...assignment('d', upstream.port), policy: { overprovisioning_factor: 150 } }),
      (dump) => has(dump, '"overprovisioning_factor":150'),
    );
    await step(
      'a listener',
      (ads) => ads.set('lds', 'in', rdsListener('in', 'r', { per_connection_buffer_limit_bytes: 77 })),
      (dump) => has(dump, '"per_connection_buffer_limit_bytes":77'),
    );
    await step(
      'routes',
      (ads) => ads.set('rds', 's', routesTo('s', 'c')),
      (dump) =>
        JSON.stringify(dump['RoutesConfigDump']).includes('"cluster":"c"') &&
        !JSON.stringify(dump['RoutesConfigDump']).includes('"cluster":"d"'),
    );
    await step(
      'a secret',
      (ads) => ads.set('sds', 'cert', rotated),
      (dump) =>
        !has(
          dump,
          Buffer.from(
            (first as { tls_certificate: { certificate_chain: { inline_string: string } } }).tls_certificate
              .certificate_chain.inline_string,
          ).toString('base64'),
        ),
    );
    await step(
      'a response that is bad in half',
      (ads) =>
        ads.change((set) => {
          set('lds', 'bad', badListener('bad'));
          set('lds', 'good', rdsListener('good', 'r'));
        }),
      (dump) => statesOf(dump, 'bad') === 'error_state' && statesOf(dump, 'good') === 'active_state',
    );
    await step(
      'an update that is bad',
      (ads) => ads.set('lds', 'good', badListener('good')),
      (dump) => statesOf(dump, 'good') === 'active_state,error_state',
    );
    await step(
      'what was bad is mended, and goes',
      (ads) =>
        ads.change((set) => {
          set('lds', 'bad', undefined);
          set('lds', 'good', rdsListener('good', 's', { per_connection_buffer_limit_bytes: 77 }));
        }),
      (dump) => statesOf(dump, 'good') === 'active_state' && statesOf(dump, 'bad') === '',
    );
    await step(
      'a listener whose routes are late, and an update of one that serves',
      (ads) => {
        ads.withheld.add('rds');
        ads.change((set) => {
          set('lds', 'late', rdsListener('late', 'later'));
          set('lds', 'in', rdsListener('in', 'later', { per_connection_buffer_limit_bytes: 78 }));
          set('rds', 'later', routesTo('later', 'd'));
        });
      },
      (dump) => statesOf(dump, 'late') === 'warming_state' && statesOf(dump, 'in') === 'active_state,warming_state',
    );
    await step(
      'the routes',
      (ads) => {
        ads.withheld.clear();
        ads.push();
      },
      (dump) => statesOf(dump, 'late') === 'active_state' && statesOf(dump, 'in') === 'active_state',
    );
    await step(
      'a cluster whose endpoints are late',
      (ads) => {
        ads.withheld.add('eds');
        ads.change((set) => {
          set('cds', 'e', edsCluster('e'));
          set('eds', 'e', assignment('e', upstream.port));
        });
      },
      (dump) => has(dump, 'dynamic_warming_clusters'),
    );
    await step(
      'the endpoints',
      (ads) => {
        ads.withheld.clear();
        ads.push();
      },
      (dump) => !has(dump, 'dynamic_warming_clusters') && has(dump, '"e"'),
    );
    await step(
      'a removal',
      (ads) =>
        ads.change((set) => {
          set('lds', 'tls', undefined);
          set('cds', 'e', undefined);
          set('eds', 'e', undefined);
        }),
      (dump) => statesOf(dump, 'tls') === '' && has(dump, '"draining_state"') && !has(dump, '"name":"e"'),
    );
  });

  test('a listener updated in place: ours shows the version that it has, Envoy that of its predecessor', async () => {
    const begin = (ads: AdsServer): void =>
      ads.change((set) => {
        // A delta says nothing of a type that is empty: who waits for clusters would wait for ever.
        set('cds', 'c', edsCluster('c'));
        set('eds', 'c', assignment('c', 1));
        set('lds', 'in', inline('before'));
      });
    await using envoy = await Subject.start('envoy', envoyBinary!, delta, begin);
    await using ours = await Subject.start('outrigger', OUTRIGGER, delta, begin);
    const before = versionOf(await envoy.dump());
    for (const { ads } of [envoy, ours]) ads.set('lds', 'in', inline('after'));
    for (const subject of [envoy, ours])
      await eventually('the update', async () => has(await subject.dump(), '"server_name":"after"'), SETTLED_MS);
    for (const { proxy } of [envoy, ours])
      expect((await proxy.counters()).get('listener_manager.listener_in_place_updated'), proxy.name).toBe(1);
    expect(versionOf(await envoy.dump())).toBe(before);
    const { version_info: latest } = (await ours.dump())['ListenersConfigDump']!;
    expect(latest).toBe((await envoy.dump())['ListenersConfigDump']!['version_info']);
    expect(versionOf(await ours.dump())).not.toBe(before);
    if (!delta) expect(versionOf(await ours.dump())).toBe(latest);
  });
});
