import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

const ANY = 'google.protobuf.Any';

/** The names of the messages, among the generated ones in `dir`, that can hold an Any at any depth. */
export function anyHolders(dir) {
  /** Of each type, the messages with a field of it. */
  const users = new Map([[ANY, []]]);
  const usersOf = (name) => users.get(name) ?? users.set(name, []).get(name);
  const visit = (message, scope) => {
    const name = `${scope}.${message.name}`;
    for (const { typeName } of message.field) if (typeName !== '') usersOf(typeName.slice(1)).push(name);
    for (const nested of message.nestedType) visit(nested, name);
  };
  for (const file of readdirSync(dir, { recursive: true }).filter((each) => each.endsWith('_pb.js')))
    for (const [, base64] of readFileSync(join(dir, file), 'utf8').matchAll(/\bfileDesc\("([^"]+)"/g)) {
      const proto = fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, 'base64'));
      for (const message of proto.messageType) visit(message, proto.package);
    }
  const found = new Set([ANY]);
  for (const name of found) for (const user of usersOf(name)) found.add(user);
  return [...found].sort();
}
