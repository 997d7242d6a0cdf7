import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  fromBinary,
  toBinary,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
} from '@bufbuild/protobuf';
import { fileDesc } from '@bufbuild/protobuf/codegenv2';
import { DescriptorProtoSchema, EnumDescriptorProtoSchema, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { TypeRegistry } from '../../src/api/type-registry.ts';

const GENERATED = join(import.meta.dirname, '../../src/api/generated');

/** All that a descriptor says, with other types by their names. */
const fieldFacts = ({ message, enum: enumeration, parent, oneof, proto, ...rest }: DescField): unknown => ({
  ...rest,
  toString: undefined,
  getDefaultValue: undefined,
  types: [message?.typeName, enumeration?.typeName, parent.typeName, oneof?.name],
  proto: proto.name,
});
const enumFacts = (type: DescEnum): unknown => ({
  name: String(type),
  in: [type.file.name, type.parent?.typeName],
  traits: [type.open, type.sharedPrefix, type.deprecated],
  values: type.values.map(({ localName, number, jsonName, parent }) => [localName, number, jsonName, parent.typeName]),
  numbers: Object.keys(type.value),
  bytes: toBinary(EnumDescriptorProtoSchema, type.proto),
});
const messageFacts = (type: DescMessage): unknown => ({
  name: String(type),
  in: [type.file.name, type.parent?.typeName, type.deprecated],
  fields: type.fields.map(fieldFacts),
  byName: Object.keys(type.field),
  members: type.members.map(String),
  oneofs: type.oneofs.map((each) => [each.localName, each.parent.typeName, each.fields.map(String)]),
  messages: type.nestedMessages.map(messageFacts),
  enums: type.nestedEnums.map(enumFacts),
  bytes: toBinary(DescriptorProtoSchema, type.proto),
});
const fileFacts = (file: DescFile): unknown => ({
  name: [String(file), file.name, file.proto.package, file.edition, file.deprecated],
  dependencies: file.dependencies.map((each) => each.name),
  messages: file.messages.map(messageFacts),
  enums: file.enums.map(enumFacts),
  extensions: file.extensions.map((each) => each.typeName),
  services: file.services.map((each) => [each.typeName, each.methods.map(String)]),
});

test('descriptors that are made piece by piece are those of protobuf-es, and name each other', async () => {
  const modules = readdirSync(GENERATED, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
  const sources = new Map<string, string>();
  const files = new Map<string, DescFile>();
  for (const module of modules) {
    for (const [, base64] of readFileSync(join(GENERATED, module), 'utf8').matchAll(/\bfileDesc\("([^"]+)"/g))
      sources.set(fromBinary(FileDescriptorProtoSchema, Buffer.from(base64!, 'base64')).name, base64!);
    const exports = (await import(join(GENERATED, module))) as Record<string, { kind?: string }>;
    for (const value of Object.values(exports))
      if (value.kind === 'file') files.set((value as DescFile).proto.name, value as DescFile);
  }
  expect(sources.size).toBeGreaterThan(300);
  expect([...sources.keys()].toSorted()).toEqual([...files.keys()].toSorted());
  for (const [name, base64] of sources) {
    const file = files.get(name)!;
    const imports = file.dependencies.map((each) => Object.create(each, { dependencies: { value: [] } }) as DescFile);
    const [found, wanted] = [fileFacts(file), fileFacts(fileDesc(base64, imports))];
    if (!isDeepStrictEqual(found, wanted)) expect(found).toEqual(wanted);
  }

  const types = new Map<string, DescMessage | DescEnum>();
  const addMessage = (type: DescMessage): void => {
    for (const each of [type, ...type.nestedEnums]) types.set(each.typeName, each);
    type.nestedMessages.forEach(addMessage);
  };
  for (const file of files.values()) {
    file.messages.forEach(addMessage);
    for (const each of file.enums) types.set(each.typeName, each);
  }
  for (const type of types.values())
    for (const field of type.kind === 'message' ? type.fields : []) {
      if (field.parent !== type) expect(field.parent).toBe(type);
      for (const named of [field.message, field.enum])
        if (named !== undefined && types.has(named.typeName) && named !== types.get(named.typeName))
          expect.fail(`${field.toString()} names another ${named.typeName}`);
    }
});

test('what can hold an Any is known without its descriptor', async () => {
  const registry = new TypeRegistry();
  const index = JSON.parse(readFileSync(join(GENERATED, 'message-index.json'), 'utf8')) as Record<string, string>;
  await registry.load(Object.keys(index));
  const reaches = (desc: DescMessage, seen = new Set<DescMessage>()): boolean => {
    if (desc.typeName === 'google.protobuf.Any') return true;
    if (seen.has(desc)) return false;
    seen.add(desc);
    return desc.fields.some((field) => field.message !== undefined && reaches(field.message, seen));
  };
  const names = Object.keys(index).filter((name) => registry.get(name) !== undefined);
  expect(names.filter((name) => registry.canHoldAny(registry.get(name)!))).toEqual(
    names.filter((name) => reaches(registry.get(name)!)),
  );
  expect(registry.canHoldAny(registry.get('google.protobuf.Any')!)).toBe(true);
});
