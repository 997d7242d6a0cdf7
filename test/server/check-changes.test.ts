import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { BootstrapSchema } from '../../src/api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { checkChanges } from '../../src/server/check-changes.ts';

const bootstrap = (fields: MessageInitShape<typeof BootstrapSchema>) => create(BootstrapSchema, fields);
const extension = (name: string) => bootstrap({ bootstrapExtensions: [{ name, typedConfig: { typeUrl: 'a/b' } }] });

test('an extension of a proxy that asks control planes already takes effect later', () => {
  const problems = checkChanges(extension('a'), extension('b'), true);
  expect(problems).toMatchObject([{ severity: 'unsupported', path: 'bootstrap_extensions' }]);
  expect(checkChanges(extension('a'), extension('a'), true)).toEqual([]);
  expect(checkChanges(bootstrap({}), extension('a'), false)).toEqual([]);
});

test('the control planes of authorities are those that a proxy started with', () => {
  const authority = (name: string) => bootstrap({ configSources: [{ authorities: [{ name }] }] });
  const errors = [{ severity: 'error', path: 'config_sources' }];
  expect(checkChanges(authority('a'), authority('b'), true)).toMatchObject(errors);
  expect(checkChanges(authority('a'), bootstrap({ defaultConfigSource: {} }), true)).toMatchObject(errors);
  expect(checkChanges(authority('a'), authority('a'), true)).toEqual([]);
  expect(checkChanges(authority('a'), authority('b'), false)).toEqual([]);
  expect(checkChanges(bootstrap({}), bootstrap({ nodeContextParams: ['id'] }), true)).toMatchObject([
    { severity: 'unsupported', path: 'node_context_params' },
  ]);
});
