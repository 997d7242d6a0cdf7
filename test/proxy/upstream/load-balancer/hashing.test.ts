import { describe, expect, test } from 'vitest';
import type { HostHealthStatus, LoadBalancerModel, LocalityModel } from '../../../../src/config/cluster-model.ts';
import { hash64 } from '../../../../src/lib/hash64.ts';
import type { UpstreamHost } from '../../../../src/proxy/upstream/host.ts';
import { BoundedLoadTable, MersenneTwister } from '../../../../src/proxy/upstream/load-balancer/bounded-load.ts';
import { HashRing, MaglevTable, type HashTable } from '../../../../src/proxy/upstream/load-balancer/hash-table.ts';
import { HOST_CELLS, HostHealthFlag, hostCellCount } from '../../../../src/proxy/upstream/host-cells.ts';
import { PlainContext, endpoint, hostSet, locality } from '../../../support/upstream-models.ts';
import { UpstreamRig } from '../../../support/upstream-rig.ts';

const RING = {
  policy: 'ring-hash',
  minimumRingSize: 1024,
  maximumRingSize: 8 << 20,
  hashFunction: 'xx-hash',
  useHostname: false,
  hashBalanceFactor: 0,
} as const;
const MAGLEV = { policy: 'maglev', tableSize: 101, useHostname: false, hashBalanceFactor: 0 } as const;
const WEIGHTS = [1, 3, 2, 1, 5];

class Hashed extends PlainContext {
  override readonly hash: undefined;

  constructor(hash: bigint | undefined) {
    super();
    this.hash = hash as undefined;
  }
}

interface Setting {
  readonly loadBalancer: LoadBalancerModel;
  readonly localityWeighted?: boolean;
  readonly localities?: readonly LocalityModel[];
  /** Of each host: its locality, which has its priority. */
  readonly places?: readonly number[];
  readonly health?: readonly HostHealthStatus[];
}

/** `127.0.0.1:1` to `127.0.0.5:1`, with the weights above. */
function rigOf({
  loadBalancer,
  localityWeighted = false,
  localities = [locality()],
  places = [0, 0, 0, 0, 0],
  health,
}: Setting): UpstreamRig {
  const rig = new UpstreamRig({ loadBalancer, localityWeighted });
  const hosts = WEIGHTS.map((weight, index) => {
    const sharedSlot = rig.shared.allocate(hostCellCount(1));
    if (health?.[index] === 'unhealthy')
      rig.shared.store(sharedSlot + HOST_CELLS.health, HostHealthFlag.failedEdsHealth);
    return {
      ...endpoint(`127.0.0.${index + 1}:1`),
      weight,
      hostname: `h${index}.example`,
      locality: places[index]!,
      priority: localities[places[index]!]!.priority,
      sharedSlot,
    };
  });
  rig.clusters.apply({ hosts: [hostSet('backend', hosts, localities)] });
  return rig;
}

const pick = (rig: UpstreamRig, hash: bigint | undefined): string | undefined =>
  rig.cluster.pickHost(new Hashed(hash))?.address.slice('127.0.0.'.length, -2);

describe('consistent hashing', () => {
  /** The hosts that Envoy 1.40 chose for `user-0` to `user-39`. */
  test.each<[string, Setting, string]>([
    ['ring', { loadBalancer: RING }, '5325432225512315353255514323545251523325'],
    [
      'ring, by Murmur',
      { loadBalancer: { ...RING, hashFunction: 'murmur-hash-2', minimumRingSize: 300 } },
      '3515525222235515253455255525255252554523',
    ],
    ['Maglev', { loadBalancer: { ...MAGLEV, tableSize: 1009 } }, '5522522352251512235332553325352221522422'],
    ['Maglev, by name', { loadBalancer: { ...MAGLEV, useHostname: true } }, '5515553535355522523252325355325145235524'],
    [
      'ring, by locality',
      {
        loadBalancer: RING,
        localityWeighted: true,
        localities: [locality({ weight: 1 }), locality({ weight: 3 })],
        places: [0, 0, 1, 1, 1],
      },
      '5325431225552315353255514323545351523355',
    ],
    [
      'Maglev, on two levels',
      {
        loadBalancer: MAGLEV,
        localities: [locality(), locality({ priority: 1 })],
        places: [0, 0, 0, 1, 1],
        health: ['unhealthy', 'unhealthy', 'unknown', 'unknown', 'unknown'],
      },
      '4555555555533555434355335433333535355543',
    ],
  ])('chooses as Envoy: %s', (_name, setting, expected) => {
    const rig = rigOf(setting);
    const chosen = Array.from({ length: expected.length }, (_, index) => pick(rig, hash64(`user-${index}`)));
    expect(chosen.join('')).toBe(expected);
  });

  test('shows the size of its table', () => {
    // As Envoy does for these weights.
    const ring = rigOf({ loadBalancer: RING });
    expect(
      ['size', 'min_hashes_per_host', 'max_hashes_per_host'].map((name) => ring.stat(`ring_hash_lb.${name}`)),
    ).toEqual([1032, 86, 430]);
    const maglev = rigOf({ loadBalancer: { ...MAGLEV, tableSize: 65_537 } });
    expect(['min_entries_per_host', 'max_entries_per_host'].map((name) => maglev.stat(`maglev_lb.${name}`))).toEqual([
      5462, 27_306,
    ]);
  });

  test.each([[RING], [MAGLEV]])('without a hash, anywhere', (loadBalancer) => {
    const rig = rigOf({ loadBalancer });
    const seen = new Set(Array.from({ length: 200 }, () => pick(rig, undefined)));
    expect([...seen].sort()).toEqual(['1', '2', '3', '4', '5']);
  });

  test.each([[RING], [MAGLEV]])('a host that is rejected hands over to another, for good', (loadBalancer) => {
    const rig = rigOf({ loadBalancer });
    const hash = hash64('user-0');
    const context = new Hashed(hash);
    context.hostSelectionRetries = 20;
    context.rejected.add(rig.cluster.pickHost(context)!.address);
    const other = rig.cluster.pickHost(context)!;
    expect(context.rejected.has(other.address)).toBe(false);
    expect(rig.cluster.pickHost(context)).toBe(other);
  });

  test.each([[RING], [MAGLEV]])('few keys move when a host goes', (loadBalancer) => {
    const rig = rigOf({ loadBalancer });
    const keys = Array.from({ length: 500 }, (_, index) => hash64(`key ${index}`));
    const before = keys.map((key) => pick(rig, key));
    const hosts = rig.cluster.hosts.slice(1).map((host) => host.model);
    rig.clusters.apply({ hosts: [hostSet('backend', hosts)] });
    const moved = keys.filter((key, index) => before[index] !== '1' && pick(rig, key) !== before[index]).length;
    expect(moved).toBeLessThan(keys.length / 10);
  });

  test('a level without healthy hosts panics over all of them', () => {
    const rig = rigOf({ loadBalancer: MAGLEV, health: WEIGHTS.map(() => 'unhealthy' as const) });
    expect(pick(rig, 1n)).toBeDefined();
    expect(rig.stat('lb_healthy_panic')).toBe(1);
  });

  test('a hash key in the metadata of a host stands for its address', () => {
    const at = (address: string, key: string): UpstreamHost =>
      ({ address, hostname: '', metadata: { 'envoy.lb': { hash_key: key } } }) as unknown as UpstreamHost;
    const ofKeys = (addresses: readonly string[]): HashTable =>
      new HashRing(
        RING,
        addresses.map((address, index) => ({ host: at(address, `key ${index}`), weight: 1 / addresses.length })),
      );
    const [one, other] = [ofKeys(['a', 'b', 'c']), ofKeys(['A', 'B', 'C'])];
    for (let i = 0; i < 50; i++) {
      const hash = hash64(String(i));
      expect(other.pick(hash, 0).address).toBe(one.pick(hash, 0).address.toUpperCase());
    }
  });
});

describe('bounded loads', () => {
  const hosts = [0, 1, 2, 3].map((index) => ({
    address: `h${index}`,
    activeRequests: 0,
  })) as unknown as (UpstreamHost & {
    activeRequests: number;
  })[];
  const entries = hosts.map((host) => ({ host, weight: 0.25 }));
  const inner = new MaglevTable(MAGLEV, entries);
  const table = new BoundedLoadTable(inner, entries, 125, () =>
    hosts.reduce((sum, host) => sum + host.activeRequests, 0),
  );

  test('no host takes more than its share of what is in flight', () => {
    const hash = hash64('hot key');
    const first = table.pick(hash, 0);
    expect(first).toBe(inner.pick(hash, 0));
    for (let i = 0; i < 100; i++) (table.pick(hash, 0) as (typeof hosts)[number]).activeRequests++;
    const counts = hosts.map((host) => host.activeRequests);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(100);
    // 125 % of the average of 25, and one more to get there.
    expect(Math.max(...counts)).toBeLessThanOrEqual(33);
    expect((first as (typeof hosts)[number]).activeRequests).toBe(Math.max(...counts));
  });

  test('the numbers are those of any MT19937', () => {
    const random = new MersenneTwister(5489);
    expect(Array.from({ length: 3 }, () => random.next())).toEqual([3_499_211_612, 581_869_302, 3_890_346_734]);
    for (let i = 4; i < 10_000; i++) random.next();
    // The standard's check of the 10000th.
    expect(random.next()).toBe(4_123_659_995);
  });
});
