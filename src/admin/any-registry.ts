import { create, createFileRegistry, type DescMessage, type Registry } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/**
 * `registry`, with an empty message for each type that it doesn't know: so an Any of an unknown extension is printed with
 * its type and nothing else, where protobuf would refuse to print the whole message.
 */
export function forgivingRegistry(registry: Registry): Registry {
  const stand: Map<string, DescMessage> = new Map();
  return {
    kind: 'registry',
    [Symbol.iterator]: () => registry[Symbol.iterator](),
    get: (typeName) => registry.get(typeName),
    getMessage: (typeName) => {
      const known = registry.getMessage(typeName) ?? stand.get(typeName);
      if (known !== undefined) return known;
      const made = emptyMessage(typeName);
      stand.set(typeName, made);
      return made;
    },
    getEnum: (typeName) => registry.getEnum(typeName),
    getExtension: (typeName) => registry.getExtension(typeName),
    getExtensionFor: (extendee, no) => registry.getExtensionFor(extendee, no),
    getService: (typeName) => registry.getService(typeName),
  };
}

function emptyMessage(typeName: string): DescMessage {
  const dot = typeName.lastIndexOf('.');
  const file = create(FileDescriptorProtoSchema, {
    name: `unknown/${typeName}.proto`,
    syntax: 'proto3',
    package: typeName.slice(0, Math.max(dot, 0)),
    messageType: [{ name: typeName.slice(dot + 1) }],
  });
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [file] })).getMessage(typeName)!;
}
