import type { DescMessage, Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { fieldValue, unpackAny } from './any.ts';
import type { FieldProblem } from './config-node.ts';
import type { TypeRegistry } from './type-registry.ts';

/**
 * Finds the fields that a message decoded from bytes carries and the API does not have, also in nested messages and
 * loaded Anys: one problem a message, with the field numbers.
 */
export function findUnknownFields(
  registry: TypeRegistry,
  desc: DescMessage,
  message: Message,
  path = '',
  found: FieldProblem[] = [],
): FieldProblem[] {
  if (desc.typeName === AnySchema.typeName) {
    const { desc: inner, message: held } = unpackAny(registry, message as Any);
    return inner === undefined || held === undefined ? found : findUnknownFields(registry, inner, held, path, found);
  }
  if (message.$unknown !== undefined && message.$unknown.length > 0) {
    const numbers = [...new Set(message.$unknown.map((field) => field.no))].join(', ');
    found.push({ path, message: `has unknown fields of ${desc.typeName}: number ${numbers}`, unknownField: true });
  }
  for (const field of desc.fields) {
    const inner = field.message;
    if (inner === undefined || /^google\.protobuf\.(?!Any$)/.test(inner.typeName)) continue;
    const value = fieldValue(message, field);
    if (value === undefined) continue;
    const at = path === '' ? field.name : `${path}.${field.name}`;
    if (field.fieldKind === 'list')
      for (const [index, item] of (value as Message[]).entries())
        findUnknownFields(registry, inner, item, `${at}[${index}]`, found);
    else if (field.fieldKind === 'map')
      for (const [key, item] of Object.entries(value as Record<string, Message>))
        findUnknownFields(registry, inner, item, `${at}.${key}`, found);
    else findUnknownFields(registry, inner, value as Message, at, found);
  }
  return found;
}
