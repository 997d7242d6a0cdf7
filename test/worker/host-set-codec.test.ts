import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HostModel, HostSetModel } from '../../src/config/cluster-model.ts';
import { HostSetDecoder, HostSetEncoder, type EncodedDelta } from '../../src/worker/host-set-codec.ts';
import { clusterModel, endpoint, hostSet } from '../support/upstream-models.ts';

const host = (index: number): HostModel => ({ ...endpoint(`10.0.${index >> 8}.${index & 255}:80`), sharedSlot: index });
const hosts = (count: number): HostModel[] => Array.from({ length: count }, (_, i) => host(i));

/** An encoder and a decoder with a thread border between them. */
function pair() {
  const encoder = new HostSetEncoder();
  const decoder = new HostSetDecoder();
  let sent: EncodedDelta = {};
  return {
    send: (...sets: HostSetModel[]) => {
      sent = structuredClone(encoder.encode({ hosts: sets }));
      return decoder.decode(sent).hosts!;
    },
    remove: (name: string) => decoder.decode(encoder.encode({ clusters: { set: [], remove: [name] } })),
    get items() {
      return sent.hosts!.map((set) => set.hosts.length);
    },
  };
}

describe('host sets on their way to a worker', () => {
  test('name what the worker has by its place', () => {
    const wire = pair();
    const all = hosts(1000);
    expect(wire.send(hostSet('a', all))).toEqual([hostSet('a', all)]);
    expect(wire.items).toEqual([1000]);
    const replaced = all.with(500, host(5000));
    const [first] = wire.send(hostSet('a', replaced));
    expect([first, wire.items]).toEqual([hostSet('a', replaced), [3]]);
    const shorter = replaced.toSpliced(10, 1);
    const [second] = wire.send(hostSet('a', shorter));
    expect([second, wire.items]).toEqual([hostSet('a', shorter), [2]]);
    expect(second!.hosts[20]).toBe(first!.hosts[21]);
  });

  test('small sets go whole, and what is removed is forgotten', () => {
    const wire = pair();
    wire.send(hostSet('a', hosts(5)));
    wire.send(hostSet('a', hosts(5)));
    expect(wire.items).toEqual([5]);
    const all = hosts(100);
    wire.send(hostSet('b', all));
    wire.remove('b');
    expect(wire.send(hostSet('b', all))).toEqual([hostSet('b', all)]);
    expect(wire.items).toEqual([100]);
  });

  test('what else is in a delta stays as it is', () => {
    const delta = { clusters: { set: [clusterModel()], remove: [] }, runtime: {} };
    expect(new HostSetDecoder().decode(new HostSetEncoder().encode(delta))).toBe(delta);
  });

  test('whatever changes, the other end holds the same', () => {
    const pool = hosts(200);
    const set = fc.uniqueArray(fc.nat(199), { maxLength: 150, size: 'max' }).chain((order) =>
      fc.constantFrom(
        order,
        order.toSorted((a, b) => a - b),
      ),
    );
    fc.assert(
      fc.property(fc.array(set, { maxLength: 6 }), (sets) => {
        const wire = pair();
        for (const order of sets) {
          const next = hostSet(
            'a',
            order.map((index) => pool[index]!),
          );
          expect(wire.send(next)).toEqual([next]);
        }
      }),
      { numRuns: 100 },
    );
  });
});
