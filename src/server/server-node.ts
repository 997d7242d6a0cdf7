import { toJson, type JsonObject } from '@bufbuild/protobuf';
import { NodeSchema, type Node } from '../api/generated/envoy/config/core/v3/base_pb.js';
import { userAgent } from './user-agent.ts';

/** The node as `/server_info` shows it: as it was configured, with what this build is and can do. */
export function serverNode(node: Node | undefined): JsonObject {
  const { version, metadata, extensions } = userAgent();
  const [major, minor, patch] = version.split('.').map(Number) as [number, number, number];
  return {
    ...(node === undefined
      ? { id: '', cluster: '' }
      : (toJson(NodeSchema, node, { useProtoFieldName: true, alwaysEmitImplicit: true }) as JsonObject)),
    user_agent_name: 'envoy',
    user_agent_build_version: { version: { major_number: major, minor_number: minor, patch }, metadata },
    extensions: extensions.map(({ name, category, typeUrls }) => ({
      name,
      category,
      type_descriptor: '',
      disabled: false,
      type_urls: [...typeUrls],
    })),
  };
}
