import { existsSync } from 'node:fs';
import {
  ApiConfigSource_ApiType as ApiType,
  type ApiConfigSource,
  type ConfigSource,
} from '../../api/generated/envoy/config/core/v3/config_source_pb.js';
import type {
  GrpcService,
  GrpcService_EnvoyGrpc as EnvoyGrpc,
} from '../../api/generated/envoy/config/core/v3/grpc_service_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { Problems } from '../problem.ts';
import { durationMs } from '../../api/duration.ts';
import { isModifiableHeader } from './common.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

/** What a config source can rely on. */
export interface ConfigSourceContext {
  readonly types: TypeRegistry;
  /** The bootstrap's node has an id and a cluster. */
  readonly hasNode: boolean;
  /** `dynamic_resources.ads_config` is there. */
  readonly hasAds: boolean;
  /** A cluster of the bootstrap that gets its endpoints without EDS. */
  readonly isPrimaryCluster: (name: string) => boolean;
  /** The bootstrap says where the resource of this name comes from, by the authority in it. Absent: it never does. */
  readonly hasAuthority?: (resourceName: string) => boolean;
}

const GRPC_TYPES: ReadonlySet<ApiType> = new Set([
  ApiType.GRPC,
  ApiType.DELTA_GRPC,
  ApiType.AGGREGATED_GRPC,
  ApiType.AGGREGATED_DELTA_GRPC,
]);
/** How Envoy calls those who ask; anybody else goes by the name that is given. */
const USERS: Readonly<Record<string, string>> = {
  cds: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  ecds: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  eds: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  lds: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  rds: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  rtds: 'type.googleapis.com/envoy.service.runtime.v3.Runtime',
  srds: 'SRDS',
};
const API = 'envoy.config.core.v3.ApiConfigSource';
const GRPC_API = `${API}::(AGGREGATED_)(DELTA_)GRPC`;

/**
 * Finds what Envoy refuses in a core.v3.ConfigSource, and what of it is not implemented; `problems` stands at it.
 * `user`: what asks for it: `cds`, `rds`, ..., or the words for anything else; `resourceName` where an authority may
 * serve it.
 */
export function checkConfigSource(
  message: ConfigSource | undefined,
  user: string,
  context: ConfigSourceContext,
  problems: Problems,
  resourceName = '',
): void {
  checkNode(user, context, problems);
  const source = message?.configSourceSpecifier;
  if (message !== undefined)
    reportUnsupportedFields(
      context.types,
      message,
      // We speak v3 only, as Envoy does, whatever the version says.
      [
        'path',
        'path_config_source',
        'api_config_source',
        'ads',
        'self',
        'initial_fetch_timeout',
        'resource_api_version',
      ],
      problems,
    );
  switch (source?.case) {
    case 'path':
      return checkPath(source.value, problems.at('path'));
    case 'pathConfigSource': {
      const at = problems.at('path_config_source');
      checkPath(source.value.path, at);
      const directory = source.value.watchedDirectory?.path;
      if (directory !== undefined && !existsSync(directory))
        at.error(`unable to add filesystem watch for file ${directory}/: No such file or directory`);
      return;
    }
    case 'apiConfigSource':
      return checkSubscriptionApi(source.value, context, problems.at('api_config_source'));
    case 'ads':
      if (!context.hasAds) problems.at('ads').error('ADS must be configured to support an ADS config source');
      return;
    default:
      if (context.hasAuthority?.(resourceName) === true) return;
      problems.error('Missing config source specifier in envoy::config::core::v3::ConfigSource');
  }
}

/** The config source of a collection; `problems` stands at it. Envoy takes ADS, or an incremental stream. */
export function checkCollectionSource(
  message: ConfigSource | undefined,
  user: 'cds' | 'lds',
  context: ConfigSourceContext,
  problems: Problems,
): void {
  const source = message?.configSourceSpecifier;
  if (source?.case === 'apiConfigSource') {
    const { apiType } = source.value;
    if (apiType === ApiType.AGGREGATED_GRPC || apiType === ApiType.AGGREGATED_DELTA_GRPC) return;
    if (apiType !== ApiType.DELTA_GRPC)
      return problems
        .at('api_config_source')
        .at('api_type')
        .error(`Unknown xdstp:// transport API type ${ApiType[apiType]}`);
  } else if (source?.case !== 'ads')
    return problems.error(
      'Missing or not supported config source specifier in envoy::config::core::v3::ConfigSource for a collection. Only ADS and gRPC in delta-xDS mode are supported.',
    );
  checkConfigSource(message, user, context, problems);
}

/** `config_sources` and `default_config_source` of the bootstrap: `problems` stands at one of them. */
export function checkAuthoritySource(
  message: ConfigSource,
  isDefault: boolean,
  context: ConfigSourceContext,
  problems: Problems,
): void {
  const { configSourceSpecifier: source, authorities } = message;
  const known = ['api_config_source', 'authorities', 'initial_fetch_timeout', 'resource_api_version'];
  reportUnsupportedFields(context.types, message, [...known, 'ads', 'self', 'path', 'path_config_source'], problems);
  if (source.case !== 'apiConfigSource')
    return problems.error('Only api_config_source type is currently supported for xdstp-based config sources.');
  if (authorities.length === 0 && !isDefault)
    problems.error('xdstp-based non-default config source must have at least one authority.');
  const names = authorities.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    problems.error(
      `xdstp-based config source authority ${twice} is configured more than once in an xdstp-based config source.`,
    );
  const { apiType } = source.value;
  if (apiType !== ApiType.AGGREGATED_GRPC && apiType !== ApiType.AGGREGATED_DELTA_GRPC)
    return problems.error(
      'xdstp-based config source authority only supports AGGREGATED_GRPC and AGGREGATED_DELTA_GRPC types.',
    );
  checkAdsConfig(source.value, context, problems.at('api_config_source'));
}

/** `dynamic_resources.ads_config`; `problems` stands at it. */
export function checkAdsConfig(message: ApiConfigSource, context: ConfigSourceContext, problems: Problems): void {
  checkNode('ads', context, problems);
  if (!checkApi(message, context, problems)) return;
  if (!GRPC_TYPES.has(message.apiType))
    problems.at('api_type').error(`unsupported: ADS over anything but gRPC is not implemented`);
  for (const [index, { targetSpecifier }] of message.grpcServices.entries())
    if (targetSpecifier.case === 'envoyGrpc' && !context.isPrimaryCluster(targetSpecifier.value.clusterName))
      problems
        .at('grpc_services')
        .at(index)
        .error(`Unknown gRPC client cluster '${targetSpecifier.value.clusterName}'`);
}

function checkNode(user: string, { hasNode }: ConfigSourceContext, problems: Problems): void {
  if (!hasNode)
    problems.error(
      `${USERS[user] ?? user}: node 'id' and 'cluster' are required. Set it either in 'node' config or via --service-node and --service-cluster options.`,
    );
}

function checkPath(path: string, problems: Problems): void {
  if (!existsSync(path)) problems.error(`paths must refer to an existing path in the system: '${path}' does not exist`);
}

function checkSubscriptionApi(message: ApiConfigSource, context: ConfigSourceContext, problems: Problems): void {
  if (!checkApi(message, context, problems)) return;
  const { apiType, clusterNames, grpcServices, refreshDelay } = message;
  if (apiType === ApiType.AGGREGATED_GRPC || apiType === ApiType.AGGREGATED_DELTA_GRPC)
    problems.error(`Unsupported config source ${ApiType[apiType]}`);
  const names = grpcServices.map(({ targetSpecifier: target }) =>
    target.case === 'envoyGrpc' ? target.value.clusterName : undefined,
  );
  for (const name of [...clusterNames, ...names])
    if (name !== undefined && !context.isPrimaryCluster(name))
      problems.error(
        `${API} must have a statically defined non-EDS cluster: '${name}' does not exist, was added via api, or is an EDS cluster`,
      );
  if (apiType === ApiType.REST && refreshDelay === undefined)
    problems.error('refresh_delay is required for REST API configuration sources');
}

/** False: it makes no sense as a whole. */
function checkApi(message: ApiConfigSource, { types }: ConfigSourceContext, problems: Problems): boolean {
  reportUnsupportedFields(
    types,
    message,
    [
      'api_type',
      'transport_api_version',
      'cluster_names',
      'grpc_services',
      'refresh_delay',
      'request_timeout',
      'rate_limit_settings',
      'set_node_on_first_message_only',
    ],
    problems,
  );
  const { clusterNames, grpcServices, apiType } = message;
  const wrong = wrongServices(apiType, clusterNames.length, grpcServices.length);
  if (wrong !== '') {
    problems.error(wrong);
    return false;
  }
  for (const [index, service] of grpcServices.entries())
    checkGrpcService(service, types, problems.at('grpc_services').at(index));
  return true;
}

/** Several gRPC services, of which Envoy takes two behind a runtime flag, stand in for each other. */
function wrongServices(apiType: ApiType, clusters: number, services: number): string {
  if (clusters === 0 && services === 0) return 'API configs must have either a gRPC service or a cluster name defined';
  if (GRPC_TYPES.has(apiType)) return clusters > 0 ? `${GRPC_API} must not have a cluster name specified` : '';
  if (services > 0) return `${API}, if not a gRPC type, must not have a gRPC service specified`;
  return clusters === 1 ? '' : `${API} must have a singleton cluster name specified`;
}

/** core.v3.GrpcService, for control planes; `problems` stands at it. */
export function checkGrpcService(message: GrpcService, types: TypeRegistry, problems: Problems): void {
  // A stream has no end that a timeout could wait for.
  reportUnsupportedFields(types, message, ['envoy_grpc', 'google_grpc', 'timeout', 'initial_metadata'], problems);
  message.initialMetadata.forEach(({ key, value }, index) => {
    const at = problems.at('initial_metadata').at(index);
    if (!isModifiableHeader(key)) at.error(':-prefixed or host headers may not be modified');
    if (value.includes('%')) at.unsupported('value', 'command operators are not implemented');
  });
  const target = message.targetSpecifier;
  if (target.case === 'envoyGrpc') checkEnvoyGrpc(target.value, types, problems.at('envoy_grpc'));
  else if (target.case === 'googleGrpc') {
    const at = problems.at('google_grpc');
    reportUnsupportedFields(
      types,
      target.value,
      ['target_uri', 'channel_credentials', 'stat_prefix', 'channel_args'],
      at,
    );
    const choice = target.value.channelCredentials?.credentialSpecifier.case;
    if (choice === 'googleDefault')
      at.at('channel_credentials').at('google_default').error('unsupported: Google credentials are not implemented');
  }
}

function checkEnvoyGrpc(message: EnvoyGrpc, types: TypeRegistry, problems: Problems): void {
  // There are none of Envoy's headers in what we send.
  const supported = ['cluster_name', 'authority', 'retry_policy', 'max_receive_message_length', 'skip_envoy_headers'];
  reportUnsupportedFields(types, message, supported, problems);
  const { retryPolicy } = message;
  if (retryPolicy === undefined) return;
  const at = problems.at('retry_policy');
  reportUnsupportedFields(types, retryPolicy, ['retry_back_off'], at);
  const { baseInterval, maxInterval } = retryPolicy.retryBackOff ?? {};
  if (baseInterval !== undefined && maxInterval !== undefined && durationMs(maxInterval) < durationMs(baseInterval))
    at.at('retry_back_off').error('max_interval must be greater than or equal to the base_interval');
}
