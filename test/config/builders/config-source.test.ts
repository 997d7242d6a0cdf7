import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ApiConfigSourceSchema,
  ConfigSourceSchema,
} from '../../../src/api/generated/envoy/config/core/v3/config_source_pb.js';
import { TypeRegistry } from '../../../src/api/type-registry.ts';
import {
  checkAdsConfig,
  checkConfigSource,
  type ConfigSourceContext,
} from '../../../src/config/builders/config-source.ts';
import { Problems } from '../../../src/config/problem.ts';

const types = new TypeRegistry();
await types.load([ConfigSourceSchema.typeName]);
const context: ConfigSourceContext = {
  types,
  hasNode: true,
  hasAds: true,
  isPrimaryCluster: (name) => name === 'xds',
};

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'config-source-'));
  writeFileSync(join(dir, 'cds.yaml'), '');
});
afterAll(() => rmSync(dir, { recursive: true }));

function problemsOf(message: JsonObject, more: Partial<ConfigSourceContext> = {}): string[] {
  const problems = new Problems('cds_config');
  checkConfigSource(fromJson(ConfigSourceSchema, message), 'cds', { ...context, ...more }, problems);
  return problems.list.map(({ severity, path, message: text }) => `${severity} ${path}: ${text}`);
}

function errorsOf(message: JsonObject, more: Partial<ConfigSourceContext> = {}): string[] {
  return problemsOf(message, more).map((line) => line.replace(/^error cds_config[\w.[\]]*: /, ''));
}

const xds = { envoy_grpc: { cluster_name: 'xds' } };
const api = (fields: JsonObject): JsonObject => ({ api_config_source: { transport_api_version: 'V3', ...fields } });
const rest = (fields: JsonObject): JsonObject => api({ api_type: 'REST', refresh_delay: '1s', ...fields });

describe('checkConfigSource', () => {
  test('takes what works', () => {
    const good: JsonObject[] = [
      { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' },
      { path: join(dir, 'cds.yaml') },
      { path_config_source: { path: join(dir, 'cds.yaml'), watched_directory: { path: dir } } },
      api({ api_type: 'GRPC', grpc_services: [xds], set_node_on_first_message_only: true, rate_limit_settings: {} }),
      api({
        api_type: 'DELTA_GRPC',
        grpc_services: [
          {
            envoy_grpc: {
              cluster_name: 'xds',
              authority: 'a',
              retry_policy: { retry_back_off: { base_interval: '1s', max_interval: '1s' } },
            },
            initial_metadata: [{ key: 'x', value: 'y' }],
            timeout: '1s',
          },
        ],
      }),
      api({ api_type: 'GRPC', grpc_services: [{ google_grpc: { target_uri: 'a:1', stat_prefix: 'a' } }] }),
      api({ api_type: 'GRPC', grpc_services: [xds, xds] }),
      rest({ cluster_names: ['xds'], request_timeout: '1s' }),
    ];
    for (const message of good) expect(problemsOf(message)).toEqual([]);
  });

  // Each as a real Envoy 1.40 says it, but for what it appends of the message.
  test('refuses in the words of Envoy what Envoy refuses', () => {
    expect(errorsOf({ self: {} })).toEqual([
      'Missing config source specifier in envoy::config::core::v3::ConfigSource',
    ]);
    expect(errorsOf({ ads: {} }, { hasAds: false })).toEqual([
      'ADS must be configured to support an ADS config source',
    ]);
    const missing: JsonObject[] = [{ path: '/nope/x' }, { path_config_source: { path: '/nope/x' } }];
    for (const message of missing)
      expect(errorsOf(message)).toEqual([
        "paths must refer to an existing path in the system: '/nope/x' does not exist",
      ]);
    expect(
      errorsOf({ path_config_source: { path: join(dir, 'cds.yaml'), watched_directory: { path: '/nope' } } }),
    ).toEqual(['unable to add filesystem watch for file /nope/: No such file or directory']);
    const unknown =
      "envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'nope' does not exist, was added via api, or is an EDS cluster";
    expect(errorsOf(api({ api_type: 'GRPC', grpc_services: [{ envoy_grpc: { cluster_name: 'nope' } }] }))).toEqual([
      unknown,
    ]);
    expect(errorsOf(rest({ cluster_names: ['nope'] }))).toEqual([unknown]);
    const neither = 'API configs must have either a gRPC service or a cluster name defined';
    expect(errorsOf(api({ api_type: 'GRPC' }))).toEqual([neither]);
    expect(errorsOf(rest({}))).toEqual([neither]);
    expect(errorsOf(api({ api_type: 'GRPC', cluster_names: ['xds'], grpc_services: [xds] }))).toEqual([
      'envoy.config.core.v3.ApiConfigSource::(AGGREGATED_)(DELTA_)GRPC must not have a cluster name specified',
    ]);
    expect(errorsOf(rest({ grpc_services: [xds] }))).toEqual([
      'envoy.config.core.v3.ApiConfigSource, if not a gRPC type, must not have a gRPC service specified',
    ]);
    expect(errorsOf(rest({ cluster_names: ['xds', 'xds'] }))).toEqual([
      'envoy.config.core.v3.ApiConfigSource must have a singleton cluster name specified',
    ]);
    expect(errorsOf(api({ api_type: 'REST', cluster_names: ['xds'] }))).toEqual([
      'refresh_delay is required for REST API configuration sources',
    ]);
    for (const type of ['AGGREGATED_GRPC', 'AGGREGATED_DELTA_GRPC'])
      expect(errorsOf(api({ api_type: type, grpc_services: [xds] }))).toEqual([`Unsupported config source ${type}`]);
    expect(
      errorsOf(
        api({
          api_type: 'GRPC',
          grpc_services: [
            {
              envoy_grpc: {
                cluster_name: 'xds',
                retry_policy: { retry_back_off: { base_interval: '2s', max_interval: '1s' } },
              },
              initial_metadata: [{ key: ':path', value: 'x' }],
            },
          ],
        }),
      ),
    ).toEqual([
      ':-prefixed or host headers may not be modified',
      'max_interval must be greater than or equal to the base_interval',
    ]);
    expect(errorsOf({ ads: {} }, { hasNode: false })).toEqual([
      `type.googleapis.com/envoy.config.cluster.v3.Cluster: node 'id' and 'cluster' are required. Set it either in 'node' config or via --service-node and --service-cluster options.`,
    ]);
  });

  test('names what is not implemented', () => {
    expect(
      problemsOf({
        ads: {},
        authorities: [{ name: 'a' }],
      }),
    ).toEqual(['unsupported cds_config.authorities: is not implemented']);
    expect(
      problemsOf(
        api({
          api_type: 'GRPC',
          grpc_services: [
            {
              google_grpc: { target_uri: 'a:1', stat_prefix: 'a', credentials_factory_name: 'x' },
              initial_metadata: [{ key: 'x', value: '%HOSTNAME%' }],
            },
          ],
          config_validators: [{ name: 'v' }],
        }),
      ).map((line) => line.split(':')[0]),
    ).toEqual([
      'unsupported cds_config.api_config_source.config_validators',
      'unsupported cds_config.api_config_source.grpc_services[0].initial_metadata[0].value',
      'unsupported cds_config.api_config_source.grpc_services[0].google_grpc.credentials_factory_name',
    ]);
  });
});

describe('checkAdsConfig', () => {
  const adsErrors = (message: JsonObject, more: Partial<ConfigSourceContext> = {}): string[] => {
    const problems = new Problems('ads_config');
    checkAdsConfig(fromJson(ApiConfigSourceSchema, message), { ...context, ...more }, problems);
    return problems.list.map(({ message: text }) => text);
  };

  test('takes gRPC of both variants, aggregated or not', () => {
    for (const type of ['GRPC', 'DELTA_GRPC', 'AGGREGATED_GRPC', 'AGGREGATED_DELTA_GRPC'])
      expect(adsErrors({ api_type: type, grpc_services: [xds] })).toEqual([]);
  });

  test('refuses a cluster that is none of the bootstrap, a missing node, and REST', () => {
    expect(adsErrors({ api_type: 'GRPC', grpc_services: [{ envoy_grpc: { cluster_name: 'nope' } }] })).toEqual([
      "Unknown gRPC client cluster 'nope'",
    ]);
    expect(adsErrors({ api_type: 'GRPC', grpc_services: [xds] }, { hasNode: false })[0]).toMatch(/^ads: node 'id'/);
    expect(adsErrors({ api_type: 'REST', cluster_names: ['xds'] })).toEqual([
      'unsupported: ADS over anything but gRPC is not implemented',
    ]);
  });
});
