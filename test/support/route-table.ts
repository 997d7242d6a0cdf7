import { createRegistry, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { FilterConfigSchema, RouteSchema } from '../../src/api/generated/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from '../../src/api/generated/envoy/config/route/v3/route_pb.js';
import { HTTPFaultSchema } from '../../src/api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { AllowListedRoutesConfigSchema } from '../../src/api/generated/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config_pb.js';
import { UriTemplateMatchConfigSchema } from '../../src/api/generated/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import { UriTemplateRewriteConfigSchema } from '../../src/api/generated/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite_pb.js';
import { OmitHostMetadataConfigSchema } from '../../src/api/generated/envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config_pb.js';
import { PreviousHostsPredicateSchema } from '../../src/api/generated/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js';
import { TypedStructSchema } from '../../src/api/generated/xds/type/v3/typed_struct_pb.js';
import type { RouteBuildContext } from '../../src/config/builders/route-context.ts';
import { buildRouteConfig } from '../../src/config/builders/route.ts';
import { Problems, type Problem } from '../../src/config/problem.ts';
import type { RouteConfigModel } from '../../src/config/route-model.ts';
import type { HeaderList } from '../../src/filters/headers.ts';
import type { RuntimeReader } from '../../src/filters/http/filter.ts';
import type { ConnectionInfo } from '../../src/filters/stream-info.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';
import { MutableStreamInfo } from '../../src/proxy/http/stream-info.ts';
import { compileRouteTable } from '../../src/proxy/router/route-table.ts';
import type { RouteTable } from '../../src/proxy/router/route.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';

const registry = createRegistry(
  RouteSchema,
  TypedStructSchema,
  FilterConfigSchema,
  HTTPFaultSchema,
  AllowListedRoutesConfigSchema,
  UriTemplateMatchConfigSchema,
  UriTemplateRewriteConfigSchema,
  OmitHostMetadataConfigSchema,
  PreviousHostsPredicateSchema,
);

export interface BuiltRoutes {
  readonly model: RouteConfigModel;
  readonly problems: readonly Problem[];
  /** `path: message` of each error. */
  readonly errors: readonly string[];
  /** Path of each field that is named unsupported. */
  readonly unsupported: readonly string[];
}

/** Builds a RouteConfiguration given as proto3-JSON with proto field names. */
export function buildRoutes(json: JsonObject, context: RouteBuildContext = { validateClusters: false }): BuiltRoutes {
  const problems = new Problems();
  const model = buildRouteConfig(fromJson(RouteConfigurationSchema, json, { registry }), problems, context);
  const { list } = problems;
  return {
    model,
    problems: list,
    errors: list.filter(({ severity }) => severity === 'error').map(({ path, message }) => `${path}: ${message}`),
    unsupported: list.filter(({ severity }) => severity === 'unsupported').map(({ path }) => path),
  };
}

/** Runtime that knows `values`; fractions go by `randomValue % denominator`. */
export function fakeRuntime(values: Readonly<Record<string, number>> = {}): RuntimeReader {
  return {
    getNumber: (key, defaultValue) => values[key] ?? defaultValue,
    getBoolean: (_key, defaultValue) => defaultValue,
    getString: () => undefined,
    featureEnabled: (key, { numerator, denominator }, randomValue) =>
      randomValue % denominator < (values[key] ?? numerator),
  };
}

/** Builds and compiles a RouteConfiguration; throws if it has errors. */
export function routeTable(
  json: JsonObject,
  options: { runtime?: RuntimeReader; stats?: ThreadStats } = {},
): RouteTable {
  const { model, errors } = buildRoutes(json);
  if (errors.length > 0) throw new Error(errors.join('\n'));
  // Workers get models by message.
  const cloned = structuredClone(model);
  return compileRouteTable(cloned, {
    stats: options.stats ?? new ThreadStats(),
    runtime: options.runtime ?? fakeRuntime(),
  });
}

/** A table with one virtual host for every domain. */
export function tableOf(
  routes: readonly JsonObject[],
  virtualHost: JsonObject = {},
  config: JsonObject = {},
): RouteTable {
  return routeTable({
    name: 'test',
    virtual_hosts: [{ name: 'all', domains: ['*'], routes: [...routes], ...virtualHost }],
    ...config,
  });
}

export interface RequestParts {
  readonly method?: string;
  readonly authority?: string;
  readonly scheme?: string;
  readonly protocol?: string;
  readonly headers?: HeaderList;
}

/** Request headers for `path`. */
export function request(path: string, parts: RequestParts = {}): HeaderMap {
  const headers = HeaderMap.of(parts.headers ?? []);
  headers.method = parts.method ?? 'GET';
  headers.path = path;
  headers.authority = parts.authority ?? 'example.com';
  headers.scheme = parts.scheme ?? 'http';
  headers.protocol = parts.protocol ?? '';
  if (!headers.has('x-forwarded-proto')) headers.append('x-forwarded-proto', headers.scheme);
  return headers;
}

/** Stream info on a plain connection from 10.0.0.1:1234. */
export function streamInfo(tls?: Partial<NonNullable<ConnectionInfo['tls']>>): MutableStreamInfo {
  const connection = {
    id: 1,
    remoteAddress: '10.0.0.1:1234',
    remoteIp: '10.0.0.1',
    remotePort: 1234,
    localAddress: '10.0.0.2:80',
    localIp: '10.0.0.2',
    localPort: 80,
    directRemoteAddress: '10.0.0.1:1234',
    directRemoteIp: '10.0.0.1',
    directRemotePort: 1234,
    requestedServerName: '',
    tls: tls as ConnectionInfo['tls'],
    filterChainName: '',
    startMs: 0,
  };
  return new MutableStreamInfo(connection, 'HTTP/1.1', 0, 0);
}
