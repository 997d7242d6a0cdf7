import { create, fromJson } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AddressSchema } from '../../../src/api/generated/envoy/config/core/v3/address_pb.js';
import {
  DataSourceSchema,
  HeaderValueOptionSchema,
  RuntimeFractionalPercentSchema,
} from '../../../src/api/generated/envoy/config/core/v3/base_pb.js';
import { StringMatcherSchema } from '../../../src/api/generated/envoy/type/matcher/v3/string_pb.js';
import { durationMs } from '../../../src/api/duration.ts';
import {
  buildAddress,
  buildHeaderMutation,
  buildHeaderValueOption,
  buildRuntimeFraction,
  buildStringMatcher,
  readDataSource,
} from '../../../src/config/builders/common.ts';
import { Problems } from '../../../src/config/problem.ts';

const messages = (problems: Problems): string[] => problems.list.map(({ path, message }) => `${path}: ${message}`);

test('durationMs', () => {
  expect(durationMs(undefined)).toBeUndefined();
  expect(durationMs(create(DurationSchema, { seconds: 2n, nanos: 500_000 }))).toBe(2000.5);
});

describe('buildAddress', () => {
  test('needs one', () => {
    const problems = new Problems('address');
    buildAddress(undefined, problems);
    expect(messages(problems)).toEqual(['address: an address is required']);
  });

  test('named ports need a resolver', () => {
    const problems = new Problems();
    buildAddress(fromJson(AddressSchema, { socketAddress: { address: '1.2.3.4', namedPort: 'http' } }), problems);
    expect(messages(problems)).toEqual(['socket_address.named_port: unsupported: named ports need a custom resolver']);
  });
});

describe('buildStringMatcher', () => {
  test.each([
    [
      { exact: 'a', ignoreCase: true },
      { kind: 'exact', value: 'a', ignoreCase: true },
    ],
    [{ prefix: 'a' }, { kind: 'prefix', value: 'a', ignoreCase: false }],
    [{ safeRegex: { regex: 'a+' } }, { kind: 'regex', value: 'a+' }],
  ])('%j', (json, model) => {
    const problems = new Problems();
    expect(buildStringMatcher(fromJson(StringMatcherSchema, json), problems)).toEqual(model);
    expect(problems.list).toEqual([]);
  });

  test('refuses what RE2 refuses', () => {
    const problems = new Problems('m');
    buildStringMatcher(fromJson(StringMatcherSchema, { safeRegex: { regex: '(?=a)' } }), problems);
    expect(messages(problems)[0]).toMatch(/^m\.safe_regex\.regex: invalid regex '\(\?=a\)'/);
  });
});

test('buildRuntimeFraction', () => {
  const of = (json: Parameters<typeof fromJson>[1]) =>
    buildRuntimeFraction(fromJson(RuntimeFractionalPercentSchema, json));
  expect(of({ defaultValue: { numerator: 5, denominator: 'MILLION' }, runtimeKey: 'k' })).toEqual({
    numerator: 5,
    denominator: 1_000_000,
    runtimeKey: 'k',
  });
  expect(of({})).toEqual({ numerator: 0, denominator: 100, runtimeKey: '' });
});

describe('buildHeaderValueOption', () => {
  const of = (json: object, problems = new Problems()) =>
    buildHeaderValueOption(fromJson(HeaderValueOptionSchema, json as never), problems);

  test('names become lower-case; the default is to append', () => {
    expect(of({ header: { key: 'X-A', value: 'v' } })).toEqual({
      name: 'x-a',
      value: 'v',
      appendAction: 'append-if-exists-or-add',
      keepEmptyValue: false,
    });
  });

  test('the deprecated append still counts, but not beside append_action', () => {
    const header = { key: 'a', value: 'v' };
    expect(of({ header, append: false }).appendAction).toBe('overwrite-if-exists-or-add');
    const problems = new Problems();
    of({ header, append: true, appendAction: 'ADD_IF_ABSENT' }, problems);
    expect(messages(problems)).toEqual(['append: append and append_action are both set']);
  });

  test('bytes are kept as they are', () => {
    expect(of({ header: { key: 'a', rawValue: Buffer.from([0xe9, 0x41]).toString('base64') } }).value).toBe('\xe9A');
  });

  test('host and the pseudo-headers stay as they are', () => {
    const problems = new Problems();
    buildHeaderMutation([], problems.at('add'), ['Host', 'x', ':path'], problems.at('remove'));
    expect(messages(problems)).toEqual([
      'remove[0]: :-prefixed or host headers may not be removed',
      'remove[2]: :-prefixed or host headers may not be removed',
    ]);
  });
});

describe('readDataSource', () => {
  const read = (json: object, problems = new Problems()): string =>
    readDataSource(fromJson(DataSourceSchema, json as never), problems).toString();

  test('reads what is inline, in the environment or in a file', () => {
    expect(read({ inlineString: 'é' })).toBe('é');
    expect(read({ inlineBytes: 'aGk=' })).toBe('hi');
    expect(read({ environmentVariable: 'PATH' })).toBe(process.env['PATH']);
    const folder = mkdtempSync(join(tmpdir(), 'source-'));
    writeFileSync(join(folder, 'f'), 'text');
    expect(read({ filename: join(folder, 'f') })).toBe('text');
    rmSync(folder, { recursive: true });
  });

  test('says what is not there', () => {
    const problems = new Problems('body');
    read({ filename: '/nonexistent/f' }, problems);
    read({ environmentVariable: 'NO_SUCH_VARIABLE_HERE' }, problems);
    expect(messages(problems)).toEqual([
      "body.filename: cannot read '/nonexistent/f': ENOENT",
      "body.environment_variable: environment variable 'NO_SUCH_VARIABLE_HERE' does not exist",
    ]);
  });
});
