import { create, fromBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { NodeSchema } from '../../src/api/generated/envoy/config/core/v3/base_pb.js';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DiscoveryRequest,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { DeltaMux } from '../../src/xds/delta-mux.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import type { ResourceUpdate, ResourceWatcher } from '../../src/xds/resource-update.ts';
import { SotwMux } from '../../src/xds/sotw-mux.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeControlPlane, resourceBytes } from '../support/fake-control-plane.ts';

const { cds, eds, lds, rds } = RESOURCE_TYPES;

/** Holds what it was told, as a data plane would; refuses any update with a resource whose content is `bad`. */
class Holder implements ResourceWatcher {
  readonly held = new Map<string, string>();
  readonly updates: ResourceUpdate[] = [];
  onApply: (held: ReadonlyMap<string, string>) => void = () => {};

  onUpdate(update: ResourceUpdate): string {
    this.updates.push(update);
    const contents = update.set.map(({ name, value }) => [name, fromBinary(ClusterSchema, value).altStatName] as const);
    const bad = contents.filter(([, content]) => content.startsWith('bad')).map(([name]) => name);
    if (bad.length > 0) return `bad: ${bad.join(', ')}`;
    for (const [name, content] of contents) this.held.set(name, content);
    for (const name of update.removed) this.held.delete(name);
    this.onApply(this.held);
    return '';
  }
}

const options = (clock = new FakeClock()) => ({
  clock,
  node: create(NodeSchema, { id: 'test' }),
  nodeOnFirstMessageOnly: true,
  defer: (callback: () => void) => callback(),
  warn: () => {},
});

const any = (typeUrl: string, name: string, content = '') =>
  create(AnySchema, { typeUrl, value: resourceBytes(name, content) });

const short = (typeUrl: string): string => typeUrl.slice(typeUrl.lastIndexOf('.') + 1);

describe('SotwMux', () => {
  const describeRequest = (request: DiscoveryRequest): string =>
    `${short(request.typeUrl)} v=${request.versionInfo} n=${request.responseNonce} [${request.resourceNames.join(',')}]` +
    `${request.node === undefined ? '' : ' +node'}${request.errorDetail === undefined ? '' : ` ${request.errorDetail.message}`}`;

  const started = () => {
    const mux = new SotwMux(options());
    const sent: string[] = [];
    mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    return { mux, sent, take: () => sent.splice(0) };
  };
  const response = (typeUrl: string, version: string, nonce: string, names: readonly string[]) =>
    create(DiscoveryResponseSchema, {
      typeUrl,
      versionInfo: version,
      nonce,
      resources: names.map((name) => any(typeUrl, name)),
    });

  test('asks for endpoints before it acknowledges the clusters that need them', () => {
    const { mux, take } = started();
    const clusters = new Holder();
    const endpoints = mux.watch(eds, [], new Holder());
    clusters.onApply = (held) => endpoints.setNames([...held.keys()]);
    mux.watch(cds, undefined, clusters);
    expect(take()).toEqual(['Cluster v= n= [] +node']);
    mux.onResponse(response(cds, 'v0', '2', ['c0', 'c1']));
    expect(take()).toEqual(['ClusterLoadAssignment v= n= [c0,c1]', 'Cluster v=v0 n=2 []']);
    mux.onResponse(response(eds, 'v0', '3', ['c0', 'c1']));
    expect(take()).toEqual(['ClusterLoadAssignment v=v0 n=3 [c0,c1]']);
    mux.onResponse(response(cds, 'v1', '4', ['c2']));
    expect(take()).toEqual(['ClusterLoadAssignment v=v0 n=3 [c2]', 'Cluster v=v1 n=4 []']);
  });

  test('of the requests that were held back the last one says it all', () => {
    const { mux, take } = started();
    mux.watch(cds, undefined, new Holder());
    take();
    mux.hold(cds);
    mux.onResponse(response(cds, 'v0', '1', ['c0']));
    mux.onResponse(response(cds, 'v1', '2', ['c1']));
    mux.watch(eds, ['c1'], new Holder());
    expect(take()).toEqual(['ClusterLoadAssignment v= n= [c1]']);
    mux.release(cds);
    mux.release(cds);
    expect(take()).toEqual(['Cluster v=v1 n=2 []']);
  });

  test('refuses with the version of before, and goes on with the nonce of the refused response', () => {
    const { mux, take } = started();
    const holder = new Holder();
    mux.watch(cds, undefined, holder);
    mux.onResponse(response(cds, 'v0', '1', ['good']));
    take();
    const bad = create(DiscoveryResponseSchema, {
      typeUrl: cds,
      versionInfo: 'v1',
      nonce: '2',
      resources: [any(cds, 'x', 'bad')],
    });
    mux.onResponse(bad);
    expect(take()).toEqual(['Cluster v=v0 n=2 [] bad: x']);
    expect([...holder.held.keys()]).toEqual(['good']);
  });

  test('a removal that came with a refused response is made up for', () => {
    const { mux } = started();
    const holder = new Holder();
    mux.watch(cds, undefined, holder);
    mux.onResponse(response(cds, '1', '1', ['a', 'b']));
    const bad = [any(cds, 'a', 'bad')];
    mux.onResponse(create(DiscoveryResponseSchema, { typeUrl: cds, versionInfo: '2', nonce: '2', resources: bad }));
    mux.onResponse(response(cds, '3', '3', ['a']));
    expect([...holder.held.keys()]).toEqual(['a']);
  });

  test('paces refusals of the same version', () => {
    const clock = new FakeClock();
    const mux = new SotwMux(options(clock));
    const sent: string[] = [];
    mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    mux.watch(cds, undefined, new Holder());
    const refused = (nonce: string) =>
      create(DiscoveryResponseSchema, { typeUrl: cds, versionInfo: 'v1', nonce, resources: [any(cds, 'x', 'bad')] });
    mux.onResponse(refused('1'));
    expect(sent).toHaveLength(2);
    mux.onResponse(refused('2'));
    expect(sent).toHaveLength(2);
    clock.advance(500);
    expect(sent).toHaveLength(3);
    mux.onResponse(refused('3'));
    clock.advance(999);
    expect(sent).toHaveLength(3);
    clock.advance(1);
    expect(sent).toHaveLength(4);
  });

  test('a new stream asks for everything with the last versions and no nonces', () => {
    const { mux, take } = started();
    mux.watch(cds, undefined, new Holder());
    mux.watch(eds, ['a', 'b'], new Holder());
    mux.onResponse(response(cds, 'v3', '1', ['a', 'b']));
    mux.onResponse(response(eds, 'v4', '2', ['a', 'b']));
    mux.onStreamClosed();
    take();
    const again: string[] = [];
    mux.onStreamOpen((request) => again.push(describeRequest(request)));
    expect(again).toEqual(['Cluster v=v3 n= [] +node', 'ClusterLoadAssignment v=v4 n= [a,b]']);
  });

  test('what a listener or cluster response leaves out is removed, what a route response leaves out is not', () => {
    const { mux } = started();
    const listeners = new Holder();
    const routes = new Holder();
    mux.watch(lds, undefined, listeners);
    mux.watch(rds, ['r0', 'r1'], routes);
    mux.onResponse(response(lds, '1', '1', ['l0', 'l1']));
    mux.onResponse(response(rds, '1', '2', ['r0', 'r1']));
    mux.onResponse(response(lds, '2', '3', ['l1']));
    mux.onResponse(response(rds, '2', '4', ['r1']));
    expect([...listeners.held.keys()]).toEqual(['l1']);
    expect([...routes.held.keys()]).toEqual(['r0', 'r1']);
  });

  test('refuses resources of another type', () => {
    const { mux, take } = started();
    mux.watch(cds, undefined, new Holder());
    take();
    const wrong = create(DiscoveryResponseSchema, { typeUrl: cds, nonce: '1', resources: [any(lds, 'l')] });
    mux.onResponse(wrong);
    expect(take()[0]).toContain('does not match the message-wide type URL');
  });
});

describe('DeltaMux', () => {
  const describeRequest = (request: DeltaDiscoveryRequest): string =>
    `${short(request.typeUrl)} n=${request.responseNonce} +[${request.resourceNamesSubscribe.join(',')}]` +
    ` -[${request.resourceNamesUnsubscribe.join(',')}] ${JSON.stringify(request.initialResourceVersions)}` +
    `${request.node === undefined ? '' : ' +node'}${request.errorDetail === undefined ? '' : ` ${request.errorDetail.message}`}`;
  const response = (typeUrl: string, nonce: string, names: readonly string[], removedResources: string[] = []) =>
    create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      nonce,
      removedResources,
      resources: names.map((name) => ({ name, version: `v${nonce}`, resource: any(typeUrl, name) })),
    });

  test('every acknowledgement that was held back leaves when it is released, but for those of another stream', () => {
    const mux = new DeltaMux(options());
    const sent: string[] = [];
    const open = (): void => mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    open();
    mux.watch(cds, undefined, new Holder());
    sent.splice(0);
    mux.hold(cds);
    mux.onResponse(response(cds, '1', ['c0']));
    mux.onResponse(response(cds, '2', ['c1']));
    expect(sent.splice(0)).toEqual([]);
    mux.release(cds);
    expect(sent.splice(0)).toEqual(['Cluster n=1 +[] -[] {}', 'Cluster n=2 +[] -[] {}']);
    mux.hold(cds);
    mux.onResponse(response(cds, '3', ['c2']));
    mux.onStreamClosed();
    open();
    mux.release(cds);
    expect(sent).toEqual(['Cluster n= +[] -[] {"c0":"v1","c1":"v2","c2":"v3"} +node']);
  });

  test('changes of interest are messages of their own and go before the acknowledgement', () => {
    const mux = new DeltaMux(options());
    const sent: string[] = [];
    mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    const clusters = new Holder();
    const endpoints = mux.watch(eds, [], new Holder());
    clusters.onApply = (held) => endpoints.setNames([...held.keys()]);
    mux.watch(cds, undefined, clusters);
    expect(sent.splice(0)).toEqual(['Cluster n= +[] -[] {} +node']);
    mux.onResponse(response(cds, '1', ['c0', 'c1']));
    expect(sent.splice(0)).toEqual(['ClusterLoadAssignment n= +[c0,c1] -[] {}', 'Cluster n=1 +[] -[] {}']);
    mux.onResponse(response(cds, '2', ['c2'], ['c0']));
    expect(sent.splice(0)).toEqual(['ClusterLoadAssignment n= +[c2] -[c0] {}', 'Cluster n=2 +[] -[] {}']);
    mux.onStreamClosed();
    const again: string[] = [];
    mux.onStreamOpen((request) => again.push(describeRequest(request)));
    expect(again).toEqual(
      ['ClusterLoadAssignment n= +[c1,c2] -[] {}', 'Cluster n= +[] -[] {"c1":"v1","c2":"v2"}'].map((line, i) =>
        i === 0 ? `${line} +node` : line,
      ),
    );
  });

  test('whoever wants what others have gets an answer, too, if need be on the next stream', () => {
    const mux = new DeltaMux(options());
    const sent: string[] = [];
    mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    mux.watch(eds, ['a', 'b'], new Holder());
    mux.onResponse(response(eds, '1', ['a', 'b']));
    sent.splice(0);
    const late = new Holder();
    mux.watch(eds, ['a'], late);
    expect(sent.splice(0)).toEqual(['ClusterLoadAssignment n= +[a] -[] {}']);
    mux.onStreamClosed();
    mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    expect(sent.splice(0)).toEqual(['ClusterLoadAssignment n= +[a,b] -[] {"b":"v1"} +node']);
    mux.onResponse(response(eds, '1', ['a']));
    expect([...late.held.keys()]).toEqual(['a']);
  });

  test('a collection that is wanted anew is asked for as if nothing were held of it', () => {
    const mux = new DeltaMux(options());
    const sent: string[] = [];
    const collection = 'xdstp://auth/T/some/*';
    const member = 'xdstp://auth/T/some/x?';
    mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    mux.watch(cds, ['other'], new Holder());
    const first = mux.watch(cds, [collection], new Holder());
    mux.onResponse(response(cds, '1', ['other', member]));
    mux.onStreamClosed();
    sent.splice(0);
    mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    expect(sent.splice(0)).toEqual([
      `Cluster n= +[other,${collection}] -[] ${JSON.stringify({ other: 'v1', [member]: 'v1' })} +node`,
    ]);
    first.close();
    const second = new Holder();
    mux.watch(cds, [collection], second);
    mux.onStreamClosed();
    sent.splice(0);
    mux.onStreamOpen((request) => sent.push(describeRequest(request)));
    expect(sent).toEqual([`Cluster n= +[other,${collection}] -[] {"other":"v1"} +node`]);
    mux.onResponse(response(cds, '2', [], [member]));
    expect(second.updates).toMatchObject([{ removed: [member] }]);
  });

  test('a refused response leaves the versions as they were', () => {
    const mux = new DeltaMux(options());
    mux.onStreamOpen(() => {});
    mux.watch(cds, undefined, new Holder());
    mux.onResponse(response(cds, '1', ['a']));
    const bad = create(DeltaDiscoveryResponseSchema, {
      typeUrl: cds,
      nonce: '2',
      resources: [{ name: 'a', version: 'v2', resource: any(cds, 'a', 'bad') }],
    });
    mux.onResponse(bad);
    mux.onStreamClosed();
    const again: DeltaDiscoveryRequest[] = [];
    mux.onStreamOpen((request) => again.push(request));
    expect(again[0]!.initialResourceVersions).toEqual({ a: 'v1' });
  });
});

/** What may happen between a control plane and its client. */
const action = fc.oneof(
  fc.record({
    kind: fc.constant('set' as const),
    name: fc.nat(5),
    content: fc.constantFrom('x', 'y', 'z', 'bad1', 'bad2'),
  }),
  fc.record({ kind: fc.constant('remove' as const), name: fc.nat(5) }),
  fc.record({ kind: fc.constant('push' as const) }),
  fc.record({ kind: fc.constant('interest' as const), names: fc.subarray([0, 1, 2, 3, 4, 5]) }),
  fc.record({ kind: fc.constant('reconnect' as const) }),
  // A response that the stream ends before, or right after; and one that comes again, with nonce and version of then.
  fc.record({ kind: fc.constant('lost' as const) }),
  fc.record({ kind: fc.constant('cut' as const) }),
  fc.record({ kind: fc.constant('replay' as const), age: fc.nat(3) }),
);

describe.each(['sotw', 'delta'] as const)('%s, whatever happens', (variant) => {
  test.each([cds, eds])('the client ends with what the server has, once that is good (%s)', (typeUrl) => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const server = new FakeControlPlane();
        const holder = new Holder();
        const sotw = new SotwMux(options());
        const delta = new DeltaMux(options());
        const mux = variant === 'sotw' ? sotw : delta;
        const open = (): void => {
          server.newStream();
          if (variant === 'sotw') sotw.onStreamOpen((request) => server.onRequest(request));
          else delta.onStreamOpen((request) => server.onDeltaRequest(request));
        };
        const delivered: (() => void)[] = [];
        /** How the client is given what the server has for it. */
        const next = (): (() => void) | undefined => {
          if (!server.types.includes(typeUrl)) return undefined;
          if (variant === 'sotw') {
            const response = server.response(typeUrl);
            return () => sotw.onResponse(response);
          }
          const response = server.deltaResponse(typeUrl);
          return response && (() => delta.onResponse(response));
        };
        const push = (): void => {
          const deliver = next();
          if (deliver === undefined) return;
          delivered.push(deliver);
          deliver();
        };
        const everything = typeUrl === cds;
        let names = ['r0', 'r1'];
        const watch = mux.watch(typeUrl, everything ? undefined : names, holder);
        open();
        for (const each of actions)
          switch (each.kind) {
            case 'set':
              server.set(typeUrl, `r${each.name}`, each.content);
              break;
            case 'remove':
              server.remove(typeUrl, `r${each.name}`);
              break;
            case 'push':
              push();
              break;
            case 'interest':
              if (everything) break;
              names = each.names.map((n) => `r${n}`);
              watch.setNames(names);
              // Who gives up a name forgets what was under it.
              for (const name of holder.held.keys()) if (!names.includes(name)) holder.held.delete(name);
              break;
            case 'reconnect':
              mux.onStreamClosed();
              open();
              break;
            case 'lost':
              next();
              mux.onStreamClosed();
              open();
              break;
            case 'cut':
              push();
              mux.onStreamClosed();
              open();
              break;
            case 'replay':
              delivered.at(-1 - each.age)?.();
              break;
          }
        for (const [name, content] of server.state.get(typeUrl) ?? [])
          if (content.startsWith('bad')) server.set(typeUrl, name, 'mended');
        mux.onStreamClosed();
        open();
        push();
        const expected = new Map(
          [...(server.state.get(typeUrl) ?? [])].filter(([name]) => everything || names.includes(name)),
        );
        const held = new Map([...holder.held].filter(([name]) => everything || expected.has(name)));
        expect(Object.fromEntries(held)).toEqual(Object.fromEntries(expected));
        if (everything) expect(holder.held.size).toBe(expected.size);
      }),
      { numRuns: 300 },
    );
  });
});
