import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ApiConfigSourceSchema } from '../../../src/api/generated/envoy/config/core/v3/config_source_pb.js';
import { TypeRegistry } from '../../../src/api/type-registry.ts';
import { buildLoadStats } from '../../../src/config/builders/load-stats.ts';
import { Problems } from '../../../src/config/problem.ts';

const types = new TypeRegistry();
await types.load([ApiConfigSourceSchema.typeName]);

function built(message: JsonObject) {
  const problems = new Problems('load_stats_config');
  const context = { types, hasNode: false, hasAds: false, isPrimaryCluster: (name: string) => name === 'lrs' };
  const service = buildLoadStats(fromJson(ApiConfigSourceSchema, message), context, problems);
  return {
    target: service?.targetSpecifier.value,
    problems: problems.list.map(({ severity, path, message: text }) => `${severity} ${path}: ${text}`),
  };
}

const to = (cluster_name: string) => ({ envoy_grpc: { cluster_name } });

test.each(['GRPC', 'DELTA_GRPC'])('a service of one of the types that Envoy takes: %s', (api_type) => {
  expect(built({ api_type, transport_api_version: 'V3', grpc_services: [to('lrs')] })).toMatchObject({
    target: { clusterName: 'lrs' },
    problems: [],
  });
});

test.each([
  [{ api_type: 'REST', cluster_names: ['lrs'] }, 'api_type: type must be of non-aggregated gRPC; loads are'],
  [{ api_type: 'AGGREGATED_GRPC', grpc_services: [to('lrs')] }, 'api_type: type must be of non-aggregated gRPC'],
  [{ api_type: 'GRPC' }, 'grpc_services: there must be one gRPC service'],
  [{ api_type: 'GRPC', cluster_names: ['lrs'], grpc_services: [to('lrs')] }, 'grpc_services: there must be one gRPC'],
  [{ api_type: 'GRPC', grpc_services: [to('lrs'), to('lrs')] }, 'grpc_services: there must be one gRPC service'],
  [{ api_type: 'GRPC', grpc_services: [to('b')] }, "grpc_services[0].envoy_grpc: Unknown gRPC client cluster 'b'"],
])('what makes no sense is named, and nothing is reported: %j', (message: JsonObject, text) => {
  const { target, problems } = built(message);
  expect(target).toBeUndefined();
  expect(problems).toEqual([expect.stringContaining(`unsupported load_stats_config.${text}`)]);
});
