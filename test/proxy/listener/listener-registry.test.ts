import { describe, expect, test } from 'vitest';
import type { SnapshotDelta } from '../../../src/config/snapshot.ts';
import { SharedCells } from '../../../src/lib/shared-cells.ts';
import { ListenerRegistry, type ListenerSpec } from '../../../src/proxy/listener/listener-registry.ts';
import type { ListenerOutcome } from '../../../src/proxy/listener/listener-set.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { buildListenerModel } from '../../support/listener-models.ts';

interface Spec extends ListenerSpec {
  readonly waits?: boolean;
}

const DRAIN_MS = 1000;
const { model: base } = await buildListenerModel();

/** A registry with what it sends to the workers, and who waits for what. */
function rig(fails: (name: string) => string | undefined = () => undefined, cannotBind = (_name: string) => '') {
  const clock = new FakeClock();
  const stats = new ThreadStats();
  const sent: { readonly set: readonly string[]; readonly remove: readonly string[] }[] = [];
  const waiting: { readonly name: string; ready(): void }[] = [];
  const closed: string[] = [];
  let hold: Promise<void> = Promise.resolve();
  const registry = new ListenerRegistry<Spec>({
    clock,
    stats,
    shared: new SharedCells([], 1),
    assignSlots: (model) => model,
    workers: 1,
    drainTimeMs: DRAIN_MS,
    async apply({ listeners = { set: [], remove: [] } }: SnapshotDelta): Promise<readonly ListenerOutcome[]> {
      sent.push({ set: listeners.set.map(({ name }) => name), remove: listeners.remove });
      await hold;
      return listeners.set.map(({ name }) => ({ name, addresses: [], error: fails(name) }));
    },
    claim({ model, waits = false }, onReady) {
      const name = `${model.name} ${model.statPrefix}`;
      if (waits) waiting.push({ name, ready: onReady });
      return { isReady: !waits, waitingFor: waits ? [name] : [], close: () => void closed.push(name) };
    },
    onFailure: () => {},
    checkBind: (model) => Promise.resolve(cannotBind(model.name)),
  });
  return {
    registry,
    clock,
    sent,
    waiting,
    closed,
    holdWorkers(until: Promise<void>) {
      hold = until;
    },
    stat: (name: string) => stats.scope('listener_manager.').gauge(name).value,
    names: () =>
      [...registry.states()].map(({ name, active, warming, draining }) => [
        name,
        active?.versionInfo,
        warming?.versionInfo,
        draining?.versionInfo,
      ]),
  };
}

const spec = (name: string, statPrefix = '', more: Partial<Spec> = {}): Spec => ({
  model: { ...base, name, statPrefix, address: { kind: 'socket', host: '127.0.0.1', port: 0, ipv4Compat: false } },
  ...more,
});

describe('ListenerRegistry', () => {
  test('opens nothing before it is started, then what is ready in one delta', async () => {
    const { registry, sent, waiting, names } = rig();
    await registry.set(spec('a'), '1', true);
    await registry.set(spec('b', '', { waits: true }), '1', true);
    expect([...registry.waitingFor()]).toEqual(['b ']);
    expect(sent).toEqual([]);
    expect(await registry.start()).toEqual(new Map());
    expect(sent).toEqual([{ set: ['a'], remove: [] }]);
    expect(names()).toEqual([
      ['a', '1', undefined, undefined],
      ['b', undefined, '1', undefined],
    ]);
    waiting[0]!.ready();
    await registry.flushed();
    expect(sent.at(-1)).toEqual({ set: ['b'], remove: [] });
    await registry.initialized();
  });

  test('the same content is nothing, and a static listener is not for a control plane to change', async () => {
    const { registry, sent } = rig();
    await registry.start();
    await registry.set(spec('a'), '1', true);
    await registry.set(spec('a'), '2', true);
    await registry.set(spec('s'), '', false);
    await registry.set(spec('s', 'other'), '2', true);
    expect(registry.remove('s', true)).toBe(false);
    expect(sent).toEqual([
      { set: ['a'], remove: [] },
      { set: ['s'], remove: [] },
    ]);
  });

  test('what was replaced or removed keeps what it uses for the drain time', async () => {
    const { registry, clock, closed, names } = rig();
    await registry.start();
    await registry.set(spec('a', 'one'), '1', true);
    await registry.set(spec('a', 'two'), '2', true);
    registry.remove('a', true);
    await registry.flushed();
    expect(closed).toEqual([]);
    expect(names()).toEqual([['a', undefined, undefined, '1']]);
    clock.advance(DRAIN_MS);
    expect(closed.toSorted()).toEqual(['a one', 'a two']);
    expect(names()).toEqual([]);
  });

  test('a version that never served lets go at once; its predecessor serves on', async () => {
    const { registry, waiting, closed, names } = rig();
    await registry.start();
    await registry.set(spec('a', 'one'), '1', true);
    await registry.set(spec('a', 'two', { waits: true }), '2', true);
    await registry.set(spec('a', 'three', { waits: true }), '3', true);
    expect(closed).toEqual(['a two']);
    waiting[0]!.ready();
    await registry.flushed();
    expect(names()).toEqual([['a', '1', '3', undefined]]);
  });

  test('a version that is replaced while the workers open it goes on using what it needs until it has drained', async () => {
    const { registry, clock, closed, holdWorkers, names } = rig();
    await registry.start();
    const { promise, resolve } = Promise.withResolvers<void>();
    holdWorkers(promise);
    const first = registry.set(spec('a', 'one'), '1', true);
    await Promise.resolve();
    await Promise.resolve();
    const second = registry.set(spec('a', 'two', { waits: true }), '2', true);
    expect(closed).toEqual([]);
    resolve();
    expect([await first, await second]).toEqual(['', '']);
    await registry.flushed();
    expect(names()).toEqual([['a', '1', '2', undefined]]);
    registry.remove('a', true);
    await registry.flushed();
    expect(closed).toEqual(['a two']);
    clock.advance(DRAIN_MS);
    expect(closed).toEqual(['a two', 'a one']);
  });

  test('what can not be opened is told, and its predecessor serves on', async () => {
    let error: string | undefined;
    const { registry, names } = rig(() => error);
    await registry.start();
    await registry.set(spec('a', 'one'), '1', true);
    error = 'EADDRINUSE';
    expect(await registry.set(spec('a', 'two'), '2', true)).toBe('EADDRINUSE');
    expect(await registry.set(spec('b'), '2', true)).toBe('EADDRINUSE');
    expect(names()).toEqual([['a', '1', undefined, undefined]]);
  });

  test('an address that can not be bound is told before the listener warms', async () => {
    const { registry, waiting, names } = rig(undefined, (name) => (name === 'b' ? 'taken' : ''));
    await registry.set(spec('a', '', { waits: true }), '1', true);
    expect(await registry.set(spec('b', '', { waits: true }), '1', true)).toBe('taken');
    expect(waiting.map(({ name }) => name)).toEqual(['a ']);
    // A static listener is opened, or the server doesn't start.
    expect(await registry.set(spec('b', 'static', { waits: true }), '', false)).toBe('');
    expect(names().map(([name]) => name)).toEqual(['a', 'b']);
  });

  test('two listeners do not share an address', async () => {
    const { registry } = rig();
    await registry.start();
    const at = (name: string, port: number): Spec => ({
      model: { ...base, name, address: { kind: 'socket', host: '127.0.0.1', port, ipv4Compat: false } },
    });
    expect(await registry.set(at('a', 80), '1', true)).toBe('');
    expect(await registry.set(at('b', 80), '1', true)).toBe(
      "error adding listener: 'b' has duplicate address '127.0.0.1:80' as existing listener",
    );
    expect(await registry.set(at('c', 0), '1', true)).toBe('');
    expect(await registry.set(at('d', 0), '1', true)).toBe('');
  });
});
