import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary, toJson, type MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ConfigSourceSchema,
  type ConfigSource,
} from '../../src/api/generated/envoy/config/core/v3/config_source_pb.js';
import {
  SdsSecretConfigSchema,
  SecretSchema,
} from '../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { redact } from '../../src/api/redact.ts';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { Problems } from '../../src/config/problem.ts';
import type { SecretModel } from '../../src/config/secret-model.ts';
import { SecretSources } from '../../src/config/secrets/secret-sources.ts';
import { SecretStore } from '../../src/server/secret-store.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { SDS_ROTATION_STATS } from '../../src/telemetry/stats/secret-stats.ts';
import { SUBSCRIPTION_STATS } from '../../src/telemetry/stats/subscription-stats.ts';
import type { ResourceUpdate, ResourceWatcher } from '../../src/xds/resource-update.ts';
import { Subscription, type SubscriptionTarget } from '../../src/xds/subscription.ts';
import type { Subscriber } from '../../src/xds/xds-sources.ts';
import { CertificateAuthority, type IssuedCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClock } from '../support/fake-clock.ts';

const types = new TypeRegistry();
await types.load(['envoy.extensions.transport_sockets.tls.v3.Secret', 'envoy.config.core.v3.ConfigSource']);
const ca = CertificateAuthority.create();

/** A control plane without a network: what is subscribed to is told by `deliver`. */
class ScriptedSubscriber implements Subscriber {
  readonly open = new Set<{ readonly names: readonly string[]; readonly watcher: ResourceWatcher }>();
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  subscribe(_config: ConfigSource, target: SubscriptionTarget): Subscription {
    const source = {
      watch: (_type: string, names: readonly string[] | undefined, watcher: ResourceWatcher) => {
        const watch = { names: names ?? [], watcher };
        this.open.add(watch);
        return { setNames: () => {}, close: () => void this.open.delete(watch) };
      },
      close: () => {},
    };
    return new Subscription(target, { source, clock: this.#clock, initialFetchTimeoutMs: 15_000, transport: 'stream' });
  }

  /** What each watch of the name answers; '' = accepted. */
  async send(name: string, update: Partial<ResourceUpdate>): Promise<string[]> {
    const watches = [...this.open].filter(({ names }) => names.includes(name));
    return Promise.all(
      watches.map(async ({ watcher }) => {
        const error = await watcher.onUpdate({ version: '', set: [], removed: [], ...update });
        if (error !== '') watcher.onRejected?.(error);
        return error;
      }),
    );
  }

  deliver(secret: MessageInitShape<typeof SecretSchema>, version = '1'): Promise<string[]> {
    const name = secret.name!;
    const value = toBinary(SecretSchema, create(SecretSchema, secret));
    return this.send(name, { version, set: [{ name, version, value }] });
  }
}

let clock: FakeClock;
let subscriber: ScriptedSubscriber;
let stats: ThreadStats;
let store: SecretStore;
let changes: SecretModel[];
let removed: string[];
let warnings: string[];
let sources: SecretSources;

beforeEach(() => {
  clock = new FakeClock();
  subscriber = new ScriptedSubscriber(clock);
  stats = new ThreadStats();
  changes = [];
  removed = [];
  warnings = [];
  sources = new SecretSources({
    types,
    secrets: [],
    problems: new Problems(),
    discovery: { types, hasNode: true, hasAds: true, isPrimaryCluster: () => true },
  });
  store = new SecretStore({
    clock,
    stats,
    subscriber,
    log: { info: () => {}, warn: (_component, message) => void warnings.push(message) },
    onChange: ({ set, remove }) => {
      changes.push(...set);
      removed.push(...remove);
    },
  });
});
afterEach(() => store.close());

const ads = create(ConfigSourceSchema, { configSourceSpecifier: { case: 'ads', value: {} } });

function declare(kind: SecretModel['kind'], resource: string, partial = false): string {
  const config = create(SdsSecretConfigSchema, { name: resource, sdsConfig: ads });
  const problems = new Problems();
  const name = sources.named(kind as 'certificate', config, problems, partial);
  expect(problems.list).toEqual([]);
  return name!;
}

const claim = (names: readonly string[], onReady: () => void = () => {}) =>
  store.claim(
    names.map((name) => sources.find(name)!),
    onReady,
  );

const inline = (text: string) => ({ specifier: { case: 'inlineString' as const, value: text } });
const certificate = (name: string, { certificate: chain, key }: IssuedCertificate) => ({
  name,
  type: {
    case: 'tlsCertificate' as const,
    value: { certificateChain: inline(chain), privateKey: inline(key) },
  },
});
const root = (name: string, pem: string) => ({
  name,
  type: { case: 'validationContext' as const, value: { trustedCa: inline(pem) } },
});
const chainOf = (secret: SecretModel | undefined): string | undefined =>
  secret?.kind === 'certificate' ? secret.value.certificateChain : undefined;
const stat = (secret: string, name: keyof typeof SUBSCRIPTION_STATS.at): number =>
  stats.block(SUBSCRIPTION_STATS, `sds.${secret}.`).get(SUBSCRIPTION_STATS.at[name]);
const failedRotations = (secret: string): number =>
  stats.block(SDS_ROTATION_STATS, `sds.${secret}.`).get(SDS_ROTATION_STATS.at.key_rotation_failed);

describe('a secret from a control plane', () => {
  test('is waited for, told before whoever waits, and counted', async () => {
    const name = declare('certificate', 'default');
    const order: string[] = [];
    const waiting = claim([name], () => order.push(`ready with ${changes.length}`));
    expect(waiting.isReady).toBe(false);
    expect(waiting.waitingFor).toEqual(["the secret 'default'"]);
    expect(store.warming.map(({ name: each, versionInfo }) => [each, versionInfo])).toEqual([
      ['default', 'uninitialized'],
    ]);

    const issued = ca.issue();
    expect(await subscriber.deliver(certificate('default', issued), '7')).toEqual(['']);
    expect(order).toEqual(['ready with 1']);
    expect(chainOf(store.get(name))).toBe(issued.certificate);
    expect(store.warming).toEqual([]);
    expect(store.delivered.map(({ name: each, versionInfo }) => [each, versionInfo])).toEqual([['default', '7']]);
    expect(stat('default', 'update_success')).toBe(1);
    expect(claim([name]).isReady).toBe(true);
  });

  test('is announced again only with another content', async () => {
    const name = declare('certificate', 'default');
    claim([name]);
    const [first, second] = [ca.issue(), ca.issue()];
    await subscriber.deliver(certificate('default', first), '1');
    await subscriber.deliver(certificate('default', first), '2');
    await subscriber.deliver(certificate('default', second), '3');
    expect(changes.map(chainOf)).toEqual([first.certificate, second.certificate]);
    expect(store.delivered[0]?.versionInfo).toBe('3');
  });

  test('that is bad is refused, and the last good one stays', async () => {
    const name = declare('certificate', 'default');
    claim([name]);
    const [good, other] = [ca.issue(), ca.issue()];
    await subscriber.deliver(certificate('default', good));
    const [error] = await subscriber.deliver(certificate('default', { ...good, key: other.key }), '2');
    expect(error).toContain('Failed to load private key');
    expect(chainOf(store.get(name))).toBe(good.certificate);
    expect(store.delivered[0]?.versionInfo).toBe('1');
    expect([stat('default', 'update_rejected'), failedRotations('default')]).toEqual([1, 0]);
    expect(warnings[0]).toContain('the last good one stays in use');
  });

  test('of another kind, or none, or two, are refused in words that tell', async () => {
    claim([declare('certificate', 'default')]);
    expect(await subscriber.deliver(root('default', ca.certificate))).toEqual([
      'Unexpected SDS secret type (expecting certificate): validationContext',
    ]);
    expect(await subscriber.send('default', {})).toEqual(['Missing SDS resources for default in onConfigUpdate()']);
    const value = toBinary(SecretSchema, create(SecretSchema, { name: 'default' }));
    const twice = [1, 2].map(() => ({ name: 'default', version: '', value }));
    expect(await subscriber.send('default', { set: twice })).toEqual(['Unexpected SDS secrets length: 2']);
    expect(
      await subscriber.send('default', { set: [{ name: 'default', version: '', value: Buffer.from('?') }] }),
    ).toEqual(['not a serialised envoy.extensions.transport_sockets.tls.v3.Secret']);
  });

  test('stays when its source says that it is gone', async () => {
    const name = declare('certificate', 'default');
    claim([name]);
    await subscriber.deliver(certificate('default', ca.issue()));
    expect(await subscriber.send('default', { removed: ['default'] })).toEqual(['']);
    expect(store.get(name)).toBeDefined();
    expect(removed).toEqual([]);
  });

  test('that never comes is waited for until the timeout', async () => {
    const name = declare('certificate', 'default');
    let ready = 0;
    claim([name], () => ready++);
    clock.advance(14_999);
    await Promise.resolve();
    expect(ready).toBe(0);
    clock.advance(1);
    await Promise.resolve();
    expect(ready).toBe(1);
    expect(store.get(name)).toBeUndefined();
    expect(stat('default', 'init_fetch_timeout')).toBe(1);
    expect(claim([name]).isReady).toBe(true);
  });

  test('that is refused at first is waited for no longer', async () => {
    let ready = 0;
    claim([declare('validation', 'ROOTCA')], () => ready++);
    await subscriber.deliver(root('ROOTCA', 'no PEM'));
    expect(ready).toBe(1);
  });

  test('comes over one subscription to all that use it, whole or as a part', async () => {
    const whole = declare('validation', 'ROOTCA');
    const part = declare('validation', 'ROOTCA', true);
    let ready = 0;
    claim([whole, part], () => ready++);
    expect(subscriber.open.size).toBe(1);
    await subscriber.deliver(root('ROOTCA', ca.certificate));
    expect(changes.map(({ name }) => name)).toEqual([whole, part]);
    expect(ready).toBe(1);
  });

  test('is there for those that come later', async () => {
    claim([declare('validation', 'ROOTCA')]);
    await subscriber.deliver(root('ROOTCA', ca.certificate));
    const late = declare('validation', 'ROOTCA', true);
    let ready = 0;
    const waiting = claim([late], () => ready++);
    expect(waiting.isReady).toBe(false);
    await eventually('the late one', () => ready === 1);
    expect(store.get(late)?.kind).toBe('validation');
  });

  test('is given up, and its subscription closed, with the last claim', async () => {
    const name = declare('certificate', 'default');
    const [first, second] = [claim([name]), claim([name])];
    await subscriber.deliver(certificate('default', ca.issue()));
    first.close();
    first.close();
    await new Promise(setImmediate);
    expect(removed).toEqual([]);
    second.close();
    const successor = claim([name]);
    await new Promise(setImmediate);
    expect(removed).toEqual([]);
    successor.close();
    await new Promise(setImmediate);
    expect(removed).toEqual([name]);
    expect(subscriber.open.size).toBe(0);
    expect(store.get(name)).toBeUndefined();
  });

  test('is read again when the files that it names change', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sds-'));
    const write = ({ certificate: chain, key }: IssuedCertificate): void => {
      writeFileSync(join(dir, 'tls.crt'), chain);
      writeFileSync(join(dir, 'tls.key'), key);
    };
    const [first, second] = [ca.issue(), ca.issue()];
    write(first);
    claim([declare('certificate', 'files')]);
    const filename = (file: string) => ({ specifier: { case: 'filename' as const, value: join(dir, file) } });
    const value = { certificateChain: filename('tls.crt'), privateKey: filename('tls.key') };
    await subscriber.deliver({ name: 'files', type: { case: 'tlsCertificate', value } });
    write(second);
    await eventually('the new certificate', () => {
      clock.advance(200);
      return changes.length === 2;
    });
    expect(changes.map(chainOf)).toEqual([first.certificate, second.certificate]);
    rmSync(dir, { recursive: true });
  });
});

describe('a generic secret', () => {
  const generic = (text: string) => ({
    name: 'token',
    type: {
      case: 'genericSecret' as const,
      value: { secret: inline(text), secrets: { user: inline('me') } },
    },
  });
  const textOf = (secret: SecretModel | undefined): string | undefined =>
    secret?.kind === 'generic' ? `${secret.value.secret} ${secret.value.secrets['user']}` : undefined;

  test('is waited for, rotates, and is shown without what it holds', async () => {
    const name = declare('generic', 'token');
    const waiting = claim([name]);
    expect(waiting.waitingFor).toEqual(["the secret 'token'"]);
    expect(await subscriber.deliver(generic('one'))).toEqual(['']);
    expect([waiting.isReady, textOf(store.get(name))]).toEqual([true, 'one me']);
    expect(await subscriber.deliver(generic('two'))).toEqual(['']);
    expect(changes.map(textOf)).toEqual(['one me', 'two me']);

    const { message } = store.delivered[0]!;
    const shown = JSON.stringify(toJson(SecretSchema, redact(types, SecretSchema, message)));
    expect(shown).toContain('[redacted]');
    expect(shown).not.toMatch(/two|"me"/);
  });

  test('is no certificate', async () => {
    const certificates = declare('certificate', 'token');
    claim([certificates]);
    expect(await subscriber.deliver(generic('one'))).toEqual([
      'Unexpected SDS secret type (expecting certificate): genericSecret',
    ]);
  });

  test('may be static: named once, and read from its file', () => {
    const dir = mkdtempSync(join(tmpdir(), 'generic-'));
    const file = { specifier: { case: 'filename' as const, value: join(dir, 'token') } };
    writeFileSync(file.specifier.value, 'one');
    const secret = create(SecretSchema, { name: 'token', type: { case: 'genericSecret', value: { secret: file } } });
    const problems = new Problems();
    const discovery = undefined;
    const all = new SecretSources({ types, secrets: [secret, secret], problems, discovery });
    expect(problems.list.map(({ message }) => message)).toEqual(['Duplicate static GenericSecret secret name token']);
    const name = all.named('generic', create(SdsSecretConfigSchema, { name: 'token' }), problems)!;
    expect(all.find(name)).toMatchObject({ directories: [dir], initial: { value: { secret: Buffer.from('one') } } });
    rmSync(dir, { recursive: true });
    expect(all.named('generic', create(SdsSecretConfigSchema, { name: 'other' }), problems)).toBeUndefined();
    expect(problems.list.at(-1)?.message).toBe('Unknown static generic secret: other');
  });
});
