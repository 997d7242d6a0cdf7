import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DataSourceSchema } from '../../../src/api/generated/envoy/config/core/v3/base_pb.js';
import { GrpcServiceSchema } from '../../../src/api/generated/envoy/config/core/v3/grpc_service_pb.js';
import { SecretSchema } from '../../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { CertificateAuthorityModel } from '../../../src/config/certificate-authority-model.ts';
import { SeededRandom } from '../../../src/lib/random.ts';
import { Certificate } from '../../../src/lib/x509/certificate.ts';
import { readPem } from '../../../src/lib/x509/pem.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { CERTIFICATE_AUTHORITY_STATS } from '../../../src/telemetry/stats/secret-stats.ts';
import { CertificateIssuer } from '../../../src/xds/certificates/certificate-issuer.ts';
import { GrpcChannels } from '../../../src/xds/grpc-channels.ts';
import type { ResourceUpdate } from '../../../src/xds/resource-update.ts';
import { RESOURCE_TYPES } from '../../../src/xds/resource-type.ts';
import { CertificateService } from '../../support/certificate-service.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const HOUR_MS = 3_600_000;
const ID = 'spiffe://td/ns/a/sa/b';

let dir: string;
let clock: FakeClock;
let service: CertificateService;
let channels: GrpcChannels;
let stats: ThreadStats;
let warnings: string[];
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'issuer-'));
  writeFileSync(join(dir, 'token'), 'first\n');
  clock = new FakeClock();
  service = await CertificateService.start(() => clock.epoch());
  channels = new GrpcChannels({ cluster: () => undefined, transport: () => undefined });
  stats = new ThreadStats();
  warnings = [];
});
afterEach(async () => {
  channels.close();
  await service[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

function newIssuer(more: Partial<CertificateAuthorityModel> = {}): CertificateIssuer {
  const grpc = create(GrpcServiceSchema, {
    targetSpecifier: { case: 'googleGrpc', value: { targetUri: `127.0.0.1:${service.port}` } },
  });
  return new CertificateIssuer({
    model: {
      service: grpc,
      requestTimeoutMs: 5000,
      spiffeId: ID,
      clusterId: 'cluster-1',
      token: create(DataSourceSchema, { specifier: { case: 'filename', value: join(dir, 'token') } }),
      requestedTtlSeconds: 24 * 3600,
      keyType: 'p256',
      gracePeriodRatio: 0.5,
      names: { certificate: 'default', root: 'ROOTCA', sdsCluster: 'sds-grpc' },
      ...more,
    },
    channel: channels.get(grpc),
    clock,
    random: new SeededRandom(1),
    log: { info: () => {}, warn: (_component, message) => void warnings.push(message) },
    stats,
  });
}

/** Watches one name; what came is in `updates`. */
function watch(issuer: CertificateIssuer, name: string, verdict: () => string = () => '') {
  const seen = { updates: [] as ResourceUpdate[], rejections: [] as string[], failures: 0 };
  issuer.watch(RESOURCE_TYPES.sds, [name], {
    onUpdate: (update) => {
      seen.updates.push(update);
      return verdict();
    },
    onRejected: (error) => void seen.rejections.push(error),
    onConnectionFailure: () => void seen.failures++,
  });
  return seen;
}

const stat = (name: keyof typeof CERTIFICATE_AUTHORITY_STATS.at): number =>
  stats
    .block(CERTIFICATE_AUTHORITY_STATS, 'outrigger.certificate_authority.')
    .get(CERTIFICATE_AUTHORITY_STATS.at[name]);

function textsOf({ set }: ResourceUpdate): { chain: string; key: string; root: string } {
  const texts = { chain: '', key: '', root: '' };
  const textOf = (value: unknown): string => Buffer.from(value as Uint8Array).toString();
  for (const { name, value } of set) {
    const secret = fromBinary(SecretSchema, value);
    expect(secret.name).toBe(name);
    if (secret.type.case === 'tlsCertificate') {
      texts.chain = textOf(secret.type.value.certificateChain?.specifier.value);
      texts.key = textOf(secret.type.value.privateKey?.specifier.value);
    } else if (secret.type.case === 'validationContext')
      texts.root = textOf(secret.type.value.trustedCa?.specifier.value);
  }
  return texts;
}

describe('the certificate issuer', () => {
  test.each(['p256', 'rsa2048'] as const)('gets a certificate for a key of its own (%s)', async (keyType) => {
    const issuer = newIssuer({ keyType });
    const certificate = watch(issuer, 'default');
    const root = watch(issuer, 'ROOTCA');
    await eventually('both', () => certificate.updates.length === 1 && root.updates.length === 1);
    // One request, however many ask.
    expect(service.requests).toMatchObject([
      { authorization: 'Bearer first', clusterId: 'cluster-1', validitySeconds: 86_400 },
    ]);
    const { chain, key } = textsOf(certificate.updates[0]!);
    const [leaf, last] = readPem(chain)!.map(({ der }) => Certificate.read(der)!);
    expect(leaf!.sans('uri')).toEqual([ID]);
    expect(last!.pem).toBe(service.ca.certificate);
    expect(key).toContain('BEGIN PRIVATE KEY');
    expect(textsOf(root.updates[0]!).root).toBe(service.ca.certificate);
    expect(certificate.updates[0]!.version).toBe(leaf!.serial);
    expect([stat('request'), stat('success'), stat('failure')]).toEqual([1, 1, 0]);
    expect(stat('certificate_expiry_time_seconds')).toBe(Math.floor(leaf!.validToMs / 1000));
    issuer.close();
  });

  test('renews at half of the lifetime, with another key and the token of that time', async () => {
    const issuer = newIssuer();
    const { updates } = watch(issuer, 'default');
    await eventually('the first', () => updates.length === 1 && clock.pending === 1);
    writeFileSync(join(dir, 'token'), 'second');
    // A jitter of one part in a hundred of 24 h, either way.
    clock.advance(11.7 * HOUR_MS);
    expect(stat('request')).toBe(1);
    clock.advance(0.6 * HOUR_MS);
    await eventually('the second', () => updates.length === 2);
    expect(service.requests.map(({ authorization }) => authorization)).toEqual(['Bearer first', 'Bearer second']);
    const [first, second] = updates.map(textsOf);
    expect(second!.key).not.toBe(first!.key);
    issuer.close();
  });

  test('tries again when the service fails, keeps the last certificate, and says so', async () => {
    service.lifetimeSeconds = 100;
    const issuer = newIssuer();
    const { updates, ...seen } = watch(issuer, 'default');
    await eventually('the first', () => updates.length === 1 && clock.pending === 1);
    service.failure = 'not now';
    clock.advance(52_000);
    for (let failures = 1; failures < 6; failures++) {
      await eventually('a failure', () => stat('failure') === failures && clock.pending === 1);
      // Each wait is shorter than its bound, which doubles.
      clock.advance(1000 * 2 ** (failures - 1));
    }
    await eventually('the last failure', () => stat('failure') === 6 && clock.pending === 1);
    expect([updates.length, seen.rejections]).toEqual([1, []]);
    expect(warnings.at(-1)).toContain('gRPC status 14: not now; the last one stays in use');
    service.failure = undefined;
    clock.advance(60_000);
    await eventually('the second', () => updates.length === 2);
    issuer.close();
  });

  test('counts a failure for each that waits', async () => {
    service.failure = 'not now';
    const issuer = newIssuer();
    const seen = watch(issuer, 'default');
    await eventually('the failure', () => clock.pending === 1);
    expect([seen.failures, seen.updates]).toEqual([1, []]);
    issuer.close();
  });

  test('hands what it has to those who come later, and asks for nothing', async () => {
    const issuer = newIssuer();
    const first = watch(issuer, 'default');
    await eventually('the first', () => first.updates.length === 1 && clock.pending === 1);
    const second = watch(issuer, 'default');
    expect(second.updates).toEqual([]);
    await eventually('the same', () => second.updates.length === 1);
    expect(second.updates[0]!.version).toBe(first.updates[0]!.version);
    expect(service.requests).toHaveLength(1);
    issuer.close();
  });

  test('reaches those who come while the others take it over', async () => {
    const issuer = newIssuer();
    let late: ReturnType<typeof watch> | undefined;
    const settled = Promise.withResolvers<string>();
    issuer.watch(RESOURCE_TYPES.sds, ['default'], {
      onUpdate: () => {
        late = watch(issuer, 'ROOTCA');
        return settled.promise;
      },
    });
    await eventually('the first', () => late !== undefined);
    settled.resolve('');
    await eventually('the other', () => late?.updates.length === 1);
    issuer.close();
  });

  test('asks again when what it got is refused', async () => {
    const issuer = newIssuer();
    let verdict = 'no good';
    const seen = watch(issuer, 'default', () => verdict);
    await eventually('the refusal', () => clock.pending === 1);
    expect(seen).toMatchObject({ rejections: ['no good'], failures: 0 });
    verdict = '';
    clock.advance(1000);
    await eventually('another', () => seen.updates.length === 2);
    issuer.close();
  });

  test.each([
    ['there is no token', () => rmSync(join(dir, 'token')), "the token can't be read: Invalid path: "],
    ['the token is empty', () => writeFileSync(join(dir, 'token'), '\n'), 'the token is empty, or no token'],
    ['the token is no token', () => writeFileSync(join(dir, 'token'), 'a\nb'), 'the token is empty, or no token'],
    ['there is no chain', () => void (service.chain = []), 'the chain has no certificate, or no root'],
    ['there is no root', () => void (service.chain = [service.ca.certificate]), 'the chain has no certificate'],
    ['it has expired', () => void (service.lifetimeSeconds = 0), 'the certificate has expired already'],
  ])('gives nothing out when %s', async (_, spoil, message) => {
    spoil();
    const issuer = newIssuer();
    const { updates } = watch(issuer, 'default');
    await eventually('the failure', () => clock.pending === 1);
    expect(updates).toEqual([]);
    expect(warnings[0]).toContain(message);
    expect(warnings.join()).not.toContain('a\nb');
    expect(stat('failure')).toBe(1);
    issuer.close();
  });

  test('is silent once it is closed', async () => {
    const issuer = newIssuer();
    const { updates } = watch(issuer, 'default');
    issuer.close();
    // Another one, over the same connection: by then both have been answered.
    const other = newIssuer();
    watch(other, 'default');
    await eventually('the other', () => stat('success') === 1);
    expect([updates, service.requests.length]).toEqual([[], 2]);
    other.close();
    expect(clock.pending).toBe(0);
  });
});
