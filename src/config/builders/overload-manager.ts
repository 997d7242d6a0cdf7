import type { TypeRegistry } from '../../api/type-registry.ts';
import type { OverloadManager } from '../../api/generated/envoy/config/overload/v3/overload_pb.js';
import type { DownstreamConnectionsConfig } from '../../api/generated/envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections_pb.js';
import type { Problems } from '../problem.ts';
import { unpackAs } from './listener-context.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

const DOWNSTREAM_CONNECTIONS =
  'envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig';
/** Connections are counted in 32 bits. */
const MOST = 0xffff_ffffn;

/** What is done about overload. */
export interface OverloadModel {
  /** Of the process, over the listeners that don't ignore it; undefined = the runtime key decides. */
  readonly maxDownstreamConnections: number | undefined;
}

/** The bootstrap's `overload_manager`; `problems` stands at that field. */
export function buildOverloadManager(
  message: OverloadManager | undefined,
  types: TypeRegistry,
  problems: Problems,
): OverloadModel {
  let maxDownstreamConnections: number | undefined;
  if (message === undefined) return { maxDownstreamConnections };
  // The refresh interval is for monitors that are asked time and again; this one is told.
  reportUnsupportedFields(types, message, ['refresh_interval', 'resource_monitors'], problems);
  const names = new Set<string>();
  for (const [index, { name, configType }] of message.resourceMonitors.entries()) {
    const at = problems.at('resource_monitors').at(index);
    if (names.has(name)) at.error(`Duplicate resource monitor ${name}`);
    names.add(name);
    const any = configType.case === 'typedConfig' ? configType.value : undefined;
    const config = any && unpackAs<DownstreamConnectionsConfig>(types, any, DOWNSTREAM_CONNECTIONS);
    if (config === undefined) {
      at.unsupported('typed_config', `the resource monitor '${name}' is not implemented`);
      continue;
    }
    const { maxActiveDownstreamConnections: most } = config;
    maxDownstreamConnections = Number(most < MOST ? most : MOST);
  }
  return { maxDownstreamConnections };
}
