import { beforeEach, describe, expect, test } from 'vitest';
import type { DnsCacheModel, DnsCacheResult } from '../../../src/filters/dns-cache.ts';
import { SeededRandom } from '../../../src/lib/random.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import { splitAuthority } from '../../../src/proxy/upstream/authority.ts';
import { WorkerDnsCaches, type WorkerDnsCache } from '../../../src/proxy/upstream/dns-cache.ts';
import type { CachedHost } from '../../../src/proxy/upstream/dns-cache-host.ts';
import type { DnsAnswer } from '../../../src/proxy/upstream/discovery/dns-resolver.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MODEL: DnsCacheModel = {
  name: 'names',
  lookupFamily: 'V4_ONLY',
  refreshRateMs: 60_000,
  minRefreshRateMs: 5000,
  failureRefresh: undefined,
  hostTtlMs: 300_000,
  maxHosts: 3,
  maxPendingRequests: 2,
  queryTimeoutMs: 1000,
  preresolve: [],
  resolvers: [],
};
const NOT_FOUND = 'cares_norecords:Domain_name_not_found';

let clock: FakeClock;
let stats: ThreadStats;
let caches: WorkerDnsCaches;
let cache: WorkerDnsCache;
/** Questions that wait for an answer. */
let questions: { name: string; answer(answer: DnsAnswer): void }[];
let heard: (DnsCacheResult | string)[];

function setUp(model: Partial<DnsCacheModel> = {}): void {
  clock = new FakeClock();
  stats = new ThreadStats();
  questions = [];
  heard = [];
  caches = new WorkerDnsCaches({
    dispatcher: new Dispatcher(clock),
    random: new SeededRandom(1),
    stats,
    lane: 0,
    resolver: () => ({
      resolve: (name) => new Promise((answer) => questions.push({ name, answer })),
    }),
  });
  cache = caches.cache({ ...MODEL, ...model });
}
beforeEach(() => setUp());

const load = (authority: string, port = 80): ReturnType<WorkerDnsCache['load']> =>
  cache.load(authority, port, (result) => heard.push(result));
const found = (ttlMs: number | undefined, ...addresses: string[]): DnsAnswer => ({
  kind: 'found',
  records: addresses.map((address) => ({ address, ttlMs })),
});
/** Answers the oldest question, and lets it arrive. */
async function answer(reply: DnsAnswer): Promise<void> {
  questions.shift()!.answer(reply);
  for (let i = 0; i < 5; i++) await Promise.resolve();
  await new Promise(setImmediate);
}
const stat = (name: string): number | undefined => stats.value(`dns_cache.names.${name}`);

describe('a DNS cache', () => {
  test('asks once for those who wait, and then knows', async () => {
    expect(load('a.test')).toHaveProperty('cancel');
    expect(load('a.test:80')).toHaveProperty('cancel');
    expect(questions.map(({ name }) => name)).toEqual(['a.test']);
    expect(stat('circuit_breakers.rq_pending_remaining')).toBe(0);
    expect(stat('circuit_breakers.rq_pending_open')).toBe(1);
    await answer(found(undefined, '10.0.0.1'));
    expect(heard).toEqual([
      { resolved: true, details: '' },
      { resolved: true, details: '' },
    ]);
    expect(load('a.test')).toEqual({ resolved: true, details: '' });
    expect(cache.find('a.test', 80)?.addresses).toEqual(['10.0.0.1']);
    expect(cache.find('a.test', 81)).toBeUndefined();
    expect(stat('circuit_breakers.rq_pending_remaining')).toBe(2);
    expect(stat('circuit_breakers.rq_pending_open')).toBe(0);
    expect(stat('host_added')).toBe(1);
  });

  test('remembers that a name leads nowhere, until it is asked for again', async () => {
    load('a.test');
    await answer(found(undefined));
    expect(heard).toEqual([{ resolved: false, details: NOT_FOUND }]);
    expect(load('a.test')).toEqual({ resolved: false, details: NOT_FOUND });
    expect(cache.find('a.test', 80)).toBeUndefined();
    expect(stat('dns_query_success')).toBe(1);
    clock.advance(59_999);
    expect(questions).toHaveLength(0);
    clock.advance(2);
    await answer(found(undefined, '10.0.0.1'));
    expect(load('a.test')).toEqual({ resolved: true, details: '' });
  });

  test('keeps an address over failures, and takes a new one over', async () => {
    const seen: string[] = [];
    cache.listen({
      onHost: ({ key, addresses }: CachedHost) => void seen.push(`${key} ${addresses.join()}`),
      onHostRemoved: ({ key }: CachedHost) => void seen.push(`-${key}`),
    });
    load('a.test');
    await answer(found(9000, '10.0.0.1', '10.0.0.2'));
    clock.advance(8999);
    expect(questions).toHaveLength(0);
    clock.advance(2);
    // Only turned round.
    await answer(found(1000, '10.0.0.2', '10.0.0.1'));
    clock.advance(5001);
    await answer({ kind: 'failed', reason: 'ESERVFAIL' });
    expect(load('a.test')).toEqual({ resolved: true, details: '' });
    clock.advance(60_001);
    await answer(found(9000, '10.0.0.3'));
    expect(seen).toEqual(['a.test:80 10.0.0.1,10.0.0.2', 'a.test:80 10.0.0.3']);
    expect([stat('host_address_changed'), stat('dns_query_failure'), stat('dns_query_attempt')]).toEqual([2, 1, 4]);
  });

  test('gives a query up, whose answer then comes too late', async () => {
    load('a.test');
    clock.advance(1001);
    await new Promise(setImmediate);
    expect(heard).toEqual([{ resolved: false, details: 'resolve_timeout' }]);
    expect([stat('dns_query_timeout'), stat('dns_query_failure')]).toEqual([1, 1]);
    await answer(found(9000, '10.0.0.1'));
    expect(cache.find('a.test', 80)).toBeUndefined();
  });

  test('holds so many waiting, and so many hosts', async () => {
    const first = load('a.test');
    load('b.test');
    expect(load('c.test')).toBe('pending-overflow');
    expect(stat('dns_rq_pending_overflow')).toBe(1);
    (first as { cancel(): void }).cancel();
    (first as { cancel(): void }).cancel();
    expect(load('c.test')).toHaveProperty('cancel');
    await answer(found(1, '10.0.0.1'));
    await answer(found(1, '10.0.0.1'));
    await answer(found(1, '10.0.0.1'));
    // Who has gone hears nothing.
    expect(heard).toHaveLength(2);
    expect(load('d.test')).toBe('host-overflow');
    expect([stat('host_overflow'), stat('num_hosts')]).toEqual([1, 3]);
  });

  test('forgets what nobody uses', async () => {
    setUp({ hostTtlMs: 8000 });
    const gone: string[] = [];
    cache.listen({ onHost() {}, onHostRemoved: ({ key }: CachedHost) => void gone.push(key) });
    for (const name of ['a.test', 'b.test']) {
      load(name);
      await answer(found(undefined, '10.0.0.1'));
    }
    clock.advance(5001);
    await answer(found(undefined, '10.0.0.1'));
    await answer(found(undefined, '10.0.0.1'));
    cache.find('b.test', 80);
    clock.advance(5001);
    expect(gone).toEqual(['a.test:80']);
    expect(questions.map(({ name }) => name)).toEqual(['b.test']);
    expect([stat('host_removed'), stat('num_hosts')]).toEqual([1, 1]);
  });

  test('asks for some names before anybody wants them', async () => {
    setUp({ preresolve: [{ host: 'a.test', port: 443 }] });
    await answer(found(undefined, '10.0.0.1'));
    expect(load('a.test', 443)).toEqual({ resolved: true, details: '' });
  });

  test('is one for all who name it, with the settings of the last', () => {
    expect(caches.cache({ ...MODEL, maxPendingRequests: 1 })).toBe(cache);
    load('a.test');
    expect(load('b.test')).toBe('pending-overflow');
    expect(caches.cache({ ...MODEL, name: 'others' })).not.toBe(cache);
  });
});

test.each([
  ['a.test', 'a.test', 80],
  ['a.test:8080', 'a.test', 8080],
  ['10.0.0.1:1', '10.0.0.1', 1],
  ['[fd00::1]', 'fd00::1', 80],
  ['[fd00::1]:90', 'fd00::1', 90],
  ['fd00::1', 'fd00::1', 80],
  ['a.test:99999', 'a.test:99999', 80],
  ['a:b:c', 'a:b:c', 80],
])('the authority %s', (authority, host, port) => {
  expect(splitAuthority(authority, 80)).toEqual({ host, port });
});
