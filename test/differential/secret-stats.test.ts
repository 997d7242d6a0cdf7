import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CertificateAuthority, type IssuedCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { cluster, listener } from '../support/proxy-config.ts';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { findTool } from '../support/tools.ts';

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const envoyBinary = findTool('envoy');
const authorities = [CertificateAuthority.create(), CertificateAuthority.create()] as const;
const [ca] = authorities;

/** A proxy whose contexts are made of secrets in files. */
class Subject {
  readonly dir = mkdtempSync(join(tmpdir(), 'secret-stats-'));
  #proxy: ProxyProcess | undefined = undefined;

  async start(name: string, binary: string): Promise<this> {
    for (const file of ['pair', 'root']) mkdirSync(join(this.dir, file));
    this.certificate('1', ca.issue());
    this.root('1', ca);
    this.#proxy = await ProxyProcess.start(name, binary, this.#config(), ['--concurrency', '2']);
    return this;
  }

  certificate(version: string, { certificate, key }: IssuedCertificate): void {
    this.#write('pair', version, {
      tls_certificate: { certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } },
    });
  }

  root(version: string, { certificate }: CertificateAuthority): void {
    this.#write('root', version, { validation_context: { trusted_ca: { inline_string: certificate } } });
  }

  /** All that counts secrets. */
  async stats(): Promise<string[]> {
    const url = `http://127.0.0.1:${this.#proxy!.adminPort}/stats?filter=context_update_by_sds|secrets_not_ready|%5Esds`;
    const lines = (await (await fetch(url)).text()).split('\n');
    // Times, and the hash of which our gauges have fewer digits.
    return lines.filter((line) => !/update_time|update_duration|\.version:|^$/.test(line)).toSorted();
  }

  async close(): Promise<void> {
    await this.#proxy?.[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true });
  }

  #write(name: string, version: string, secret: object): void {
    const resources = [{ '@type': `${TLS}.Secret`, name, ...secret }];
    const file = join(this.dir, name, 'sds.json');
    writeFileSync(`${file}.new`, JSON.stringify({ version_info: version, resources }));
    renameSync(`${file}.new`, file);
  }

  #config(): string {
    const from = (name: string) => ({
      name,
      sds_config: { path_config_source: { path: join(this.dir, name, 'sds.json') } },
    });
    const root = { validation_context_sds_secret_config: from('root') };
    const pair = { tls_certificate_sds_secret_configs: [from('pair')] };
    const combined = {
      combined_validation_context: {
        default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'a' } }] },
        ...root,
      },
    };
    const socket = (side: string, common: object) => ({
      transport_socket: {
        name: 'tls',
        typed_config: { '@type': `${TLS}.${side}TlsContext`, common_tls_context: common },
      },
    });
    const routes = [{ match: { prefix: '/' }, direct_response: { status: 200 } }];
    return JSON.stringify({
      node: { id: 'a', cluster: 'a' },
      admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
      static_resources: {
        listeners: [
          listener('l', {
            routes,
            listener: { stat_prefix: 'l' },
            filterChain: socket('Downstream', { ...pair, ...root }),
          }),
        ],
        clusters: [
          cluster('both', 1, socket('Upstream', { ...pair, ...combined })),
          cluster('root', 1, socket('Upstream', root)),
          cluster(
            'none',
            1,
            socket('Upstream', { validation_context: { trusted_ca: { inline_string: ca.certificate } } }),
          ),
        ],
      },
    });
  }
}

describe.skipIf(envoyBinary === undefined)('what counts secrets', () => {
  let subjects: readonly [Subject, Subject];
  beforeAll(async () => {
    subjects = await Promise.all([
      new Subject().start('envoy', envoyBinary!),
      new Subject().start('outrigger', OUTRIGGER),
    ]);
  });
  afterAll(() => Promise.all((subjects ?? []).map((subject) => subject.close())));

  const steps: readonly (readonly [string, string, (subject: Subject) => void])[] = [
    ['at the start', 'sds.root.version_text: "1"', () => {}],
    ['another certificate', 'sds.pair.version_text: "2"', (subject) => subject.certificate('2', second)],
    ['another root', 'sds.root.version_text: "2"', (subject) => subject.root('2', authorities[1])],
    ['the same root again', 'sds.root.update_success: 3', (subject) => subject.root('3', authorities[1])],
    [
      'a key that is not the certificate’s',
      'sds.pair.update_rejected: 1',
      (subject) => subject.certificate('4', { ...second, key: ca.issue().key }),
    ],
  ];
  const second = ca.issue();

  test.each(steps)('%s', async (_, sign, change) => {
    for (const subject of subjects) {
      change(subject);
      await eventually(sign, async () => (await subject.stats()).includes(sign), 10_000);
    }
    const [envoy, outrigger] = subjects;
    // Workers tell theirs a moment later.
    await eventually('the same', async () => String(await outrigger.stats()) === String(await envoy.stats())).catch(
      () => {},
    );
    expect(await outrigger.stats()).toEqual(await envoy.stats());
  });
});
