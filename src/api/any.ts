import type { DescField, DescMessage, JsonObject, Message } from '@bufbuild/protobuf';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { nodeFromJson } from './config-node.ts';
import { isTypedStruct, MessageReader, typeNamesIn } from './message-reader.ts';
import type { TypeRegistry, UnpackedAny } from './type-registry.ts';
import { typeNameOf } from './type-name.ts';

const EMPTY: UnpackedAny = { typeName: '', desc: undefined, message: undefined, problems: [] };

/**
 * What an Any holds. A TypedStruct is read as the message that it stands for; where that type is unknown or not
 * loaded, `desc` is undefined and `typeName` is the inner name all the same. Decoded once an Any.
 */
export function unpackAny(registry: TypeRegistry, any: Any): UnpackedAny {
  if (any.typeUrl === '') return EMPTY;
  const known = registry.unpacked(any);
  if (known !== undefined) return known;
  const typeName = typeNameOf(any.typeUrl);
  const desc = registry.get(typeName);
  if (desc === undefined) return { typeName, desc, message: undefined, problems: [] };
  const unpacked = decode(registry, desc, any.value);
  // A type that can still be loaded is looked at again next time.
  if (unpacked.desc !== undefined) registry.remember(any, unpacked);
  return unpacked;
}

function decode(registry: TypeRegistry, desc: DescMessage, value: Uint8Array): UnpackedAny {
  let message: Message & { typeUrl?: string; value?: JsonObject };
  try {
    message = fromBinary(desc, value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const problems = [{ path: 'value', message: `is not a serialised ${desc.typeName}: ${reason}` }];
    return { typeName: desc.typeName, desc, message: undefined, problems };
  }
  if (!isTypedStruct(desc)) return { typeName: desc.typeName, desc, message, problems: [] };
  const typeName = typeNameOf(message.typeUrl!);
  const inner = registry.get(typeName);
  if (inner === undefined) return { typeName, desc: undefined, message: undefined, problems: [] };
  const reader = new MessageReader(registry);
  const read = reader.read(inner, nodeFromJson(message.value ?? {}));
  const problems = reader.problems.map((problem) => ({ ...problem, path: `value.${problem.path}` }));
  return { typeName, desc: inner, message: read, problems };
}

/** Calls `visit` for each Any in the message, outermost first; not for those inside of an Any. */
export function visitAnys(
  registry: TypeRegistry,
  desc: DescMessage,
  message: Message,
  visit: (any: Any, path: string) => void,
  path = '',
): void {
  if (desc.typeName === AnySchema.typeName) {
    visit(message as Any, path);
    return;
  }
  if (!registry.canHoldAny(desc)) return;
  for (const field of desc.fields) {
    const inner = field.message;
    if (inner === undefined || !registry.canHoldAny(inner)) continue;
    const value = fieldValue(message, field);
    if (value === undefined) continue;
    const at = path === '' ? field.name : `${path}.${field.name}`;
    if (field.fieldKind === 'list')
      for (const [index, item] of (value as Message[]).entries())
        visitAnys(registry, inner, item, visit, `${at}[${index}]`);
    else if (field.fieldKind === 'map')
      for (const [key, item] of Object.entries(value as Record<string, Message>))
        visitAnys(registry, inner, item, visit, `${at}.${key}`);
    else visitAnys(registry, inner, value as Message, visit, at);
  }
}

/** A field's value as protobuf-es stores it; undefined where a message field or a oneof's case is not set. */
export function fieldValue(message: Message, field: DescField): unknown {
  const record = message as unknown as Record<string, unknown>;
  if (field.oneof === undefined) return record[field.localName];
  const oneof = record[field.oneof.localName] as { case?: string; value?: unknown };
  return oneof.case === field.localName ? oneof.value : undefined;
}

/**
 * Loads the type of every Any in a decoded message, and in what those hold, until nothing more is named. For
 * messages that came as bytes; a text names all its types at once (`typeNamesIn`).
 */
export async function loadTypesOf(registry: TypeRegistry, desc: DescMessage, message: Message): Promise<void> {
  let pending: Any[] = [];
  visitAnys(registry, desc, message, (any) => pending.push(any));
  while (pending.length > 0) {
    await registry.load(new Set(pending.map((any) => typeNameOf(any.typeUrl))));
    const next: Any[] = [];
    const innerTypes = new Set<string>();
    for (const any of pending) {
      const outer = registry.get(typeNameOf(any.typeUrl));
      const { typeName, desc: inner, message: held } = unpackAny(registry, any);
      if (outer !== undefined && isTypedStruct(outer)) {
        for (const name of structTypes(outer, any)) innerTypes.add(name);
        if (inner === undefined && registry.knows(typeName)) next.push(any);
      }
      if (inner !== undefined && held !== undefined) visitAnys(registry, inner, held, (found) => next.push(found));
    }
    await registry.load(innerTypes);
    pending = next;
  }
}

/** The types that a TypedStruct names: its own, and those of each `@type` in its value. */
function structTypes(desc: DescMessage, any: Any): Set<string> {
  try {
    const message = fromBinary(desc, any.value) as Message & { typeUrl: string; value?: JsonObject };
    return typeNamesIn(nodeFromJson(message.value ?? {})).add(typeNameOf(message.typeUrl));
  } catch {
    return new Set();
  }
}

/** True if a TypedStruct stands anywhere in the message, also inside of Anys. */
export function hasTypedStruct(registry: TypeRegistry, desc: DescMessage, message: Message): boolean {
  let found = false;
  visitAnys(registry, desc, message, (any) => {
    if (found) return;
    const outer = registry.get(typeNameOf(any.typeUrl));
    const { desc: inner, message: held } = unpackAny(registry, any);
    found =
      (outer !== undefined && isTypedStruct(outer)) ||
      (inner !== undefined && held !== undefined && hasTypedStruct(registry, inner, held));
  });
  return found;
}

/**
 * Replaces, in place, each TypedStruct whose inner type is known by an Any of that type, also inside of other Anys,
 * so that nothing behind this has to know about TypedStruct. Returns how many there were.
 */
export function resolveTypedStructs(registry: TypeRegistry, desc: DescMessage, message: Message): number {
  let count = 0;
  visitAnys(registry, desc, message, (any) => {
    const { typeName, desc: inner, message: held, problems } = unpackAny(registry, any);
    if (inner === undefined || held === undefined) return;
    const nested = resolveTypedStructs(registry, inner, held);
    const struct = typeNameOf(any.typeUrl) !== typeName;
    if (!struct && nested === 0) return;
    count += nested + (struct ? 1 : 0);
    any.typeUrl = `type.googleapis.com/${typeName}`;
    any.value = toBinary(inner, held);
    registry.remember(any, { typeName, desc: inner, message: held, problems });
  });
  return count;
}
