import { toJson, type DescMessage, type JsonObject, type Registry } from '@bufbuild/protobuf';
import { forgivingRegistry } from './any-registry.ts';
import type { ConfigDumpSource, DumpedResource, DynamicListenerDump, ScopedRoutesDump } from './sources.ts';

/** One entry of a repeated field of a dump, made when it is shown. */
export interface DumpElement {
  readonly name: string;
  json(): JsonObject;
}

/** A repeated field of one of the dump messages. */
export interface DumpList {
  readonly field: string;
  /** The message type of the elements, below `envoy.admin.v3.`. */
  readonly type: string;
  readonly elements: Iterable<DumpElement>;
  /** The elements' fields, for field masks. */
  fieldsOf(): Readonly<Record<string, DescMessage | undefined>>;
}

/** One of the messages in envoy.admin.v3.ConfigDump. */
export interface DumpSection {
  /** Below `envoy.admin.v3.`. */
  readonly type: string;
  /** Its singular fields. */
  singular(): JsonObject;
  readonly singularFields: Readonly<Record<string, DescMessage | undefined>>;
  readonly lists: readonly DumpList[];
}

/** The bootstrap and clusters. */
const SECTIONS_BEFORE_ECDS = 2;

/** Everything that /config_dump shows, in Envoy's order. */
export function dumpSections(source: ConfigDumpSource, includeEds: boolean): DumpSection[] {
  const registry = forgivingRegistry(source.registry);
  const list = (
    field: string,
    type: string,
    resource: string,
    resources: Iterable<DumpedResource>,
    dynamic = false,
  ): DumpList => ({
    field,
    type,
    elements: elementsOf(resource, resources, registry, dynamic),
    fieldsOf: () => ({ ...STATE_FIELDS, [resource]: firstDesc(resources) }),
  });
  const clusters = source.clusters();
  const listeners = source.listeners();
  const routes = source.routes();
  const secrets = source.secrets();
  const sections: DumpSection[] = [
    bootstrapSection(source, registry),
    section('ClustersConfigDump', clusters.versionInfo, [
      list('static_clusters', 'ClustersConfigDump.StaticCluster', 'cluster', clusters.static),
      list('dynamic_active_clusters', 'ClustersConfigDump.DynamicCluster', 'cluster', clusters.active, true),
      list('dynamic_warming_clusters', 'ClustersConfigDump.DynamicCluster', 'cluster', clusters.warming, true),
    ]),
    section('ListenersConfigDump', listeners.versionInfo, [
      list('static_listeners', 'ListenersConfigDump.StaticListener', 'listener', listeners.static),
      {
        field: 'dynamic_listeners',
        type: 'ListenersConfigDump.DynamicListener',
        elements: dynamicListeners(listeners.dynamic, registry),
        fieldsOf: () => DYNAMIC_LISTENER_FIELDS,
      },
    ]),
    section('ScopedRoutesConfigDump', '', [
      {
        field: 'dynamic_scoped_route_configs',
        type: 'ScopedRoutesConfigDump.DynamicScopedRouteConfigs',
        elements: scopedRoutes(source.scopedRoutes?.() ?? [], registry),
        fieldsOf: () => SCOPED_ROUTES_FIELDS,
      },
    ]),
    section('RoutesConfigDump', '', [
      list('static_route_configs', 'RoutesConfigDump.StaticRouteConfig', 'route_config', routes.static),
      list('dynamic_route_configs', 'RoutesConfigDump.DynamicRouteConfig', 'route_config', routes.dynamic, true),
    ]),
    section('SecretsConfigDump', '', [
      staticSecretList(list('static_secrets', 'SecretsConfigDump.StaticSecret', 'secret', secrets.static)),
      namedList(list('dynamic_active_secrets', 'SecretsConfigDump.DynamicSecret', 'secret', secrets.active, true)),
      namedList(list('dynamic_warming_secrets', 'SecretsConfigDump.DynamicSecret', 'secret', secrets.warming, true)),
    ]),
  ];
  const extensions = [...(source.extensions?.() ?? [])];
  if (extensions.length > 0)
    sections.splice(
      SECTIONS_BEFORE_ECDS,
      0,
      section('EcdsConfigDump', '', [
        list('ecds_filters', 'EcdsConfigDump.EcdsFilterConfig', 'ecds_filter', extensions, true),
      ]),
    );
  if (includeEds) {
    const endpoints = source.endpoints();
    sections.push(
      section('EndpointsConfigDump', '', [
        untimedList(
          list(
            'static_endpoint_configs',
            'EndpointsConfigDump.StaticEndpointConfig',
            'endpoint_config',
            endpoints.static,
          ),
        ),
        list(
          'dynamic_endpoint_configs',
          'EndpointsConfigDump.DynamicEndpointConfig',
          'endpoint_config',
          endpoints.dynamic,
          true,
        ),
      ]),
    );
  }
  return sections;
}

const STATE_FIELDS: Readonly<Record<string, undefined>> = {
  name: undefined,
  version_info: undefined,
  last_updated: undefined,
  error_state: undefined,
  client_status: undefined,
};

const DYNAMIC_LISTENER_FIELDS: Readonly<Record<string, undefined>> = {
  name: undefined,
  active_state: undefined,
  warming_state: undefined,
  draining_state: undefined,
  error_state: undefined,
  client_status: undefined,
};

const SCOPED_ROUTES_FIELDS: Readonly<Record<string, undefined>> = {
  name: undefined,
  version_info: undefined,
  scoped_route_configs: undefined,
  last_updated: undefined,
  error_state: undefined,
  client_status: undefined,
};

const NOTHING: JsonObject = {};

function section(type: string, versionInfo: string, lists: readonly DumpList[]): DumpSection {
  const versioned = type === 'ClustersConfigDump' || type === 'ListenersConfigDump';
  return {
    type,
    singular: (): JsonObject => (versionInfo === '' ? NOTHING : { version_info: versionInfo }),
    singularFields: versioned ? { version_info: undefined } : {},
    lists,
  };
}

function bootstrapSection(source: ConfigDumpSource, registry: Registry): DumpSection {
  const bootstrap = source.bootstrap();
  return {
    type: 'BootstrapConfigDump',
    singular: () => ({
      bootstrap: messageJson(bootstrap, registry),
      last_updated: timestamp(bootstrap.lastUpdated),
    }),
    singularFields: { bootstrap: bootstrap.desc, last_updated: undefined },
    lists: [],
  };
}

function* elementsOf(
  field: string,
  resources: Iterable<DumpedResource>,
  registry: Registry,
  dynamic: boolean,
): Generator<DumpElement, void, void> {
  for (const resource of resources)
    yield { name: resource.name, json: () => stateJson(field, resource, registry, dynamic) };
}

function* dynamicListeners(
  listeners: Iterable<DynamicListenerDump>,
  registry: Registry,
): Generator<DumpElement, void, void> {
  for (const listener of listeners) {
    yield {
      name: listener.name,
      json: () => {
        const json: JsonObject = { name: listener.name };
        for (const state of ['active', 'warming', 'draining'] as const) {
          const resource = listener[state];
          if (resource !== undefined) json[`${state}_state`] = stateJson('listener', resource, registry, false);
        }
        if (listener.error !== undefined) json['error_state'] = errorJson(listener.error);
        const status = (listener.active ?? listener.warming)?.clientStatus;
        if (status !== undefined) json['client_status'] = status;
        return json;
      },
    };
  }
}

function* scopedRoutes(sets: Iterable<ScopedRoutesDump>, registry: Registry): Generator<DumpElement, void, void> {
  for (const { name, versionInfo, lastUpdated, scopes } of sets)
    yield {
      name,
      json: () => ({
        name,
        ...(versionInfo !== '' && { version_info: versionInfo }),
        scoped_route_configs: Array.from(scopes, (scope) => anyJson(scope, registry)),
        last_updated: timestamp(lastUpdated),
      }),
    };
}

/** Secrets carry their name beside themselves. */
function namedList(list: DumpList): DumpList {
  return mapped(list, (name, { version_info, last_updated, ...json }) => ({
    name,
    ...(version_info !== undefined && { version_info }),
    ...(last_updated !== undefined && { last_updated }),
    ...json,
  }));
}

function staticSecretList(list: DumpList): DumpList {
  return mapped(list, (name, { last_updated: _dropped, ...json }) => ({ name, ...json }));
}

/** Static endpoints have no time of their own. */
function untimedList(list: DumpList): DumpList {
  return mapped(list, (_, { last_updated: _dropped, ...json }) => json);
}

function mapped(list: DumpList, change: (name: string, json: JsonObject) => JsonObject): DumpList {
  function* elements(): Generator<DumpElement, void, void> {
    for (const { name, json } of list.elements) yield { name, json: () => change(name, json()) };
  }
  return { ...list, elements: elements() };
}

function stateJson(field: string, resource: DumpedResource, registry: Registry, dynamic: boolean): JsonObject {
  const json: JsonObject = {};
  if (resource.versionInfo !== '') json['version_info'] = resource.versionInfo;
  json[field] = anyJson(resource, registry);
  json['last_updated'] = timestamp(resource.lastUpdated);
  if (dynamic && resource.error !== undefined) json['error_state'] = errorJson(resource.error);
  if (dynamic && resource.clientStatus !== undefined) json['client_status'] = resource.clientStatus;
  return json;
}

function errorJson(error: NonNullable<DumpedResource['error']>): JsonObject {
  return {
    ...(error.failedConfiguration === undefined ? {} : { failed_configuration: error.failedConfiguration }),
    last_update_attempt: timestamp(error.lastUpdateAttempt),
    details: error.details,
    ...(error.versionInfo !== undefined && error.versionInfo !== '' && { version_info: error.versionInfo }),
  };
}

function anyJson(resource: DumpedResource, registry: Registry): JsonObject {
  return { '@type': `type.googleapis.com/${resource.desc.typeName}`, ...messageJson(resource, registry) };
}

function messageJson({ desc, message }: DumpedResource, registry: Registry): JsonObject {
  return toJson(desc, message, { registry, useProtoFieldName: true }) as JsonObject;
}

const timestamp = (epochMs: number): string => new Date(epochMs).toISOString();

function firstDesc(resources: Iterable<DumpedResource>): DescMessage | undefined {
  for (const { desc } of resources) return desc;
  return undefined;
}
