const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
const HTTP_OPTIONS = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const FILE_LOG = 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog';
const TYPESCRIPT = 'type.googleapis.com/outrigger.filters.http.typescript.v3.TypeScriptFilter';

type Json = Readonly<Record<string, unknown>>;

/** One listener, `ingress`, whose every request goes to the cluster `backend`, unless parts say otherwise. */
export interface ProxyConfigParts {
  /** The port of the cluster `backend`. */
  readonly upstream?: number;
  readonly routes?: readonly Json[];
  readonly clusters?: readonly Json[];
  readonly listeners?: readonly Json[];
  /** More fields of the connection manager. */
  readonly hcm?: Json;
  readonly listener?: Json;
  /** More fields of the listener's filter chain, its transport socket among them. */
  readonly filterChain?: Json;
  readonly virtualHost?: Json;
  /** Before the router. */
  readonly httpFilters?: readonly Json[];
  /** More fields of the bootstrap. */
  readonly bootstrap?: Json;
}

/** An Envoy bootstrap with an admin server, as an object. */
export function proxyConfig(parts: ProxyConfigParts): Json {
  return {
    admin: { address: tcp(0) },
    static_resources: {
      listeners: parts.listeners ?? [listener('ingress', parts)],
      clusters: parts.clusters ?? [cluster('backend', parts.upstream ?? 1)],
    },
    ...parts.bootstrap,
  };
}

export function tcp(port: number, address = '127.0.0.1'): Json {
  return { socket_address: { address, port_value: port } };
}

export function listener(name: string, parts: ProxyConfigParts = {}): Json {
  const hcm = {
    '@type': HCM,
    stat_prefix: name,
    route_config: {
      name: `${name}-routes`,
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: parts.routes ?? [{ match: { prefix: '/' }, route: { cluster: 'backend' } }],
          ...parts.virtualHost,
        },
      ],
    },
    http_filters: [
      ...(parts.httpFilters ?? []),
      { name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER } },
    ],
    ...parts.hcm,
  };
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: hcm }];
  return { name, address: tcp(0), filter_chains: [{ filters, ...parts.filterChain }], ...parts.listener };
}

export function cluster(name: string, port: number, more: Json = {}): Json {
  return clusterAt(name, tcp(port), more);
}

export function clusterAt(name: string, address: Json, more: Json = {}): Json {
  return {
    name,
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    ...more,
  };
}

/** For a cluster: HttpProtocolOptions with these common options. */
export function upstreamHttpOptions(common: Json): Json {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': HTTP_OPTIONS,
        common_http_protocol_options: common,
        explicit_http_config: { http_protocol_options: {} },
      },
    },
  };
}

/** For a cluster: HTTP/2 with prior knowledge (or whatever its transport socket's ALPN says). */
export function http2Upstream(options: Json = {}): Json {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': HTTP_OPTIONS,
        explicit_http_config: { http2_protocol_options: options },
      },
    },
  };
}

/** For a cluster: limits of the default priority. */
export function circuitBreakers(thresholds: Json): Json {
  return { circuit_breakers: { thresholds: [{ track_remaining: true, ...thresholds }] } };
}

/** A static layer of runtime values. */
export function runtime(values: Json): Json {
  return { layered_runtime: { layers: [{ name: 'static', static_layer: values }] } };
}

export function fileAccessLog(path: string, format = '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS%\n'): Json {
  const typed = { '@type': FILE_LOG, path, log_format: { text_format_source: { inline_string: format } } };
  return { name: 'file', typed_config: typed };
}

/** A filter from a TypeScript file. */
export function typescriptFilter(path: string, exported: string, config: Json = {}): Json {
  return {
    name: `typescript.${exported}`,
    typed_config: { '@type': TYPESCRIPT, path, export: exported, config },
  };
}
