import { anyPack } from '@bufbuild/protobuf/wkt';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { hasTypedStruct, loadTypesOf, resolveTypedStructs, unpackAny } from '../../src/api/any.ts';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { TransportSocketSchema } from '../../src/api/generated/envoy/config/core/v3/base_pb.js';
import { ProxyProtocolUpstreamTransportSchema } from '../../src/api/generated/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js';
import { TypedStructSchema } from '../../src/api/generated/udpa/type/v1/typed_struct_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { findUnknownFields } from '../../src/api/unknown-fields.ts';

const RAW_BUFFER = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer';
const PROXY_PROTOCOL = ProxyProtocolUpstreamTransportSchema.typeName;

/** A cluster, as bytes would bring it: its socket is a TypedStruct that holds another Any. */
function clusterWithStruct() {
  const struct = create(TypedStructSchema, {
    typeUrl: `type.googleapis.com/${PROXY_PROTOCOL}`,
    value: { transport_socket: { name: 'raw', typed_config: { '@type': `type.googleapis.com/${RAW_BUFFER}` } } },
  });
  const cluster = create(ClusterSchema, {
    transportSocket: {
      name: 'x',
      configType: { case: 'typedConfig', value: anyPack(TypedStructSchema, struct) },
    },
  });
  return fromBinary(ClusterSchema, toBinary(ClusterSchema, cluster));
}

test('loads what decoded messages hold, through structs and nested Anys', async () => {
  const registry = new TypeRegistry();
  await registry.load([ClusterSchema.typeName]);
  expect(registry.get(PROXY_PROTOCOL)).toBeUndefined();
  await loadTypesOf(registry, ClusterSchema, clusterWithStruct());
  expect(registry.get(PROXY_PROTOCOL)).toBeDefined();
  expect(registry.get(RAW_BUFFER)).toBeDefined();
});

test('resolves typed structs in place', async () => {
  const registry = new TypeRegistry();
  const cluster = clusterWithStruct();
  await registry.load([ClusterSchema.typeName]);
  await loadTypesOf(registry, ClusterSchema, cluster);
  expect(hasTypedStruct(registry, ClusterSchema, cluster)).toBe(true);
  expect(resolveTypedStructs(registry, ClusterSchema, cluster)).toBe(1);
  expect(hasTypedStruct(registry, ClusterSchema, cluster)).toBe(false);
  const any = cluster.transportSocket!.configType.value!;
  expect(any.typeUrl).toBe(`type.googleapis.com/${PROXY_PROTOCOL}`);
  const inner = fromBinary(ProxyProtocolUpstreamTransportSchema, any.value);
  expect(inner.transportSocket?.configType.value?.typeUrl).toBe(`type.googleapis.com/${RAW_BUFFER}`);
});

describe('unpackAny', () => {
  test('names the type that it does not have', () => {
    const registry = new TypeRegistry();
    const any = create(ClusterSchema, {
      transportSocket: { configType: { case: 'typedConfig', value: { typeUrl: 'x/a.B', value: new Uint8Array() } } },
    }).transportSocket!.configType.value!;
    expect(unpackAny(registry, any)).toEqual({ typeName: 'a.B', desc: undefined, message: undefined, problems: [] });
  });

  test('reports bytes that are no such message', async () => {
    const registry = new TypeRegistry();
    await registry.load([ClusterSchema.typeName]);
    const any = anyPack(ClusterSchema, create(ClusterSchema));
    any.value = new Uint8Array([0x0a, 0xff]);
    const { message, problems } = unpackAny(registry, any);
    expect(message).toBeUndefined();
    expect(problems[0]?.message).toContain(`is not a serialised ${ClusterSchema.typeName}`);
  });
});

test('unknown fields of bytes are found at every depth', async () => {
  const registry = new TypeRegistry();
  await registry.load([ClusterSchema.typeName]);
  // field 15 of the socket, a varint
  const socket = new Uint8Array([
    ...toBinary(TransportSocketSchema, create(TransportSocketSchema, { name: 'a' })),
    0x78,
    1,
  ]);
  const cluster = fromBinary(ClusterSchema, new Uint8Array([0xc2, 0x01, socket.length, ...socket]));
  expect(cluster.transportSocket?.name).toBe('a');
  expect(findUnknownFields(registry, ClusterSchema, cluster)).toEqual([
    {
      path: 'transport_socket',
      message: 'has unknown fields of envoy.config.core.v3.TransportSocket: number 15',
      unknownField: true,
    },
  ]);
});
