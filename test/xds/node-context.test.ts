import { fromJson } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { NodeSchema } from '../../src/api/generated/envoy/config/core/v3/base_pb.js';
import { nodeContext } from '../../src/xds/node-context.ts';

test('what of the node goes into the names of collections', () => {
  const node = fromJson(NodeSchema, {
    id: 'me',
    locality: { region: 'r' },
    metadata: { text: 'b', number: 1.5, list: [true] },
    userAgentName: 'envoy',
    userAgentBuildVersion: { version: { majorNumber: 1, minorNumber: 40 }, metadata: { 'build.type': 'RELEASE' } },
  });
  const fields = ['id', 'cluster', 'locality.region', 'user_agent_name', 'user_agent_version', 'nonsense', 'metadata'];
  const built = ['user_agent_build_version.version', 'user_agent_build_version.metadata'];
  expect(Object.fromEntries(nodeContext(node, [...fields, ...built]))).toEqual({
    'xds.node.id': 'me',
    'xds.node.cluster': '',
    'xds.node.locality.region': 'r',
    'xds.node.user_agent_name': 'envoy',
    'xds.node.user_agent_version': '',
    'xds.node.metadata.text': '"b"',
    'xds.node.metadata.number': '1.5',
    'xds.node.metadata.list': '[true]',
    'xds.node.user_agent_build_version.version': '1.40.0',
    'xds.node.user_agent_build_version.metadata.build.type': '"RELEASE"',
  });
});
