import { beforeEach, describe, expect, test } from 'vitest';
import type { AssignmentModel, DnsModel } from '../../../../src/config/cluster-model.ts';
import { SeededRandom } from '../../../../src/lib/random.ts';
import { CLUSTER_UPDATE_STATS } from '../../../../src/proxy/upstream/cluster-stats.ts';
import type { DnsEnvironment } from '../../../../src/proxy/upstream/discovery/dns-refresh.ts';
import { lookup, type DnsAnswer, type DnsResolver } from '../../../../src/proxy/upstream/discovery/dns-resolver.ts';
import { LogicalDnsDiscovery } from '../../../../src/proxy/upstream/discovery/logical-dns.ts';
import {
  NodeDnsResolver,
  DNS_STATS,
  HostsFile,
  parseHosts,
} from '../../../../src/proxy/upstream/discovery/node-dns-resolver.ts';
import { StrictDnsDiscovery } from '../../../../src/proxy/upstream/discovery/strict-dns.ts';
import { ThreadStats } from '../../../../src/telemetry/stats/arena.ts';
import type { StatBlock } from '../../../../src/telemetry/stats/stats.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { assignment, endpoint, locality } from '../../../support/upstream-models.ts';

/** Answers what the test last said; a name it knows nothing of fails. */
class FakeResolver implements DnsResolver {
  readonly asked: string[] = [];
  readonly #answers = new Map<string, DnsAnswer>();

  found(name: string, family: 4 | 6, addresses: readonly string[], ttlMs?: number): void {
    this.#answers.set(`${name}/${family}`, {
      kind: 'found',
      records: addresses.map((address) => ({ address, ttlMs })),
    });
  }

  failed(name: string, family: 4 | 6): void {
    this.#answers.delete(`${name}/${family}`);
  }

  resolve(name: string, family: 4 | 6): Promise<DnsAnswer> {
    this.asked.push(`${name}/${family}`);
    return Promise.resolve(this.#answers.get(`${name}/${family}`) ?? { kind: 'failed', reason: 'ETIMEOUT' });
  }
}

let clock: FakeClock;
let resolver: FakeResolver;
let stats: StatBlock;
let attempts: number;

beforeEach(() => {
  clock = new FakeClock();
  resolver = new FakeResolver();
  stats = new ThreadStats().block(CLUSTER_UPDATE_STATS);
  attempts = 0;
});

const DNS: DnsModel = {
  lookupFamily: 'V4_ONLY',
  refreshRateMs: 5000,
  minRefreshRateMs: 0,
  jitterMs: 0,
  failureRefresh: undefined,
  respectTtl: false,
  resolvers: [],
};

function environment(dns: Partial<DnsModel> = {}): DnsEnvironment {
  return {
    clock,
    random: new SeededRandom(4),
    resolver,
    dns: { ...DNS, ...dns },
    onAttempt: () => attempts++,
  };
}

/** Lets the answers of the fake resolver through. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Sink {
  lists: string[][] = [];
  last: AssignmentModel | undefined = undefined;
  initialized = 0;
  onEndpoints(list: AssignmentModel): void {
    this.last = list;
    this.lists.push(list.endpoints.map(({ address }) => (address.kind === 'socket' ? address.host : address.path)));
  }
  onInitialized(): void {
    this.initialized++;
  }
}

describe('lookup', () => {
  const records = async (family: DnsModel['lookupFamily']): Promise<string[] | string> => {
    const answer = await lookup(resolver, 'n', family);
    return answer.kind === 'found' ? answer.records.map((record) => record.address) : 'failed';
  };

  test('families as Envoy has them', async () => {
    resolver.found('n', 4, ['10.0.0.1']);
    resolver.found('n', 6, ['fd00::1']);
    expect(await records('V4_ONLY')).toEqual(['10.0.0.1']);
    expect(await records('V6_ONLY')).toEqual(['fd00::1']);
    expect(await records('AUTO')).toEqual(['fd00::1']);
    expect(await records('V4_PREFERRED')).toEqual(['10.0.0.1']);
    expect(await records('ALL')).toEqual(['fd00::1', '10.0.0.1']);
  });

  test('the other family steps in where the first has nothing', async () => {
    resolver.found('n', 4, ['10.0.0.1']);
    resolver.found('n', 6, []);
    expect(await records('AUTO')).toEqual(['10.0.0.1']);
    resolver.failed('n', 6);
    expect(await records('AUTO')).toEqual(['10.0.0.1']);
    expect(await records('ALL')).toEqual(['10.0.0.1']);
    resolver.failed('n', 4);
    expect(await records('V4_PREFERRED')).toBe('failed');
    resolver.found('n', 6, []);
    expect(await records('AUTO')).toEqual([]);
  });
});

describe('StrictDnsDiscovery', () => {
  test('every address is a host with the name as its hostname; initialised when all names were tried', async () => {
    resolver.found('a.test', 4, ['10.0.0.1', '10.0.0.2']);
    const sink = new Sink();
    const list = assignment(
      [endpoint('a.test:80'), endpoint('b.test:81', { locality: 1, hostname: 'other' })],
      [locality(), locality({ zone: 'b' })],
    );
    const discovery = new StrictDnsDiscovery(list, environment(), stats);
    discovery.start(sink);
    expect(sink.initialized).toBe(0);
    await settle();
    expect(sink.initialized).toBe(1);
    expect(sink.lists).toEqual([['10.0.0.1', '10.0.0.2']]);
    expect(sink.last!.endpoints[0]).toMatchObject({ hostname: 'a.test', locality: 0 });
    const { at } = CLUSTER_UPDATE_STATS;
    expect([attempts, stats.get(at.update_success), stats.get(at.update_failure)]).toEqual([2, 1, 1]);

    resolver.found('b.test', 4, ['10.0.1.1']);
    clock.advance(5000);
    await settle();
    expect(sink.lists.at(-1)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.1.1']);
    expect(sink.last!.endpoints[2]).toMatchObject({ hostname: 'other', locality: 1 });
    discovery.close();
  });

  test('a failure keeps the last hosts, a certain absence takes them away', async () => {
    resolver.found('a.test', 4, ['10.0.0.1']);
    const sink = new Sink();
    const discovery = new StrictDnsDiscovery(assignment([endpoint('a.test:80')]), environment(), stats);
    discovery.start(sink);
    await settle();
    resolver.failed('a.test', 4);
    clock.advance(5000);
    await settle();
    expect(sink.lists).toEqual([['10.0.0.1']]);
    resolver.found('a.test', 4, []);
    clock.advance(5000);
    await settle();
    expect(sink.lists.at(-1)).toEqual([]);
    expect(sink.initialized).toBe(1);
    discovery.close();
    clock.advance(60_000);
    await settle();
    expect(resolver.asked.length).toBe(3);
  });

  test('the TTL is respected when asked for, within the minimum', async () => {
    resolver.found('a.test', 4, ['10.0.0.1'], 30_000);
    const dns = environment({ respectTtl: true, minRefreshRateMs: 2000 });
    const discovery = new StrictDnsDiscovery(assignment([endpoint('a.test:80')]), dns, stats);
    discovery.start(new Sink());
    await settle();
    clock.advance(29_999);
    await settle();
    expect(resolver.asked.length).toBe(1);
    resolver.found('a.test', 4, ['10.0.0.1'], 10);
    clock.advance(1);
    await settle();
    expect(resolver.asked.length).toBe(2);
    clock.advance(1999);
    await settle();
    expect(resolver.asked.length).toBe(2);
    clock.advance(1);
    await settle();
    expect(resolver.asked.length).toBe(3);
    discovery.close();
  });

  test('failures back off, never beyond the maximum, and an answer starts over', async () => {
    const dns = environment({ failureRefresh: { baseMs: 100, maxMs: 1000 } });
    const discovery = new StrictDnsDiscovery(assignment([endpoint('a.test:80')]), dns, stats);
    discovery.start(new Sink());
    await settle();
    for (let tries = 1; tries < 8; tries++) {
      clock.advance(Math.min(100 * 2 ** tries, 1000));
      await settle();
      expect(resolver.asked.length).toBe(tries + 1);
    }
    resolver.found('a.test', 4, ['10.0.0.1']);
    clock.advance(1000);
    await settle();
    const count = resolver.asked.length;
    clock.advance(4999);
    await settle();
    expect(resolver.asked.length).toBe(count);
    discovery.close();
  });

  test('without names there is nothing to wait for', () => {
    const sink = new Sink();
    new StrictDnsDiscovery(assignment([]), environment(), stats).start(sink);
    expect(sink.initialized).toBe(1);
  });
});

describe('LogicalDnsDiscovery', () => {
  test('one host at the first address; an empty answer changes nothing and counts as a failure', async () => {
    resolver.found('a.test', 4, ['10.0.0.1', '10.0.0.2']);
    const sink = new Sink();
    const discovery = new LogicalDnsDiscovery(assignment([endpoint('a.test:80')]), environment(), stats);
    discovery.start(sink);
    await settle();
    expect(sink.lists).toEqual([['10.0.0.1']]);
    expect(discovery.identity).toBe('position');
    resolver.found('a.test', 4, []);
    clock.advance(5000);
    await settle();
    expect(sink.lists.length).toBe(1);
    expect(stats.get(CLUSTER_UPDATE_STATS.at.update_failure)).toBe(1);
    resolver.found('a.test', 4, ['10.0.0.2', '10.0.0.1']);
    clock.advance(5000);
    await settle();
    expect(sink.lists.at(-1)).toEqual(['10.0.0.2']);
    expect(sink.initialized).toBe(1);
    discovery.close();
  });

  test('a name that cannot be resolved ends the warming all the same', async () => {
    const sink = new Sink();
    const discovery = new LogicalDnsDiscovery(assignment([endpoint('a.test:80')]), environment(), stats);
    discovery.start(sink);
    await settle();
    expect([sink.initialized, sink.lists.length]).toEqual([1, 0]);
    discovery.close();
  });
});

describe('NodeDnsResolver', () => {
  test('IP literals, the hosts file and localhost need no server', async () => {
    const node = new NodeDnsResolver([], new HostsFile('/nonexistent'), new ThreadStats().block(DNS_STATS));
    const addresses = async (name: string, family: 4 | 6): Promise<string[]> => {
      const answer = await node.resolve(name, family);
      return answer.kind === 'found' ? answer.records.map((record) => record.address) : [answer.reason];
    };
    expect(await addresses('192.0.2.1', 4)).toEqual(['192.0.2.1']);
    expect(await addresses('192.0.2.1', 6)).toEqual([]);
    expect(await addresses('localhost', 4)).toEqual(['127.0.0.1']);
    expect(await addresses('app.localhost.', 6)).toEqual(['::1']);
  });

  test('parses a hosts file', () => {
    const names = parseHosts(
      '# comment\n127.0.0.1 localhost\n10.0.0.1\tDB.test db # main\n::1 localhost\nbad line\n10.0.0.2 db',
    );
    expect(names.get('localhost')).toEqual(['127.0.0.1', '::1']);
    expect(names.get('db.test')).toEqual(['10.0.0.1']);
    expect(names.get('db')).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(names.size).toBe(3);
  });
});
