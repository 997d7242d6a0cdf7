import {
  ApiConfigSource_ApiType as ApiType,
  type ApiConfigSource,
} from '../../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { GrpcService } from '../../api/generated/envoy/config/core/v3/grpc_service_pb.js';
import type { Problems } from '../problem.ts';
import { checkGrpcService, type ConfigSourceContext } from './config-source.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

/**
 * `cluster_manager.load_stats_config`: where loads are reported to; `problems` stands at it. Undefined: to nobody. What
 * makes no sense is named and no more, as in Envoy, which starts without load reports then.
 */
export function buildLoadStats(
  message: ApiConfigSource | undefined,
  { types, isPrimaryCluster }: ConfigSourceContext,
  problems: Problems,
): GrpcService | undefined {
  if (message === undefined) return undefined;
  const { apiType, clusterNames, grpcServices } = message;
  if (apiType !== ApiType.GRPC && apiType !== ApiType.DELTA_GRPC) {
    problems.unsupported('api_type', 'type must be of non-aggregated gRPC; loads are not reported');
    return undefined;
  }
  if (clusterNames.length > 0 || grpcServices.length !== 1) {
    problems.unsupported('grpc_services', 'there must be one gRPC service and no cluster name; loads are not reported');
    return undefined;
  }
  // What concerns the subscriptions of control planes means nothing here, as in Envoy.
  const known = [
    'api_type',
    'transport_api_version',
    'grpc_services',
    'set_node_on_first_message_only',
    'refresh_delay',
    'request_timeout',
    'rate_limit_settings',
  ];
  reportUnsupportedFields(types, message, known, problems);
  const service = grpcServices[0]!;
  const at = problems.at('grpc_services').at(0);
  checkGrpcService(service, types, at);
  const { targetSpecifier: target } = service;
  if (target.case === 'envoyGrpc' && !isPrimaryCluster(target.value.clusterName)) {
    at.unsupported('envoy_grpc', `Unknown gRPC client cluster '${target.value.clusterName}'; loads are not reported`);
    return undefined;
  }
  return service;
}
