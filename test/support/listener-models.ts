import { builtinNetworkFilters } from '../../src/filters/builtin-network.ts';
import type { JsonObject } from '@bufbuild/protobuf';
import { nodeFromJson } from '../../src/api/config-node.ts';
import { MessageReader, typeNamesIn } from '../../src/api/message-reader.ts';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { ListenerSchema } from '../../src/api/generated/envoy/config/listener/v3/listener_pb.js';
import { HttpConnectionManagerSchema } from '../../src/api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { buildHttpConnectionManager } from '../../src/config/builders/http-connection-manager.ts';
import { buildListener } from '../../src/config/builders/listener.ts';
import type { ListenerBuildContext } from '../../src/config/builders/listener-context.ts';
import type { HcmModel } from '../../src/config/hcm-model.ts';
import type { ListenerModel } from '../../src/config/listener-model.ts';
import { builtinListenerFilters } from '../../src/filters/builtin-listener.ts';
import { Problems, type Problem } from '../../src/config/problem.ts';

const TYPE = 'type.googleapis.com/';
export const HCM_TYPE = `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;
const KNOWN = 'envoy.extensions.filters.http.buffer.v3.Buffer';

const LISTENER_FILTERS: ReadonlySet<string> = new Set(builtinListenerFilters.map(({ configType }) => configType));

export const ROUTER: JsonObject = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': `${TYPE}envoy.extensions.filters.http.router.v3.Router` },
};

interface Built<Model> {
  readonly model: Model;
  readonly problems: readonly Problem[];
}

/** `config` over the least that an HttpConnectionManager needs, built. The only known HTTP filter is `buffer`. */
export async function buildHcm(config: JsonObject = {}): Promise<Built<HcmModel>> {
  const json = { stat_prefix: 's', route_config: { name: 'r' }, http_filters: [ROUTER], ...config };
  return build(json, HttpConnectionManagerSchema, buildHttpConnectionManager);
}

/** `config` over a listener on 127.0.0.1:0 with one filter chain that holds `hcm`. */
export async function buildListenerModel(config: JsonObject = {}, hcm: JsonObject = {}): Promise<Built<ListenerModel>> {
  const chain = { filters: [hcmFilter(hcm)] };
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
  return build({ name: 'l', address, filter_chains: [chain], ...config }, ListenerSchema, buildListener);
}

export function hcmFilter(hcm: JsonObject = {}): JsonObject {
  return {
    name: 'hcm',
    typed_config: { '@type': HCM_TYPE, stat_prefix: 's', route_config: { name: 'r' }, http_filters: [ROUTER], ...hcm },
  };
}

async function build<Shape, Model>(
  json: JsonObject,
  desc: Parameters<MessageReader['read']>[0],
  builder: (message: Shape, problems: Problems, context: ListenerBuildContext) => Model,
): Promise<Built<Model>> {
  const types = new TypeRegistry();
  const node = nodeFromJson(json);
  await types.load([...typeNamesIn(node), desc.typeName]);
  const reader = new MessageReader(types);
  const message = reader.read(desc, node) as Shape;
  if (reader.problems.length > 0) throw new Error(JSON.stringify(reader.problems));
  const problems = new Problems();
  const context = {
    types,
    clusterExists: () => true,
    isKnownHttpFilter: (type: string) => type === KNOWN,
    isKnownListenerFilter: (type: string) => LISTENER_FILTERS.has(type),
    findNetworkFilter: (type: string) => builtinNetworkFilters.find(({ configType }) => configType === type),
  };
  return { model: builder(message, problems, context), problems: problems.list };
}
