import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { create } from '@bufbuild/protobuf';
import {
  SdsSecretConfigSchema,
  SecretSchema,
  type Secret,
} from '../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { TlsCertificateSchema } from '../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { Problems } from '../../src/config/problem.ts';
import type { SecretModel } from '../../src/config/secret-model.ts';
import { SecretSources } from '../../src/config/secrets/secret-sources.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { SecretStore } from '../../src/server/secret-store.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { SDS_STATS, SECRET_FILE_STATS } from '../../src/telemetry/stats/secret-stats.ts';
import { CertificateAuthority, type IssuedCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';

const types = new TypeRegistry();
await types.load(['envoy.extensions.transport_sockets.tls.v3.Secret']);
const ca = CertificateAuthority.create();

let dir = '';
let stats: ThreadStats;
let store: SecretStore;
let changes: SecretModel[];
let warnings: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'secrets-'));
  stats = new ThreadStats();
  changes = [];
  warnings = [];
  store = new SecretStore({
    clock: systemClock,
    log: { info: () => {}, warn: (_component, message) => void warnings.push(message) },
    stats,
    onChange: ({ set }) => void changes.push(...set),
  });
});
afterEach(() => {
  store.close();
  rmSync(dir, { recursive: true });
});

function newSources(problems = new Problems()): SecretSources {
  return new SecretSources({
    types,
    secrets: [],
    problems,
    discovery: { types, hasNode: true, hasAds: false, isPrimaryCluster: () => true },
  });
}

function writePair({ certificate, key }: IssuedCertificate, to = dir): void {
  writeFileSync(join(to, 'tls.crt'), certificate);
  writeFileSync(join(to, 'tls.key'), key);
}

/** A certificate in files of `from`, as a TLS context holds it. */
function declareFiles(sources: SecretSources, from = dir): string {
  const filename = (name: string) => ({ specifier: { case: 'filename' as const, value: join(from, name) } });
  const message = create(TlsCertificateSchema, {
    certificateChain: filename('tls.crt'),
    privateKey: filename('tls.key'),
  });
  const source = sources.certificate(message, new Problems());
  if (source.kind !== 'secret') throw new Error('files have to be read by name');
  return source.name;
}

const chainOf = (secret: SecretModel | undefined): string | undefined =>
  secret?.kind === 'certificate' ? secret.value.certificateChain : undefined;
const fileStat = (name: keyof typeof SECRET_FILE_STATS.at): number =>
  stats.block(SECRET_FILE_STATS, 'outrigger.secret_files.').get(SECRET_FILE_STATS.at[name]);
const sdsStat = (name: keyof typeof SDS_STATS.at): number =>
  stats.block(SDS_STATS, 'sds.server.').get(SDS_STATS.at[name]);

describe('certificates in files', () => {
  test('go by the same name as long as the configuration is the same', () => {
    writePair(ca.issue());
    expect(declareFiles(newSources())).toBe(declareFiles(newSources()));
  });

  test('are handed out once, and again when their files change', async () => {
    const [first, second] = [ca.issue(), ca.issue()];
    writePair(first);
    const sources = newSources();
    const name = declareFiles(sources);
    const { set } = await store.update(sources.declared);
    expect(set.map(chainOf)).toEqual([first.certificate]);
    expect((await store.update(sources.declared)).set).toEqual([]);

    writePair(second);
    await eventually('the new certificate', () => changes.length > 0);
    expect(changes.map(chainOf)).toEqual([second.certificate]);
    expect(chainOf(store.get(name))).toBe(second.certificate);
    expect(fileStat('reload')).toBeGreaterThan(0);
  });

  test('are found again when Kubernetes swaps its symbolic link', async () => {
    const [first, second] = [ca.issue(), ca.issue()];
    for (const [version, issued] of [
      ['..v1', first],
      ['..v2', second],
    ] as const) {
      mkdirSync(join(dir, version));
      writePair(issued, join(dir, version));
    }
    symlinkSync('..v1', join(dir, '..data'));
    for (const file of ['tls.crt', 'tls.key']) symlinkSync(join('..data', file), join(dir, file));
    const sources = newSources();
    declareFiles(sources);
    await store.update(sources.declared);

    symlinkSync('..v2', join(dir, '..data_tmp'));
    renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
    await eventually('the new certificate', () => changes.length > 0);
    expect(changes.map(chainOf)).toEqual([second.certificate]);
  });

  test('stay in use when what follows is bad, and that is told', async () => {
    const first = ca.issue();
    writePair(first);
    const sources = newSources();
    const name = declareFiles(sources);
    await store.update(sources.declared);

    writeFileSync(join(dir, 'tls.crt'), 'hello');
    await eventually('the refusal', () => fileStat('reload_failed') > 0);
    expect(chainOf(store.get(name))).toBe(first.certificate);
    expect(changes).toEqual([]);
    expect(warnings[0]).toContain(`Failed to load certificate chain from ${join(dir, 'tls.crt')}`);
    expect(warnings[0]).toContain('the last good one stays in use');
  });

  test('are forgotten with the configuration', async () => {
    writePair(ca.issue());
    const sources = newSources();
    const name = declareFiles(sources);
    await store.update(sources.declared);
    expect(store.prune().remove).toEqual([]);
    await store.update([]);
    expect(store.prune().remove).toEqual([name]);
    expect(store.get(name)).toBeUndefined();
  });
});

describe('secrets that a file delivers', () => {
  const file = (): string => join(dir, 'sds.json');
  const deliver = (secret: object | undefined, version = '1'): void => {
    const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
    const resources = secret === undefined ? [] : [{ '@type': type, name: 'server', ...secret }];
    writeFileSync(`${file()}.new`, JSON.stringify({ version_info: version, resources }));
    renameSync(`${file()}.new`, file());
  };
  const inline = ({ certificate, key }: IssuedCertificate): object => ({
    tls_certificate: { certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } },
  });
  const declare = (sources: SecretSources): string => {
    const path = { case: 'pathConfigSource' as const, value: { path: file() } };
    const config = create(SdsSecretConfigSchema, { name: 'server', sdsConfig: { configSourceSpecifier: path } });
    return sources.named('certificate', config, new Problems())!;
  };

  test('are read at once, and again with each new version', async () => {
    const [first, second] = [ca.issue(), ca.issue()];
    deliver(inline(first), 'a');
    const sources = newSources();
    const name = declare(sources);
    const { set } = await store.update(sources.declared);
    expect(set.map(chainOf)).toEqual([first.certificate]);
    expect(store.delivered).toMatchObject([{ name: 'server', versionInfo: 'a' }]);

    deliver(inline(second), 'b');
    await eventually('the new certificate', () => changes.length > 0);
    expect(chainOf(store.get(name))).toBe(second.certificate);
    expect(store.delivered).toMatchObject([{ name: 'server', versionInfo: 'b' }]);
    expect([sdsStat('update_success'), sdsStat('update_rejected')]).toEqual([2, 0]);
  });

  test('may name files, which are watched too', async () => {
    const certificates = join(dir, 'certificates');
    mkdirSync(certificates);
    const [first, second] = [ca.issue(), ca.issue()];
    writePair(first, certificates);
    deliver({
      tls_certificate: {
        certificate_chain: { filename: join(certificates, 'tls.crt') },
        private_key: { filename: join(certificates, 'tls.key') },
      },
    });
    const sources = newSources();
    const name = declare(sources);
    await store.update(sources.declared);
    expect(chainOf(store.get(name))).toBe(first.certificate);

    writePair(second, certificates);
    await eventually('the new certificate', () => changes.length > 0);
    expect(chainOf(store.get(name))).toBe(second.certificate);
  });

  test('that name files: what is bad in those is a failed rotation, no update', async () => {
    const certificates = join(dir, 'certificates');
    mkdirSync(certificates);
    const first = ca.issue();
    writePair(first, certificates);
    deliver({
      tls_certificate: {
        certificate_chain: { filename: join(certificates, 'tls.crt') },
        private_key: { filename: join(certificates, 'tls.key') },
      },
    });
    const sources = newSources();
    const name = declare(sources);
    await store.update(sources.declared);
    writeFileSync(join(certificates, 'tls.crt'), 'hello');
    await eventually('the failure', () => sdsStat('key_rotation_failed') === 1);
    expect([sdsStat('update_attempt'), sdsStat('update_rejected')]).toEqual([1, 0]);
    expect(chainOf(store.get(name))).toBe(first.certificate);
    // Nor is an update a rotation.
    deliver({ validation_context: {} }, '2');
    await eventually('the refusal', () => sdsStat('update_rejected') === 1);
    expect([sdsStat('update_attempt'), sdsStat('key_rotation_failed')]).toEqual([2, 1]);
  });

  test('count once, however they are used', async () => {
    deliver({ validation_context: { trusted_ca: { inline_string: ca.certificate } } });
    const path = { case: 'pathConfigSource' as const, value: { path: file() } };
    const config = create(SdsSecretConfigSchema, { name: 'server', sdsConfig: { configSourceSpecifier: path } });
    const sources = newSources();
    for (const partial of [false, true]) sources.named('validation', config, new Problems(), partial);
    const [whole, part] = sources.declared;
    expect((await store.update(sources.declared)).set).toHaveLength(2);
    expect([sdsStat('update_attempt'), sdsStat('update_success')]).toEqual([1, 1]);
    // The other one counts when the first has gone.
    await store.update([part!]);
    expect(store.prune().remove).toEqual([whole!.name]);
    deliver({ validation_context: { trusted_ca: { inline_string: ca.certificate } } }, '2');
    await eventually('the update', () => sdsStat('update_success') === 2);
  });

  test.each([
    ['of another name', { ...inline(ca.issue()), name: 'x' }, 'Unexpected SDS secret (expecting server): x'],
    ['of another kind', { validation_context: {} }, 'Unexpected SDS secret type (expecting certificate)'],
    ['that is none', undefined, 'Missing SDS resources for server in onConfigUpdate()'],
    ['that is broken', { tls_certificate: { certificate_chain: { inline_string: 'x' } } }, 'Failed to load'],
    [
      'of which a file is missing',
      { tls_certificate: { certificate_chain: { filename: '/none' } } },
      'Invalid path: /none',
    ],
  ])('refuse one %s, and wait for a better one', async (_, secret, message) => {
    deliver(secret);
    const sources = newSources();
    const name = declare(sources);
    expect((await store.update(sources.declared)).set).toEqual([]);
    expect(warnings.join()).toContain(message);
    expect([store.get(name), sdsStat('update_rejected')]).toEqual([undefined, 1]);

    const good = ca.issue();
    deliver(inline(good));
    await eventually('a good one', () => changes.length > 0);
    expect(changes.map(chainOf)).toEqual([good.certificate]);
  });
});

describe('static secrets, after another configuration has taken the place of the first', () => {
  const staticSecret = ({ certificate, key }: IssuedCertificate) =>
    create(SecretSchema, {
      name: 's',
      type: {
        case: 'tlsCertificate',
        value: {
          certificateChain: { specifier: { case: 'inlineString', value: certificate } },
          privateKey: { specifier: { case: 'inlineString', value: key } },
        },
      },
    });
  const sourcesWith = (secrets: Secret[]): SecretSources =>
    new SecretSources({ types, secrets, problems: new Problems(), discovery: undefined });
  const declare = (sources: SecretSources): string =>
    sources.named('certificate', create(SdsSecretConfigSchema, { name: 's' }), new Problems())!;

  test('have the content of that one, for what was built before as well', async () => {
    const issued = [ca.issue(), ca.issue()];
    const [former, next] = issued.map((each) => sourcesWith([staticSecret(each)])) as [SecretSources, SecretSources];
    const name = declare(former);
    const claim = store.claim([former.find(name)!], () => {});
    expect(claim.isReady).toBe(true);
    next.adopt(former, (each) => store.has(each));
    const { set } = await store.update(next.declared, next.adopted);
    expect(set.map(chainOf)).toEqual([issued[1]!.certificate]);
    expect(next.declared).toEqual([]);
    // Nobody keeps what nobody uses.
    claim.close();
    expect(store.prune().remove).toEqual([name]);
    const last = sourcesWith([]);
    last.adopt(next, (each) => store.has(each));
    expect(last.find(name)).toBeUndefined();
  });

  test('stay where they are there no more, as long as something uses them', async () => {
    const first = ca.issue();
    const former = sourcesWith([staticSecret(first)]);
    const name = declare(former);
    const claim = store.claim([former.find(name)!], () => {});
    let sources = former;
    for (let i = 0; i < 3; i++) {
      const next = sourcesWith([]);
      next.adopt(sources, (each) => store.has(each));
      expect((await store.update(next.declared, next.adopted)).set).toEqual([]);
      expect(next.find(name)).toBe(former.find(name));
      sources = next;
    }
    expect(chainOf(store.get(name))).toBe(first.certificate);
    claim.close();
  });

  test('are found by what was built before and is claimed after', () => {
    const former = sourcesWith([staticSecret(ca.issue())]);
    const name = declare(former);
    const next = sourcesWith([]);
    next.adopt(former, () => false);
    expect(next.find(name)).toBe(former.find(name));
  });
});
