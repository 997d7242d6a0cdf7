// The cost of finding a route with 10 and with 1,000 routes in one virtual host. The last route is asked for, which a
// scan would reach last of all; `scan` shows what that would cost.
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { RouteConfigurationSchema } from '../../src/api/generated/envoy/config/route/v3/route_pb.js';
import { buildRouteConfig } from '../../src/config/builders/route.ts';
import { Problems } from '../../src/config/problem.ts';
import type { RuntimeReader } from '../../src/filters/http/filter.ts';
import type { ConnectionInfo } from '../../src/filters/stream-info.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';
import { MutableStreamInfo } from '../../src/proxy/http/stream-info.ts';
import { compileRouteTable } from '../../src/proxy/router/route-table.ts';
import type { RouteTable } from '../../src/proxy/router/route.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';

const runtime: RuntimeReader = {
  getNumber: (_key, value) => value,
  getBoolean: (_key, value) => value,
  getString: () => undefined,
  featureEnabled: () => true,
};
const info = new MutableStreamInfo({ tls: undefined } as ConnectionInfo, 'HTTP/1.1', 0, 0);

function table(routes: readonly JsonObject[]): RouteTable {
  const message = fromJson(RouteConfigurationSchema, {
    virtual_hosts: [
      { name: 'other', domains: ['*.other.com'], routes: [] },
      { name: 'v', domains: ['example.com'], routes: [...routes] },
    ],
  });
  const model = buildRouteConfig(message, new Problems(), { validateClusters: false });
  return compileRouteTable(model, { stats: new ThreadStats(), runtime });
}

function request(path: string): HeaderMap {
  const headers = HeaderMap.of([
    ['user-agent', 'bench'],
    ['accept', '*/*'],
    ['x-forwarded-proto', 'http'],
    ['x-request-id', '7f3c1a52-8a0e-4d3b-9f51-1f0f5c0f5a01'],
    ['x-version', '2'],
  ]);
  headers.method = 'GET';
  headers.scheme = 'http';
  headers.authority = 'example.com';
  headers.path = path;
  return headers;
}

const kinds: Readonly<Record<string, (n: number) => JsonObject>> = {
  prefix: (n) => ({ prefix: `/service-${n}/` }),
  path: (n) => ({ path: `/service-${n}/list` }),
  'path, any case': (n) => ({ path: `/service-${n}/list`, case_sensitive: false }),
  'path-separated prefix': (n) => ({ path_separated_prefix: `/service-${n}` }),
  'regex with a literal start': (n) => ({ safe_regex: { regex: `/service-${n}/[a-z]+` } }),
  'URI-like regex in disguise': (n) => ({ safe_regex: { regex: `/service-${n}/.*` } }),
  'prefix and header': (n) => ({
    prefix: `/service-${n}/`,
    headers: [{ name: 'x-version', string_match: { exact: '2' } }],
  }),
};

function nanoseconds(run: () => unknown): number {
  let best = Infinity;
  for (let i = 0; i < 20_000; i++) run();
  for (let round = 0; round < 5; round++) {
    const count = 200_000;
    const start = performance.now();
    for (let i = 0; i < count; i++) run();
    best = Math.min(best, ((performance.now() - start) / count) * 1e6);
  }
  return best;
}

console.log('kind of route                    10 routes   1,000 routes   bytes allocated');
for (const [name, match] of Object.entries(kinds)) {
  const cells: string[] = [];
  let bytes = 0;
  for (const count of [10, 1000]) {
    const routes = Array.from({ length: count }, (_, n): JsonObject => ({
      name: `${n}`,
      match: match(n),
      route: { cluster: 'c' },
    }));
    const compiled = table(routes);
    const headers = request(`/service-${count - 1}/list`);
    if (compiled.resolve(headers, info, 0)?.name !== `${count - 1}`) throw new Error(`${name}: wrong route`);
    cells.push(nanoseconds(() => compiled.resolve(headers, info, 0)).toFixed(0));
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 10_000; i++) compiled.resolve(headers, info, 0);
    bytes = Math.max(0, (process.memoryUsage().heapUsed - before) / 10_000);
  }
  console.log(
    `${name.padEnd(30)} ${cells[0]!.padStart(8)} ns ${cells[1]!.padStart(11)} ns ${bytes.toFixed(0).padStart(17)}`,
  );
}

const prefixes = Array.from({ length: 1000 }, (_, n) => `/service-${n}/`);
const scanned = request('/service-999/list').path;
const scan = nanoseconds(() => prefixes.findIndex((prefix) => scanned.startsWith(prefix)));
console.log(`a bare scan of 1,000 prefixes ${' '.repeat(12)} ${scan.toFixed(0).padStart(11)} ns`);
