/**
 * The tags that Envoy reads out of stat names by default (1.40), in the order in which it tries them: that order is the
 * order of the labels. A token pattern compares dot-separated steps: `$` is the value, `*` one step, `**` any number.
 */
export interface RegexTag {
  readonly name: string;
  /** Group 1 is taken out of the name; group 2, if there is one, is the value. */
  readonly regex: RegExp;
  /** The first step of every name that can match; '' if there is no such step. */
  readonly firstStep: string;
  /** A value that doesn't count as a match. */
  readonly except?: string;
}

export interface TokenTag {
  readonly name: string;
  readonly tokens: string;
}

const STEP = String.raw`[^.]+`;
const ADDRESS = String.raw`(?:(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[[a-fA-F_\d]+\])_\d+)`;
const LISTENER_OR_CLUSTER = String.raw`(?:listener|cluster)\..*?`;
const WORD = String.raw`[\w-]+`;

const regexTag = (name: string, firstStep: string, source: string, except?: string): RegexTag => ({
  name,
  firstStep,
  regex: new RegExp(source, 'd'),
  ...(except === undefined ? {} : { except }),
});

/** Made once a tag producer. */
export function defaultRegexTags(): RegexTag[] {
  return [
    regexTag('envoy.response_code', '', String.raw`_rq(_(\d{3}))$`),
    regexTag('envoy.response_code_class', '', String.raw`_rq_((\d))xx$`),
    regexTag(
      'envoy.dynamo_partition_id',
      'http',
      String.raw`^http\.${STEP}\.dynamodb\.table\.${STEP}\.capacity\.${STEP}(\.__partition_id=(\w{7}))$`,
    ),
    regexTag(
      'envoy.dynamo_operation',
      'http',
      String.raw`^http\.${STEP}\.dynamodb.(?:operation|table\.${STEP}\.capacity)(\.(${STEP}))(?:\.|$)`,
    ),
    regexTag('envoy.dynamo_table', 'http', String.raw`^http\.${STEP}\.dynamodb.(?:table|error)\.((${STEP})\.)`),
    regexTag('envoy.ssl_cipher', 'listener', String.raw`^listener\..*?\.ssl\.ciphers(\.(${WORD}))$`),
    regexTag('envoy.ssl_curve', '', String.raw`^${LISTENER_OR_CLUSTER}\.ssl\.curves(\.(${WORD}))$`),
    regexTag('envoy.ssl_sigalg', '', String.raw`^${LISTENER_OR_CLUSTER}\.ssl\.sigalgs(\.(${WORD}))$`),
    regexTag('envoy.ssl_version', '', String.raw`^${LISTENER_OR_CLUSTER}\.ssl\.versions(\.(TLSv\d\.\d))$`),
    regexTag('envoy.tls_certificate', '', String.raw`^${LISTENER_OR_CLUSTER}\.ssl\.certificate\.((${STEP})\.).*$`),
    regexTag('cipher_suite', 'cluster', String.raw`^cluster\.${STEP}\.ssl\.ciphers(\.(${WORD}))$`),
    regexTag('envoy.health_check_name', 'cluster', String.raw`^cluster\.${STEP}\.health_check(\.name\.(${STEP}))\..+`),
    regexTag('envoy.http_conn_manager_prefix', 'listener', String.raw`^listener\..*?\.http\.((${STEP})\.)`),
    regexTag(
      'envoy.worker_id',
      '',
      String.raw`^(?:listener\.(?:${ADDRESS}|${STEP})|server|listener_manager|thread_local_cluster_manager)\.worker_((\d+)\.)`,
    ),
    regexTag('envoy.listener_address', 'listener', String.raw`^listener\.((${ADDRESS}|${STEP})\.)`, 'admin'),
    regexTag('envoy.rds_route_config', 'http', String.raw`^http\.${STEP}\.rds\.(([\w\-.]+)\.)\w+?$`),
    regexTag('envoy.scoped_rds_config', 'http', String.raw`^http\.${STEP}\.scoped_rds\.(([\w\-./]+)\.)\w+?$`),
    regexTag('envoy.xds_resource_name', 'sds', String.raw`^sds\.((${STEP})\.).+`),
    regexTag(
      'envoy.rbac_policy_name',
      'http',
      String.raw`^http\.${STEP}\.rbac\.(?:${STEP}\.)?policy\.((${STEP})\.)(?:allowed|shadow_allowed|denied|shadow_denied)$`,
    ),
    regexTag('envoy.rbac_http_prefix', 'http', String.raw`^http\.${STEP}\.rbac\.((${STEP})\.).*?`, 'policy'),
    regexTag(
      'envoy.proxy_protocol_version',
      'proxy_proto',
      String.raw`^proxy_proto\.((?:${STEP}\.)?versions\.v(\d)\.)\w+$`,
    ),
    regexTag('envoy.proxy_protocol_prefix', 'proxy_proto', String.raw`^proxy_proto\.((${STEP})\.).+$`, 'versions'),
  ];
}

export const DEFAULT_TOKEN_TAGS: readonly TokenTag[] = [
  { name: 'envoy.mongo_callsite', tokens: 'mongo.*.collection.*.callsite.$.query.**' },
  { name: 'envoy.mongo_collection', tokens: 'mongo.*.collection.$.**.query.*' },
  { name: 'envoy.mongo_cmd', tokens: 'mongo.*.cmd.$.**' },
  { name: 'envoy.grpc_bridge_method', tokens: 'cluster.*.grpc.*.$.**' },
  { name: 'envoy.http_user_agent', tokens: 'http.*.user_agent.$.**' },
  { name: 'envoy.virtual_cluster', tokens: 'vhost.*.vcluster.$.**' },
  { name: 'envoy.fault_downstream_cluster', tokens: 'http.*.fault.$.**' },
  { name: 'envoy.grpc_bridge_service', tokens: 'cluster.*.grpc.$.**' },
  { name: 'envoy.tcp_prefix', tokens: 'tcp.$.**' },
  { name: 'envoy.udp_prefix', tokens: 'udp.$.**' },
  { name: 'envoy.clientssl_prefix', tokens: 'auth.clientssl.$.**' },
  { name: 'envoy.ratelimit_prefix', tokens: 'ratelimit.$.**' },
  { name: 'envoy.cluster_name', tokens: 'cluster.$.**' },
  { name: 'envoy.ext_authz_prefix', tokens: 'cluster.*.ext_authz.$.**' },
  { name: 'envoy.ext_authz_prefix', tokens: 'http.*.ext_authz.$.**' },
  { name: 'envoy.http_conn_manager_prefix', tokens: 'http.$.**' },
  { name: 'envoy.virtual_host', tokens: 'vhost.$.**' },
  { name: 'envoy.mongo_prefix', tokens: 'mongo.$.**' },
  { name: 'envoy.route', tokens: 'vhost.*.route.$.**' },
  { name: 'envoy.thrift_prefix', tokens: 'thrift.$.**' },
  { name: 'envoy.redis_prefix', tokens: 'redis.$.**' },
  { name: 'envoy.local_http_ratelimit_prefix', tokens: '$.http_local_rate_limit.**' },
  { name: 'envoy.local_network_ratelimit_prefix', tokens: 'local_rate_limit.$.**' },
  { name: 'envoy.local_listener_ratelimit_prefix', tokens: 'listener_local_ratelimit.$.**' },
  { name: 'envoy.dns_filter_prefix', tokens: 'dns_filter.$.**' },
  { name: 'envoy.connection_limit_prefix', tokens: 'connection_limit.$.**' },
  { name: 'envoy.rbac_prefix', tokens: '$.rbac.**' },
  { name: 'envoy.google_grpc_client_prefix', tokens: 'grpc.$.**' },
];
