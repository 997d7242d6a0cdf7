import { create, fromBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { SecretSchema } from '../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { UpstreamTlsContextSchema } from '../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { redact } from '../../src/api/redact.ts';
import { TypeRegistry } from '../../src/api/type-registry.ts';

const types = new TypeRegistry();
await types.load([ClusterSchema.typeName, UpstreamTlsContextSchema.typeName, SecretSchema.typeName]);
const text = (value: string) => ({ specifier: { case: 'inlineString' as const, value } });
const hidden = { specifier: { case: 'inlineString', value: '[redacted]' } };

test('hides what is marked as sensitive, and nothing else', () => {
  const secret = create(SecretSchema, {
    name: 's',
    type: {
      case: 'tlsCertificate',
      value: { certificateChain: text('chain'), privateKey: text('key'), password: text('word') },
    },
  });
  const { name, type } = redact(types, SecretSchema, secret);
  expect(name).toBe('s');
  expect(type.value).toMatchObject({ certificateChain: text('chain'), privateKey: hidden, password: hidden });
  // The original is the configuration in use.
  expect(secret.type.value).toMatchObject({ privateKey: text('key') });
});

test('hides bytes and lists', () => {
  const key = { specifier: { case: 'inlineBytes' as const, value: Buffer.from('key') } };
  const secret = create(SecretSchema, { type: { case: 'sessionTicketKeys', value: { keys: [key, text('b')] } } });
  expect(redact(types, SecretSchema, secret).type.value).toMatchObject({
    keys: [{ specifier: { case: 'inlineBytes', value: Buffer.from('[redacted]') } }, hidden],
  });
});

test('looks into Anys', () => {
  const context = create(UpstreamTlsContextSchema, {
    sni: 'a',
    commonTlsContext: { tlsCertificates: [{ privateKey: text('key') }] },
  });
  const cluster = create(ClusterSchema, {
    name: 'c',
    transportSocket: {
      name: 't',
      configType: { case: 'typedConfig', value: anyPack(UpstreamTlsContextSchema, context) },
    },
  });
  const shown = redact(types, ClusterSchema, cluster).transportSocket!.configType;
  if (shown.case !== 'typedConfig') throw new Error('lost its type');
  const decoded = fromBinary(UpstreamTlsContextSchema, shown.value.value);
  expect(decoded.sni).toBe('a');
  expect(decoded.commonTlsContext!.tlsCertificates[0]!.privateKey).toMatchObject(hidden);
});

test('returns what has no secrets as it is', () => {
  const cluster = create(ClusterSchema, { name: 'c' });
  expect(redact(types, ClusterSchema, cluster)).toBe(cluster);
});
