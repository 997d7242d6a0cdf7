import { fromJson, toBinary, type DescMessage, type JsonValue } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { BufferSchema } from '../../src/api/generated/envoy/extensions/filters/http/buffer/v3/buffer_pb.js';
import { HTTPFaultSchema } from '../../src/api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import {
  TypeScriptFilterPerRouteSchema,
  TypeScriptFilterSchema,
} from '../../src/api/generated/outrigger/filters/http/typescript/v3/typescript_pb.js';
import { checkHttpFilters } from '../../src/config/check-http-filters.ts';
import type { ListenerModel } from '../../src/config/listener-model.ts';
import { Problems } from '../../src/config/problem.ts';
import { builtinHttpFilters } from '../../src/filters/builtin.ts';
import { HttpFilterRegistry } from '../../src/filters/registry.ts';

const typed = (name: string, desc: DescMessage, json: JsonValue) => ({
  name,
  typeName: desc.typeName,
  value: toBinary(desc, fromJson(desc, json)),
});
const filter = (name: string, desc: DescMessage, json: JsonValue) => ({
  name,
  config: typed(name, desc, json),
  disabled: false,
});
const override = (filterName: string, desc: DescMessage, json: JsonValue) => ({
  filterName,
  disabled: undefined,
  isOptional: false,
  config: typed(filterName, desc, json),
});

/** The parts of a listener that are looked at. */
function listener(
  httpFilters: unknown[],
  onHost: unknown[] = [],
  onRoute: unknown[] = [],
  upgrades: unknown[] = [],
): ListenerModel {
  const virtualHost = {
    perFilterConfigs: onHost,
    routes: [{ perFilterConfigs: onRoute, action: { kind: 'direct-response' } }],
  };
  const routes = { kind: 'inline', routeConfig: { perFilterConfigs: [], virtualHosts: [virtualHost] } };
  const chain = { networkFilters: [{ kind: 'http-connection-manager', hcm: { httpFilters, upgrades, routes } }] };
  return { filterChains: [chain], defaultFilterChain: undefined } as unknown as ListenerModel;
}

async function problemsOf(model: ListenerModel): Promise<string[]> {
  const problems = new Problems();
  await checkHttpFilters(model, new HttpFilterRegistry(builtinHttpFilters), problems);
  return problems.list.map(({ path, message }) => `${path}: ${message}`);
}

const at = 'filter_chains[0].filters[0].typed_config';
const requireKey = (config: JsonValue) =>
  filter('keys', TypeScriptFilterSchema, { path: 'examples/filters/require-key.ts', config });

test('good filters and overrides give no problem', async () => {
  const model = listener(
    [requireKey({ keys: {} }), filter('b', BufferSchema, { maxRequestBytes: 5 })],
    [override('keys', TypeScriptFilterPerRouteSchema, { config: { keys: { a: 'b' } } })],
    [override('not in the chain', HTTPFaultSchema, {})],
  );
  expect(await problemsOf(model)).toEqual([]);
});

test('the filters of an upgrade are checked, too', async () => {
  const model = listener([], [], [], [{ filters: undefined }, { filters: [requireKey({})] }]);
  expect(await problemsOf(model)).toEqual([
    `${at}.upgrade_configs[1].filters[0].typed_config.config: must have required property 'keys'`,
  ]);
});

test('all that filters refuse is found, with its place', async () => {
  const model = listener(
    [
      requireKey({}),
      filter('fault', HTTPFaultSchema, { headers: [{ name: 'a', safeRegexMatch: { regex: '(' } }] }),
      filter('none', TypeScriptFilterSchema, { path: '/nonexistent.ts' }),
      filter('b', BufferSchema, { maxRequestBytes: 5 }),
    ],
    [override('b', HTTPFaultSchema, {})],
  );
  const problems = await problemsOf(model);
  expect(problems).toHaveLength(4);
  expect(problems[0]).toBe(`${at}.http_filters[0].typed_config.config: must have required property 'keys'`);
  expect(problems[1]).toMatch(`${at}.http_filters[1].typed_config.headers[0]: `);
  expect(problems[2]).toMatch(`${at}.http_filters[2].typed_config.path: /nonexistent.ts: `);
  expect(problems[3]).toMatch(
    `${at}.route_config.virtual_hosts[0].typed_per_filter_config["b"]: the per-route config of envoy.filters.http.buffer is`,
  );
});

test('an override is checked by the schema of the filter that it belongs to', async () => {
  const model = listener(
    [requireKey({ keys: {} })],
    [],
    [override('keys', TypeScriptFilterPerRouteSchema, { config: { key: 1 } })],
  );
  expect(await problemsOf(model)).toEqual([
    `${at}.route_config.virtual_hosts[0].routes[0].typed_per_filter_config["keys"].config: ` +
      "must have required property 'keys'; must NOT have additional properties 'key'",
  ]);
});
