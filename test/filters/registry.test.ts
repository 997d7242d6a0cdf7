import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { HTTPFaultSchema } from '../../src/api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { HeaderMutationSchema } from '../../src/api/generated/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js';
import { builtinHttpFilters } from '../../src/filters/builtin.ts';
import { builtinNetworkFilters } from '../../src/filters/builtin-network.ts';
import { inertNetworkContext } from '../../src/filters/inert-context.ts';
import { NetworkFilterRegistry } from '../../src/filters/network-registry.ts';
import type { FactoryContext } from '../../src/filters/http/filter.ts';
import { HttpFilterRegistry } from '../../src/filters/registry.ts';
import { KitClock } from '../../src/filters/test-kit/kit-clock.ts';
import { KitRuntime } from '../../src/filters/test-kit/kit-runtime.ts';
import { KitStats } from '../../src/filters/test-kit/kit-stats.ts';
import { SeededRandom } from '../../src/lib/random.ts';

const clock = new KitClock(0);
const stats = new KitStats();
const context: FactoryContext = {
  clock,
  random: new SeededRandom(1),
  stats,
  rootStats: stats,
  runtime: new KitRuntime({}),
  node: { id: '', cluster: '', zone: '' },
  log: { debug() {}, info() {}, warn() {}, error() {} },
  sleep: (ms) => clock.sleep(ms),
};
const faultConfig = {
  name: 'my-fault',
  typeName: HTTPFaultSchema.typeName,
  value: toBinary(HTTPFaultSchema, create(HTTPFaultSchema)),
};

describe('the registry of HTTP filters', () => {
  test.each(builtinHttpFilters.map((each) => [each.name, each] as const))(
    '%s is what it says it is',
    async (_, each) => {
      const type = await each.load();
      expect(type.name).toBe(each.name);
      expect(type.config.typeName).toBe(each.configType);
      expect(type.routeConfig === undefined ? [] : [type.routeConfig.typeName]).toEqual(each.routeConfigTypes);
    },
  );

  test('finds by the type of the config, and by name where there is none', () => {
    const registry = new HttpFilterRegistry(builtinHttpFilters);
    expect(registry.find(faultConfig)?.name).toBe('envoy.filters.http.fault');
    expect(registry.find({ name: 'envoy.filters.http.buffer', typeName: '' })?.name).toBe('envoy.filters.http.buffer');
    expect(registry.find({ name: 'envoy.filters.http.buffer', typeName: 'a.b.C' })).toBeUndefined();
    expect(registry.knowsRouteConfig('envoy.extensions.filters.http.buffer.v3.BufferPerRoute')).toBe(true);
    expect(registry.knowsRouteConfig('envoy.extensions.filters.http.buffer.v3.Buffer')).toBe(false);
  });

  test('filters with the very same empty bytes are told apart', async () => {
    const registry = new HttpFilterRegistry(builtinHttpFilters);
    const value = new Uint8Array();
    const empty = [HTTPFaultSchema, HeaderMutationSchema].map(({ typeName }) => ({ name: typeName, typeName, value }));
    await registry.prepare(empty);
    for (const config of empty) expect(registry.compile(config, context).create).toBeTypeOf('function');
    const network = new NetworkFilterRegistry(builtinNetworkFilters);
    const types = ['envoy.extensions.filters.network.echo.v3.Echo', 'envoy.extensions.filters.network.rbac.v3.RBAC'];
    await network.prepare(types.map((typeName) => ({ name: typeName, typeName, value })));
    for (const typeName of types)
      expect(
        network.find(typeName) &&
          network.compile(
            { name: typeName, typeName, value },
            inertNetworkContext(() => {}),
          ),
      ).toBeTypeOf('function');
  });

  test('loads once, when asked', async () => {
    let loads = 0;
    const registry = new HttpFilterRegistry(
      builtinHttpFilters.map((each) => ({ ...each, load: () => (loads++, each.load()) })),
    );
    await registry.prepare([faultConfig, { ...faultConfig, value: faultConfig.value.slice() }]);
    await registry.prepare([faultConfig]);
    expect(loads).toBe(1);
    expect(registry.compile(faultConfig, context).create).toBeTypeOf('function');
  });

  test('compiles a route config once', async () => {
    const registry = new HttpFilterRegistry(builtinHttpFilters);
    await registry.prepare([faultConfig]);
    const { compileRoute } = registry.compile(faultConfig, context);
    const routeConfig = { typeName: faultConfig.typeName, value: faultConfig.value };
    expect(compileRoute(routeConfig)).toBe(compileRoute(routeConfig));
    expect(compileRoute({ typeName: faultConfig.typeName, value: undefined })).toBeUndefined();
  });

  test('refuses what is unknown, misplaced or broken', async () => {
    const registry = new HttpFilterRegistry(builtinHttpFilters);
    await expect(registry.prepare([{ name: 'x', typeName: 'a.b.C', value: new Uint8Array() }])).rejects.toThrow(
      "Didn't find a registered implementation for 'x' with type URL: 'a.b.C'",
    );
    await expect(registry.prepare([{ ...faultConfig, value: Uint8Array.of(0xff) }])).rejects.toThrow(
      /^not a serialised envoy\.extensions\.filters\.http\.fault\.v3\.HTTPFault/,
    );
    await registry.prepare([faultConfig]);
    const { compileRoute } = registry.compile(faultConfig, context);
    expect(() => compileRoute({ typeName: HeaderMutationSchema.typeName, value: new Uint8Array() })).toThrow(
      'the per-route config of envoy.filters.http.fault is ' +
        'envoy.extensions.filters.http.fault.v3.HTTPFault, not ' +
        HeaderMutationSchema.typeName,
    );
  });
});
