import type { JsonObject } from '@bufbuild/protobuf';
import type { Node } from '../api/generated/envoy/config/core/v3/base_pb.js';

/**
 * What of the node goes into the names of collections (`node_context_params` of the bootstrap): `xds.node.<field>`, of
 * metadata each key with its value as JSON. Fields that Envoy doesn't know are left out.
 */
export function nodeContext(node: Node, fields: readonly string[]): ReadonlyMap<string, string> {
  const context = new Map<string, string>();
  for (const field of fields) {
    const value = scalarOf(node, field);
    if (value !== undefined) context.set(`xds.node.${field}`, value);
    else
      for (const [key, each] of Object.entries(metadataOf(node, field)))
        context.set(`xds.node.${field}.${key}`, JSON.stringify(each));
  }
  return context;
}

function scalarOf({ id, cluster, locality, userAgentName, userAgentVersionType }: Node, field: string) {
  switch (field) {
    case 'id':
      return id;
    case 'cluster':
      return cluster;
    case 'user_agent_name':
      return userAgentName;
    case 'user_agent_version':
      return userAgentVersionType.case === 'userAgentVersion' ? userAgentVersionType.value : '';
    case 'locality.region':
      return locality?.region ?? '';
    case 'locality.zone':
      return locality?.zone ?? '';
    case 'locality.sub_zone':
      return locality?.subZone ?? '';
    case 'user_agent_build_version.version': {
      const version =
        userAgentVersionType.case === 'userAgentBuildVersion' ? userAgentVersionType.value.version : undefined;
      return `${version?.majorNumber ?? 0}.${version?.minorNumber ?? 0}.${version?.patch ?? 0}`;
    }
    default:
      return undefined;
  }
}

function metadataOf({ metadata, userAgentVersionType }: Node, field: string): JsonObject {
  if (field === 'metadata') return metadata ?? {};
  if (field === 'user_agent_build_version.metadata' && userAgentVersionType.case === 'userAgentBuildVersion')
    return userAgentVersionType.value.metadata ?? {};
  return {};
}
