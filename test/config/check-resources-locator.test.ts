import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { ConfigSourceSchema } from '../../src/api/generated/envoy/config/core/v3/config_source_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import {
  checkAuthoritySource,
  checkCollectionSource,
  checkConfigSource,
} from '../../src/config/builders/config-source.ts';
import { checkResourcesLocator } from '../../src/config/check-resources-locator.ts';
import { Problems } from '../../src/config/problem.ts';

const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const types = new TypeRegistry();
await types.load([ConfigSourceSchema.typeName]);
const context = {
  types,
  hasNode: true,
  hasAds: true,
  isPrimaryCluster: (name: string) => name === 'xds',
  hasAuthority: (name: string) => name === 'xdstp://auth/T/x',
};
const to = (api_type: string, more: JsonObject = {}): JsonObject => ({
  api_config_source: { api_type, grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] },
  ...more,
});

function problemsOf(check: (problems: Problems) => void): string[] {
  const problems = new Problems('at');
  check(problems);
  return problems.list.map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
}

test.each([
  [`xdstp://auth/${CLUSTER}/foo/*?a=b`, []],
  ['xdstp://auth/T/foo/*', [`error at: xdstp:// type does not match ${CLUSTER} in xdstp://auth/T/foo/*`]],
  ['xdstp://auth', ['error at: Resource type missing from /']],
  ['foo/*', ['error at: foo/* does not have a xdstp:, http: or file: scheme']],
  ['http://auth/T/foo/*', ['error at: Unsupported code path']],
  ['file:///clusters.yaml', ['error at: unsupported: collections in files are not implemented']],
  [`xdstp://auth/${CLUSTER}/*#entry=x`, ['error at: unsupported: directives are not implemented']],
])('the locator %s', (locator, expected) => {
  expect(problemsOf((at) => checkResourcesLocator(locator, CLUSTER, at))).toEqual(expected);
});

describe('the source', () => {
  const unsupported =
    'error at: Missing or not supported config source specifier in envoy::config::core::v3::ConfigSource for a collection. Only ADS and gRPC in delta-xDS mode are supported.';

  test.each<[JsonObject, string[]]>([
    [{ ads: {} }, []],
    [to('DELTA_GRPC'), []],
    [to('AGGREGATED_GRPC'), []],
    [to('AGGREGATED_DELTA_GRPC'), []],
    [to('GRPC'), ['error at.api_config_source.api_type: Unknown xdstp:// transport API type GRPC']],
    [{ path: '/dev/null' }, [unsupported]],
    [{}, [unsupported]],
  ])('of a collection: %j', (message, expected) => {
    const source = fromJson(ConfigSourceSchema, message);
    expect(problemsOf((at) => checkCollectionSource(source, 'cds', context, at))).toEqual(expected);
  });

  const auth = { authorities: [{ name: 'auth' }] };
  test.each<[string, JsonObject, boolean, string[]]>([
    ['named', to('AGGREGATED_GRPC', auth), false, []],
    ['by default', to('AGGREGATED_DELTA_GRPC'), true, []],
    [
      'nameless',
      to('AGGREGATED_GRPC'),
      false,
      ['error at: xdstp-based non-default config source must have at least one authority.'],
    ],
    [
      'named twice',
      to('AGGREGATED_GRPC', { authorities: [{ name: 'auth' }, { name: 'auth' }] }),
      false,
      [
        'error at: xdstp-based config source authority auth is configured more than once in an xdstp-based config source.',
      ],
    ],
    [
      'not aggregated',
      to('DELTA_GRPC', auth),
      false,
      ['error at: xdstp-based config source authority only supports AGGREGATED_GRPC and AGGREGATED_DELTA_GRPC types.'],
    ],
    [
      'no stream',
      { ads: {}, ...auth },
      false,
      ['error at: Only api_config_source type is currently supported for xdstp-based config sources.'],
    ],
  ])('of an authority, %s', (_, message, isDefault, expected) => {
    const source = fromJson(ConfigSourceSchema, message);
    expect(problemsOf((at) => checkAuthoritySource(source, isDefault, context, at))).toEqual(expected);
  });

  test('may be left out where an authority serves the resource', () => {
    expect(problemsOf((at) => checkConfigSource(undefined, 'eds', context, at, 'xdstp://auth/T/x'))).toEqual([]);
    expect(problemsOf((at) => checkConfigSource(undefined, 'eds', context, at, 'xdstp://other/T/x'))).toEqual([
      'error at: Missing config source specifier in envoy::config::core::v3::ConfigSource',
    ]);
  });
});
